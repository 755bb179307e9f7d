import { describe, expect, it } from "vitest";
import { Norm, Random, randomNormal, Tensor } from "../support/everything.ts";

const resid = Tensor.fromNested("batch pos d_model", [
  [
    [5, 1, 5, 1],
    [3, -1, 0, 2],
  ],
]);
const w = Tensor.fromNested("d_model", [2, 1, -1, 0.5]);
const b = Tensor.fromNested("d_model", [0, 10, 0, 1]);

describe("a norm by its own scale, worked by hand", () => {
  it("LayerNorm: [5 1 5 1] has mean 3 and scale 2, [3 -1 0 2] mean 1 and scale sqrt(10 / 4)", () => {
    const norm = new Norm("LN", 0, w, b);
    const { normalized, scale } = norm.normalize(resid);
    expect(scale.at(0, 0, 0)).toBe(2);
    expect(scale.at(0, 1, 0)).toBeCloseTo(Math.sqrt(2.5), 6);
    expect(normalized.select("batch", 0).select("pos", 0).toNested()).toEqual([1, -1, 1, -1]);
    expect(norm.apply(resid).select("batch", 0).select("pos", 0).toNested()).toEqual([2, 9, -1, 0.5]);
    const second = norm.apply(resid).select("batch", 0).select("pos", 1).data;
    const by = Math.sqrt(2.5);
    for (const [i, x] of [(2 * 2) / by, -2 / by + 10, 1 / by, 0.5 / by + 1].entries()) {
      expect(second[i]).toBeCloseTo(x, 5);
    }
  });

  it("RMSNorm takes no mean out: [5 1 5 1] has scale sqrt(13)", () => {
    const norm = new Norm("RMS", 0, w);
    expect(norm.normalize(resid).scale.at(0, 0, 0)).toBeCloseTo(Math.sqrt(13), 6);
    expect(norm.apply(resid).at(0, 0, 0)).toBeCloseTo(10 / Math.sqrt(13), 6);
  });

  it("eps stands inside the root: a row of equal numbers is normalised to 0, its scale sqrt(eps)", () => {
    const flat = Tensor.fromNested("batch pos d_model", [[[7, 7, 7, 7]]]);
    const { normalized, scale } = new Norm("LNPre", 1e-4).normalize(flat);
    expect(scale.at(0, 0, 0)).toBeCloseTo(1e-2, 8);
    expect(normalized.toNested()).toEqual([[[0, 0, 0, 0]]]);
  });
});

describe("by a given scale", () => {
  const seed = new Random(5);
  const x = randomNormal("batch pos d_model", [2, 3, 37], { seed });

  for (const kind of ["LNPre", "RMSPre"] as const) {
    it(`its own scale gives what one pass gives, to four roundings of float32 (${kind})`, () => {
      const norm = new Norm(kind, 1e-5);
      const { normalized, scale } = norm.normalize(x);
      const again = norm.normalizeBy(x, scale).data;
      for (const [i, y] of normalized.data.entries()) {
        expect(Math.abs(y - (again[i] as number))).toBeLessThan(4 * 2 ** -24 * (Math.abs(y) + 1));
      }
    });

    it(`a stack of terms is taken term by term, and axes in another order give the same numbers (${kind})`, () => {
      const norm = new Norm(kind, 1e-5);
      const terms = randomNormal("term batch pos d_model", [4, 2, 3, 37], { seed });
      const { scale } = norm.normalize(x);
      const whole = norm.normalizeBy(terms, scale);
      for (let t = 0; t < 4; t++) {
        const one = norm.normalizeBy(terms.select("term", t), scale);
        expect(Array.from(one.data)).toEqual(Array.from(whole.select("term", t).data));
      }
      const turned = norm.normalizeBy(terms.permute("batch pos term d_model"), scale);
      const expected = whole.permute("batch pos term d_model").data;
      // The other way takes means in float32.
      for (const [i, y] of turned.data.entries()) expect(y).toBeCloseTo(expected[i] as number, 5);
    });
  }

  it("float64 in, float64 out", () => {
    const norm = new Norm("LNPre", 0);
    const exact = Tensor.from("batch pos d_model", [1, 1, 3], Float64Array.of(1, 2, 4));
    const { normalized } = norm.normalize(exact);
    // Mean 7/3, squared deviations (16 + 1 + 25) / 9 / 3.
    const s = Math.sqrt(42 / 27);
    for (const [i, dev] of [-4 / 3, -1 / 3, 5 / 3].entries()) expect(normalized.at(0, 0, i)).toBeCloseTo(dev / s, 12);
  });
});
