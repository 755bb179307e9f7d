/** Seeded inputs: the same numbers for every contender, run and machine. */

/** Uniform numbers in [0, 1): the generator "mulberry32". */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

function randomArray(ArrayType, shape, seed, width) {
  const next = uniform(seed);
  return { shape, data: new ArrayType(sizeOf(shape)).map(() => (next() - 0.5) * width) };
}

/** Puts -1e9 where a query would see a later key; `shape` is `[heads, queries, keys]`. */
function maskScores({ shape, data }) {
  const [heads, queries, keys] = shape;
  for (let row = 0; row < heads * queries; row++) data.fill(-1e9, row * keys + (row % queries) + 1, (row + 1) * keys);
}

/**
 * The operands of a piece of work, `{ shape, data }` each.
 *
 * Factors lie in ±0.5, scores in ±6, as those of a trained head do.
 *
 * @param {any} work
 * @returns {{ shape: number[], data: Float32Array | Float64Array }[]}
 */
export function makeInputs(work) {
  switch (work.kind) {
    case "matmul": {
      const { batch, m, k, n } = work;
      const stack = batch === undefined ? [] : [batch];
      return [randomArray(Float32Array, [...stack, m, k], 1, 1), randomArray(Float32Array, [...stack, k, n], 2, 1)];
    }
    case "softmax":
    case "causalSoftmax": {
      const scores = randomArray(Float32Array, work.shape, 3, 12);
      if (work.masked === "before") maskScores(scores);
      return [scores];
    }
    case "attention":
      return [4, 5, 6].map((seed) => randomArray(Float32Array, [work.heads, work.positions, work.d_head], seed, 4));
    case "layerNorm":
      return [randomArray(Float32Array, work.shape, 7, 4)];
    case "eigenvalues":
    case "svd":
      return [randomArray(Float64Array, [work.count, work.size, work.size], 8, 2)];
    default:
      return [];
  }
}
