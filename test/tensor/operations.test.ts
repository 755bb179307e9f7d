import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  add,
  argmax,
  assertAxes,
  astype,
  batchMatmul,
  concat,
  divide,
  frobeniusNorm,
  gather,
  logSoftmax,
  map,
  matmul,
  max,
  maxAbsDifference,
  mean,
  meanAll,
  multiply,
  Random,
  randomNormal,
  softmax,
  stack,
  subtract,
  sum,
  sumAll,
  Tensor,
} from "../../src/tensor/index.ts";

const T = Tensor.fromNested;

function message(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return `${(error as Error).name} ${(error as Error).message}`;
  }
  return "nothing was thrown";
}

describe("elementwise", () => {
  const a = T("pos d_model", [
    [1, 2],
    [3, 4],
  ]);
  it("matches axes by name, whatever their order", () => {
    const b = T("d_model pos", [
      [10, 30],
      [20, 40],
    ]);
    expect(add(a, b).toNested()).toEqual([
      [11, 22],
      [33, 44],
    ]);
    expect(subtract(a, T("pos", [1, 2])).toNested()).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(multiply(a, T("d_model", [2, 3])).toNested()).toEqual([
      [2, 6],
      [6, 12],
    ]);
    expect(divide(a, 2).toNested()).toEqual([
      [0.5, 1],
      [1.5, 2],
    ]);
    expect(map(a, (x) => -x).toNested()).toEqual([
      [-1, -2],
      [-3, -4],
    ]);
  });
  it("goes to float64 when either operand is float64", () => {
    expect(add(a, Tensor.from("d_model", [2], new Float64Array([1e-12, 0]))).dtype).toBe("float64");
    expect(astype(a, "float64").dtype).toBe("float64");
  });
  it("refuses an axis that the first operand lacks, and other sizes", () => {
    expect(message(() => add(a as Tensor, Tensor.zeros("head", [2]) as Tensor))).toBe(
      'AxisError add: the second operand has an axis "head" that the first lacks: a is [pos=2 d_model=2], b is [head=2]. Rename it or swap the operands.',
    );
    expect(message(() => add(a, Tensor.zeros("d_model", [3])))).toBe(
      'ShapeError add: axis "d_model" has size 2 in the first operand and 3 in the second: a is [pos=2 d_model=2], b is [d_model=3].',
    );
    expect(message(() => add(a, Tensor.zeros("pos d_model", [1, 2])))).toBe(
      'ShapeError add: axis "pos" has size 2 in the first operand and 1 in the second: a is [pos=2 d_model=2], b is [pos=1 d_model=2].',
    );
  });
});

describe("reductions", () => {
  const a = T("pos d_model", [
    [1, 5, 2],
    [4, 0, 4],
  ]);
  it("run along one axis and drop it", () => {
    expect(sum(a, "pos").toNested()).toEqual([5, 5, 6]);
    expect(sum(a, "d_model").axes).toBe("pos");
    expect(mean(a, "d_model").toNested()).toEqual([Math.fround(8 / 3), Math.fround(8 / 3)]);
    expect(max(a, "d_model").toNested()).toEqual([5, 4]);
    expect(argmax(a, "d_model").toNested()).toEqual([1, 0]);
    const broken = Tensor.fromNested("pos d_model", [
      [NaN, 1, 2],
      [1, NaN, 3],
    ]);
    expect(argmax(broken, "d_model").toNested()).toEqual([0, 1]);
    expect(argmax(a, "d_model").dtype).toBe("int32");
    expect(sumAll(a)).toBe(16);
    expect(meanAll(a)).toBe(16 / 6);
  });
  it("sum in float64: 2²⁴ ones and 2²⁴ stay apart", () => {
    const big = Tensor.from("pos", [3], [16777216, 1, 1]);
    expect(sum(big, "pos").item()).toBe(16777218);
  });
  it("refuse an empty or unknown axis", () => {
    expect(message(() => mean(Tensor.zeros("pos d_model", [0, 2]), "pos"))).toBe(
      'ShapeError mean: axis "pos" of [pos=0 d_model=2] is empty.',
    );
    expect(message(() => sum(a as Tensor, "head"))).toBe(
      'AxisError sum: there is no axis "head" in [pos=2 d_model=3]; it has axes "pos", "d_model".',
    );
  });
});

