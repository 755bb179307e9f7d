/**
 * The float64 truth that every contender's result is held against once, before it is timed: a contender that computes
 * something else is no contender.
 */

/** Where a result is wrong beyond its bound, or undefined where it is right. */
export function complaint(work, inputs, result) {
  const expectedLength = lengthOf(work);
  if (result.length !== expectedLength) return `returned ${result.length} numbers instead of ${expectedLength}`;
  const { error, bound } =
    work.kind in decompositions ? decompositions[work.kind](work, inputs, result) : entrywise(work, inputs, result);
  return error <= bound ? undefined : `is off by ${error.toExponential(1)}, more than ${bound.toExponential(1)}`;
}

function lengthOf(work) {
  switch (work.kind) {
    case "matmul":
      return (work.batch ?? 1) * work.m * work.n;
    case "attention":
      return work.heads * work.positions * work.d_head;
    case "eigenvalues":
      return work.count * 2 * work.size;
    case "svd":
      return work.count * work.size * (2 * work.size + 1);
    default:
      return work.shape.reduce((product, size) => product * size, 1);
  }
}

/** One float64 result a case, kept for the contenders that follow. */
const truths = new WeakMap();

function entrywise(work, inputs, result) {
  let truth = truths.get(work);
  if (truth === undefined) {
    truth = truthOf[work.kind](work, ...inputs.map(({ data }) => data));
    truths.set(work, truth);
  }
  let error = 0;
  let largest = 0;
  for (let i = 0; i < truth.length; i++) {
    const difference = Math.abs(result[i] - truth[i]);
    // Math.max keeps NaN.
    error = Math.max(error, difference);
    largest = Math.max(largest, Math.abs(truth[i]));
  }
  return { error, bound: largest * relativeBound[work.kind] };
}

/** Float32 sums in any order stay far below; a wrong entry does not. */
const relativeBound = { matmul: 1e-5, softmax: 2e-6, causalSoftmax: 2e-6, attention: 1e-5, layerNorm: 1e-4 };

const truthOf = {
  matmul({ batch = 1, m, k, n }, a, b) {
    const out = new Float64Array(batch * m * n);
    for (let s = 0; s < batch; s++) product(a, b, out, { m, k, n, a: s * m * k, b: s * k * n, out: s * m * n });
    return out;
  },
  softmax: ({ shape }, x) => softmaxRows(x, shape[2], () => shape[2]),
  causalSoftmax: ({ shape }, x) => softmaxRows(x, shape[2], (row) => (row % shape[1]) + 1),
  attention({ heads, positions, d_head }, q, k, v) {
    const scores = new Float64Array(heads * positions * positions);
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < positions; i++) {
        for (let j = 0; j <= i; j++) {
          let dot = 0;
          for (let d = 0; d < d_head; d++) {
            dot += q[(h * positions + i) * d_head + d] * k[(h * positions + j) * d_head + d];
          }
          scores[(h * positions + i) * positions + j] = dot / Math.sqrt(d_head);
        }
      }
    }
    const pattern = softmaxRows(scores, positions, (row) => (row % positions) + 1);
    return truthOf.matmul({ batch: heads, m: positions, k: positions, n: d_head }, pattern, v);
  },
  layerNorm({ shape: [rows, cols] }, x) {
    const out = new Float64Array(rows * cols);
    for (let r = 0; r < rows; r++) {
      const row = Float64Array.from(x.subarray(r * cols, (r + 1) * cols));
      const mean = row.reduce((sum, value) => sum + value, 0) / cols;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / cols;
      out.set(
        row.map((value) => (value - mean) / Math.sqrt(variance + 1e-5)),
        r * cols,
      );
    }
    return out;
  },
};

/** `out += a @ b` for row-major matrices that begin at the given places. */
function product(a, b, out, at) {
  const { m, k, n } = at;
  for (let i = 0; i < m; i++) {
    const row = out.subarray(at.out + i * n, at.out + (i + 1) * n);
    for (let p = 0; p < k; p++) {
      const factor = a[at.a + i * k + p];
      const other = at.b + p * n;
      for (let j = 0; j < n; j++) row[j] += factor * b[other + j];
    }
  }
}

/** Softmax of the first `visible(row)` entries of each row, zeros after them. */
function softmaxRows(x, cols, visible) {
  const out = new Float64Array(x.length);
  for (let row = 0; row * cols < x.length; row++) {
    const start = row * cols;
    const end = start + visible(row);
    let largest = -Infinity;
    for (let i = start; i < end; i++) largest = Math.max(largest, x[i]);
    let sum = 0;
    for (let i = start; i < end; i++) sum += out[i] = Math.exp(x[i] - largest);
    for (let i = start; i < end; i++) out[i] /= sum;
  }
  return out;
}

const decompositions = {
  /** The sums of the first three powers of the eigenvalues are the traces of A, A² and A³. */
  eigenvalues({ count, size: n }, [{ data }], result) {
    let error = 0;
    for (let c = 0; c < count; c++) {
      const a = data.subarray(c * n * n, (c + 1) * n * n);
      const values = result.subarray(c * 2 * n, (c + 1) * 2 * n);
      const norm = Math.hypot(...a);
      let power = a;
      for (let p = 1; p <= 3; p++) {
        let trace = 0;
        for (let i = 0; i < n; i++) trace += power[i * n + i];
        const deviation = Math.abs(powerSum(values, n, p) - trace) / norm ** p;
        error = Math.max(error, deviation);
        power = truthOf.matmul({ m: n, k: n, n }, power, a);
      }
    }
    return { error, bound: 1e-11 };
  },
  /** U diag(S) Vᵀ is A, and the columns of U and V are orthonormal. */
  svd({ count, size: n }, [{ data }], result) {
    let error = 0;
    const note = (got, want) => {
      error = Math.max(error, Math.abs(got - want));
    };
    for (let c = 0; c < count; c++) {
      const a = data.subarray(c * n * n, (c + 1) * n * n);
      const parts = result.subarray(c * n * (2 * n + 1), (c + 1) * n * (2 * n + 1));
      const U = parts.subarray(0, n * n);
      const S = parts.subarray(n * n, n * n + n);
      const V = parts.subarray(n * n + n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          let entry = 0;
          let uu = 0;
          let vv = 0;
          for (let k = 0; k < n; k++) {
            entry += U[i * n + k] * S[k] * V[j * n + k];
            uu += U[k * n + i] * U[k * n + j];
            vv += V[k * n + i] * V[k * n + j];
          }
          note(entry, a[i * n + j]);
          note(uu, i === j ? 1 : 0);
          note(vv, i === j ? 1 : 0);
        }
      }
    }
    return { error, bound: 1e-11 };
  },
};

/** Σ λᵖ of `[n]` real parts followed by `[n]` imaginary parts; the imaginary parts of the sum cancel. */
function powerSum(values, n, p) {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    let [re, im] = [1, 0];
    for (let q = 0; q < p; q++) {
      [re, im] = [re * values[i] - im * values[n + i], re * values[n + i] + im * values[i]];
    }
    sum += re;
  }
  return sum;
}
