/** Figure: heads that complete a word which the tokenizer wrote in one piece before and writes in two now. */
import { copyingScores, skipTrigramEffects } from "../../circuits/index.ts";
import type { SkipTrigramPair } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { formatNumber, tokenTable } from "../../viz/index.ts";
import type { Captions, Figure, TokenTableCell } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { bosOf, requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenCopyingHeads, tokenTexts } from "../labels.ts";
import type { FigureToken } from "../labels.ts";
import { isReadable, normsNote, readersOf } from "./sources.ts";

/**
 * One word in one token and in two: `ab … a → b`.
 * @category Figures
 */
export interface SplitToken {
  /** The word as one token. */
  readonly source: FigureToken;
  /** Its beginning as a token. */
  readonly destination: FigureToken;
  /** Its end as a token. */
  readonly out: FigureToken;
  /** The share of attention that the source gets against its one rival. */
  readonly attention: number;
  /** What that adds to the logit of the end. */
  readonly effect: number;
}

/**
 * The data of the table of split tokens.
 * @category Figures
 */
export interface SplitTokenTable {
  /** Whether the norm of each head’s layer is applied to the embedding; it is where the model has norms. */
  readonly normed: boolean;
  /** How many ways there are to write a token of the vocabulary in two others. */
  readonly splits: number;
  readonly heads: readonly (HeadId & {
    readonly copying: number;
    /** The share of all splits whose effect is positive. */
    readonly positive: number;
    readonly rows: readonly SplitToken[];
  })[];
}

/**
 * Options of {@link splitTokenTable}.
 * @category Figures
 */
export interface SplitTokenOptions extends FigureOptions {
  /** How many rows for each head; 8 unless given. */
  readonly rows?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer", "next token", "tokenizer"];
const MOST_HEADS = 3;

/**
 * The skip-trigrams `ab … a → b` of the heads that copy most: the word came in one token before, its beginning comes
 * now by itself, and the head completes it (*A Mathematical Framework for Transformer Circuits*, "Copying / primitive
 * in-context learning", of words such as ` Ralph` … `R` → `alph`).
 *
 * Every token that two others of the vocabulary spell is tried, with and without a space before it.
 *
 * @param options - `heads` (those of the three largest copying scores unless given), `rows`; `signal`, `onProgress` (in
 * heads).
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens;
 * {@link InputError} when there is no tokenizer or no such head.
 * @category Figures
 * @example
 * ```ts
 * import { splitTokenTable } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads } = splitTokenTable(await openBundledModel(), { heads: ["L1H3"], rows: 1 });
 * for (const { source, destination, out } of heads[0]?.rows ?? [])
 *   console.log(`${source.text} … ${destination.text} → ${out.text}`);
 * // ill … i → ll
 * ```
 */
export function splitTokenTable(input: FigureInput, options: SplitTokenOptions = {}): SplitTokenTable {
  const operation = "splitTokenTable";
  requireNeeds(NEEDS, input, operation, options, "rows");
  const { model, tokenizer } = input;
  const { rows = 8 } = options;
  const text = tokenTexts(tokenizer);
  const start = bosOf(input, operation);
  const splits = splitsOf(model.config.d_vocab, text, start);
  const modelOf = readersOf(model);
  const scores = copyingScores(model);
  const shown = chosenCopyingHeads(model, options.heads, scores, MOST_HEADS);
  const heads = shown.map((id, i) => {
    options.signal?.throwIfAborted();
    const effects = skipTrigramEffects(modelOf(id), id, splits, { start });
    const positive = effects.filter(({ effect }) => effect > 0).length / Math.max(1, effects.length);
    const seen = new Set<number>();
    const best = effects
      .sort((a, b) => b.effect - a.effect)
      .filter(({ source, effect }) => effect > 0 && !seen.has(source) && seen.add(source).size <= rows)
      .map(({ source, destination, out, attention, effect }): SplitToken => ({
        source: { id: source, text: text(source) },
        destination: { id: destination, text: text(destination) },
        out: { id: out, text: text(out) },
        attention,
        effect,
      }));
    options.onProgress?.(i + 1, shown.length);
    return { ...id, copying: scores.at(id.layer, id.head), positive, rows: best };
  });
  return { normed: model.config.normalization_type !== null, splits: splits.length, heads };
}

/** Every token of a vocabulary as two other tokens of it. */
function splitsOf(
  d_vocab: number,
  text: (id: number) => string,
  bos: number | undefined,
): (SkipTrigramPair & { source: number })[] {
  const ids = new Map<string, number>();
  for (let id = 0; id < d_vocab; id++) {
    const token = text(id);
    if (id !== bos && isReadable(token) && !ids.has(token)) ids.set(token, id);
  }
  const found: (SkipTrigramPair & { source: number })[] = [];
  for (const [token, source] of ids) {
    const word = token.trim();
    const characters = [...word];
    if (characters.length < 2 || /^#\d+$/.test(word)) continue;
    for (let cut = 1; cut < characters.length; cut++) {
      const out = ids.get(characters.slice(cut).join(""));
      if (out === undefined) continue;
      const beginning = characters.slice(0, cut).join("");
      for (const destination of [ids.get(beginning), ids.get(` ${beginning}`)])
        if (destination !== undefined) found.push({ source, destination, out });
    }
  }
  return found;
}

/**
 * Draws the table of split tokens.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawSplitTokenTable, splitTokenTable } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawSplitTokenTable(splitTokenTable(await openBundledModel()));
 * console.log(figure.label);
 * // Copying across tokenizations: one token before, two now
 * ```
 */
export function drawSplitTokenTable(data: SplitTokenTable, captions: Captions = {}): Figure {
  requireData(data, "normed splits heads", "splitTokenTable", "drawSplitTokenTable", captions);
  const count = formatNumber(data.splits, { decimals: 0 });
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `Where the source stood before and the destination, its beginning, stands now, the head raises the rest of the word. The vocabulary writes its tokens in two others in ${count} ways; each head’s strongest are shown. Attention is that against one rival, the start token or one of mean score.${normsNote(data.normed)}`,
    columns: [
      { label: "source …" },
      { label: "… destination →" },
      { label: "→ out", legend: "effect on its logit" },
      { label: "attention", format: { decimals: 2 } },
      { label: "effect", format: { decimals: 2, sign: true } },
    ],
    groups: data.heads.map(({ layer, head, copying, positive, rows }) => ({
      label: headLabel({ layer, head }),
      note: `copying score ${formatNumber(copying, { decimals: 2, sign: true })}; ${formatNumber(100 * positive, { significant: 2 })} % of all splits are raised`,
      rows: rows.map(({ source, destination, out, attention, effect }): TokenTableCell[] => [
        [{ token: source.text }],
        [{ token: destination.text }],
        [{ token: out.text, value: effect }],
        attention,
        effect,
      ]),
    })),
    ...captions,
  });
}

const ENTRY_TITLE = "Copying across tokenizations: one token before, two now";

/** The list's entry. */
export const splitTokenTableEntry: FigureEntry<SplitTokenTable> = {
  name: "split-token-table",
  number: 2,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Copying / primitive in-context learning"',
  needs: NEEDS,
  output: "svg",
  make: splitTokenTable,
  draw: drawSplitTokenTable,
};
