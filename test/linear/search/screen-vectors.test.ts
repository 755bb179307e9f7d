/** Float32 vectors of a screen, against the same in float64. */
import { describe, expect, test } from "vitest";
import { matrixFactor, transposeFactor } from "../../../src/linear/factor.ts";
import type { MatrixFactor } from "../../../src/linear/factor.ts";
import { vectorsOf } from "../../../src/linear/search/screen-vectors.ts";
import { Random } from "../../../src/tensor/index.ts";

const [rows, rank] = [260, 11];

/** How the terms of a sum are spread, which decides how large its partial sums are. */
const spreads: Readonly<Record<string, (random: Random, p: number, terms: number) => number>> = {
  normal: (random) => random.normal(),
  "of one sign": (random) => 1 + random.uniform(),
  "large first": (random, p) => (1 + random.uniform()) * (p < 3 ? 1e3 : 1),
  "large at the end of a block": (random, p) => (1 + random.uniform()) * (p % 256 === 255 ? 1e3 : 1),
  "large last": (random, p, terms) => (1 + random.uniform()) * (p > terms - 3 ? 1e3 : 1),
};

/** `long small` in float64, and its rows' norms times that of the small matrix. */
function exact(long: Float32Array, small: Float64Array, terms: number): { data: number[][]; reach: number[] } {
  let squares = 0;
  for (const x of small) squares += x * x;
  const data: number[][] = [];
  const reach: number[] = [];
  for (let i = 0; i < rows; i++) {
    let norm = 0;
    for (let p = 0; p < terms; p++) norm += (long[i * terms + p] as number) ** 2;
    reach.push(Math.sqrt(norm * squares));
    data.push(
      Array.from({ length: rank }, (_, c) => {
        let sum = 0;
        for (let p = 0; p < terms; p++) sum += (long[i * terms + p] as number) * (small[p * rank + c] as number);
        return sum;
      }),
    );
  }
  return { data, reach };
}

describe.each([40, 256, 300, 771])("long matrices of %s columns", (terms) => {
  test.each(Object.keys(spreads))(
    "%s: vectors err by no more than is said, and that is no more than all roundings",
    (name) => {
      const random = new Random(terms);
      const spread = spreads[name] as (typeof spreads)[string];
      const long = new Float32Array(rows * terms);
      for (let t = 0; t < long.length; t++) long[t] = spread(random, t % terms, terms);
      const small = new Float64Array(terms * rank);
      for (let t = 0; t < small.length; t++) small[t] = spread(random, Math.floor(t / rank), terms);
      const { data, reach } = exact(long, small, terms);
      const factor = matrixFactor(rows, terms, long);
      const columns = new Float32Array(long.length);
      for (let i = 0; i < rows; i++)
        for (let p = 0; p < terms; p++) columns[p * rows + i] = long[i * terms + p] as number;
      const turned = matrixFactor(terms, rows, columns);
      for (const half of [
        { long: factor, factor },
        { long: transposeFactor(turned) as MatrixFactor, factor: turned },
      ]) {
        const vectors = vectorsOf({ ...half, small: matrixFactor(terms, rank, small) }, undefined);
        expect(vectors.count).toBe(rows);
        for (let i = 0; i < rows; i++) {
          let apart = 0;
          for (const [c, x] of (data[i] as number[]).entries()) {
            apart += ((vectors.data[i * vectors.width + c] as number) - x) ** 2;
          }
          const error = vectors.errors[i] as number;
          expect(Math.sqrt(apart)).toBeLessThanOrEqual(error);
          // Every term rounded with each that follows it in a block of 256, with the sums of blocks, and four times more; and once in the result.
          const all = (Math.min(terms, 256) + Math.ceil(terms / 256) + 4) * 2 ** -24 + 2 ** -23;
          expect(error).toBeLessThanOrEqual(1.02 * all * (reach[i] as number));
          expect(error).toBeGreaterThan(2 ** -24 * (vectors.norms[i] as number));
        }
      }
    },
  );
});
