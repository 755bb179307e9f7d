/** Figures of models that do nothing, and drawings of data as large, small or alike as numbers can be: what is said stays in words and numbers. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { figureEntries, makeFigure, type FigureEntry } from "../../src/figures/index.ts";
import { CircuitsError } from "../../src/errors.ts";
import { Transformer, type Weights } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import type { Figure } from "../../src/viz/index.ts";
import { randomModel } from "../support/random-model.ts";
import { pieceWith } from "../viz/svg.ts";
import { text } from "./kinds.ts";

const model = randomModel({ n_ctx: 12, position: "standard" });
const words = Array.from(
  { length: model.config.d_vocab },
  (_, id) => [" a", "A", "a", " b", "\n"][id % 5] + "c".repeat(id / 5),
);
const tokenizer = {
  encode: () => text,
  tokenString: (id: number) => words[id] ?? "",
  bos: undefined,
};

/** The model with some of its weights made zero. */
function without(names: RegExp): Transformer {
  const weights = new Map(model.weights) as Weights & Map<string, Tensor>;
  for (const [name, W] of weights) if (names.test(name)) weights.set(name, Tensor.zeros(W.axes, W.shape));
  return Transformer.fromWeights(model.config, weights);
}

const degenerate: readonly (readonly [string, Transformer])[] = [
  ["nothing", without(/./)],
  ["even attention", without(/[Wb]_Q$/)],
  ["no output", without(/[Wb]_O$/)],
];

/** What a figure says, but for scripts, styles and images. */
function said({ svg, html }: Figure): string {
  return [svg, html].join("").replace(/<style[^]*?<\/style>|<script[^]*?<\/script>|base64,[^"]*/g, "");
}

/** What is shown of neurons is tried on a model that has some. */
const neural = randomModel({ mlp: "gelu", n_ctx: 30 });

const inputOf = (one: Transformer, entry: FigureEntry) => ({
  model: entry.needs.includes("mlps") ? neural : one,
  tokenizer,
  text,
  ...(entry.takesCheckpoints === true && {
    checkpoints: [1, 2].map((step) => ({ label: `${step}`, step, load: () => one })),
  }),
});

describe.each(degenerate)("a model of %s", (_, one) => {
  test.each(figureEntries().map((entry) => [entry.name, entry] as const))("%s", async (name, entry) => {
    const figure = await refusedOr(async () => (await makeFigure(name, inputOf(one, entry))).figure);
    if (figure === undefined) return;
    const words = said(figure).replace(/<title>[^<]*<\/title>/g, "");
    expect(pieceWith(said(figure), /undefined|Infinity|="[^"]*NaN/)).toBeUndefined();
    // A score of nothing has no value, and a cell may say so; sentences may not.
    expect(/>[^<>]* NaN[^<>]*<|>[^<>]*NaN [^<>]*</.exec(words)?.[0]).toBeUndefined();
  });
});

/** What is made, or nothing where it is refused in words: there are no eigenvalues of chance without an embedding. */
async function refusedOr<T>(make: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    expect(error).toBeInstanceOf(CircuitsError);
    expect((error as Error).message).toMatch(/zero|finite/);
    return undefined;
  }
}

const { MAX_VALUE, MIN_VALUE } = Number;
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, 1 + 2 ** -52, 0.3, 0.1 + 0.2, MIN_VALUE, -MIN_VALUE, MAX_VALUE, -MAX_VALUE),
  fc.integer({ min: -308, max: 307 }).map((exponent) => Number(`3.7e${exponent}`)),
  fc.integer({ min: -308, max: 307 }).map((exponent) => Number(`-1.3e${exponent}`)),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Data with every measured number replaced; whole numbers by themselves count or place something and stay. */
function replaced(value: unknown, next: (isPositive: boolean) => number): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? value : next(value >= 0);
  if (value instanceof Tensor) {
    const least = Math.min(...value.data);
    return Tensor.from(
      value.axes,
      value.shape,
      Float64Array.from(value.data, () => next(least >= 0)),
    );
  }
  if (value instanceof Float64Array || value instanceof Float32Array) {
    const least = Math.min(...value);
    return Float64Array.from(value, () => next(least >= 0));
  }
  if (Array.isArray(value)) return value.map((one) => replaced(one, next));
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, replaced(one, next)]));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaced(one, next)]));
}

/** Explorers show patterns, which are shares; the drawing of any pattern is tried by itself. */
const drawn = figureEntries().filter(({ output }) => output === "svg");

describe.each(drawn.map((entry) => [entry.name, entry] as const))("numbers of any size: %s", (_, entry) => {
  test("are drawn", async () => {
    const data = await entry.make(inputOf(model, entry));
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 5 }), async (values) => {
        let at = 0;
        const figure = await refusedOr(() =>
          entry.draw(
            replaced(data, (isPositive) => {
              const value = values[at++ % values.length] ?? 0;
              return isPositive ? Math.abs(value) : value;
            }),
          ),
        );
        if (figure === undefined) return;
        expect(pieceWith(said(figure), /NaN|undefined|Infinity/)).toBeUndefined();
        expect(figure.width > 0 && figure.width < 1e5 && figure.height > 0 && figure.height < 1e5).toBe(true);
      }),
      { seed: 3, numRuns: 8 },
    );
  });
});
