/**
 * Maps of GPT-2's vocabulary, 50,257 x 50,257 through 64 dimensions. The matrix would take 20 GB, so that these tests
 * pass at all shows that it is never built; memory is that of the factors (13 MB each in float32), of a band of rows
 * (8 MB) and of the results.
 */
import { describe, expect, test } from "vitest";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import {
  compose,
  diagonalOf,
  diagonalTopK,
  eigenvaluesOf,
  entryOf,
  frobeniusNormOf,
  linear,
  rowsOf,
  topKPerRow,
  traceOf,
  transpose,
  toDense,
  restrict,
  topKOfRow,
} from "../../../src/linear/index.ts";
import { total } from "../dense-reference.ts";

const V = 50257;
const k = 64;
const random = new Random(91);
const [a, b] = [new Float32Array(V * k), new Float32Array(k * V)];
for (let t = 0; t < a.length; t++) a[t] = random.uniform() - 0.5;
for (let t = 0; t < b.length; t++) b[t] = random.uniform() - 0.5;
const f = compose(
  linear("d_vocab", "d_head", Tensor.from("d_vocab d_head", [V, k], a)),
  linear("d_head", "d_vocab", Tensor.from("d_head d_vocab", [k, V], b)),
);

function entry(i: number, j: number): number {
  let sum = 0;
  for (let r = 0; r < k; r++) sum += (a[i * k + r] as number) * (b[r * V + j] as number);
  return sum;
}

/** Entries are sums of 64 products below 1/4: float64 sums in any order agree to 1e-13. */
const close = 1e-13;

describe("a map of 50,257 x 50,257 of rank 64", () => {
  test("largest entries of some rows", () => {
    const rows = [0, 40000, V - 1];
    const { indices, values } = topKPerRow(f, 5, { rows });
    for (const [t, i] of rows.entries()) {
      const line = Array.from({ length: V }, (_, j) => entry(i, j));
      const best = line
        .map((_, j) => j)
        .sort((p, q) => (line[q] as number) - (line[p] as number))
        .slice(0, 5);
      expect(indices.select("d_vocab", t).toNested()).toEqual(best);
      for (const [rank, j] of best.entries()) {
        expect(Math.abs(values.at(t, rank) - (line[j] as number))).toBeLessThan(close);
      }
    }
  });

  test("the diagonal, entries, a row, a column", () => {
    const diagonal = diagonalOf(f);
    for (const i of [0, 1, 25000, V - 1]) expect(Math.abs(diagonal.at(i) - entry(i, i))).toBeLessThan(close);
    expect(Math.abs(entryOf(f, 123, 45678) - entry(123, 45678))).toBeLessThan(close);
    expect(Math.abs(rowsOf(f, [7]).at(0, 50000) - entry(7, 50000))).toBeLessThan(close);
    expect(Math.abs(toDense(restrict(f, { columns: [7] })).at(50000, 0) - entry(50000, 7))).toBeLessThan(close);
    const [best] = topKOfRow(transpose(f), 7, 1);
    const column = Array.from({ length: V }, (_, i) => entry(i, 7));
    expect(best?.column).toBe(column.indexOf(Math.max(...column)));
  });

  test("trace, eigenvalues and norm agree with each other and with sums over rows", () => {
    let trace = 0;
    for (let i = 0; i < V; i++) trace += entry(i, i);
    expect(Math.abs(traceOf(f) - trace)).toBeLessThan(1e-9);
    const { re, im } = eigenvaluesOf(f);
    expect([re.size, im.size]).toEqual([k, k]);
    expect(Math.abs(total(re.data) - trace)).toBeLessThan(1e-8);
    // Independent entries of variance 64/144 make ‖f‖ about V · 8/12; a few parts in a thousand of sampling error.
    expect(Math.abs(frobeniusNormOf(f) / ((V * 8) / 12) - 1)).toBeLessThan(0.01);
  });

  test("how often the diagonal is the largest, over some rows", () => {
    const rows = Array.from({ length: 50 }, (_, t) => t * 1000);
    const hits = rows.filter((i) => {
      const own = entry(i, i);
      let before = 0;
      for (let j = 0; j < V; j++) if (entry(i, j) > own) before++;
      return before < 20000;
    }).length;
    expect(diagonalTopK(f, 20000, { rows })).toBe(hits / 50);
  });
});
