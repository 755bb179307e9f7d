/** Figure: the skip-trigrams of every head, as the paper's dumps of whole models. */
import { copyingScore, copyingScores } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { formatNumber, tokenTable } from "../../viz/index.ts";
import type { Captions, Figure, TokenTableCell } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import { contextOf, normsNote, sourcePool, strongSources, trigramRows } from "./sources.ts";
import type { TrigramRow } from "./sources.ts";

/**
 * The data of the dump of heads.
 * @category Figures
 */
export interface HeadDump {
  /** Whether the norm of each head’s layer is applied to the embedding; it is where the model has norms. */
  readonly normed: boolean;
  /** What scores are compared with. */
  readonly reference: "start" | "mean";
  /** How many heads the model has. */
  readonly of: number;
  readonly heads: readonly (HeadId & {
    /** The copying score; `null` where output tokens are not the input tokens. */
    readonly copying: number | null;
    readonly rows: readonly TrigramRow[];
  })[];
}

/**
 * Options of {@link headDump}.
 * @category Figures
 */
export interface HeadDumpOptions extends FigureOptions {
  /** Ids of the source tokens to show, the same for all heads; each head's strongest unless given. */
  readonly sources?: readonly number[] | undefined;
  /** How many source tokens of each head; 6 unless given. */
  readonly rows?: number | undefined;
  /** How many destinations and outputs of each; 6 unless given. */
  readonly listed?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer"];
const MOST_HEADS = 32;
/** Up to so many heads the copying score of each is found by itself. */
const MOST_ALONE = 4;

/**
 * The skip-trigrams of every head: its strongest source tokens, with who looks at them (QK) and what comes out (OV) (*A
 * Mathematical Framework for Transformer Circuits*, "Interpretation as skip-trigrams", whose dumps are of models of 12
 * and of 32 heads).
 *
 * @param options - `heads` (all, or of more than 32 those of the largest copying scores, positive or negative),
 * `sources`, `rows`, `listed`; `signal`, `onProgress` (in heads).
 * @throws {@link ConfigError} when the model has no heads; {@link InputError} when a head or token does not exist.
 * @category Figures
 * @example
 * ```ts
 * import { headDump } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads } = headDump(await openBundledModel(), { heads: ["L0H3"], rows: 2, listed: 3 });
 * for (const { source, destination, out } of heads[0]?.rows ?? [])
 *   console.log(source.text, destination.map(({ text }) => text), out.map(({ text }) => text));
 * // org [ '/', 'ara', 'an' ] [ 'docs', 'Init', 'Web' ]
 * // Web [ '/', 'reate', 'rans' ] [ 'API', 'J', 'Re' ]
 * ```
 */
export function headDump(input: FigureInput, options: HeadDumpOptions = {}): HeadDump {
  const operation = "headDump";
  requireNeeds(NEEDS, input, operation, options, "sources rows listed");
  const { model } = input;
  const { rows = 6, listed = 6 } = options;
  const { d_vocab, d_vocab_out } = model.config;
  const context = contextOf(input, operation);
  const isCopier = d_vocab === d_vocab_out;
  const chosen = chosenHeads(model, options.heads);
  // All scores share a product that takes as long as the scores of some heads alone.
  const scores = isCopier && chosen.length > MOST_ALONE ? copyingScores(model) : undefined;
  const copying = (id: HeadId): number | null =>
    scores?.at(id.layer, id.head) ?? (isCopier ? copyingScore(model, id) : null);
  const shown = options.heads === undefined ? strongest(chosen, copying) : chosen;
  const pool = options.sources ?? sourcePool(model, context);
  const heads = shown.map((id, i) => {
    options.signal?.throwIfAborted();
    const candidates = options.sources ?? strongSources(context, id, pool, "norm");
    const found = trigramRows(context, id, candidates, { listed, rows });
    options.onProgress?.(i + 1, shown.length);
    return { ...id, copying: copying(id), rows: found };
  });
  return {
    normed: model.config.normalization_type !== null,
    reference: context.bos === undefined ? "mean" : "start",
    of: model.heads.length,
    heads,
  };
}

/** All heads, or as many as a page holds, in their order. */
function strongest(heads: readonly HeadId[], copying: (head: HeadId) => number | null): readonly HeadId[] {
  if (heads.length <= MOST_HEADS) return heads;
  const kept = new Set(
    [...heads].sort((a, b) => Math.abs(copying(b) ?? 0) - Math.abs(copying(a) ?? 0)).slice(0, MOST_HEADS),
  );
  return heads.filter((head) => kept.has(head));
}

/**
 * Draws the dump: a block of rows for each head.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawHeadDump, headDump } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawHeadDump(headDump(await openBundledModel(), { heads: ["L0H3", "L1H4"] }));
 * console.log(figure.svg.match(/L\dH\d(?=<)/g)?.join(" "));
 * // L0H3 L1H4
 * ```
 */
export function drawHeadDump(data: HeadDump, captions: Captions = {}): Figure {
  requireData(data, "normed reference of heads", "headDump", "drawHeadDump", captions);
  const { heads, of, reference } = data;
  const from = reference === "start" ? "the score of the start token" : "the destination’s mean score";
  const cut = heads.length < of ? ` ${heads.length} of ${of} heads.` : "";
  const tokens = (list: TrigramRow["out"]): TokenTableCell => list.map(({ text, value }) => ({ token: text, value }));
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `The source tokens that a head does most with, the destinations that look at them most (scores less ${from}) and the outputs that they then raise most. Tokens alone: without positions, and without what other heads write.${normsNote(data.normed)}${cut}`,
    columns: [{ label: "source" }, { label: "destination", legend: "QK score" }, { label: "out", legend: "OV logits" }],
    groups: heads.map(({ layer, head, copying, rows }) => ({
      label: headLabel({ layer, head }),
      ...(Number.isFinite(copying) && {
        note: `copying score ${formatNumber(copying ?? NaN, { decimals: 2, sign: true })}`,
      }),
      rows: rows.map(({ source, destination, out }) => [[{ token: source.text }], tokens(destination), tokens(out)]),
    })),
    ...captions,
  });
}

const ENTRY_TITLE = "Every head’s skip-trigrams";

/** The list's entry. */
export const headDumpEntry: FigureEntry<HeadDump> = {
  name: "head-dump",
  number: 4,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Interpretation as skip-trigrams"',
  needs: NEEDS,
  output: "svg",
  make: headDump,
  draw: drawHeadDump,
};
