/** Figures: what terms of the path expansion are worth, by order, by layer and by head. */
import { headTermImportance, termImportance } from "../../paths/index.ts";
import type { TermImportanceRow } from "../../paths/index.ts";
import { allHeads, headLabel } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { barChart, formatNumber, scatter } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";

/**
 * What terms are worth on some windows of a text.
 * @category Figures
 */
export interface ImportanceFigure {
  /** How many windows the errors are over. */
  readonly windows: number;
  /** Tokens in a window. */
  readonly length: number;
  readonly n_layers: number;
  /** By order, then by layer from both ends. */
  readonly rows: readonly TermImportanceRow[];
}

const NEEDS: readonly FigureNeed[] = ["text", "causal", "next token"];
const NEEDS_HEADS: readonly FigureNeed[] = ["layer", ...NEEDS];

/** Multiply-adds that the runs may take. */
const WORK = 4e10;
const LENGTH = 64;
const MOST_WINDOWS = 16;

/**
 * What the direct path, paths of each order and the single-head paths of each layer lower the loss by, with bootstrap
 * errors over windows of a text (*A Mathematical Framework for Transformer Circuits*, "Term importance analysis").
 *
 * Up to 16 windows of 64 tokens; fewer of a large model.
 *
 * @param options - `windows`, at most how many; `seed` of the bootstrap; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model sees later tokens or its output tokens are not its input tokens;
 * {@link InputError} when there is no text.
 * @category Figures
 * @example
 * ```ts
 * import { importanceFigure } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(20);
 * const { rows, windows } = importanceFigure({ ...(await openBundledModel()), text });
 * console.log(windows, rows.map(({ terms }) => terms).join(", "));
 * // 4 order 0, order 1, order 2, L0, L0, L1, L1
 * ```
 */
export function importanceFigure(
  input: FigureInput,
  options: FigureOptions & { readonly windows?: number } = {},
): ImportanceFigure {
  requireNeeds(NEEDS, input, "importanceFigure", options, "windows");
  const { n_layers, d_model, d_vocab, n_heads, d_head } = input.model.config;
  const perToken = (n_layers + 1) ** 2 * (d_model * d_vocab + 4 * n_heads * d_head * d_model);
  const count = options.windows ?? Math.max(2, Math.min(MOST_WINDOWS, Math.floor(WORK / (perToken * LENGTH))));
  const all = windowsOf(input, { length: LENGTH, count }, "importanceFigure");
  const length = all[0]?.length ?? 0;
  // Windows of one run have equal length; the last of a short text is left out.
  const windows = all.filter((window) => window.length === length);
  const { seed = 0, signal, onProgress } = options;
  const rows = termImportance(input.model, windows, { heads: false, seed, signal, onProgress });
  return { windows: windows.length, length, n_layers, rows };
}

/**
 * Draws what paths of each order are worth, each added to those below, with bootstrap errors.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawImportanceByOrder, importanceFigure } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(20);
 * const figure = drawImportanceByOrder(importanceFigure({ ...(await openBundledModel()), text }));
 * console.log(figure.svg.includes("virtual heads of 2"));
 * // true
 * ```
 */
export function drawImportanceByOrder(data: ImportanceFigure, captions: Captions = {}): Figure {
  requireData(data, "windows length n_layers rows", "importanceFigure", "drawImportanceByOrder", captions);
  const orders = data.rows.filter(({ terms }) => terms.startsWith("order"));
  const name = (order: number): string =>
    order === 0 ? "direct path" : order === 1 ? "single heads" : `virtual heads of ${order}`;
  const total = orders.reduce((sum, { gain }) => sum + gain, 0);
  return barChart({
    title: ORDER_TITLE,
    subtitle: `By how much each lowers the mean loss once all shorter paths are there; together ${formatNumber(total)} nats below a uniform guess. ${ground(data)}`,
    bars: orders.map((row, order) => barOf(name(order), row)),
    xLabel: "marginal loss reduction (nats)",
    format: formatOf(orders),
    width: 640,
    ...captions,
  });
}

/**
 * Draws what the single-head paths of each layer are worth, added to the direct path alone, and to it with those of all
 * other layers.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawImportanceByLayer, importanceFigure } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(20);
 * const figure = drawImportanceByLayer(importanceFigure({ ...(await openBundledModel()), text }));
 * console.log(figure.svg.includes("L1 after the other layers"));
 * // true
 * ```
 */
export function drawImportanceByLayer(data: ImportanceFigure, captions: Captions = {}): Figure {
  requireData(data, "windows length n_layers rows", "importanceFigure", "drawImportanceByLayer", captions);
  const layers = data.rows.filter(({ terms }) => terms.startsWith("L"));
  return barChart({
    title: LAYER_TITLE,
    subtitle: `By how much the single-head paths of a layer lower the mean loss, added to the direct path alone and to it with those of all other layers. ${ground(data)}`,
    bars: layers.map((row) => {
      const alone = row.relativeTo === "direct";
      const label = alone ? `${row.terms} alone` : `${row.terms} after the other layers`;
      return { ...barOf(label, row), group: alone ? "alone" : "after the others" };
    }),
    xLabel: "marginal loss reduction (nats)",
    format: formatOf(layers),
    width: 640,
    ...captions,
  });
}

