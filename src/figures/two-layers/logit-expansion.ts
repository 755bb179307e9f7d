/** Figure: the path expansion of the logits as an equation, with the size of every term. */
import { logitTermNorms } from "../../circuits/index.ts";
import type { LogitTermNorms, SourceTermNorms } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { arrange, barChart, equation, formatNumber, heatmap } from "../../viz/index.ts";
import type { Captions, EquationTerm, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { countOf, headMap, orderLabels } from "./term-sizes.ts";

/**
 * The data of the expansion of the logits.
 * @category Figures
 */
export interface LogitExpansion extends LogitTermNorms {
  readonly n_layers: number;
  readonly n_heads: number;
  /** Parts of the model that are no terms here: `norms`, `biases`, `MLPs`. */
  readonly leftOut: readonly string[];
}

const NEEDS: readonly FigureNeed[] = [];

/**
 * The terms of the path expansion of the logits with their sizes in the weights: the direct path, the heads, and paths
 * through several of them by order (*A Mathematical Framework for Transformer Circuits*, "The path expansion trick" and
 * "Path expansion of logits").
 *
 * Of two layers every term has its size; of more the terms of single heads have theirs, and those of more heads, which
 * are too many to list, are grouped: by order, and by each head that they go through.
 *
 * @param options - `signal`, `onProgress` (in passes through a layer).
 * @category Figures
 * @example
 * ```ts
 * import { logitExpansion } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { counts, leftOut } = logitExpansion(await openBundledModel());
 * console.log(counts, leftOut);
 * // [ 1, 16, 64 ] [ 'biases' ]
 * ```
 */
export function logitExpansion(input: FigureInput, options: FigureOptions = {}): LogitExpansion {
  requireNeeds([], input, "logitExpansion", options);
  const { model } = input;
  const { n_layers, n_heads, normalization_type, attn_only } = model.config;
  const { signal, onProgress } = options;
  const norms = logitTermNorms(model, { signal, onProgress });
  const hasBias = [...model.weights].some(([name, weight]) => isOwnBias(name) && rawData(weight).some((x) => x !== 0));
  const leftOut = [
    ...(normalization_type === null ? [] : ["norms"]),
    ...(hasBias ? ["biases"] : []),
    ...(attn_only ? [] : ["MLPs"]),
  ];
  return { n_layers, n_heads, ...norms, leftOut };
}

/** Biases of what writes to the stream or reads from it. */
function isOwnBias(name: string): boolean {
  return /\.b_[QKVOU]$/.test(name);
}

const ORDINALS = ["direct path", "one head", "two heads", "three heads"];

/**
 * Draws the expansion of the logits: the equation, the size of each term of one and, of two layers, of two heads as a
 * map; of more layers the sizes of all orders as bars, and of all paths through each head as a map.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLogitExpansion, logitExpansion } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawLogitExpansion(logitExpansion(await openBundledModel()));
 * console.log(figure.svg.match(/\d+ terms?(?=[<,])/g)?.join(", "));
 * // 1 term, 16 terms, 64 terms
 * ```
 */
export function drawLogitExpansion(data: LogitExpansion, captions: Captions = {}): Figure {
  requireData(data, "n_layers n_heads leftOut sources counts", "logitExpansion", "drawLogitExpansion", captions);
  const rows = data.sources.flatMap((source, i): Figure[][] => {
    const from = source.source === "embed" ? "tokens" : "positions";
    return data.n_layers === 0 ? [] : maps(data, source, data.sources.length > 1 || i > 0 ? `, from ${from}` : "");
  });
  const grouped =
    data.n_layers > 2
      ? " Terms of several heads are grouped, by order and by each head that they go through: the root of the sum of their squares."
      : "";
  const left = data.leftOut.length === 0 ? "" : ` Left out: ${data.leftOut.join(", ")}.`;
  return arrange({
    title: ENTRY_TITLE,
    subtitle: `A head moves information by its pattern A and maps it by W_OV. Sizes are root mean square logits over all pairs of tokens, less each row’s mean: what a term adds where it attends with weight 1.${grouped}${left}`,
    rows: [[equation({ left: "T", terms: termsOf(data), width: 1000 })], ...rows],
    ...captions,
  });
}

function termsOf({ sources, counts, n_layers }: LogitExpansion): EquationTerm[] {
  const X = sources.length > 1 ? "(W_E + W_{pos})" : "W_E";
  const shown = Math.max(...sources.map(({ totals }) => totals.length));
  const formulas = [
    `Id ⊗ ${X} W_U`,
    `Σ_h A^h ⊗ ${X} W_{OV}^h W_U`,
    `Σ_{g<h} A^hA^g ⊗ ${X} W_{OV}^g W_{OV}^h W_U`,
    `Σ_{f<g<h} A^hA^gA^f ⊗ ${X} W_{OV}^f W_{OV}^g W_{OV}^h W_U`,
  ];
  const terms = formulas.slice(0, Math.min(n_layers + 1, shown, formulas.length)).map((formula, p): EquationTerm => {
    const sizes = sources.map(({ source, totals }) => {
      const size = sized(source, totals[p] ?? 0, sources.length > 1);
      return p === 0 ? size.replace(" together", "") : size;
    });
    return { formula, name: ORDINALS[p] ?? "", notes: [countOf(counts[p] ?? 0), ...sizes] };
  });
  if (n_layers < terms.length) return terms;
  const rest = counts.slice(terms.length).reduce((a, b) => a + b, 0);
  const sizes = sources.flatMap(({ source, totals }) => {
    const others = totals.slice(terms.length);
    return others.length === 0 ? [] : [sized(source, root(others), sources.length > 1)];
  });
  const names = n_layers === terms.length ? `${terms.length} heads` : `${terms.length} to ${n_layers} heads`;
  return [...terms, { formula: "⋯", name: names, notes: [countOf(rest), ...sizes] }];
}

/** A size with its source, where there are two. */
function sized(source: SourceTermNorms["source"], size: number, isNamed: boolean): string {
  const name = source === "embed" ? "tokens" : "positions";
  return `${isNamed ? `${name}: ` : ""}${formatNumber(size)} together`;
}

function root(sizes: readonly number[]): number {
  return Math.sqrt(sizes.reduce((sum, size) => sum + size * size, 0));
}

/**
 * The sizes of paths through one head, and through two where they are listed; of more layers those of all orders, and
 * of all paths through each head.
 */
function maps(
  { n_layers, n_heads }: LogitExpansion,
  { heads, pairs, totals, through }: SourceTermNorms,
  from: string,
): Figure[][] {
  const labels = (layers: readonly number[]): string[] =>
    layers.flatMap((layer) => Array.from({ length: n_heads }, (_, head) => headLabel({ layer, head })));
  const one = headMap(heads, `One head${from}`, "logits, RMS");
  if (n_layers > 2) {
    const orderNames = orderLabels(totals.length, n_layers);
    const orders = barChart({
      bars: totals.map((value, order) => ({ label: orderNames[order] ?? "", value })),
      title: `All paths of each order${from}`,
      xLabel: "logits, RMS",
      format: { significant: 3 },
    });
    return [[one, headMap(through, `All paths through each head${from}`, "logits, RMS")], [orders]];
  }
  if (pairs === undefined) return [[one]];
  const writers = Array.from({ length: n_layers - 1 }, (_, layer) => layer);
  const readers = writers.map((layer) => layer + 1);
  const values = writers.flatMap((l1) =>
    Array.from({ length: n_heads }, (_, h1) =>
      readers.flatMap((l2) => Array.from({ length: n_heads }, (_, h2) => pairs.at(l1, h1, l2, h2))),
    ),
  );
  const two = heatmap({
    values,
    rowLabels: labels(writers),
    columnLabels: labels(readers),
    title: `Two heads${from}`,
    xLabel: "second head",
    yLabel: "first head",
    scale: "sequential",
    legendLabel: "logits, RMS",
    format: { significant: 2 },
    cell: n_heads > 16 ? 14 : 26,
  });
  return [[one, two]];
}

const ENTRY_TITLE = "The logits as a sum of paths, with the size of every term";

/** The list's entry. */
export const logitExpansionEntry: FigureEntry<LogitExpansion> = {
  name: "logit-expansion",
  number: 9,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Path expansion of logits"',
  needs: NEEDS,
  output: "svg",
  make: logitExpansion,
  draw: drawLogitExpansion,
};