describe("matmul", () => {
  it("equals the sum of products in float64, within 2 k + 2 roundings of 2⁻²⁴ Σ|ab| (seeded)", () => {
    fc.assert(
      fc.property(fc.nat(12), fc.nat(12), fc.nat(12), fc.nat(1000), fc.boolean(), (m, k, n, seed, flip) => {
        const random = new Random(seed);
        const a = randomNormal("pos d_model", [m, k], { seed: random });
        const stored = randomNormal("d_vocab d_model", [n, k], { seed: random });
        const b = flip
          ? stored.permute("d_model d_vocab")
          : Tensor.from("d_model d_vocab", [k, n], stored.permute("d_model d_vocab").data);
        const c = matmul(a, b);
        expect(c.shape).toEqual([m, n]);
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let s = 0;
            let size = 0;
            for (let p = 0; p < k; p++) {
              s += a.at(i, p) * b.at(p, j);
              size += Math.abs(a.at(i, p) * b.at(p, j));
            }
            expect(Math.abs(c.at(i, j) - s)).toBeLessThanOrEqual((2 * k + 2) * 2 ** -24 * size);
          }
        }
      }),
      { seed: 5, numRuns: 60 },
    );
  });
  it("keeps the leading axes of the first operand", () => {
    const x = T("batch pos d_model", [[[1, 2]], [[3, 4]]]);
    const c = matmul(
      x,
      T("d_model d_vocab", [
        [1, 0, 1],
        [0, 1, 1],
      ]),
    );
    expect(c.axes).toBe("batch pos d_vocab");
    expect(c.toNested()).toEqual([[[1, 2, 3]], [[3, 4, 7]]]);
  });
  it("says which axes differ and what may have been meant", () => {
    const a: Tensor = Tensor.zeros("pos d_model", [5, 64]);
    expect(message(() => matmul(a, Tensor.zeros("d_head d_model", [16, 64]) as Tensor))).toBe(
      'AxisError matmul: inner axes differ: a is [pos=5 d_model=64], b is [d_head=16 d_model=64]. a ends with d_model=64 but b starts with d_head=16. Did you mean b.permute("d_model d_head")?',
    );
    expect(message(() => matmul(a, Tensor.zeros("d_model d_head", [32, 8]) as Tensor))).toBe(
      'ShapeError matmul: axis "d_model" has size 64 in a and 32 in b: a is [pos=5 d_model=64], b is [d_model=32 d_head=8].',
    );
    expect(message(() => matmul(a, Tensor.zeros("d_model", [64]) as Tensor))).toBe(
      "ShapeError matmul: takes rows [..., inner] and a matrix [inner, out]: a is [pos=5 d_model=64], b is [d_model=64].",
    );
  });
  it("multiplies stacks head by head", () => {
    const a = T("head query_pos key_pos", [[[1, 2]], [[3, 4]]]);
    const b = T("head key_pos d_head", [
      [[1], [1]],
      [[10], [100]],
    ]);
    expect(batchMatmul(a, b).toNested()).toEqual([[[3]], [[430]]]);
    expect(message(() => batchMatmul(a, Tensor.zeros("a d e", [2, 2, 1]) as Tensor as Tensor<"head key_pos e">))).toBe(
      "AxisError batchMatmul: stacked axes differ: a is [head=2 query_pos=1 key_pos=2], b is [a=2 d=2 e=1]. a has head but b has a.",
    );
  });
});

