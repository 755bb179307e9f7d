/** What an untyped caller gives figures by mistake is answered in words, by every one of them. */
import { describe, expect, test } from "vitest";
import * as figures from "../../src/figures/index.ts";
import { randomModel } from "../support/random-model.ts";

const model = randomModel();
type Anything = (...given: unknown[]) => unknown;
const all = Object.entries(figures as unknown as Record<string, Anything>);
// They take what another call gave: scoreSourcesOf an attribution of a score.
const others = ["figureEntries", "figureEntry", "figureFromJson", "figureJson", "makeFigure", "scoreSourcesOf"];
const makers = all.filter(([name]) => !name.startsWith("draw") && !others.includes(name));
const drawings = all.filter(([name]) => name.startsWith("draw"));

/** What a call refuses, in its words. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    expect((error as Error).name).toBe("InputError");
    return (error as Error).message;
  }
  return expect.fail("it was not refused");
}

describe.each(makers)("%s", (name, make) => {
  test("refuses a model alone, what was not waited for, and nothing", async () => {
    expect(await refusal(() => make(model))).toBe(
      `${name}: input is a Transformer, without a model. Give it as { model }, with its tokenizer where there is one: { model, tokenizer }.`,
    );
    const wait = "Write await before the call that gave it.";
    expect(await refusal(() => make(Promise.resolve({ model })))).toBe(
      `${name}: input is a Promise, without a model. ${wait}`,
    );
    expect(await refusal(() => make({ model: Promise.resolve(model) }))).toBe(
      `${name}: model is a Promise, not a Transformer. ${wait}`,
    );
    expect(await refusal(() => make({ model: { model } }))).toBe(
      `${name}: model is an object, not a Transformer. Pass its model.`,
    );
    for (const wrong of [undefined, null, "a", 3, {}, []])
      expect(await refusal(() => make(wrong))).toContain(
        "without a model. Give { model, tokenizer }, as loadFolder returns it.",
      );
  });

  test("refuses options that it does not know", async () => {
    expect(await refusal(() => make({ model }, { sede: 1 }))).toBe(
      `${name}: there is no option "sede". Did you mean seed?`,
    );
  });
});

describe.each(drawings)("%s", (name, draw) => {
  test("refuses what it does not draw, and captions that are none", async () => {
    for (const wrong of [undefined, null, { model }, model, [], {}, 3, "a"]) {
      const message = await refusal(() => draw(wrong));
      expect(message).toMatch(
        new RegExp(
          `^${name}: data is .*, not what this figure is drawn from\\. Draw what \\w+ returns: ${name}\\(.*\\)\\.$`,
        ),
      );
    }
    expect(await refusal(() => draw(Promise.resolve({})))).toBe(
      `${name}: data is a Promise, not what this figure is drawn from. Write await before the call that gave it.`,
    );
    // Captions come last: what is drawn of token ids takes a tokenizer before them.
    const between = Array.from({ length: draw.length - 1 }, () => undefined);
    expect(await refusal(() => draw({}, ...between, { titel: "a" }))).toBe(
      `${name}: there is no option "titel". Did you mean title?`,
    );
  });
});

test("makeFigure refuses unknown options and what is no input under the figure's name", async () => {
  expect(await refusal(() => figures.makeFigure("ov-eigenvalues", { model }, { tile: "a" } as never))).toBe(
    'makeFigure: there is no option "tile". Did you mean title?',
  );
  expect(await refusal(() => figures.makeFigure("ov-eigenvalues", model as never))).toContain(
    "without a model. Give it as { model }",
  );
});

test("token ids of a text that are none are named", async () => {
  const message = (text: unknown) => refusal(() => figures.storyAttention({ model, text } as never));
  expect(await message([[1, 2], [3]])).toContain("token 0 of the text is an array, which is not a token id");
  expect(await message([1.5, 2])).toContain("1.5");
});

test("token ids may be BigInts, as other libraries give them", async () => {
  const asked = (text: unknown) => Promise.resolve(figures.storyAttention({ model, text } as never));
  expect(await asked([1n, 2n])).toEqual(await asked([1, 2]));
});

test("scoreSourcesOf refuses what no score was taken apart into, and options that it does not know", async () => {
  for (const wrong of [undefined, null, { model }, model, [], {}, 3, "a"]) {
    const message = await refusal(() => figures.scoreSourcesOf(wrong as never));
    expect(message).toMatch(/^scoreSourcesOf: why is .*, not an attribution of a score\. Make one with attributeScore/);
  }
  expect(await refusal(() => figures.scoreSourcesOf({} as never, { tokeniser: 1 } as never))).toBe(
    'scoreSourcesOf: there is no option "tokeniser". Did you mean tokenizer?',
  );
});
