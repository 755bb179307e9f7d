/** Token ids at the door, and long texts in windows. */
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { lossPerToken, meanLoss, splitWindows, toTokenTensor } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";

const config = { d_vocab: 10, n_ctx: 4 };

describe("toTokenTensor", () => {
  test("takes one prompt or several, as arrays, Int32Array or tensors", () => {
    const one = [[1, 2, 3]];
    expect(toTokenTensor(config, [1, 2, 3]).toNested()).toEqual(one);
    expect(toTokenTensor(config, Int32Array.of(1, 2, 3)).toNested()).toEqual(one);
    expect(toTokenTensor(config, Tensor.from("pos", [3], [1, 2, 3], "int32")).toNested()).toEqual(one);
    const several = toTokenTensor(config, Tensor.from("batch pos", [2, 2], [1, 2, 3, 4], "int32"));
    expect(several.toNested()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(String(several)).toBe("Tensor[batch=2 pos=2] int32");
    expect(toTokenTensor(config, [[0, 9, 0, 9]]).toNested()).toEqual([[0, 9, 0, 9]]);
  });

  test.each<[string, unknown]>([
    ["BigInt64Array", BigInt64Array.of(1n, 0n, 9n)],
    ["BigUint64Array", BigUint64Array.of(1n, 0n, 9n)],
    ["a list of bigints", [1n, 0n, 9n]],
    ["a list of both", [1, 0n, 9]],
    ["Uint16Array", Uint16Array.of(1, 0, 9)],
    ["a list of a BigInt64Array", [BigInt64Array.of(1n, 0n, 9n)]],
    ["lists of bigints", [[1n, 0n, 9n]]],
  ])("takes %s as the numbers that they are", (_, ids) => {
    expect(toTokenTensor(config, ids as number[]).toNested()).toEqual([[1, 0, 9]]);
  });

  test("loss and windows take bigints as well", () => {
    const logits = Tensor.from("batch pos d_vocab", [1, 3, 2], [1, 2, 3, 4, 5, 7]);
    expect(lossPerToken(logits, BigInt64Array.of(0n, 1n, 0n)).toNested()).toEqual(
      lossPerToken(logits, [0, 1, 0]).toNested(),
    );
    expect(splitWindows(BigInt64Array.of(5n, 6n, 7n), { length: 2 })).toEqual([[5, 6], [7]]);
    expect(splitWindows([5n, 6n] as never, { length: 2, bos: 0 })).toEqual([
      [0, 5],
      [0, 6],
    ]);
  });

  const empty = "the prompt is empty. A run needs at least one token; models usually begin with their BOS token.";
  test.each([
    ["no tokens", [], empty],
    ["no prompts of a tensor", Tensor.zeros("batch pos", [0, 3], "int32"), empty],
    ["an empty prompt", [[]], empty],
    [
      "too many",
      [1, 2, 3, 4, 5],
      "the prompt has 5 tokens but the model has n_ctx=4 positions. Cut it, or use splitWindows.",
    ],
    [
      "ragged prompts",
      [[1, 2], [1]],
      "prompt 1 has 1 tokens but prompt 0 has 2. Prompts of one run have equal length.",
    ],
    [
      "an id too large",
      [
        [1, 2],
        [3, 10],
      ],
      "token 10 at position 1 of prompt 1 is not a token id; this model has d_vocab=10, ids 0 to 9.",
    ],
    [
      "a negative id",
      [-1],
      "token -1 at position 0 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9.",
    ],
    [
      "a fraction",
      [0, 1.5],
      "token 1.5 at position 1 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9.",
    ],
    ["nothing", undefined, "tokens are undefined. Give a list of token ids, several of equal length, or a tensor."],
    ["a number", 5, "tokens are 5. Give a list of token ids, several of equal length, or a tensor."],
    ["a text", "interface Array", 'tokens are "interface Array". Make ids of a text first: toTokens(tokenizer, text).'],
    [
      "a list of texts",
      ["interface Array"],
      'prompt 0 is "interface Array", not a list of token ids. Make ids of texts first: toTokens(tokenizer, texts).',
    ],
    [
      "what was not waited for",
      Promise.resolve([1]),
      "tokens are a Promise. Write await before the call that gave them.",
    ],
    [
      "a list three deep",
      [[[1, 2]]],
      "token 0 of prompt 0 is a list itself: tokens are nested three deep. Give one prompt, as [5, 7], or several, as [[5, 7], [5, 8]].",
    ],
    [
      "a list deeper at a later prompt",
      [[1], [[2]]],
      "token 0 of prompt 1 is a list itself: tokens are nested three deep. Give one prompt, as [5, 7], or several, as [[5, 7], [5, 8]].",
    ],
    [
      "a bigint out of range",
      [1n, 12n],
      "token 12 at position 1 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9.",
    ],
    [
      "a bigint beyond what numbers hold",
      [2n ** 64n + 1n],
      "token 18446744073709552000 at position 0 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9.",
    ],
    [
      "a digit",
      [0, "1"],
      'token "1" at position 1 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9.',
    ],
    ["a prompt that is none", [[0, 1], null], "prompt 1 is null, not a list of token ids."],
    [
      "a tensor of three axes, whose rows would be taken for prompts",
      Tensor.zeros("batch head pos", [2, 3, 4]),
      "tokens are [batch=2 head=3 pos=4]. Give [pos], one prompt, or [batch, pos].",
    ],
    ["a tensor without axes", Tensor.zeros("", []), "tokens are []. Give [pos], one prompt, or [batch, pos]."],
    ["NaN", [NaN], "token NaN at position 0 of prompt 0 is not a token id; this model has d_vocab=10, ids 0 to 9."],
  ])("refuses %s", (_, tokens, text) => {
    const call = (): unknown => toTokenTensor(config, tokens as number[]);
    expect(call).toThrow(InputError);
    expect(call).toThrow(`toTokenTensor: ${text}`);
  });

  test("the error names the operation that was called", () => {
    const model = randomModel({ n_ctx: 10 });
    expect(() => model.forward([99])).toThrow("forward: token 99 at position 0 of prompt 0");
    expect(() => model.run([])).toThrow("run: the prompt is empty.");
  });
});

describe("splitWindows", () => {
  test("begins each window with BOS, overlaps nothing and leaves nothing out", () => {
    expect(splitWindows([5, 6, 7, 8, 9], { length: 3, bos: 0 })).toEqual([
      [0, 5, 6],
      [0, 7, 8],
      [0, 9],
    ]);
    expect(splitWindows([5, 6, 7, 8], { length: 2 })).toEqual([
      [5, 6],
      [7, 8],
    ]);
    expect(splitWindows([], { length: 2, bos: 0 })).toEqual([]);
  });

  test("refuses a window without room", () => {
    expect(() => splitWindows([1], { length: 1, bos: 0 })).toThrow(
      "splitWindows: a window of 1 tokens has no room for text beside its BOS token.",
    );
    expect(() => splitWindows([1], { length: 0 })).toThrow(InputError);
    expect(() => splitWindows([1], { length: 2.5 })).toThrow(InputError);
  });
});

describe("loss", () => {
  test("is ln V for uniform logits (P38), to the rounding of one float32", () => {
    const logits = Tensor.zeros("batch pos d_vocab", [2, 3, 7]);
    const tokens = Tensor.from("batch pos", [2, 3], [0, 1, 2, 3, 4, 5], "int32");
    expect(Math.abs(meanLoss(logits, tokens) - Math.log(7))).toBeLessThan(2e-7);
    expect(lossPerToken(logits, tokens).shape).toEqual([2, 2]);
  });

  test("entry i is the loss of token i + 1", () => {
    const logits = Tensor.fromNested("batch pos d_vocab", [
      [
        [0, Math.log(3)],
        [0, 0],
        [9, 9],
      ],
    ]);
    const tokens = Tensor.from("batch pos", [1, 3], [0, 1, 0], "int32");
    const loss = lossPerToken(logits, tokens).toNested() as number[][];
    expect(loss[0]?.[0]).toBeCloseTo(Math.log(4 / 3), 6);
    expect(loss[0]?.[1]).toBeCloseTo(Math.log(2), 6);
  });

  test("is empty for one token, or none, and then has no mean", () => {
    const logits = Tensor.zeros("batch pos d_vocab", [1, 1, 4]);
    const tokens = Tensor.zeros("batch pos", [1, 1], "int32");
    expect(lossPerToken(logits, tokens).shape).toEqual([1, 0]);
    expect(() => meanLoss(logits, tokens)).toThrow(
      "meanLoss: 1 prompt of 1 token ask for no prediction, and there is no loss to average. Give prompts of at least 2 tokens.",
    );
    for (const [batch, pos] of [
      [3, 1],
      [2, 0],
      [0, 4],
    ] as const) {
      expect(() =>
        meanLoss(Tensor.zeros("batch pos d_vocab", [batch, pos, 4]), Tensor.zeros("batch pos", [batch, pos], "int32")),
      ).toThrow(InputError);
    }
  });

  test("takes tokens as a model does: one prompt, several, or a tensor", () => {
    const logits = Tensor.fromNested("batch pos d_vocab", [
      [
        [0, Math.log(3)],
        [0, 0],
      ],
      [
        [0, 0],
        [0, 0],
      ],
    ]);
    // −ln 3/4 for the first prompt, −ln 1/2 for the second.
    const expected = [Math.log(4 / 3), Math.log(2)];
    const ids = [
      [0, 1],
      [1, 0],
    ];
    for (const tokens of [ids, Tensor.from("batch pos", [2, 2], ids.flat(), "int32")]) {
      const loss = [...lossPerToken(logits, tokens).data];
      for (const [i, value] of expected.entries()) expect(Math.abs((loss[i] as number) - value)).toBeLessThan(2e-7);
    }
    const single = Tensor.from("batch pos d_vocab", [1, 2, 2], [0, Math.log(3), 0, 0]);
    for (const tokens of [[0, 1], Int32Array.of(0, 1)]) {
      expect(Math.abs(meanLoss(single, tokens) - Math.log(4 / 3))).toBeLessThan(2e-7);
    }
  });

  test("refuses tokens that do not fit the logits", () => {
    const logits = Tensor.zeros("batch pos d_vocab", [1, 2, 4]);
    expect(() =>
      lossPerToken(logits, [
        [0, 1],
        [0, 1, 2],
      ]),
    ).toThrow("lossPerToken: logits are [batch=1 pos=2 d_vocab=4] but tokens are prompts of 2, 3 tokens.");
    expect(() => lossPerToken(logits, Tensor.zeros("batch pos", [1, 3], "int32"))).toThrow(
      "lossPerToken: logits are [batch=1 pos=2 d_vocab=4] but tokens are [batch=1 pos=3].",
    );
    expect(() => lossPerToken(logits, Tensor.from("batch pos", [1, 2], [0, 4], "int32"))).toThrow(
      "lossPerToken: token 4 is not a column of the logits, which have d_vocab=4.",
    );
  });
});
