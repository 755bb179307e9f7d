import { describe, expect, test } from "vitest";
import { Tensor } from "../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden } from "../support/golden.ts";
import { errorOf } from "./bytes.ts";

describe("golden cases", () => {
  test.each([...attentionCases, "bundled"] as const)(
    "%s: every expected tensor can be read and has its stated shape",
    (name) => {
      const golden = loadGolden(name);
      const shapes = golden.labels["tensors"] as Record<string, number[]>;
      const isGradient = (key: string): boolean => key.startsWith("grad.");
      // Gradients lie in a file of their own, which has more of them than `expected.json` lists.
      const listed = golden.names.filter((key) => !isGradient(key) || key in shapes);
      expect([...listed].sort()).toEqual(Object.keys(shapes).sort());
      for (const key of listed) expect(golden.expected(key).shape, key).toEqual(shapes[key]);
      expect(golden.has("logits")).toBe(true);
      expect(golden.has("no such")).toBe(false);
    },
  );

  test("tokens are ids, masked scores infinite, eigenvalues float64", () => {
    const golden = loadGolden("attn-2l-ln");
    expect(golden.tokens().map((row) => row.length)).toEqual([24, 24, 24]);
    expect(golden.tokens("repeated_tokens")[0]?.every(Number.isInteger)).toBe(true);
    const scores = golden.expected("cache.blocks.0.attn.hook_attn_scores");
    expect(scores.at(0, 0, 0, 1)).toBe(-Infinity);
    expect(Number.isFinite(scores.at(0, 0, 1, 0))).toBe(true);
    expect(golden.expected("ov.eigenvalues").dtype).toBe("float64");
  });
});

describe("expectClose", () => {
  const message = (...args: Parameters<typeof expectClose>): string => errorOf(() => expectClose(...args)).message;

  test("bounds hold on both sides", () => {
    expectClose([1.5, 0.5], [1, 1], { atol: 0.5 });
    expectClose([110, 90], [100, 100], { rtol: 0.1 });
    expectClose([-Infinity, 0], [-Infinity, -0], {});
    expect(message([1.75, 1], [1, 1], { atol: 0.5 })).toContain("1 of 2 elements are not close");
    expect(message([0.25, 1], [1, 1], { atol: 0.5 })).toContain("1 of 2 elements are not close");
  });

  test("the worst element is named by its index", () => {
    const actual = Tensor.from("a b", [2, 2], [0, 1, 5, 2]);
    expect(message(actual, Tensor.zeros("a b", [2, 2]), { atol: 1 })).toContain(
      "2 of 4 elements are not close (atol 1, rtol 0); the worst is [1, 0]: actual 5, expected 0, difference 5",
    );
  });

  test.each([
    ["NaN", [NaN], [1]],
    ["expected NaN", [1], [NaN]],
    ["NaN on both sides", [NaN], [NaN]],
    ["an infinity", [Infinity], [1]],
    ["the other infinity", [Infinity], [-Infinity]],
    ["an expected infinity", [1], [Infinity]],
  ])("%s fails at any tolerance", (_, actual, expected) => {
    expect(message(actual, expected, { atol: 1e9, rtol: 1e9 })).toContain("not close");
  });

  test("other lengths, other shapes and nothing at all fail", () => {
    expect(message([1], [1, 1], {})).toContain("number of elements");
    expect(message([], [], {})).toContain("something to compare");
    expect(message(Tensor.zeros("a b", [2, 3]), Tensor.zeros("a b", [3, 2]), {})).toContain("shape");
  });
});
