/**
 * The sources of paths: the token and positional embeddings, MLP outputs, and every bias. An MLP output enters the
 * stream after its layer. A bias is a source like any other, the same at every position: $b_O$ enters the stream after
 * its layer, $b_V$ and the bias of a norm enter through the heads of their layer, the bias of the final norm and $b_U$
 * at the end.
 */
import { pathCounts } from "../../circuits/internal.ts";
import type { Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { constantStream, editsFrom, embeddedStream, mlpLabel, mlpStream, sourceStreams } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import type { EditLabel, EditView } from "../frozen/run-edits.ts";

/**
 * Where a path begins: in the whole residual stream before the first layer (`direct`), in one of its two parts, in what
 * the MLP of a layer wrote (`0_mlp_out`), in what an edit added (`edit[blocks.0.attn.hook_z]`), or in a bias of a
 * layer, of the final norm or of the unembedding.
 * @category Path expansion
 */
export type PathSource =
  | "direct"
  | "embed"
  | "pos_embed"
  | `${number}_mlp_out`
  | EditLabel
  | "b_U"
  | "ln_final.b"
  | `b_O[${number}]`
  | `b_V[${number}]`
  | `ln1.b[${number}]`;

/** A source: what it holds, and where heads begin to read it. */
export interface FrozenSource {
  readonly source: PathSource;
  /** The first layer whose heads read it; `n_layers` where none does. */
  readonly from: number;
  /**
   * `stream`: in the residual stream, a path by itself; `normalized` and `values`: within layer `from`, after its norm
   * or as its values, so that every path goes through a head of that layer first; `final`: behind the final norm.
   */
  readonly enters: "stream" | "normalized" | "values" | "final";
  /** `[batch, pos, d_model]`, float64; for `values`, `[head, d_head]`. */
  readonly stream: Stream | undefined;
}

/**
 * A source before a run has filled it: all that paths are counted from.
 * @inline
 */
export type SourceEntry = Pick<FrozenSource, "from" | "enters">;

/** The sources that begin in embeddings: one, or two where token and position are split. */
export function embeddingSources(frozen: FrozenRun, splitPositions: boolean): FrozenSource[] {
  const whole = (source: PathSource, stream: Stream): FrozenSource => ({ source, from: 0, enters: "stream", stream });
  if (!splitPositions) return [whole("direct", embeddedStream(frozen))];
  const { embed, pos_embed } = sourceStreams(frozen);
  return [
    whole("embed", embed),
    whole("pos_embed", pos_embed ?? Tensor.zeros("batch pos d_model", embed.shape, "float64")),
  ];
}

/** Where what MLPs write enters, of the layers before one; by default of all. */
export function mlpEntries({ layers }: Transformer, before = layers.length): SourceEntry[] {
  return layers
    .slice(0, before)
    .filter(({ mlp }) => mlp !== undefined)
    .map(({ layer }) => ({ from: layer + 1, enters: "stream" }));
}

/** What the MLPs wrote in the run, of the layers before one; by default of all. */
export function mlpSources(frozen: FrozenRun, before?: number): (FrozenSource & { readonly stream: Stream })[] {
  return frozen.model.layers.slice(0, before).flatMap(({ layer }) => {
    const stream = mlpStream(frozen, layer);
    return stream === undefined
      ? []
      : [{ source: mlpLabel(layer), from: layer + 1, enters: "stream" as const, stream }];
  });
}

/** What edits added to the run before a layer, by default in all of it and behind the final norm too. */
export function editSources(
  frozen: FrozenRun,
  before?: number,
  view: EditView = "paths",
): (FrozenSource & { readonly stream: Stream })[] {
  const { n_layers } = frozen.model.config;
  const layers = Array.from({ length: (before ?? n_layers) + 1 }, (_, layer) => layer);
  return [...layers, ...(before === undefined ? (["final"] as const) : [])].flatMap((layer) =>
    editsFrom(frozen, layer, view).map(({ label, from, isFinal, stream }) => ({
      source: label,
      from,
      enters: isFinal ? ("final" as const) : ("stream" as const),
      stream,
    })),
  );
}

/** Whether a label such as `edit[hook_embed]` names an edit. */
export const isEditLabel = (label: string): boolean => label.startsWith("edit[");

/** The layer of the MLP that a label such as `0_mlp_out` names; `undefined` for another source. */
export function mlpLayerOf(label: string): number | undefined {
  const match = /^(\d+)_mlp_out$/.exec(label);
  return match === null ? undefined : Number(match[1]);
}

/** The biases that a model has, in the order in which they enter; those that are all zero are left out. */
export function biasSources(frozen: FrozenRun): FrozenSource[] {
  const { model } = frozen;
  const sources: FrozenSource[] = [];
  for (const { layer, ln1, b_V, b_O } of model.layers) {
    if (ln1?.b !== undefined && isNonzero(ln1.b)) {
      sources.push({
        source: `ln1.b[${layer}]`,
        from: layer,
        enters: "normalized",
        stream: constantStream(frozen, ln1.b),
      });
    }
    if (isNonzero(b_V)) sources.push({ source: `b_V[${layer}]`, from: layer, enters: "values", stream: undefined });
    if (isNonzero(b_O)) {
      sources.push({ source: `b_O[${layer}]`, from: layer + 1, enters: "stream", stream: constantStream(frozen, b_O) });
    }
  }
  const b = model.ln_final?.b;
  if (b !== undefined && isNonzero(b)) {
    const stream = constantStream(frozen, b);
    sources.push({ source: "ln_final.b", from: model.config.n_layers, enters: "final", stream });
  }
  return sources;
}

/** How many paths of at most `maxOrder` heads begin in some sources. */
export function countPaths(
  { n_layers, n_heads }: Pick<Transformer["config"], "n_layers" | "n_heads">,
  sources: readonly SourceEntry[],
  maxOrder: number,
): number {
  const through = (layers: number, most: number): number =>
    pathCounts(layers, n_heads)
      .slice(0, most + 1)
      .reduce((a, b) => a + b, 0);
  return sources.reduce((sum, { from, enters }) => {
    if (enters === "final") return sum + 1;
    if (enters === "stream") return sum + through(n_layers - from, maxOrder);
    return maxOrder < 1 ? sum : sum + n_heads * through(n_layers - from - 1, maxOrder - 1);
  }, 0);
}

/** Where paths begin that embeddings and MLPs begin, of the layers before one; by default of all. */
export function pathEntries(model: Transformer, embeddings: number, before?: number): SourceEntry[] {
  const whole = Array.from({ length: embeddings }, (): SourceEntry => ({ from: 0, enters: "stream" }));
  return [...whole, ...mlpEntries(model, before)];
}

function isNonzero(t: Tensor): boolean {
  return t.data.some((x) => x !== 0);
}
