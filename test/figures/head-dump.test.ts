/** The dump of heads: what going through all skip-trigrams of all sources gives, though few destinations are looked for. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normedTokens, skipTrigrams } from "../../src/circuits/index.ts";
import type { SkipTrigrams } from "../../src/circuits/index.ts";
import { headDump } from "../../src/figures/index.ts";
import type { HeadDump } from "../../src/figures/index.ts";
import { randomModel } from "../support/random-model.ts";

const D_VOCAB = 90;
/** Some words come with and without a capital and a space, as in vocabularies of byte pairs. */
const textOf = (id: number): string => [`w${id >> 2}`, ` w${id >> 2}`, `W${id >> 2}`, `v${id}`][id & 3] as string;
const tokenizer = { encode: (): number[] => [], tokenString: textOf, bos: undefined };

const effectOf = ({ destination, out }: SkipTrigrams): number =>
  (out[0]?.value ?? 0) / (1 + Math.exp(-(destination[0]?.value ?? 0)));

/** The definition: every source's best effect, the largest first, the first of each word. */
function allOf(found: readonly SkipTrigrams[], rows: number): SkipTrigrams[] {
  const words = new Set<string>();
  return [...found]
    .sort((a, b) => effectOf(b) - effectOf(a) || a.source - b.source)
    .filter(({ source }) => {
      const word = textOf(source).trim().toLowerCase();
      return !words.has(word) && words.add(word);
    })
    .slice(0, rows);
}

const shapes = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 30 }),
  norm: fc.constantFrom("LN", "RMS", null),
  bias: fc.boolean(),
  dtype: fc.constantFrom("float32", "float64"),
  bos: fc.constantFrom(null, 5),
  rows: fc.integer({ min: 1, max: 9 }),
  listed: fc.integer({ min: 1, max: 4 }),
  count: fc.integer({ min: 1, max: D_VOCAB }),
});

describe("headDump", () => {
  test("shows the rows of the largest effects, of 60 random models (values to 1e-9 of their size)", () => {
    fc.assert(
      fc.property(shapes, ({ rows, listed, count, bos, ...shape }) => {
        const model = randomModel({ ...shape, n_layers: 3, d_vocab: D_VOCAB, d_model: 16, d_head: 5 });
        const sources = Array.from({ length: count }, (_, i) => (7 * i + shape.seed) % D_VOCAB);
        const heads = ["L0H0", "L0H2", "L1H1", "L2H0"] as const;
        const dump = headDump({ model, tokenizer, bos }, { heads, sources, rows, listed });
        for (const { layer, head, rows: shown } of dump.heads) {
          const every = skipTrigrams(normedTokens(model, layer), { layer, head }, sources, {
            k: listed,
            reference: bos === null ? "mean" : "start",
            exclude: (token) => token === bos,
            ...(bos !== null && { start: bos }),
          });
          const wanted = allOf(every, rows);
          expect(shown.map(({ source }) => source.id)).toEqual(wanted.map(({ source }) => source));
          for (const [i, row] of shown.entries())
            for (const side of ["destination", "out"] as const) expectEntries(row[side], wanted[i]?.[side] ?? []);
        }
      }),
      { seed: 11, numRuns: 60 },
    );
  });
});

type Entries = HeadDump["heads"][number]["rows"][number]["out"];

function expectEntries(shown: Entries, wanted: SkipTrigrams["out"]): void {
  expect(shown.map(({ id }) => id)).toEqual(wanted.map(({ token }) => token));
  for (const [i, { value }] of shown.entries()) {
    const other = wanted[i]?.value ?? Number.NaN;
    expect(Math.abs(value - other)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(other)));
  }
}
