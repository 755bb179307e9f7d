/** Figure: composition between heads, as it was first published and as it was corrected. */
import { stepOptions } from "../../progress.ts";
import { compositionScores, cycledCompositionScores } from "../../circuits/index.ts";
import type { CompositionMaps } from "../../circuits/index.ts";
import type { HeadId } from "../../model/index.ts";
import { InputError } from "../../errors.ts";
import { arrange, compositionGraph, formatNumber } from "../../viz/index.ts";
import type { Captions, CompositionEdge, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { rolesOf } from "../roles.ts";

/**
 * Scores of all pairs with what random heads have.
 * @inline
 */
type CompositionVersion = CompositionMaps & { readonly baseline: { readonly mean: number; readonly std?: number } };

/**
 * The data of the composition diagram.
 * @category Figures
 */
export interface CompositionDiagram {
  readonly n_layers: number;
  readonly n_heads: number;
  /** The layers shown, in order. */
  readonly layers: readonly number[];
  /** As corrected in 2023: ratios of Frobenius norms. */
  readonly corrected: CompositionVersion;
  /** As first published: norms of cycled factors, which is a mistake; absent where it was not asked for. */
  readonly original?: CompositionVersion;
  /** Heads found on random repeated tokens; none where the model has no room for them. */
  readonly previousToken: readonly HeadId[];
  readonly induction: readonly HeadId[];
}

/**
 * Options of {@link compositionDiagram}.
 * @category Figures
 */
export interface CompositionDiagramOptions extends FigureOptions {
  /** The layers to show; all of up to three, otherwise the two between which composition is strongest. */
  readonly layers?: readonly number[] | undefined;
  /** Whether the version first published is shown beside the corrected one; it is unless this is `false`. */
  readonly original?: boolean | undefined;
}

const NEEDS: readonly FigureNeed[] = ["two layers"];
const MOST_LAYERS = 3;

/**
 * Q-, K- and V-composition between heads in both versions of the paper's diagram, with the scores of random heads to be
 * subtracted (*A Mathematical Framework for Transformer Circuits*, "Three kinds of composition", and its comment of
 * 2023).
 *
 * @param options - `layers`, `original`; `seed` of the random tokens on which previous-token and induction heads are
 * found; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has fewer than two layers; {@link InputError} when `layers` are not two or
 * more of the model's, in order.
 * @category Figures
 * @example
 * ```ts
 * import { compositionDiagram } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { corrected, original } = compositionDiagram(await openBundledModel());
 * const excess = ({ K, baseline }: typeof corrected) => (K.at(0, 5, 1, 4) - baseline.mean).toFixed(2);
 * console.log(excess(corrected), original && excess(original));
 * // 0.11 1.51
 * ```
 */
export function compositionDiagram(input: FigureInput, options: CompositionDiagramOptions = {}): CompositionDiagram {
  const operation = "compositionDiagram";
  requireNeeds(NEEDS, input, operation, options, "layers original");
  const { model } = input;
  const { n_layers, n_heads } = model.config;
  const { Q, K, V, baseline } = compositionScores(model, stepOptions(options, 0, 3));
  const original = options.original === false ? undefined : cycledCompositionScores(model, stepOptions(options, 1, 3));
  const corrected = { Q, K, V, baseline };
  const layers =
    options.layers ??
    (n_layers <= MOST_LAYERS ? model.layers.map(({ layer }) => layer) : strongestPair(corrected, n_layers));
  checkLayers(layers, n_layers, operation);
  return {
    n_layers,
    n_heads,
    layers,
    corrected,
    ...(original !== undefined && { original }),
    ...rolesOf(input, { ...stepOptions(options, 2, 3), seed: options.seed }, operation),
  };
}

function checkLayers(layers: readonly number[], n_layers: number, operation: string): void {
  const inOrder = layers.every(
    (layer, i) => Number.isInteger(layer) && layer > (layers[i - 1] ?? -1) && layer < n_layers,
  );
  if (layers.length >= 2 && inOrder) return;
  throw new InputError(
    `layers is [${layers.join(", ")}]; give two or more of the layers 0 to ${n_layers - 1}, in order.`,
    { operation, argument: "layers", expected: [0, n_layers - 1], actual: layers },
  );
}

/** The two layers that the largest score joins. */
function strongestPair(maps: CompositionMaps, n_layers: number): number[] {
  let best = { value: -Infinity, pair: [0, 1] };
  for (const map of [maps.Q, maps.K, maps.V]) {
    const heads = map.shape[1] ?? 1;
    for (let at = 0; at < map.size; at++) {
      const value = map.data[at] as number;
      if (value <= best.value) continue;
      const [writer, reader] = [Math.floor(at / (heads * heads * n_layers)), Math.floor(at / heads) % n_layers];
      if (writer < reader) best = { value, pair: [writer, reader] };
    }
  }
  return best.pair;
}

/**
 * Draws both versions of the composition diagram: bipartite, the width of a line the score less that of random heads.
 *
 * @category Figures
 * @example
 * ```ts
 * import { compositionDiagram, drawCompositionDiagram } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCompositionDiagram(compositionDiagram(await openBundledModel()));
 * console.log(figure.svg.match(/As [a-z ]+(?=, )/g)?.join("; "));
 * // As corrected; As first published
 * ```
 */
export function drawCompositionDiagram(data: CompositionDiagram, captions: Captions = {}): Figure {
  requireData(
    data,
    "n_layers n_heads layers corrected previousToken induction",
    "compositionDiagram",
    "drawCompositionDiagram",
    captions,
  );
  const { layers, n_heads, n_layers } = data;
  const within = ({ layer }: HeadId): boolean => layers.includes(layer);
  const placed = (heads: readonly HeadId[]): HeadId[] =>
    heads.filter(within).map(({ layer, head }) => ({ layer: layers.indexOf(layer), head }));
  const roles = [
    { name: "previous-token heads", heads: placed(data.previousToken) },
    { name: "induction heads", heads: placed(data.induction) },
  ].filter(({ heads }) => heads.length > 0);
  const cut = layers.length < n_layers ? ` Layers ${layers.join(" and ")} of ${n_layers} are shown.` : "";
  const graph = (version: CompositionVersion, said: Captions): Figure =>
    compositionGraph({
      layers: layers.length,
      heads: n_heads,
      layerNames: layers,
      edges: edgesOf(version, layers, n_heads),
      baseline: { mean: version.baseline.mean },
      roles,
      ...said,
    });
  if (data.original === undefined)
    return graph(data.corrected, {
      title: "Composition of heads",
      subtitle: `Lines lead from the head that writes, below, to the head that reads; their width is the score less that of random heads.${cut}`,
      ...captions,
    });
  const corrected = graph(data.corrected, {
    title: "As corrected, 2023",
    subtitle: "Ratios of Frobenius norms of the products themselves.",
  });
  const original = graph(data.original, {
    title: "As first published, 2021",
    subtitle: "A mistake: the factors were cycled under the norm, which is right for traces alone.",
  });
  const rows = corrected.width > 700 ? [[corrected], [original]] : [[corrected, original]];
  return arrange({
    title: ENTRY_TITLE,
    subtitle: `Lines lead from the head that writes, below, to the head that reads; their width is the score less that of random heads, ${formatNumber(data.corrected.baseline.mean)} and ${formatNumber(data.original.baseline.mean)}.${cut}`,
    rows,
    ...captions,
  });
}

function edgesOf(maps: CompositionMaps, layers: readonly number[], heads: number): CompositionEdge[] {
  const edges: CompositionEdge[] = [];
  for (const kind of ["Q", "K", "V"] as const)
    for (const [from, writer] of layers.entries())
      for (let to = from + 1; to < layers.length; to++)
        for (let w = 0; w < heads; w++)
          for (let r = 0; r < heads; r++)
            edges.push({
              kind,
              from: { layer: from, head: w },
              to: { layer: to, head: r },
              value: maps[kind].at(writer, w, layers[to] ?? 0, r),
            });
  return edges;
}

const ENTRY_TITLE = "Composition of heads, as first published and as corrected";

/** The list's entry. */
export const compositionDiagramEntry: FigureEntry<CompositionDiagram> = {
  name: "composition",
  number: 11,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Three kinds of composition" and the comment of 2023',
  needs: NEEDS,
  output: "svg",
  make: compositionDiagram,
  draw: drawCompositionDiagram,
};
