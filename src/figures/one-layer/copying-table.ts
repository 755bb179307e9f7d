/** Figure: the skip-trigrams by which heads copy, as the paper's table of source, destination and output tokens. */
import { copyingScores } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { formatNumber, tokenTable, visibleToken } from "../../viz/index.ts";
import type { Captions, Figure, TokenTableCell } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenCopyingHeads } from "../labels.ts";
import type { FigureToken } from "../labels.ts";
import { attentionShare, contextOf, normsNote, sourcePool, strongSources, trigramRows, wordOf } from "./sources.ts";
import type { TrigramRow } from "./sources.ts";

/**
 * A source token with what a head copies of it.
 * @category Figures
 */
export interface CopyingRow extends TrigramRow {
  /** The strongest skip-trigram that copies, or the strongest of all where none does; `effect` in logits. */
  readonly example: { readonly destination: FigureToken; readonly out: FigureToken; readonly effect: number };
}

/**
 * The data of the table of copying skip-trigrams.
 * @category Figures
 */
export interface CopyingTable {
  /** Whether the norm of each head’s layer is applied to the embedding; it is where the model has norms. */
  readonly normed: boolean;
  /** What scores are compared with. */
  readonly reference: "start" | "mean";
  readonly heads: readonly (HeadId & { readonly copying: number; readonly rows: readonly CopyingRow[] })[];
}

/**
 * Options of {@link copyingTable}.
 * @category Figures
 */
export interface CopyingTableOptions extends FigureOptions {
  /** Ids of the source tokens to show; those that a head copies most unless given. */
  readonly sources?: readonly number[] | undefined;
  /** How many source tokens of each head; 6 unless given. */
  readonly rows?: number | undefined;
  /** How many destinations and outputs of each; 6 unless given. */
  readonly listed?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer", "next token"];
const MOST_HEADS = 3;

/**
 * Skip-trigrams of the heads that copy most: for each source token who looks at it (QK) and what comes out (OV), the
 * token itself or a variant of it (*A Mathematical Framework for Transformer Circuits*, "Copying / primitive in-context
 * learning").
 *
 * @param options - `heads` (those of the three largest copying scores unless given), `sources`, `rows`, `listed`;
 * `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens;
 * {@link InputError} when a head or token does not exist.
 * @category Figures
 * @example
 * ```ts
 * import { copyingTable } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads } = copyingTable(await openBundledModel(), { heads: ["L1H2"], rows: 3 });
 * for (const { source, out } of heads[0]?.rows ?? [])
 *   console.log(JSON.stringify(source.text), JSON.stringify(out[0]?.text));
 * // " array" " array"
 * // "ative" "ative"
 * // "roll" "roll"
 * ```
 */
export function copyingTable(input: FigureInput, options: CopyingTableOptions = {}): CopyingTable {
  const operation = "copyingTable";
  requireNeeds(NEEDS, input, operation, options, "sources rows listed");
  const { model } = input;
  const { rows = 6, listed = 6 } = options;
  const context = contextOf(input, operation);
  const scores = copyingScores(model);
  const shown = chosenCopyingHeads(model, options.heads, scores, MOST_HEADS);
  const pool = options.sources ?? sourcePool(model, context);
  const heads = shown.map(({ layer, head }, i) => {
    options.signal?.throwIfAborted();
    const candidates = options.sources ?? strongSources(context, { layer, head }, pool, "copying");
    // those that come out themselves are what the table is about
    const found = trigramRows(context, { layer, head }, candidates, { listed })
      .map((row) => ({ ...row, example: exampleOf(row) }))
      .sort((a, b) => Number(copies(b.example.out, b.source)) - Number(copies(a.example.out, a.source)))
      .slice(0, rows);
    options.onProgress?.(i + 1, shown.length);
    return { layer, head, copying: scores.at(layer, head), rows: found };
  });
  return {
    normed: model.config.normalization_type !== null,
    reference: context.bos === undefined ? "mean" : "start",
    heads,
  };
}

/** Whether an output is the source, but for case and spaces. */
function copies(out: FigureToken, source: FigureToken): boolean {
  return out.id === source.id || wordOf(out.text) === wordOf(source.text);
}

function exampleOf({ source, destination, out }: TrigramRow): CopyingRow["example"] {
  const first = out.find((token) => copies(token, source)) ?? out[0];
  const from = destination[0];
  const blank = { id: source.id, text: "" };
  return {
    destination: from === undefined ? blank : { id: from.id, text: from.text },
    out: first === undefined ? blank : { id: first.id, text: first.text },
    effect: attentionShare(from?.value ?? 0) * (first?.value ?? 0),
  };
}

/**
 * Draws the table of copying skip-trigrams, heads one below the other. Outputs that copy the source are outlined.
 *
 * @category Figures
 * @example
 * ```ts
 * import { copyingTable, drawCopyingTable } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCopyingTable(copyingTable(await openBundledModel(), { heads: ["L1H2"] }));
 * console.log(figure.kind, figure.svg.includes("copying score +1.00"));
 * // tokenTable true
 * ```
 */
export function drawCopyingTable(data: CopyingTable, captions: Captions = {}): Figure {
  requireData(data, "normed reference heads", "copyingTable", "drawCopyingTable", captions);
  const from = data.reference === "start" ? "the score of the start token" : "the destination’s mean score";
  return tokenTable({
    title: ENTRY_TITLE,
    subtitle: `Of each source token the destinations that look at it most (scores less ${from}) and the outputs that it then raises most. Outlined: the source itself, but for case and spaces.${normsNote(data.normed)}`,
    columns: [
      { label: "source" },
      { label: "destination", legend: "QK score" },
      { label: "out", legend: "OV logits" },
      { label: "example", width: 210 },
    ],
    groups: data.heads.map(({ layer, head, copying, rows }) => ({
      label: headLabel({ layer, head }),
      note: `copying score ${formatNumber(copying, { decimals: 2, sign: true })}`,
      rows: rows.map(({ source, destination, out, example }): TokenTableCell[] => [
        [{ token: source.text }],
        destination.map(({ text, value }) => ({ token: text, value })),
        out.map((token) => ({ token: token.text, value: token.value, marked: copies(token, source) })),
        `${visibleToken(source.text)} … ${visibleToken(example.destination.text)} → ${visibleToken(example.out.text)}`,
      ]),
    })),
    ...captions,
  });
}

const ENTRY_TITLE = "Copying: skip-trigrams whose output is their source";

/** The list's entry. */
export const copyingTableEntry: FigureEntry<CopyingTable> = {
  name: "copying-table",
  number: 1,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Copying / primitive in-context learning"',
  needs: NEEDS,
  output: "svg",
  make: copyingTable,
  draw: drawCopyingTable,
};
