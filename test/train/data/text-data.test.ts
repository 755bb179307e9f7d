/** Windows of text, what is kept apart, and data mixed in one batch. */
import { expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { associativeRecallData, maxOfKData, mixedData, repeatedTokenData, textData } from "../../../src/train/data/index.ts";

/** A tokenizer whose tokens are characters: the n-th of a text of all characters in order is n. */
const characters = { encode: (text: string) => Array.from(text, (c) => c.charCodeAt(0)), vocabSize: 1000 };
const counting = String.fromCharCode(...Array.from({ length: 500 }, (_, i) => i + 1));

test("prompts are windows of the text, and those of the text kept apart come from its end alone", () => {
  const data = textData(counting, characters, { n_ctx: 20, batch: 200, heldOut: 0.2, seed: 3 });
  expect([data.length, data.heldOut?.length, data.d_vocab, data.n_ctx]).toEqual([400, 100, 1000, 20]);
  const begins = new Set<number>();
  for (const row of data.batch(0).tokens.toNested() as number[][]) {
    expect(row).toEqual(Array.from({ length: 20 }, (_, i) => (row[0] ?? 0) + i));
    expect(row[19]).toBeLessThanOrEqual(400);
    begins.add(row[0] ?? 0);
  }
  expect(begins.size).toBeGreaterThan(120);
  for (const row of data.heldOut?.batch(0).tokens.toNested() as number[][]) expect(row[0]).toBeGreaterThan(400);
  expect(String(data.batch(5).tokens.data)).toBe(String(data.batch(5).tokens.data));
});

test("the first and the last window are drawn too", () => {
  const data = textData(counting.slice(0, 6), characters, { n_ctx: 4, batch: 100, heldOut: 0 });
  expect(data.heldOut).toBeUndefined();
  const begins = new Set((data.batch(0).tokens.toNested() as number[][]).map(([first]) => first));
  expect([...begins].sort()).toEqual([1, 2, 3]);
});

test("the tokenizer's BOS begins prompts unless another or none is to; several texts follow one another", () => {
  const tokenizer = { ...characters, bos: 0 };
  const rows = (bos?: number | null) =>
    textData([counting.slice(0, 50), counting.slice(50, 90)], tokenizer, { n_ctx: 5, heldOut: 0, bos }).batch(1).tokens;
  expect(rows().at(0, 0)).toBe(0);
  expect(rows(7).at(0, 0)).toBe(7);
  for (const tokens of [rows(), rows(null)]) expect(tokens.at(0, 4) - tokens.at(0, 1)).toBe(3);
  expect(rows(null).at(0, 1) - rows(null).at(0, 0)).toBe(1);
});

test("texts that are too short are refused, and what is no tokenizer", () => {
  expect(() => textData("abc", characters, { n_ctx: 4, heldOut: 0 })).toThrow(/the text has 3 tokens/);
  expect(() => textData(counting, characters, { n_ctx: 20, heldOut: 0.01 })).toThrow(/kept apart has 5 tokens/);
  expect(() => textData(counting, characters, { n_ctx: 20, heldOut: 1 })).toThrow(/heldOut is 1/);
  expect(() => textData(counting, {} as never, { n_ctx: 20 })).toThrow(/not a tokenizer/);
  expect(() => textData(counting, characters, { n_ctx: 1 })).toThrow(InputError);
});

test("mixed data hold the prompts of each, with targets and weights where one of them has some", () => {
  const text = textData(counting, characters, { n_ctx: 4, batch: 2 });
  const repeated = repeatedTokenData({ d_vocab: 9, n_ctx: 4, batch: 1 });
  const plain = mixedData([text, repeated]).batch(3);
  expect([plain.tokens.shape, plain.targets, plain.lossMask]).toEqual([[3, 4], undefined, undefined]);
  const both = [text, repeated].flatMap((part) => part.batch(3).tokens.toNested());
  expect(plain.tokens.toNested()).toEqual(both);
  const mixed = mixedData([text, maxOfKData({ k: 4, d_vocab: 9, batch: 1 })]);
  const { tokens, targets, lossMask } = mixed.batch(0);
  expect(mixed.d_vocab).toBe(1000);
  expect(lossMask?.toNested()).toEqual([
    [1, 1, 1, 0],
    [1, 1, 1, 0],
    [0, 0, 0, 1],
  ]);
  const second = targets?.select("batch", 1).slice("pos", 0, 3);
  expect(second?.toNested()).toEqual(tokens.select("batch", 1).slice("pos", 1).toNested());
  expect(targets?.at(2, 3)).toBe(Math.max(...[0, 1, 2, 3].map((p) => tokens.at(2, p))));
  expect(() => mixedData([])).toThrow(/no data to mix/);
  expect(() => mixedData([text, associativeRecallData()])).toThrow(/equally long/);
});
