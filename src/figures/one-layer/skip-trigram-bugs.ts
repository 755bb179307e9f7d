/** Figure: skip-trigram bugs, two trigrams that a text has and the two that come with them. */
import { skipTrigramEffects } from "../../circuits/index.ts";
import type { SkipTrigramEffect } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { formatNumber, tokenTable } from "../../viz/index.ts";
import type { Captions, Figure, TokenChip, TokenTableCell } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { bosOf, requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads, shownTexts } from "../labels.ts";
import type { FigureToken } from "../labels.ts";
import { normsNote, readersOf } from "./sources.ts";
import { attestedTrigrams, bestBug } from "./attested-trigrams.ts";

/**
 * One skip-trigram of the table, from the row's source.
 * @category Figures
 */
export interface BugTrigram {
  readonly destination: FigureToken;
  readonly out: FigureToken;
  /** What it adds to the logit of `out`, attention times OV entry. */
  readonly effect: number;
}

/**
 * Two trigrams that the text has and the two that the head raises with them.
 * @category Figures
 */
export interface BugRow extends HeadId {
  readonly source: FigureToken;
  readonly wanted: readonly [BugTrigram, BugTrigram];
  readonly bugs: readonly [BugTrigram, BugTrigram];
}

/**
 * The data of the table of skip-trigram bugs.
 * @category Figures
 */
export interface SkipTrigramBugTable {
  /** Whether the norm of each head’s layer is applied to the embedding; it is where the model has norms. */
  readonly normed: boolean;
  /** The largest unwanted effects first. */
  readonly rows: readonly BugRow[];
  /** How many tokens of the text were read. */
  readonly tokens: number;
  /** How many different skip-trigrams they have. */
  readonly attested: number;
}

/**
 * Options of {@link skipTrigramBugTable}.
 * @category Figures
 */
