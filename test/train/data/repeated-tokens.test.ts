/** Repeated tokens: the optimum against all prompts of small languages, layouts and what counts. */
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { repeatedTokenData } from "../../../src/train/data/index.ts";
import { allLists, conditionalLosses, drawn, put } from "./languages.ts";
import type { Language } from "./languages.ts";

/** Blocks of two or more tokens among `choices`, each length of the range equally likely. */
function blocks(choices: number, n: number, [least, most]: readonly [number, number]): Language {
  const language = new Map<string, number>();
  for (let length = least; length <= most; length++) {
    for (const pattern of allLists(choices, length)) {
      const ids = Array.from({ length: n }, (_, i) => pattern[i % length] ?? 0);
      put(language, ids, choices ** -length / (most - least + 1));
    }
  }
  return language;
}

describe("the optimum of blocks is that of the language of all its prompts, within 1e-12", () => {
  test.each([
    [2, 7, [2, 2]],
    [2, 8, [1, 4]],
    [3, 7, [2, 5]],
    [4, 6, [3, 6]],
  ] as const)("%i tokens, prompts of %i, lengths %o", (choices, n, lengths) => {
    const losses = conditionalLosses(blocks(choices, n, lengths));
    const data = repeatedTokenData({ d_vocab: choices, n_ctx: n, batch: 50, length: lengths, seed: 4 });
    for (const prompt of drawn(data, 3)) {
      const expected = losses(prompt.ids);
      expect(prompt.losses).toHaveLength(n - 1);
      expect(Math.max(...prompt.losses.map((loss, i) => Math.abs(loss - (expected[i] ?? NaN))))).toBeLessThan(1e-12);
    }
  });
});

test("a start token begins every prompt, is drawn nowhere else, and foretells nothing", () => {
  for (const layout of ["blocks", "places"] as const) {
    const data = repeatedTokenData({ d_vocab: 5, n_ctx: 13, layout, length: 4, copies: 3, start: 2, batch: 100, seed: 1 });
    for (const { ids, losses } of drawn(data, 2)) {
      expect(ids[0]).toBe(2);
      expect(ids.slice(1)).not.toContain(2);
      expect(losses[0]).toBeCloseTo(Math.log(4), 12);
    }
    const others = new Set(drawn(data, 2).flatMap(({ ids }) => ids.slice(1)));
    expect([...others].sort()).toEqual([0, 1, 3, 4]);
  }
});

test("copies stand at places, each arrangement as often as any, within 4.5 standard errors", () => {
  // Two copies of three among 8 tokens: begins at 0 to 2 and three or more later; 6 arrangements.
  const data = repeatedTokenData({ d_vocab: 5000, n_ctx: 8, layout: "places", length: 3, copies: 2, batch: 600, seed: 8 });
  const counts = new Map<string, number>();
  for (const { ids, losses } of drawn(data, 5)) {
    const known = losses.flatMap((loss, i) => (loss === 0 ? [i + 1] : []));
    const second = (known[0] ?? NaN) - 1;
    expect(known).toEqual([second + 1, second + 2]);
    const first = ids.findIndex((id, i) => id === ids[second] && ids[i + 1] === ids[second + 1] && i < second);
    expect(ids.slice(first, first + 3)).toEqual(ids.slice(second, second + 3));
    counts.set(`${first} ${second}`, (counts.get(`${first} ${second}`) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual(["0 3", "0 4", "0 5", "1 4", "1 5", "2 5"]);
  const error = Math.sqrt(3000 * (1 / 6) * (5 / 6));
  for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(4.5 * error);
});

test("where repeats count, they count from the second token of each later copy", () => {
  const options = { d_vocab: 30, n_ctx: 10, length: 3, start: 0, batch: 2, lossOn: "repeats" } as const;
  // 0 abc abc abc: tokens 5, 6, 8, 9 are foretold from the position before.
  const expected = [0, 0, 0, 0, 1, 1, 0, 1, 1, 0];
  const { lossMask } = repeatedTokenData(options).batch(0);
  expect(lossMask?.toNested()).toEqual([expected, expected]);
  expect(repeatedTokenData(options).optimum(0).toNested()).toEqual([Array(9).fill(0), Array(9).fill(0)]);
  const places = repeatedTokenData({ ...options, layout: "places", copies: 2 }).batch(4);
  for (const row of places.lossMask?.toNested() as number[][]) expect(row.reduce((sum, x) => sum + x, 0)).toBe(2);
});

test("what does not fit, or is no choice, is refused", () => {
  const sizes = { d_vocab: 10, n_ctx: 9 };
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ length: 10 }, /10 tokens do not fit into the 9/],
    [{ length: 4, layout: "places" }, /3 copies of 4 tokens do not fit/],
    [{ length: [5, 4] }, /length is/],
    [{ length: 0 }, /length is 0/],
    [{ start: 10 }, /start is 10/],
    [{ layout: "block" }, /the choices are blocks, places/],
    [{ lossOn: "copies" }, /the choices are all, repeats/],
    [{ d_vocab: 1, start: 0, length: 2 }, /leaves no token/],
    [{ lenght: 3 }, /Did you mean length/],
  ];
  for (const [options, text] of refused) {
    const call = () => repeatedTokenData({ ...sizes, ...options } as never);
    expect(call).toThrow(InputError);
    expect(call).toThrow(text);
  }
});
