/** Figure: the expansion of a head's attention scores as an equation, with the size of every term. */
import { stepOptions } from "../../progress.ts";
import { compositionScores, scoreTermNorms } from "../../circuits/index.ts";
import type { ScoreTermNorms, ScoreTermSide } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { arrange, equation, formatNumber, heatmap } from "../../viz/index.ts";
import type { Captions, EquationTerm, Figure } from "../../viz/index.ts";
import { rolesOf } from "../roles.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import { countOf, headMap, orderLabels } from "./term-sizes.ts";

/**
 * The data of the expansion of attention scores.
 * @category Figures
 */
export interface QKExpansion {
  /** The expansion of each head shown. */
  readonly heads: readonly ScoreTermNorms[];
  /** Parts of the model that are no terms here. */
  readonly leftOut: readonly string[];
}

const NEEDS: readonly FigureNeed[] = ["layer"];

/**
 * The terms of the expansion of a head's attention scores with their sizes in the weights, by what moved the query's
 * information and the key's: nothing or earlier heads, of tokens or of positions. Of a head in the third layer or later
 * all paths count, grouped by the last head on either side, by their numbers of heads, and by the first head (*A
 * Mathematical Framework for Transformer Circuits*, "Path expansion of attention scores QK circuit").
 *
 * @param options - `heads` (the first induction head unless given; without one the head of the largest K-composition
 * score); `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads; {@link InputError} when a head does not exist.
 * @category Figures
 * @example
 * ```ts
 * import { qkExpansion } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads } = qkExpansion(await openBundledModel(), { heads: ["L1H4"] });
 * console.log(heads[0]?.sides.length, heads[0]?.sizes.shape);
 * // 10 [ 10, 10 ]
 * ```
 */
export function qkExpansion(input: FigureInput, options: FigureOptions = {}): QKExpansion {
  requireNeeds(NEEDS, input, "qkExpansion", options);
  const { model } = input;
  const shown = options.heads === undefined ? [readerOf(input, options)] : chosenHeads(model, options.heads);
  const { normalization_type, positional_embedding_type } = model.config;
  return {
    heads: shown.map((head, i) => scoreTermNorms(model, head, stepOptions(options, i, shown.length))),
    leftOut: [
      ...(normalization_type === null ? [] : ["norms"]),
      ...(positional_embedding_type === "rotary" ? ["rotations"] : []),
    ],
  };
}

/** The first induction head, without one the head of the largest K-composition score, of a single layer the first. */
function readerOf(input: FigureInput, options: FigureOptions): HeadId {
  const { model } = input;
  const { n_layers, n_heads } = model.config;
  if (n_layers < 2) return { layer: 0, head: 0 };
  const found = rolesOf(input, { seed: options.seed, signal: options.signal }, "qkExpansion").induction[0];
  if (found !== undefined && found.layer > 0) return { layer: found.layer, head: found.head };
  const scores = rawData(compositionScores(model).K);
  let best = 0;
  for (let i = 1; i < scores.length; i++) if ((scores[i] as number) > (scores[best] as number)) best = i;
  const reader = best % (n_layers * n_heads);
  const layer = Math.floor(reader / n_heads);
  return layer === 0 ? { layer: 1, head: 0 } : { layer, head: reader % n_heads };
}

/**
 * Draws the expansion of attention scores: the equation of its families, and the size of each term by query and key
 * side as a map.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawQKExpansion, qkExpansion } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawQKExpansion(qkExpansion(await openBundledModel(), { heads: ["L1H4"] }));
 * console.log(figure.svg.match(/\d+ terms?(?=[<,])/g)?.join(", "));
 * // 4 terms, 16 terms, 16 terms, 64 terms
 * ```
 */
export function drawQKExpansion(data: QKExpansion, captions: Captions = {}): Figure {
  requireData(data, "heads leftOut", "qkExpansion", "drawQKExpansion", captions);
  const left = data.leftOut.length === 0 ? "" : ` Left out: ${data.leftOut.join(", ")}.`;
  const hasPositions = data.heads.some(({ sides }) => sides.some(({ source }) => source === "pos_embed"));
  const positions = hasPositions ? " X stands for tokens and for positions." : "";
  const names = data.heads.map(({ head }) => headLabel(head));
  const isDeep = data.heads.some(({ head }) => head.layer > 1);
  const paths = isDeep
    ? " Paths of any number of heads are counted on either side; where several share an entry, it is the root of the sum of their squares."
    : "";
  return arrange({
    title: names.length === 1 ? `${ENTRY_TITLE}: ${names.join("")}` : ENTRY_TITLE,
    subtitle: `Terms by what moved the query’s and the key’s information.${positions} Sizes are root mean square scores over all pairs of tokens, less each query’s mean, which patterns do not see.${paths}${left}`,
    rows: data.heads.flatMap((one) => [
      [equation({ ...equationOf(one), width: 1000 })],
      [termMap(one)],
      ...(one.head.layer > 1 ? [[orderMap(one)], firstMaps(one)] : []),
    ]),
    ...captions,
  });
}