export interface SkipTrigramBugOptions extends FigureOptions {
  /** How many rows; 14 unless given. */
  readonly rows?: number | undefined;
  /** At most how many rows of one head; 4 unless given. */
  readonly perHead?: number | undefined;
  /** How many tokens of the text are read; 2048 unless given. */
  readonly tokens?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["text", "layer", "next token"];
const MOST_HEADS = 32;
const WINDOW = 512;

/**
 * Skip-trigram bugs found in a text (*A Mathematical Framework for Transformer Circuits*, "Skip-trigram bugs"). For one
 * source token, a head's effects factor into destination times output. So raising `keep … in → mind` and
 * `keep … at → bay` also raises `keep … in → bay`. The table lists pairs of trigrams that the text contains and whose
 * crossed trigrams it does not.
 *
 * A crossed pair counts as a bug where destination and output nowhere follow one another in what was read.
 *
 * @param options - `heads` (those of the first layer unless given), `rows`, `perHead`, `tokens`; `signal`, `onProgress`
 * (in heads).
 * @returns rows by the smaller of their two unwanted effects; none where the text has no such pairs.
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens;
 * {@link InputError} when there is no text, or no such head.
 * @category Figures
 * @example
 * ```ts
 * import { skipTrigramBugTable } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text =
 *   "interface Array<T> {\n    push(...items: T[]): number;\n" +
 *   "    pop(): T | undefined;\n    join(separator?: string): string;\n}\n";
 * const { rows } = skipTrigramBugTable({ ...(await openBundledModel()), text }, { rows: 1 });
 * for (const { wanted, bugs } of rows) {
 *   const product = ([a, b]: typeof wanted) => (a.effect * b.effect).toFixed(6);
 *   console.log(product(wanted) === product(bugs));
 * }
 * // true
 * ```
 */
export function skipTrigramBugTable(input: FigureInput, options: SkipTrigramBugOptions = {}): SkipTrigramBugTable {
  const operation = "skipTrigramBugTable";
  requireNeeds(NEEDS, input, operation, options, "rows perHead tokens");
  const { model, tokenizer } = input;
  const { rows = 14, perHead = 4, tokens = 2048 } = options;
  const text = shownTexts(tokenizer);
  const start = bosOf(input, operation);
  const length = Math.min(WINDOW, model.config.n_ctx);
  const windows = windowsOf(input, { length, count: Math.ceil(tokens / length) }, operation);
  const modelOf = readersOf(model);
  const attested = attestedTrigrams(windows, start);
  const heads = chosenHeads(model, options.heads ?? model.layer(0).heads.slice(0, MOST_HEADS));
  const named = (id: number): FigureToken => ({ id, text: text(id) });
  const trigram = ({ destination, out, effect }: SkipTrigramEffect): BugTrigram => ({
    destination: named(destination),
    out: named(out),
    effect,
  });
  const found = heads.flatMap((id, i) => {
    options.signal?.throwIfAborted();
    const effects = skipTrigramEffects(modelOf(id), id, attested.trigrams, { start });
    const bySource = new Map<number, SkipTrigramEffect[]>();
    for (const one of effects) {
      if (!(one.effect > 0)) continue;
      const list = bySource.get(one.source);
      if (list === undefined) bySource.set(one.source, [one]);
      else list.push(one);
    }
    const bugs = [...bySource.values()].flatMap((list) => bestBug(list, attested.follows));
    options.onProgress?.(i + 1, heads.length);
    return bugs
      .sort((a, b) => b.least - a.least)
      .slice(0, perHead)
      .map(({ wanted: [first, second], bugs: [third, fourth], least }) => ({
        least,
        row: {
          ...id,
          source: named(first.source),
          wanted: [trigram(first), trigram(second)] as const,
          bugs: [trigram(third), trigram(fourth)] as const,
        },
      }));
  });
  return {
    normed: model.config.normalization_type !== null,
    rows: found
      .sort((a, b) => b.least - a.least)
      .slice(0, rows)
      .map(({ row }) => row),
    tokens: windows.reduce((sum, window) => sum + window.length - (start === undefined ? 0 : 1), 0),
    attested: attested.trigrams.length,
  };
}

/**
 * Draws the table of bugs: wanted trigrams on the left, those that come with them, outlined, on the right.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawSkipTrigramBugTable } from "transformer-circuits/figures";
 *
 * const token = (id: number, text: string) => ({ id, text });
 * const [inside, at, mind, bay] = [token(1, " in"), token(2, " at"), token(3, " mind"), token(4, " bay")];
 * const figure = drawSkipTrigramBugTable({
 *   rows: [
 *     {
 *       layer: 0,
 *       head: 3,
 *       source: token(0, " keep"),
 *       wanted: [{ destination: inside, out: mind, effect: 2 }, { destination: at, out: bay, effect: 1.5 }],
 *       bugs: [{ destination: inside, out: bay, effect: 2.5 }, { destination: at, out: mind, effect: 1.2 }],
 *     },
 *   ],
 *   normed: false,
 *   tokens: 100,
 *   attested: 20,
 * });
 * console.log(figure.svg.match(/·(mind|bay): [\d.]+/g)?.join(" "));
 * // ·mind: 2 ·bay: 1.5 ·bay: 2.5 ·mind: 1.2
 * ```
 */
export function drawSkipTrigramBugTable(data: SkipTrigramBugTable, captions: Captions = {}): Figure {
  requireData(data, "normed rows tokens attested", "skipTrigramBugTable", "drawSkipTrigramBugTable", captions);
  const effects = data.rows.flatMap(({ wanted, bugs }) => [...wanted, ...bugs].map(({ effect }) => effect));
  const limit = Math.max(0, ...effects);
  const chips = ({ destination, out, effect }: BugTrigram, marked: boolean): readonly TokenChip[] => [
    { token: destination.text },
    { token: out.text, value: effect, marked },
  ];
  const shown = { legend: "effect, logits", ...(limit > 0 && { limit }) };
  const none = data.rows.length === 0 ? " None was found." : "";
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `On the left two skip-trigrams source … destination → out that the text has; outlined those with the outputs exchanged, which it has not and the head raises too, since the effects of one source have rank one. ${formatNumber(data.tokens, { decimals: 0 })} tokens with ${formatNumber(data.attested, { decimals: 0 })} skip-trigrams were read.${none}${normsNote(data.normed)}`,
    columns: [
      { label: "head" },
      { label: "source …" },
      { label: "wanted", ...shown },
      { label: "wanted", ...shown },
      { label: "bug", ...shown },
      { label: "bug", ...shown },
    ],
    groups: [
      {
        rows: data.rows.map(({ source, wanted, bugs, ...id }): TokenTableCell[] => [
          headLabel(id),
          [{ token: source.text }],
          chips(wanted[0], false),
          chips(wanted[1], false),
          chips(bugs[0], true),
          chips(bugs[1], true),
        ]),
      },
    ],
    ...captions,
  });
}

const ENTRY_TITLE = "Skip-trigram bugs: what a head raises along with what it should";

/** The list's entry. */
export const skipTrigramBugTableEntry: FigureEntry<SkipTrigramBugTable> = {
  name: "skip-trigram-bugs",
  number: 6,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Skip-trigram bugs"',
  needs: NEEDS,
  output: "svg",
  make: skipTrigramBugTable,
  draw: drawSkipTrigramBugTable,
};