describe("softmax", () => {
  it("gives hand-worked probabilities and shifts away, to 1e-7 (float32 storage)", () => {
    const p = softmax(
      T("pos key_pos", [
        [0, Math.log(3)],
        [1e4, 1e4],
      ]),
      "key_pos",
    );
    for (const [i, expected] of [0.25, 0.75, 0.5, 0.5].entries())
      expect(Math.abs((p.data[i] as number) - expected)).toBeLessThan(1e-7);
  });
  it("runs along any axis", () => {
    const t = T("key_pos pos", [
      [0, 5],
      [0, 5],
    ]);
    expect(softmax(t, "key_pos").toNested()).toEqual([
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
    expect(logSoftmax(t, "key_pos").at(0, 1)).toBeCloseTo(-Math.LN2, 6); // float32: 7 digits
  });
  it("refuses an unknown axis", () => {
    expect(message(() => softmax(Tensor.zeros("pos", [1]) as Tensor, "key"))).toBe(
      'AxisError softmax: there is no axis "key" in [pos=1]; it has axes "pos".',
    );
  });
});

describe("combining", () => {
  it("stacks, concatenates and gathers", () => {
    const a = T("pos d_model", [
      [1, 2],
      [3, 4],
    ]);
    expect(stack("head", [a, a]).shape).toEqual([2, 2, 2]);
    expect(concat("pos", [a, T("pos d_model", [[5, 6]])]).toNested()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(concat("d_model", [a, T("pos d_model", [[9], [8]])]).toNested()).toEqual([
      [1, 2, 9],
      [3, 4, 8],
    ]);
    expect(gather(a, "d_model", [1, 1, 0]).toNested()).toEqual([
      [2, 2, 1],
      [4, 4, 3],
    ]);
    expect(stack("n", [Tensor.from("", [], [1]), Tensor.from("", [], [2])]).toNested()).toEqual([1, 2]);
  });
  it("refuses what does not fit", () => {
    const a = T("pos d_model", [[1, 2]]);
    expect(message(() => stack("head", []))).toBe(
      "ShapeError stack: the list of tensors is empty; there is nothing to take axes and sizes from.",
    );
    expect(message(() => stack("head", [a as Tensor, T("pos", [1]) as Tensor]))).toBe(
      "AxisError stack: tensor 1 is [pos=1] but the first is [pos=1 d_model=2].",
    );
    expect(message(() => concat("pos", [a, T("pos d_model", [[1, 2, 3]])]))).toBe(
      "ShapeError concat: tensor 1 is [pos=1 d_model=3] but the first is [pos=1 d_model=2].",
    );
    expect(message(() => gather(a, "d_model", [2]))).toBe(
      'InputError gather: index 2 is outside axis "d_model" of [pos=1 d_model=2]; it takes 0 to 1.',
    );
    expect(message(() => assertAxes(a, "d_model pos"))).toBe(
      "AxisError assertAxes: the tensor is [pos=1 d_model=2], not [d_model pos]. Permute or rename its axes.",
    );
  });
});

describe("comparison", () => {
  it("measures norms and differences", () => {
    expect(
      frobeniusNorm(
        T("a b", [
          [3, 0],
          [0, 4],
        ]),
      ),
    ).toBe(5);
    expect(maxAbsDifference(T("a", [1, -Infinity]), T("a", [3, -Infinity]))).toBe(2);
    expect(maxAbsDifference(T("a", [1]), T("a", [NaN]))).toBeNaN();
  });
});

describe("Random", () => {
  it("gives the published outputs of xoshiro128++ from the state 1, 2, 3, 4", () => {
    const random = Random.fromState([1, 2, 3, 4]);
    expect([random.bits(), random.bits(), random.bits(), random.bits()]).toEqual([
      641, 1573767, 3222811527, 3517856514,
    ]);
  });
  it("is the same on every machine for a seed", () => {
    const r = new Random(1);
    const again = new Random(1);
    expect([r.bits(), r.bits(), r.bits()]).toEqual([again.bits(), again.bits(), again.bits()]);
  });
  it("has the moments of its distributions (10⁵ draws; five standard errors)", () => {
    const random = new Random(3);
    const n = 100_000;
    let u = 0;
    let x = 0;
    let xx = 0;
    for (let i = 0; i < n; i++) {
      u += random.uniform();
      const z = random.normal();
      x += z;
      xx += z * z;
    }
    expect(Math.abs(u / n - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(x / n)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(xx / n - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  });
  it("draws every integer equally often (χ² with 9 degrees below its 99.99 % quantile, 33.7)", () => {
    const random = new Random(4);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const k = random.int(10);
      counts[k] = (counts[k] ?? 0) + 1;
    }
    expect(counts.reduce((s, c) => s + (c - 1000) ** 2 / 1000, 0)).toBeLessThan(33.7);
  });
  it("refuses seeds and ranges that are not", () => {
    expect(message(() => new Random(-1))).toBe(
      "InputError Random: -1 is not a seed; use a non-negative integer below 2^32.",
    );
    expect(message(() => randomNormal("pos", [2], { seed: 0, std: NaN }))).toBe(
      "InputError randomNormal: std is NaN; a standard deviation is a number of at least 0.",
    );
    expect(message(() => new Random(0).int(0))).toBe(
      "InputError Random.int: 0 is not a number of choices; use a positive integer.",
    );
  });
});

it.each([
  ["along the first axis", [0, 2, 1]],
  ["along the first two", [0, 0, 1]],
  ["along the last", [6, 2, 0]],
  ["along all", [0, 0, 0]],
  ["along none, from an offset", [6, 2, 1]],
  ["along the first, what repeats transposed", [0, 1, 3]],
])("a second operand that repeats its numbers %s is as its copy", (_, strides) => {
  const shape = [2, 3, 2];
  const numbers = Float32Array.from({ length: 20 }, (__, i) => i * i - 7);
  const view = Tensor.view("batch pos d_model", numbers, { shape, strides, offset: 3 });
  const a = Tensor.from("batch pos d_model", shape, numbers.slice(0, 12));
  const want = [...a.data].map((x, i) => {
    const place = [Math.floor(i / 6), Math.floor(i / 2) % 3, i % 2];
    const at = place.reduce((sum, index, axis) => sum + index * (strides[axis] ?? 0), 3);
    return x + (numbers[at] ?? NaN);
  });
  expect([...add(a, view).data]).toEqual(want);
});
