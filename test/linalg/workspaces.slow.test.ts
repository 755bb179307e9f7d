/**
 * The inner loops in WebAssembly and in TypeScript: each really runs, the two agree loop by loop and as decompositions, and
 * the TypeScript serves where WebAssembly is refused.
 */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { useKernels } from "../../src/kernels/index.ts";
import { workspaceUses } from "../../src/linalg/engine.ts";
import {
  dense,
  type DenseMatrix,
  eigenvalues,
  eigenvaluesOfStack,
  frobenius,
  qr,
  qrTriangle,
  singularValues,
  singularValuesOfStack,
  svd,
} from "../../src/linalg/index.ts";
import { plainWorkspace } from "../../src/linalg/plain/workspace.ts";
import { wasmWorkspace } from "../../src/linalg/wasm/workspace.ts";
import { Places, spaceFor, strideOf, type Workspace } from "../../src/linalg/workspace.ts";
import {
  build,
  diagonal,
  distance,
  entry,
  expectOrthonormal,
  gaussian,
  normal,
  product,
  size,
  transposed,
  U,
} from "./matrices.ts";

const engines = ["wasm", "typescript"] as const;
type Engine = (typeof engines)[number];

/** Runs `body` on one engine and checks that it did run there and nowhere else. */
function on<T>(engine: Engine, body: () => T): T {
  useKernels(engine === "wasm" ? "auto" : "reference");
  const before = workspaceUses();
  const result = body();
  const after = workspaceUses();
  const used = { wasm: after.wasm - before.wasm, typescript: after.typescript - before.typescript };
  expect(used[engine]).toBeGreaterThan(0);
  expect(used[engine === "wasm" ? "typescript" : "wasm"]).toBe(0);
  return result;
}

afterEach(() => {
  useKernels("auto");
});

/** Whole numbers from -9 to 9, the same in every language. */
function integers(n: number): DenseMatrix {
  let state = n;
  return build(n, n, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 24) % 19) - 9;
  });
}

interface Known {
  readonly re: readonly number[];
  readonly im: readonly number[];
  readonly singularValues: readonly number[];
}

const lapack = JSON.parse(readFileSync(new URL("../fixtures/linalg/lapack.json", import.meta.url), "utf8")) as Readonly<
  Record<string, Known>
>;

/** Largest distance of a wanted eigenvalue to the nearest one left. */
function farthest(
  got: { re: Float64Array; im: Float64Array },
  want: { re: ArrayLike<number>; im: ArrayLike<number> },
): number {
  const left = Array.from(got.re, (x, i) => [x, got.im[i] ?? NaN] as const);
  expect(left).toHaveLength(want.re.length);
  let worst = 0;
  for (let i = 0; i < want.re.length; i++) {
    const gaps = left.map(([x, y]) => Math.hypot(x - (want.re[i] ?? NaN), y - (want.im[i] ?? NaN)));
    const nearest = gaps.indexOf(Math.min(...gaps));
    worst = Math.max(worst, gaps[nearest] ?? NaN);
    left.splice(nearest, 1);
  }
  return worst;
}

function expectSVD(a: DenseMatrix): void {
  const { U: left, S, V: right } = svd(a);
  expectOrthonormal(left);
  expectOrthonormal(right);
  const again = product(product(left, diagonal(S)), transposed(right));
  expect(distance(again, a)).toBeLessThanOrEqual(20 * (a.rows + a.cols) * U * (frobenius(a) || 1));
}

/** The power sums Σ λ and Σ λ² against the traces of A and A², relative to `n |A|` and `n |A|²`. */
function traceErrors(a: DenseMatrix, { re, im }: { re: Float64Array; im: Float64Array }): [number, number] {
  const n = a.rows;
  const norm = frobenius(a) || 1;
  let first = 0;
  let second = 0;
  for (let i = 0; i < n; i++) {
    first += (re[i] ?? NaN) - entry(a, i, i);
    second += (re[i] ?? NaN) ** 2 - (im[i] ?? NaN) ** 2;
    for (let j = 0; j < n; j++) second -= entry(a, i, j) * entry(a, j, i);
  }
  return [Math.abs(first) / (n * norm), Math.abs(second) / (n * norm * norm)];
}

