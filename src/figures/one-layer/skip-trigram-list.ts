/** Figure: a list of skip-trigrams that are no copying. */
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { tokenTable } from "../../viz/index.ts";
import type { Captions, Figure, TokenTableCell } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import { attentionShare, contextOf, normsNote, sourcePool, strongSources, trigramRows, wordOf } from "./sources.ts";
import type { TokenEntry, TrigramRow } from "./sources.ts";

/**
 * The skip-trigrams of one head and source that have no copy among their outputs.
 * @category Figures
 */
export interface ListedTrigram extends TrigramRow, HeadId {
  /** What the strongest of them adds to its logit, $\sigma(S)\,\mathrm{OV}$. */
  readonly effect: number;
}

/**
 * The data of the list of skip-trigrams.
 * @category Figures
 */
export interface SkipTrigramList {
  /** Whether the norm of each head’s layer is applied to the embedding; it is where the model has norms. */
  readonly normed: boolean;
  /** Strongest first. */
  readonly trigrams: readonly ListedTrigram[];
  /** The heads that were looked at. */
  readonly heads: readonly HeadId[];
}

/**
 * Options of {@link skipTrigramList}.
 * @category Figures
 */
export interface SkipTrigramListOptions extends FigureOptions {
  /** Ids of the source tokens to look at; each head's strongest unless given. */
  readonly sources?: readonly number[] | undefined;
  /** How many rows; 30 unless given. */
  readonly rows?: number | undefined;
  /** At most how many rows of one head; 6 unless given. */
  readonly perHead?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer"];
const MOST_HEADS = 32;
const LISTED = 8;
const SHOWN = { destination: 3, out: 5 };

/**
 * The strongest skip-trigrams `source … destination → out` that do not copy their source or a part of it (*A
 * Mathematical Framework for Transformer Circuits*, "Other interesting skip-trigrams").
 *
 * @param options - `heads` (those of the first layer unless given, whose inputs are the tokens), `sources`, `rows`,
 * `perHead`; `signal`, `onProgress` (in heads).
 * @throws {@link ConfigError} when the model has no heads; {@link InputError} when a head or token does not exist.
 * @category Figures
 * @example
 * ```ts
 * import { skipTrigramList } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { trigrams } = skipTrigramList(await openBundledModel(), { heads: ["L0H3"], rows: 2 });
 * for (const { source, destination, out } of trigrams)
 *   console.log(`${source.text} … ${destination[0]?.text} → ${out.map(({ text }) => text).join(" ")}`);
 * // org … / → docs Init Web ): Stream
 * // Web … / → API J Re Source B
 * ```
 */
export function skipTrigramList(input: FigureInput, options: SkipTrigramListOptions = {}): SkipTrigramList {
  const operation = "skipTrigramList";
  requireNeeds(NEEDS, input, operation, options, "sources rows perHead");
  const { model } = input;
  const { rows = 30, perHead = 6 } = options;
  const context = contextOf(input, operation);
  const heads = chosenHeads(model, options.heads ?? model.layer(0).heads.slice(0, MOST_HEADS));
  const pool = options.sources ?? sourcePool(model, context);
  const trigrams = heads.flatMap((id, i) => {
    options.signal?.throwIfAborted();
    const candidates = options.sources ?? strongSources(context, id, pool, "norm");
    const found = trigramRows(context, id, candidates, { listed: LISTED }).flatMap((row): ListedTrigram[] => {
      const out = row.out.filter((token) => !isPart(token, row.source)).slice(0, SHOWN.out);
      const [from, to] = [row.destination[0], out[0]];
      if (from === undefined || to === undefined) return [];
      const destination = row.destination.slice(0, SHOWN.destination);
      return [{ ...id, ...row, destination, out, effect: attentionShare(from.value) * to.value }];
    });
    options.onProgress?.(i + 1, heads.length);
    return found.sort(byEffect).slice(0, perHead);
  });
  return { normed: model.config.normalization_type !== null, trigrams: trigrams.sort(byEffect).slice(0, rows), heads };
}

function byEffect(a: ListedTrigram, b: ListedTrigram): number {
  return b.effect - a.effect;
}

/** Whether an output is its source, or the end or the beginning of it. */
function isPart(out: TokenEntry, source: TrigramRow["source"]): boolean {
  if (out.id === source.id) return true;
  const [part, whole] = [wordOf(out.text), wordOf(source.text)];
  return part === whole || (part.length > 1 && (whole.endsWith(part) || whole.startsWith(part)));
}

/**
 * Draws the list of skip-trigrams, strongest first.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawSkipTrigramList, skipTrigramList } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawSkipTrigramList(skipTrigramList(await openBundledModel(), { rows: 5 }));
 * console.log(figure.label);
 * // Skip-trigrams other than copying
 * ```
 */
export function drawSkipTrigramList(data: SkipTrigramList, captions: Captions = {}): Figure {
  requireData(data, "normed trigrams heads", "skipTrigramList", "drawSkipTrigramList", captions);
  const tokens = (list: readonly TokenEntry[]): TokenTableCell =>
    list.map(({ text, value }) => ({ token: text, value }));
  const [first, last] = [data.heads[0], data.heads[data.heads.length - 1]];
  const heads =
    first === undefined || last === undefined || first === last
      ? ""
      : ` Of ${data.heads.length} heads, ${headLabel(first)} to ${headLabel(last)}.`;
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `source … destination → out: what a head adds to the logit of an output where the destination may attend to the source or rest. Outputs that are a part of the source are left out.${normsNote(data.normed)}${heads}`,
    columns: [
      { label: "head" },
      { label: "effect", format: { decimals: 2, sign: true } },
      { label: "source …" },
      { label: "… destination →", legend: "QK score" },
      { label: "→ out", legend: "OV logits" },
    ],
    groups: [
      {
        rows: data.trigrams.map((row): TokenTableCell[] => [
          headLabel(row),
          row.effect,
          [{ token: row.source.text }],
          tokens(row.destination),
          tokens(row.out),
        ]),
      },
    ],
    ...captions,
  });
}

const ENTRY_TITLE = "Skip-trigrams other than copying";

/** The list's entry. */
export const skipTrigramListEntry: FigureEntry<SkipTrigramList> = {
  name: "skip-trigrams",
  number: 3,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Other interesting skip-trigrams"',
  needs: NEEDS,
  output: "svg",
  make: skipTrigramList,
  draw: drawSkipTrigramList,
};