/**
 * What single heads are worth on one window of a text.
 * @category Figures
 */
export interface ImportanceByHead {
  /** Predictions that the losses are means of. */
  readonly predictions: number;
  /** `[layer, head]`: by how much the head's own path lowers the loss of the direct path alone, in nats. */
  readonly addedToDirect: Tensor<"layer head">;
  /** `[layer, head]`: by how much the loss of the whole model rises without any path through the head. */
  readonly removedFromFull: Tensor<"layer head">;
}

/**
 * What each head is worth from both ends, added to the direct path alone and taken from the whole model, on the first
 * 64 tokens of a text (*A Mathematical Framework for Transformer Circuits*, "Term importance analysis").
 *
 * @param options - `signal`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens; {@link InputError} when there is no text.
 * @category Figures
 * @example
 * ```ts
 * import { importanceByHead } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(4);
 * const { addedToDirect } = importanceByHead({ ...(await openBundledModel()), text });
 * console.log(addedToDirect.at(1, 6).toFixed(1));
 * // 0.7
 * ```
 */
export function importanceByHead(input: FigureInput, options: FigureOptions = {}): ImportanceByHead {
  requireNeeds(NEEDS_HEADS, input, "importanceByHead", options);
  const windows = windowsOf(input, { length: LENGTH }, "importanceByHead");
  const { addedToDirect, removedFromFull } = headTermImportance(input.model, windows, { signal: options.signal });
  return { predictions: (windows[0]?.length ?? 1) - 1, addedToDirect, removedFromFull };
}

/**
 * Draws what single heads are worth: across, added to the direct path alone; up, taken from the whole model.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawImportanceByHead, importanceByHead } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(4);
 * console.log(drawImportanceByHead(importanceByHead({ ...(await openBundledModel()), text })).kind);
 * // scatter
 * ```
 */
export function drawImportanceByHead(data: ImportanceByHead, captions: Captions = {}): Figure {
  requireData(data, "predictions addedToDirect removedFromFull", "importanceByHead", "drawImportanceByHead", captions);
  const [n_layers = 0, n_heads = 0] = data.addedToDirect.shape;
  const points = allHeads({ n_layers, n_heads }).map((id) => ({
    x: data.addedToDirect.at(id.layer, id.head),
    y: data.removedFromFull.at(id.layer, id.head),
    label: headLabel(id),
    group: `layer ${id.layer}`,
  }));
  // Labels go to the heads that matter most first.
  const worth = ({ x, y }: { readonly x: number; readonly y: number }): number => Math.abs(x) + Math.abs(y);
  return scatter({
    title: HEAD_TITLE,
    subtitle: `On ${data.predictions} predictions, attention patterns and norm scales frozen. What other heads do as well is worth little at the end.`,
    points: points.sort((a, b) => worth(b) - worth(a)),
    xLabel: "gain, added to the direct path (nats)",
    yLabel: "rise of the model’s loss without it (nats)",
    width: 640,
    height: 420,
    ...captions,
  });
}

function barOf(
  label: string,
  { gain, error }: TermImportanceRow,
): { readonly label: string; readonly value: number; readonly error?: number } {
  return { label, value: gain, ...(Number.isFinite(error) && { error }) };
}

/** Two decimals, or three where all gains are small. */
function formatOf(rows: readonly TermImportanceRow[]): { readonly decimals: number } {
  return { decimals: rows.some(({ gain }) => Math.abs(gain) >= 0.1) ? 2 : 3 };
}

function ground({ windows, length }: ImportanceFigure): string {
  const errors = windows > 1 ? "; whiskers are bootstrap errors over windows" : "";
  return `On ${windows} ${windows === 1 ? "window" : "windows"} of ${length} tokens, attention patterns and norm scales frozen${errors}.`;
}

const ORDER_TITLE = "Term importance: the direct path, single heads, virtual heads";
const LAYER_TITLE = "Term importance of single heads, by layer";
const HEAD_TITLE = "Term importance of single heads, from both ends";
const SOURCE = 'A Mathematical Framework for Transformer Circuits, "Term importance analysis"';

/** The list's entry. */
export const importanceByOrderEntry: FigureEntry<ImportanceFigure> = {
  name: "term-importance",
  number: 18,
  title: ORDER_TITLE,
  source: SOURCE,
  needs: NEEDS,
  output: "svg",
  make: importanceFigure,
  draw: drawImportanceByOrder,
};

/** The list's entry. */
export const importanceByLayerEntry: FigureEntry<ImportanceFigure> = {
  name: "term-importance-by-layer",
  number: 19,
  title: LAYER_TITLE,
  source: SOURCE,
  needs: NEEDS_HEADS,
  output: "svg",
  make: importanceFigure,
  draw: drawImportanceByLayer,
};

/** The list's entry. */
export const importanceByHeadEntry: FigureEntry<ImportanceByHead> = {
  name: "term-importance-by-head",
  number: 19,
  title: HEAD_TITLE,
  source: SOURCE,
  needs: NEEDS_HEADS,
  output: "svg",
  make: importanceByHead,
  draw: drawImportanceByHead,
};