describe.each(engines)("%s", (engine) => {
  // The eigenvalues' condition numbers are 4 to 19 there (from numpy's eigenvectors).
  test.each([16, 33, 64, 128])("%d x %d integers against LAPACK (numpy 2.4) within 100 n 2^-53 |A|", (n) => {
    const a = integers(n);
    const want = lapack[n] as Known;
    const bound = 100 * n * U * frobenius(a);
    expect(
      farthest(
        on(engine, () => eigenvalues(a)),
        want,
      ),
    ).toBeLessThan(bound);
    const values = on(engine, () => singularValues(a));
    const vectors = on(engine, () => svd(a).S);
    want.singularValues.forEach((x, i) => {
      expect(Math.abs((values[i] ?? NaN) - x)).toBeLessThan(20 * n * U * (want.singularValues[0] ?? NaN));
      expect(Math.abs((vectors[i] ?? NaN) - x)).toBeLessThan(20 * n * U * (want.singularValues[0] ?? NaN));
    });
  });

  test("every size from 1 to 40: Σλ = tr A and Σλ² = tr A² within 20 n 2^-53, A = U S Vᵀ, A = Q R", () => {
    for (let n = 1; n <= 40; n++) {
      const a = gaussian(n, n, 100 + n);
      const [first, second] = traceErrors(
        a,
        on(engine, () => eigenvalues(a)),
      );
      expect(first).toBeLessThan(20 * U);
      expect(second).toBeLessThan(20 * U);
      on(engine, () => {
        expectSVD(a);
        const { Q, R } = qr(a);
        expectOrthonormal(Q);
        expect(distance(product(Q, R), a)).toBeLessThan(20 * (n + 1) * U * size(a) * 2);
      });
    }
  });

  test.each([
    [5, 3],
    [3, 5],
    [41, 40],
    [61, 40],
    [97, 64],
    [64, 97],
    [200, 33],
    [2, 130],
  ])("%d x %d: A = U S Vᵀ, and qrTriangle is the R of qr", (rows, cols) => {
    const a = gaussian(rows, cols, rows + cols);
    on(engine, () => {
      expectSVD(a);
      expect(qrTriangle(a)).toEqual(qr(a).R);
    });
  });

  test("graded over 10^120 in rows and columns: Σλ = tr A, A = U S Vᵀ, relative to |A|", () => {
    const next = normal(7);
    const a = build(40, 40, (i, j) => next() * 10 ** (-1.5 * i - 1.5 * j));
    expect(
      traceErrors(
        a,
        on(engine, () => eigenvalues(a)),
      )[0],
    ).toBeLessThan(20 * U);
    on(engine, () => {
      expectSVD(a);
    });
  });

  test("a leading and a trailing triangle around a full block: their eigenvalues are the diagonal's, exactly", () => {
    const inner = gaussian(20, 20, 9);
    const a = build(40, 40, (i, j) => {
      if (i >= 10 && i < 30 && j >= 10 && j < 30) return entry(inner, i - 10, j - 10);
      return i === j ? 100 + i : i < j ? Math.sin(i + 3 * j) : 0;
    });
    const got = on(engine, () => eigenvalues(a));
    expect(Array.from(got.re.subarray(0, 20))).toEqual([
      139, 138, 137, 136, 135, 134, 133, 132, 131, 130, 109, 108, 107, 106, 105, 104, 103, 102, 101, 100,
    ]);
    const rest = { re: got.re.subarray(20), im: got.im.subarray(20) };
    expect(
      farthest(
        rest,
        on(engine, () => eigenvalues(inner)),
      ),
    ).toBeLessThan(1e-12);
  });

  test("scaled by 2^±500 and by 2^±1000: the same numbers, scaled", () => {
    const a = gaussian(24, 24, 31);
    const base = on(engine, () => ({ values: eigenvalues(a), singular: singularValues(a) }));
    for (const scale of [2 ** 500, 2 ** -500, 2 ** 1000, 2 ** -1000]) {
      const scaled = dense(
        24,
        24,
        a.data.map((x) => x * scale),
      );
      const { re, im } = on(engine, () => eigenvalues(scaled));
      const back = { re: re.map((x) => x / scale), im: im.map((x) => x / scale) };
      expect(farthest(back, base.values)).toBeLessThan(100 * 24 * U * frobenius(a));
      const values = on(engine, () => singularValues(scaled));
      values.forEach((x, i) => {
        expect(Math.abs(x / scale - (base.singular[i] ?? NaN))).toBeLessThan(20 * 24 * U * frobenius(a));
      });
    }
  });

  test("stacks: each matrix as on its own, to the bit", () => {
    const count = 7;
    const stack = gaussian(count * 12, 12, 41).data;
    const one = (t: number): DenseMatrix => dense(12, 12, stack.slice(t * 144, (t + 1) * 144));
    on(engine, () => {
      const { re, im } = eigenvaluesOfStack(stack, count, 12);
      const values = singularValuesOfStack(stack, count * 2, 6, 12);
      for (let t = 0; t < count; t++) {
        const alone = eigenvalues(one(t));
        expect(re.subarray(12 * t, 12 * (t + 1))).toEqual(alone.re);
        expect(im.subarray(12 * t, 12 * (t + 1))).toEqual(alone.im);
        const upper = dense(6, 12, stack.slice(t * 144, t * 144 + 72));
        expect(values.subarray(12 * t, 12 * t + 6)).toEqual(singularValues(upper));
      }
      expect(eigenvaluesOfStack(new Float64Array(0), 0, 5).re).toHaveLength(0);
    });
  });

  test("a large problem leaves nothing behind: small ones before and after agree to the bit", () => {
    const a = gaussian(30, 30, 51);
    on(engine, () => {
      const before = eigenvalues(a);
      // 7 million numbers to work in: more than is kept.
      const tall = gaussian(60_000, 40, 52);
      const { R } = qr(tall);
      const squares = R.data.reduce((sum, x) => sum + x * x, 0);
      expect(Math.abs(squares / frobenius(tall) ** 2 - 1)).toBeLessThan(1e-13);
      expect(eigenvalues(a)).toEqual(before);
    });
  });
});

