/** Figure: the expansion of a head's attention scores as an equation, with the size of every term. */
import { compositionScores, scoreTermNorms } from "../circuits/index.ts";
import type { ScoreTermNorms, ScoreTermSide } from "../circuits/index.ts";
import { headLabel } from "../model/index.ts";
import type { HeadId } from "../model/index.ts";
import { rawData } from "../tensor/index.ts";
import { arrange, equation, formatNumber, heatmap } from "../viz/index.ts";
import type { Captions, EquationTerm, Figure } from "../viz/index.ts";
import { rolesOf } from "./roles.ts";
import type { FigureEntry } from "./entry.ts";
import { requireNeeds } from "./input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "./input.ts";
import { chosenHeads } from "./labels.ts";
import { stepOptions } from "./progress.ts";

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
 * The terms of the expansion of a head's attention scores with their sizes in the weights, by what moved the query's information and
 * the key's: nothing, an earlier head, or positions (*A Mathematical Framework for Transformer Circuits*, "Path expansion of attention
 * scores QK circuit").
 *
 * @param options - `heads` (the first induction head unless given; without one the head of the largest K-composition score); `signal`, `onProgress`.
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
  requireNeeds(NEEDS, input, "qkExpansion");
  const { model } = input;
  const shown = options.heads === undefined ? [readerOf(input, options)] : chosenHeads(model, options.heads);
  const { normalization_type, positional_embedding_type, n_layers } = model.config;
  const deepest = Math.max(...shown.map(({ layer }) => layer));
  return {
    heads: shown.map((head, i) => scoreTermNorms(model, head, stepOptions(options, i, shown.length))),
    leftOut: [
      ...(normalization_type === null ? [] : ["norms"]),
      ...(positional_embedding_type === "rotary" ? ["rotations"] : []),
      ...(n_layers > 2 && deepest > 1 ? ["paths through several heads on one side"] : []),
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
 * Draws the expansion of attention scores: the equation of its families, and the size of each term by query and key side as a map.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawQKExpansion, qkExpansion } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawQKExpansion(qkExpansion(await openBundledModel(), { heads: ["L1H4"] }));
 * console.log(figure.svg?.match(/\d+ terms?(?=[<,])/g)?.join(", "));
 * // 4 terms, 16 terms, 16 terms, 64 terms
 * ```
 */
export function drawQKExpansion(data: QKExpansion, captions: Captions = {}): Figure {
  const left = data.leftOut.length === 0 ? "" : ` Left out: ${data.leftOut.join(", ")}.`;
  const hasPositions = data.heads.some(({ sides }) => sides.some(({ source }) => source === "pos_embed"));
  const positions = hasPositions ? " X stands for tokens and for positions." : "";
  const names = data.heads.map(({ head }) => headLabel(head));
  return arrange({
    title: names.length === 1 ? `${ENTRY_TITLE}: ${names.join("")}` : ENTRY_TITLE,
    subtitle: `Terms by what moved the query’s and the key’s information.${positions} Sizes are root mean square scores over all pairs of tokens, less each query’s mean, which patterns do not see.${left}`,
    rows: data.heads.flatMap((one) => [[equation({ ...equationOf(one), width: 1000 })], [termMap(one)]]),
    ...captions,
  });
}

function equationOf(one: ScoreTermNorms): { left: string; terms: EquationTerm[] } {
  const positions = one.sides.some(({ source, head }) => source === "pos_embed" && head === undefined);
  const X = positions ? "X" : "W_E";
  const moved = (side: ScoreTermSide): boolean => side.head !== undefined;
  const families: { formula: string; name: string; has: (q: ScoreTermSide, k: ScoreTermSide) => boolean }[] = [
    {
      formula: `Id ⊗ Id ⊗ ${X} W_{QK} ${X}^⊤`,
      name: "no composition",
      has: (q, k) => !moved(q) && !moved(k),
    },
    {
      formula: `Σ_g A^g ⊗ Id ⊗ ${X} W_{OV}^g W_{QK} ${X}^⊤`,
      name: "Q-composition",
      has: (q, k) => moved(q) && !moved(k),
    },
    {
      formula: `Σ_g Id ⊗ A^g ⊗ ${X} W_{QK} (${X} W_{OV}^g)^⊤`,
      name: "K-composition",
      has: (q, k) => !moved(q) && moved(k),
    },
    {
      formula: `Σ_{f,g} A^f ⊗ A^g ⊗ ${X} W_{OV}^f W_{QK} (${X} W_{OV}^g)^⊤`,
      name: "both",
      has: (q, k) => moved(q) && moved(k),
    },
  ];
  const terms = families.flatMap(({ formula, name, has }): EquationTerm[] => {
    const sizes = one.sides.flatMap((q, i) => one.sides.flatMap((k, j) => (has(q, k) ? [one.sizes.at(i, j)] : [])));
    if (sizes.length === 0) return [];
    const total = Math.sqrt(sizes.reduce((sum, size) => sum + size * size, 0));
    const [many, together] =
      sizes.length === 1 ? ["1 term", ""] : [`${formatNumber(sizes.length, { decimals: 0 })} terms`, " together"];
    return [{ formula, name, notes: [many, `${formatNumber(total)}${together}`] }];
  });
  return { left: `S^{${headLabel(one.head)}}`, terms };
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
    title: `${headLabel(head)}, every term${cut ? ` of the ${shown.length} largest of ${sides.length} components` : ""}`,
    xLabel: "key side, moved by",
    yLabel: "query side, moved by",
    scale: "sequential",
    legendLabel: "score, RMS",
    format: { significant: 2 },
    showValues: shown.length <= 14,
    ...(shown.length > 14 && { cell: 22 }),
  });
}

/** All components, or what enters by itself and those moved by the heads of the largest terms on either side, in their order. */
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