function equationOf(one: ScoreTermNorms): { left: string; terms: EquationTerm[] } {
  const { sides, sizes, counts, head } = one;
  const own = sides.filter((side) => side.head === undefined);
  const X = own.some(({ source }) => source === "pos_embed") ? "X" : "W_E";
  const moving = new Set(sides.filter((side) => side.head !== undefined).map(({ source }) => source)).size;
  const moved = moving * counts.slice(1).reduce((a, b) => a + b, 0);
  // Of a head of layer 1 a path is a head; beyond, W^p is the product of the maps of the heads of a path.
  const isDeep = head.layer > 1;
  const [f, g, of] = isDeep ? ["p", "q", ""] : ["f", "g", "_{OV}"];
  const path = isDeep ? "q" : "g";
  const families: { formula: string; name: string; count: number; q: boolean; k: boolean }[] = [
    {
      formula: `Id ⊗ Id ⊗ ${X} W_{QK} ${X}^⊤`,
      name: "no composition",
      count: own.length ** 2,
      q: false,
      k: false,
    },
    {
      formula: `Σ_${path} A^${path} ⊗ Id ⊗ ${X} W${of}^${path} W_{QK} ${X}^⊤`,
      name: "Q-composition",
      count: moved * own.length,
      q: true,
      k: false,
    },
    {
      formula: `Σ_${path} Id ⊗ A^${path} ⊗ ${X} W_{QK} (${X} W${of}^${path})^⊤`,
      name: "K-composition",
      count: own.length * moved,
      q: false,
      k: true,
    },
    {
      formula: `Σ_{${f},${g}} A^${f} ⊗ A^${g} ⊗ ${X} W${of}^${f} W_{QK} (${X} W${of}^${g})^⊤`,
      name: "both",
      count: moved ** 2,
      q: true,
      k: true,
    },
  ];
  const isMoved = (i: number): boolean => sides[i]?.head !== undefined;
  const terms = families.flatMap(({ formula, name, count, q, k }): EquationTerm[] => {
    if (count === 0) return [];
    let squares = 0;
    for (const i of sides.keys())
      for (const j of sides.keys()) if (isMoved(i) === q && isMoved(j) === k) squares += sizes.at(i, j) ** 2;
    const together = count === 1 ? "" : " together";
    return [{ formula, name, notes: [countOf(count), `${formatNumber(Math.sqrt(squares))}${together}`] }];
  });
  return { left: `S^{${headLabel(head)}}`, terms };
}

/** A map shows at most so many components of either side. */
const MOST_SIDES = 28;

function termMap({ head, sides, sizes }: ScoreTermNorms): Figure {
  const shown = largestSides(sides, sizes);
  const labels = shown.map((i) => {
    const { source, head: by } = sides[i] as ScoreTermSide;
    const what = source === "embed" ? "tokens" : "positions";
    if (by === undefined) return what;
    return source === "embed" ? headLabel(by) : `${headLabel(by)} positions`;
  });
  const cut = shown.length < sides.length;
  return heatmap({
    values: shown.map((i) => shown.map((j) => sizes.at(i, j))),
    rowLabels: labels,
    columnLabels: labels,
    title: `${headLabel(head)}, ${head.layer > 1 ? "by last heads" : "every term"}${cut ? ` of the ${shown.length} largest of ${sides.length} components` : ""}`,
    xLabel: head.layer > 1 ? "key side, moved last by" : "key side, moved by",
    yLabel: head.layer > 1 ? "query side, moved last by" : "query side, moved by",
    scale: "sequential",
    legendLabel: "score, RMS",
    format: { significant: 2 },
    showValues: shown.length <= 14,
    ...(shown.length > 14 && { cell: 22 }),
  });
}

/** The sizes by how many heads the query's path and the key's have. */
function orderMap({ head, orders, counts }: ScoreTermNorms): Figure {
  const labels = orderLabels(counts.length, head.layer);
  return heatmap({
    values: labels.map((_, i) => labels.map((__, j) => orders.at(i, j))),
    rowLabels: labels,
    columnLabels: labels,
    title: `${headLabel(head)}, by numbers of heads`,
    xLabel: "key side, moved by",
    yLabel: "query side, moved by",
    scale: "sequential",
    legendLabel: "score, RMS",
    format: { significant: 2 },
    showValues: labels.length <= 14,
  });
}

/** The sizes by the first head of the query's path, and of the key's. */
function firstMaps({ head, queryFirst, keyFirst }: ScoreTermNorms): Figure[] {
  return (
    [
      ["queries", queryFirst],
      ["keys", keyFirst],
    ] as const
  ).map(([side, first]) => headMap(first, `${headLabel(head)}, ${side} by first head`, "score, RMS"));
}

/**
 * All components, or what enters by itself and those moved by the heads of the largest terms on either side, in their
 * order.
 */
function largestSides(sides: readonly ScoreTermSide[], sizes: ScoreTermNorms["sizes"]): number[] {
  const all = sides.map((_, i) => i);
  if (all.length <= MOST_SIDES) return all;
  const largest = all.map((i) => all.reduce((most, j) => Math.max(most, sizes.at(i, j), sizes.at(j, i)), 0));
  const own = all.filter((i) => sides[i]?.head === undefined);
  const moved = all
    .filter((i) => sides[i]?.head !== undefined)
    .sort((i, j) => (largest[j] ?? 0) - (largest[i] ?? 0))
    .slice(0, MOST_SIDES - own.length);
  return [...own, ...moved].sort((i, j) => i - j);
}

const ENTRY_TITLE = "Attention scores as a sum of paths, with the size of every term";

/** The list's entry. */
export const qkExpansionEntry: FigureEntry<QKExpansion> = {
  name: "qk-expansion",
  number: 10,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Path expansion of attention scores QK circuit"',
  needs: NEEDS,
  output: "svg",
  make: qkExpansion,
  draw: drawQKExpansion,
};