describe("the two engines agree", () => {
  test("Gaussian 64 x 64: eigenvalues and singular values within 100 n 2^-53 |A|", () => {
    const a = gaussian(64, 64, 61);
    const bound = 100 * 64 * U * frobenius(a);
    const [fast, plain] = engines.map((engine) => on(engine, () => eigenvalues(a))) as [
      ReturnType<typeof eigenvalues>,
      ReturnType<typeof eigenvalues>,
    ];
    expect(farthest(fast, plain)).toBeLessThan(bound);
    const [s, t] = engines.map((engine) => on(engine, () => singularValues(a))) as [Float64Array, Float64Array];
    s.forEach((x, i) => {
      expect(Math.abs(x - (t[i] ?? NaN))).toBeLessThan(bound);
    });
  });

  /** Runs one loop on both engines over the same numbers; returns the largest difference over the largest number. */
  function difference(space: number, fill: (m: Float64Array) => void, run: (w: Workspace) => void): number {
    const results = [wasmWorkspace(space), plainWorkspace(space)].map((workspace) => {
      if (workspace === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
      workspace.numbers.fill(0, 0, space);
      fill(workspace.numbers);
      run(workspace);
      return workspace.numbers.slice(0, space);
    }) as [Float64Array, Float64Array];
    const largest = results[1].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(largest).toBeGreaterThan(0);
    return results[1].reduce((most, x, i) => Math.max(most, Math.abs(x - (results[0][i] ?? NaN))), 0) / largest;
  }

  function put(m: Float64Array, at: number, a: DenseMatrix): void {
    for (let i = 0; i < a.rows; i++) {
      m.set(a.data.subarray(i * a.cols, (i + 1) * a.cols), at + i * strideOf(a.cols));
    }
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 31, 64])("loop by loop at size %d within 100 n 2^-53", (n) => {
    const bound = 100 * n * U;
    const stride = strideOf(n);
    const a = gaussian(n, n, 70 + n);
    const room = new Places();
    const at = room.take(spaceFor(n, n));
    const [left, right, x] = [room.take(spaceFor(n, n)), room.take(spaceFor(n, n)), room.take(spaceFor(n, n))];
    const [d, e, leftTau, rightTau] = [room.take(stride), room.take(stride), room.take(stride), room.take(stride)];
    const work = room.take(5 * stride);
    const places = { d, e, left, leftStride: stride, leftTau, right, rightStride: stride, rightTau, work };
    const whole = room.taken;
    const filled = (m: Float64Array): void => {
      put(m, at, a);
    };
    /** Scratch rows hold what is left of the last step, which padding may change. */
    const clean = (m: Float64Array): void => {
      m.fill(0, work, whole);
    };
    expect(
      difference(whole, filled, (w) => {
        w.reduceToHessenberg(at, n, stride, work);
        clean(w.numbers);
      }),
    ).toBeLessThan(bound);
    const hessenberg = build(n, n, (i, j) => (i > j + 1 ? 0 : entry(a, i, j)));
    if (n > 2) {
      const start = Math.min(n - 3, 1);
      const fill = (m: Float64Array): void => {
        put(m, at, hessenberg);
      };
      for (const first of [0, start]) {
        const sweep = (w: Workspace): void => {
          w.chase(at, stride, first, start, n - 1, 0.5, -0.25, 0.125, work);
          clean(w.numbers);
        };
        expect(difference(whole, fill, sweep)).toBeLessThan(bound);
      }
    }
    expect(
      difference(whole, filled, (w) => {
        w.bidiagonalize(at, n, n, stride, true, places);
        w.formVectors(x, n, n, stride, left, stride, leftTau, n, 0);
        w.formVectors(left, n, n, stride, right, stride, rightTau, n - 1, 1);
        // What is reduced is overwritten, in part with nothing of meaning.
        w.numbers.fill(0, at, at + spaceFor(n, n));
        clean(w.numbers);
      }),
    ).toBeLessThan(bound);
    expect(
      difference(whole, filled, (w) => {
        w.triangularize(at, n, n, stride, true, left, leftTau, d);
        w.formVectors(x, n, n, stride, left, stride, leftTau, n, 0);
        put(w.numbers, right, a);
        w.reflectBack(right, n, n, stride, left, stride, leftTau, n);
        for (let i = 0; i < n; i++) w.numbers.fill(0, at + i * stride + i, at + (i + 1) * stride);
      }),
    ).toBeLessThan(bound);
    if (n === 1) return;
    const turn = (angle: number): number[] => [Math.cos(angle), Math.sin(angle)];
    const pairs = Array.from({ length: n - 1 }, (_, i) => turn(1 + i)).flat();
    const list = [0, n - 1, ...pairs, n - 1, 1 - n, ...pairs];
    expect(
      difference(
        whole,
        (m) => {
          put(m, at, a);
          m.set(list, work);
        },
        (w) => {
          w.rotateRows(at, stride, n, work, work + list.length);
        },
      ),
    ).toBeLessThan(bound);
  });
});

