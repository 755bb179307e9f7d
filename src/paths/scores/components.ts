/**
 * The parts of the queries and keys of a head: each part of the stream that the layer reads, through the norm (scale
 * frozen), $W_Q$ or $W_K$, and the rotation.
 */
import { InputError } from "../../errors.ts";
import { headLabel, rotate } from "../../model/index.ts";
import type { HeadId, HookName, Transformer } from "../../model/index.ts";
import { rotateTo } from "../../model/internal.ts";
import { add, astype, matmul, Tensor } from "../../tensor/index.ts";
import { reshaped, rowNorms } from "../../tensor/internal.ts";
import { biasStream } from "../frozen/frozen-layers.ts";
import { constantStream, throughFrozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { editDifference, readerEdit, vectorEdit } from "../frozen/run-edits.ts";
import { streamsByOrder } from "../frozen/order-streams.ts";
import { countPaths, editSources, embeddingSources, mlpEntries, mlpSources, pathEntries } from "../logits/sources.ts";
import type { FrozenSource } from "../logits/sources.ts";
import { enumeratePaths, PathNode } from "../logits/terms.ts";
import { firstHeadParts, orderParts, unmovedParts } from "./groups.ts";
import type { ScorePart } from "./groups.ts";

/** @inline */
type HeadVectors = Tensor<"batch pos d_head">;

/** A part of the stream, or of what queries and keys read beside it. */
export interface ScoreComponent {
  /** `embed`, `pos_embed`, `L0H5`, `0_mlp_out`, `L0H5→L1H2`, `2 heads`, `L0H5⋯`, `bias`, `remainder`. */
  readonly label: string;
  /** The heads that moved it, earliest first. */
  readonly path: readonly HeadId[];
  /** Whether it is a sum over several paths. */
  readonly isSum: boolean;
  /** Its part of the queries, `[batch, pos, d_head]`, float64, rotated where positions are rotary. */
  readonly query: HeadVectors;
  /** Its part of the keys. */
  readonly key: HeadVectors;
  /** The norm, at each position, of what both are read from. */
  readonly readNorms: Float64Array;
}

/** How queries and keys are split. */
export type ScorePartition = "head" | "path" | "order" | "firstHead";

/** The parts that queries and keys of a head are split into, evaluated. */
export function scoreComponents(
  frozen: FrozenRun,
  head: HeadId,
  by: ScorePartition,
  maxOrder: number,
): ScoreComponent[] {
  const { layer } = head;
  const components = partsOf(frozen, layer, by, maxOrder).map(({ label, path, isSum = false, stream }) => {
    const read = throughFrozenNorm(frozen, layer, stream());
    return {
      label,
      path,
      isSum,
      query: projected(frozen, head, "Q", read),
      key: projected(frozen, head, "K", read),
      readNorms: rowNorms(read),
    };
  });
  const { model, run } = frozen;
  if (model.config.positional_embedding_type === "shortformer") {
    // Positions join what queries and keys read, after the norm.
    const positions = astype(run.cache.get("hook_pos_embed"), "float64");
    const [query, key] = [projected(frozen, head, "Q", positions), projected(frozen, head, "K", positions)];
    components.splice(1, 0, { label: "pos_embed", path: [], isSum: false, query, key, readNorms: rowNorms(positions) });
  }
  components.push(...ownEdits(frozen, head));
  const bias = biasComponent(frozen, head, by);
  return [bias.query, bias.key].every((side) => side.data.every((x) => x === 0)) ? components : [...components, bias];
}

function partsOf(frozen: FrozenRun, before: number, by: ScorePartition, maxOrder: number): ScorePart[] {
  if (by === "path") return pathParts(frozen, before, maxOrder);
  if (by === "order") return orderParts(frozen, before, maxOrder);
  return by === "head" ? writtenParts(frozen, before) : firstHeadParts(frozen, before);
}

/** How many components there are, the bias counted. */
function countComponents(model: Transformer, layer: number, by: ScorePartition, maxOrder: number): number {
  const { n_heads, positional_embedding_type } = model.config;
  const embeddings = positional_embedding_type === "standard" ? 2 : 1;
  const positions = positional_embedding_type === "shortformer" ? 1 : 0;
  const mlps = mlpEntries(model, layer).length;
  const rest = maxOrder < layer ? 1 : 0;
  if (by === "order") return embeddings + positions + Math.min(maxOrder, layer) + rest + mlps + 1;
  if (by !== "path") return embeddings + positions + layer * n_heads + mlps + 1;
  const paths = countPaths({ n_layers: layer, n_heads }, pathEntries(model, embeddings, layer), maxOrder);
  return paths + positions + rest + 1;
}

/**
 * What was really written: embeddings, the result of every earlier head, its $b_V$ included, and that of every earlier
 * MLP.
 */
function writtenParts(frozen: FrozenRun, before: number): ScorePart[] {
  const { model, run } = frozen;
  // Only what a first layer reads can be the tokens alone.
  const isOnePath = (layer: number): boolean => layer === 0 && model.config.positional_embedding_type !== "standard";
  const heads = model.layers.slice(0, before).flatMap(({ layer, heads: all, W_O }) =>
    all.map((each): ScorePart => ({
      label: headLabel(each),
      path: [{ layer, head: each.head }],
      isSum: !isOnePath(layer),
      stream: () => {
        const z: HeadVectors = run.cache.get(`blocks.${layer}.attn.hook_z`).select("head", each.head);
        return matmul(astype(z, "float64"), W_O.select("head", each.head));
      },
    })),
  );
  const unmoved = unmovedParts(frozen, before, "written");
  const embeddings = model.config.positional_embedding_type === "standard" ? 2 : 1;
  return [...unmoved.slice(0, embeddings), ...heads, ...unmoved.slice(embeddings)];
}

/** Every path of embeddings and of what MLPs wrote through earlier heads. */
function pathParts(frozen: FrozenRun, before: number, maxOrder: number): ScorePart[] {
  const isStandard = frozen.model.config.positional_embedding_type === "standard";
  const sources: FrozenSource[] = [
    ...embeddingSources(frozen, isStandard),
    ...mlpSources(frozen, before),
    ...editSources(frozen, before),
  ];
  const roots = sources.map((source) => PathNode.root(frozen, source, before));
  const parts = enumeratePaths(frozen, roots, maxOrder).map((node): ScorePart => ({
    label: node.label === "direct" ? "embed" : node.label,
    path: node.path,
    stream: () => node.stream,
  }));
  if (maxOrder >= before) return parts;
  const longer = (): Stream =>
    streamsByOrder(frozen, { before })
      .slice(maxOrder + 1)
      .reduce((a, b) => add(a, b));
  return [...parts, { label: "remainder", path: [], isSum: true, stream: longer }];
}

/**
 * What edits within the head's own layer changed: of what queries and keys are read from, and of these themselves. They
 * are vectors of the head, not of the stream.
 */
export function ownEdits(frozen: FrozenRun, { layer, head }: HeadId): ScoreComponent[] {
  const { model, run, trace } = frozen;
  if (trace === undefined || run.edited.length === 0) return [];
  const attention = model.layer(layer);
  const at = `blocks.${layer}` as const;
  const found = new Map<HookName, { query?: HeadVectors; key?: HeadVectors }>();
  for (const [side, part, place] of [
    ["q", "query", head],
    ["k", "key", attention.head(head).keyValueHead],
  ] as const) {
    const put = (hook: HookName, vectors: HeadVectors): void => {
      found.set(hook, { ...found.get(hook), [part]: vectors });
    };
    const reader = readerEdit(run, trace, attention, side);
    const own = `${at}.attn.hook_${side}` as const;
    const turned = `${at}.attn.hook_rot_${side}` as const;
    if (reader !== undefined) {
      put(reader, rotated(frozen, vectorEdit(run, trace, attention, side).select("head", head)));
    }
    if (run.edited.includes(own)) {
      put(own, rotated(frozen, editDifference(run, trace, own).select("head", place)));
    }
    if (run.edited.includes(turned)) put(turned, editDifference(run, trace, turned).select("head", place));
  }
  const rows = run.tokens.size;
  const none: HeadVectors = Tensor.zeros("batch pos d_head", [...run.tokens.shape, model.config.d_head], "float64");
  return [...found].map(([hook, { query = none, key = none }]) => ({
    label: `edit[${hook}]`,
    path: [],
    isSum: false,
    query,
    key,
    readNorms: new Float64Array(rows),
  }));
}

/** The part of no token, position or head: biases written before, the norm's own, and $b_Q$ or $b_K$. */
function biasComponent(frozen: FrozenRun, head: HeadId, by: ScorePartition): ScoreComponent {
  const { model } = frozen;
  const { layer } = head;
  const { ln1, b_Q, b_K } = model.layer(layer);
  const zeros: Stream = Tensor.zeros("batch pos d_model", frozen.run.cache.get("hook_embed").shape, "float64");
  const written =
    by !== "head"
      ? biasStream(frozen, layer)
      : model.layers.slice(0, layer).reduce<Stream>((sum, { b_O }) => add(sum, b_O), zeros);
  const linear = throughFrozenNorm(frozen, layer, written);
  const read = ln1?.b === undefined ? linear : add(linear, constantStream(frozen, ln1.b));
  return {
    label: "bias",
    path: [],
    isSum: false,
    query: projected(frozen, head, "Q", read, b_Q.select("head", head.head)),
    key: projected(frozen, head, "K", read, b_K.select("head", head.head)),
    readNorms: rowNorms(read),
  };
}

/** $x W$ of one head's queries or keys, with its rotation. */
export function projected(
  frozen: FrozenRun,
  { layer, head }: HeadId,
  side: "Q" | "K",
  x: Stream,
  bias?: Tensor<"d_head">,
): HeadVectors {
  const { model } = frozen;
  const W = (side === "Q" ? model.layer(layer).W_Q : model.layer(layer).W_K).select("head", head);
  const read = matmul(x, W);
  return rotated(frozen, bias === undefined ? read : add(read, bias));
}

/** Queries or keys of one head rotated to their positions, where the model rotates them. */
export function rotated({ model: { config }, trace }: FrozenRun, x: HeadVectors): HeadVectors {
  if (config.positional_embedding_type !== "rotary") return x;
  const [batch = 0, pos = 0, d_head = 0] = x.shape;
  const vectors = reshaped(x, "batch pos head d_head", [batch, pos, 1, d_head]);
  const places = trace?.mask?.places;
  const turned = places === undefined ? rotate(vectors, config) : rotateTo(vectors, config, places);
  return reshaped(turned, "batch pos d_head", x.shape);
}

/** Rejects a number of terms beyond `maxTerms`. */
export function checkTermCount(
  model: Transformer,
  head: HeadId,
  by: ScorePartition,
  maxOrder: number,
  maxTerms: number,
  edits = 0,
): void {
  const components = countComponents(model, head.layer, by, maxOrder) + edits;
  if (components ** 2 <= maxTerms) return;
  throw new InputError(
    `queries and keys of ${headLabel(head)} have up to ${components} parts each, ${components ** 2} terms, more than maxTerms=${maxTerms}. ` +
      `Take parts by head (by: "head") or by order (by: "order"), keep the short paths with maxOrder, or raise maxTerms.`,
    { operation: "scoreExpansion", argument: "maxTerms", expected: maxTerms, actual: components ** 2 },
  );
}
