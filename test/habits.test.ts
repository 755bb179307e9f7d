/** Habits from Python and from other libraries, and awaits that were forgotten: the answer says what to write here. */
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { openBundledModel } from "../src/io/bundled.ts";
import * as library from "./support/everything.ts";
import { CircuitsError, InputError, Tensor } from "./support/everything.ts";

const untyped = library as unknown as Record<string, (...given: unknown[]) => unknown>;
const call = (name: string, ...given: unknown[]): unknown =>
  (untyped[name] as (...given: unknown[]) => unknown)(...given);
const bundled = await openBundledModel();
const { model, tokenizer } = bundled;

/** An object as JavaScript sees it. */
const loose = (value: object): Record<string | number, unknown> => value as Record<string | number, unknown>;

/** The value of an expression of `t` that TypeScript refuses. */
const inJavaScript = (code: string, t: Tensor): unknown => runInNewContext(code, { t }) as unknown;

async function errorOf(run: () => unknown): Promise<CircuitsError | undefined> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(CircuitsError);
    return error as CircuitsError;
  }
  return undefined;
}

describe("a forgotten await", () => {
  // Their arguments are names, which the compiler checks; one starts threads.
  const typed = ["dual", "innerProductMap", "useThreads"];
  const functions = Object.entries(untyped).filter(
    ([name, value]) => typeof value === "function" && !String(value).startsWith("class") && !typed.includes(name),
  );
  test.each(functions.map(([name]) => name))("%s of a promise says so, if it says anything of it", async (name) => {
    const promise = Promise.resolve(model);
    const error = await errorOf(() => call(name, promise));
    if (error === undefined) return;
    const [, first] = /^(?:async )?function\*? \w+\((\w+)/.exec(String(untyped[name])) ?? [];
    if (error.actual === promise || error.argument === first) expect(error.message).toMatch(/Promise|await/);
  });

  test.each(
    "loadTokenizer parseConfig openCheckpoint inspect copyingScores pathExpansion toTokens matmul add mean toDense transformerFromCheckpoint parseSafetensors eigenvalues".split(
      " ",
    ),
  )("%s of a promise says to write await", async (name) => {
    expect((await errorOf(() => call(name, Promise.resolve(model))))?.message).toMatch(/await/);
  });
});

describe("what holds a thing, for the thing", () => {
  test.each<[string, () => unknown, string]>([
    [
      "model with tokenizer",
      () => call("copyingScores", bundled),
      "copyingScores: model is an object, not a Transformer. Pass its model.",
    ],
    [
      "tokenizer with model",
      () => call("toTokens", bundled, "x"),
      "toTokens: tokenizer is an object, not a Tokenizer. Pass its tokenizer.",
    ],
    [
      "run for logits",
      () => call("meanLoss", model.run([0, 5]), [0, 5]),
      "meanLoss: logits is an object, not a Tensor. Pass its logits.",
    ],
    ["list of tensors", () => call("mean", [Tensor.zeros("pos", [2])], "pos"), "mean: t is an array, not a Tensor."],
    ["text for tokens", () => model.run("hello" as never), "toTokens(tokenizer, text)"],
    ["label for a head", () => call("kComposition", "L0H5", "L1H4"), 'model.head("L1H4")'],
  ])("%s", async (_, run, text) => {
    expect((await errorOf(run))?.message).toContain(text);
  });
});

describe("activations in brackets", () => {
  const { cache } = model.run([0, 5, 6]);

  test.each([
    ["pattern", "blocks.0.attn.hook_pattern"],
    ["resid_post", "blocks.0.hook_resid_post"],
    ["hook_z", "blocks.0.attn.hook_z"],
    ["blocks.1.attn.hook_pattern", "blocks.1.attn.hook_pattern"],
    ["blocks.7.attn.hook_pattern", "blocks.0.attn.hook_pattern"],
    ["0", "blocks.0.attn.hook_pattern"],
  ])("cache[%j] says to write get", (name, full) => {
    expect(() => loose(cache)[name]).toThrow(InputError);
    expect(() => loose(cache)[name]).toThrow(`Write cache.get("${full}")`);
  });

  test("of a cache that kept something else, or nothing", () => {
    expect(() => loose(model.run([0, 5], { cache: ["hook_embed"] }).cache).pattern).toThrow('cache.get("hook_embed")');
    expect(() => loose(model.run([0, 5], { cache: [] }).cache).pattern).toThrow("cache.names() lists what was kept");
  });

  test("other properties are as absent as ever, as hosts ask for many", async () => {
    expect(loose(cache).then).toBeUndefined();
    expect(await Promise.resolve(cache)).toBe(cache);
    expect(loose(cache).length).toBeUndefined();
    expect("pattern" in cache).toBe(false);
    expect(inspect(cache)).toContain("ActivationCache of");
    expect(() => JSON.stringify(cache)).not.toThrow();
    expect(cache).toEqual(cache);
  });

  test("get of a short name names the hooks of that name", () => {
    expect(() => cache.get("pattern" as never)).toThrow(
      'there is no hook "pattern" in this model. The nearest are "blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"',
    );
    expect(() => cache.get("hook_result" as never)).toThrow('The nearest are "blocks.0.attn.hook_result"');
  });

  test("a cache is gone over in the order of its hooks", () => {
    const entries = [...model.run([0, 5, 6], { cache: ["hook_embed", "blocks.0.attn.hook_z"] }).cache];
    expect(entries.map(([name, activation]) => [name, activation.axes])).toEqual([
      ["hook_embed", "batch pos d_model"],
      ["blocks.0.attn.hook_z", "batch pos head d_head"],
    ]);
  });
});

describe("a tensor as an array or a number", () => {
  const t = Tensor.fromNested("layer head", [
    [1, 2],
    [3, 4],
  ]);

  test("t[0] says what to write", () => {
    expect(() => loose(t)[0]).toThrow(InputError);
    expect(() => loose(t)[0]).toThrow(
      'Tensor: Tensor[layer=2 head=2] float32 has no elements in brackets. Write at(0, 0) for a number, or select("layer", 0) for a tensor.',
    );
    expect(() => loose(Tensor.from("pos", [2], [1, 2]))[0]).toThrow("Write at(0) for a number.");
  });

  test.each(["t + 1", "'scores ' + t", "t * 2", "-t", "t < 3", "t == 3", "Math.max(t, 1)"])(
    "%s of more than one number says what to write",
    (code) => {
      expect(() => inJavaScript(code, t)).toThrow(InputError);
      expect(() => inJavaScript(code, t)).toThrow(
        "Write add(t, 1), multiply(a, b) and the like for arithmetic, and `${t}` for its text.",
      );
    },
  );

  test("one number is its number, and a template literal has the text", () => {
    const one = Tensor.from("", [], [3]);
    expect(["t + 1", "t * 2", "t == 3"].map((code) => inJavaScript(code, one))).toEqual([4, 6, true]);
    expect(inJavaScript("`${t}`", t)).toBe("Tensor[layer=2 head=2] float32");
    expect(inJavaScript("[t == null, t == t].join()", t)).toBe("false,true");
  });

  test("iteration goes over the first axis", () => {
    expect([...t].map((row) => [...row])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const [[, last]] = [...t.select("layer", 1)].entries() as never as [[number, number]];
    expect(last).toBe(3);
    expect([...Tensor.from("", [], [1])]).toEqual([1]);
    expect([...Tensor.zeros("pos d_model", [0, 3])]).toEqual([]);
  });
});

describe("tokenizers and texts", () => {
  test("toTokens without a tokenizer says that it is missing", () => {
    expect(() => call("toTokens", "hello")).toThrow("the tokenizer is missing");
    expect(tokenizer.encode("x")).toHaveLength(1);
  });
});