test("where WebAssembly is refused the TypeScript serves, visibly", async () => {
  vi.resetModules();
  vi.stubGlobal("WebAssembly", {
    Module: class {
      constructor() {
        throw new Error("refused by the content-security policy");
      }
    },
  });
  try {
    const fresh = await import("../../src/linalg/index.ts");
    const { workspaceUses: uses } = await import("../../src/linalg/engine.ts");
    expect(fresh.eigenvalues(dense(2, 2, [2, 1, 1, 2])).re).toEqual(Float64Array.of(3, 1));
    expect(uses()).toEqual({ wasm: 0, typescript: 1 });
  } finally {
    vi.unstubAllGlobals();
    vi.resetModules();
  }
});

test("an iteration that does not converge ends with a typed error", async () => {
  const { hessenbergEigenvalues } = await import("../../src/linalg/francis.ts");
  const stuck: Workspace = { ...plainWorkspace(100), chase: () => undefined };
  stuck.numbers.fill(0, 0, 100);
  put3(stuck.numbers);
  const places = { h: 0, n: 3, stride: 8, list: 60 };
  const [re, im] = [new Float64Array(3), new Float64Array(3)];
  expect(() => {
    hessenbergEigenvalues(stuck, places, re, im, 0);
  }).toThrow("no convergence after 60 sweeps");

  function put3(m: Float64Array): void {
    for (const [i, j, x] of [
      [0, 1, 1],
      [1, 0, 2],
      [1, 2, 3],
      [2, 1, 4],
    ] as const)
      m[8 * i + j] = x;
  }
});

describe("refusals", () => {
  test("a stack with too many or too few entries, or sizes that are not counts", () => {
    expect(() => eigenvaluesOfStack(new Float64Array(7), 2, 2)).toThrow(
      "eigenvaluesOfStack: 2 matrices of 2 x 2 have 8 entries but data holds 7. Pass one matrix after another, each row by row.",
    );
    expect(() => singularValuesOfStack(new Float64Array(6), 1.5, 2, 2)).toThrow(
      expect.objectContaining({ name: "ShapeError", argument: "data" }),
    );
  });

  test("a NaN in the second matrix of a stack, with its place there", () => {
    expect(() => eigenvaluesOfStack(Float64Array.of(1, 2, 3, 4, 5, 6, NaN, 8), 2, 2)).toThrow(
      "eigenvaluesOfStack: entry (1, 0) of the 2 x 2 matrix is NaN.",
    );
    expect(() => qrTriangle(dense(1, 1, [NaN]))).toThrow("qrTriangle: entry (0, 0)");
  });
});
