/**
 * The metric with each edge cut by itself. What a reader reads is then known before anything is run: $x_r - y_s + a_s$.
 * The heads of a layer read the same stream, so queries, keys and values of all of them are made at once for each
 * sender; what lies behind the reader is a partial pass (`model/partial-pass.ts`) in which one head's queries, keys or
 * values, or one MLP's output, are others.
 *
 * All 529 edges of two layers of twelve heads at 64 positions cost about 13 passes.
 */
import type { AttentionLayer, AttentionMask, Metric, Transformer } from "../../../model/index.ts";
import { baseRun, mlpAdds, partialPass, positionalEmbedding, project, Readout } from "../../../model/internal.ts";
import type { Change, Variant } from "../../../model/internal.ts";
import type { Steps } from "../../../progress.ts";
import { add, subtract } from "../../../tensor/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { rawData, tensorOf } from "../../../tensor/internal.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

type Stream = Tensor<"batch pos d_model">;
type HeadVectors = Tensor<"batch pos head d_head">;

/** Prompts, what their senders write, and what they write ablated: nothing where it is undefined. */
export interface CutParts {
  readonly tokens: Tensor<"batch pos">;
  /** Which positions are text; all where it is undefined. */
  readonly attentionMask: AttentionMask | undefined;
  readonly outputs: SenderOutputs;
  readonly ablated: SenderOutputs | undefined;
  readonly metric: Metric;
}

/** The metric of each prompt as the model is, and with each edge cut. */
export interface CutValues {
  readonly clean: Float64Array;
  readonly cut: readonly Float64Array[];
}

/** A variant of the clean run that cuts an edge. */
interface EdgeVariant {
  readonly edge: number;
  readonly variant: Variant;
}

/** Cuts each edge of a graph by itself; the model has a layer. */
export function cutEdges(model: Transformer, graph: CircuitGraph, parts: CutParts, steps: Steps): CutValues {
  const inFloat32 = model.inFloat32;
  const { n_layers, n_heads, parallel_attn_mlp } = graph.config;
  const base = baseRun(inFloat32, parts.tokens, { attentionMask: parts.attentionMask });
  const readout = new Readout(base, parts.metric);
  const differences = new Differences(parts, model.config.d_model);
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  const places = isShortformer ? positionalEmbedding(inFloat32, parts.tokens, base.mask) : undefined;
  const prompts = parts.tokens.sizeOf("batch");
  const cut = Array.from({ length: graph.size }, () => readout.base);
  const run = (variants: readonly EdgeVariant[]): void => {
    const list = variants.map(({ variant }) => variant);
    partialPass(base, list, { reads: readout.reads }, (rows, first, count) => {
      const values = readout.values(rows, count);
      for (let i = 0; i < count; i++)
        cut[variants[first + i]?.edge ?? 0] = values.slice(i * prompts, (i + 1) * prompts);
      steps.advance(count);
    });
  };
  const perLayer = n_layers === 0 ? 0 : (graph.readers.length - 1) / n_layers;
  for (const layer of inFloat32.layers) {
    const at = `blocks.${layer.layer}` as const;
    const first = layer.layer * perLayer;
    // The last layer's queries are asked where something is read.
    const asked = layer.layer === n_layers - 1 ? firstRead(readout.reads, prompts) : 0;
    const resid = base.cache.get(`${at}.hook_resid_pre`);
    for (let sender = 0; sender < (graph.readers[first]?.senders ?? 0); sender++) {
      const positions = differences.positions(sender);
      const x = differences.without(resid, sender);
      const variants = headVariants(graph, layer, { first, sender, positions, asked, x, places });
      steps.advance(3 * n_heads - variants.length);
      run(variants);
    }
    const { mlp } = layer;
    if (graph.config.attn_only) continue;
    const read = parallel_attn_mlp ? resid : add(resid, base.cache.get(`${at}.hook_attn_out`));
    run(
      streamVariants(graph, first + 3 * n_heads, differences, steps, ({ sender, positions }) =>
        mlp === undefined
          ? undefined
          : { layer: layer.layer, site: "mlp_out", source: mlpAdds(mlp, differences.without(read, sender)), positions },
      ),
    );
  }
  const final = base.cache.get(`blocks.${n_layers - 1}.hook_resid_post`);
  const last = { layer: n_layers - 1, site: "resid_post" } as const;
  run(
    streamVariants(graph, graph.readers.length - 1, differences, steps, ({ sender, positions }) => ({
      ...last,
      source: differences.without(final, sender),
      positions,
    })),
  );
  return { clean: readout.base, cut };
}

/** The runs in which the only reader of its kind reads a stream that lacks what a sender writes. */
function streamVariants(
  graph: CircuitGraph,
  reader: number,
  differences: Differences,
  steps: Steps,
  changeFor: (cut: { readonly sender: number; readonly positions: readonly number[] }) => Change | undefined,
): EdgeVariant[] {
  const senders = Array.from({ length: graph.readers[reader]?.senders ?? 0 }, (_, sender) => sender);
  return senders.flatMap((sender) => {
    const positions = differences.positions(sender);
    const change = positions.length === 0 ? undefined : changeFor({ sender, positions });
    if (change !== undefined) return [{ edge: graph.between(sender, reader) ?? 0, variant: [change] }];
    steps.advance();
    return [];
  });
}

/** The runs in which one head's queries, keys or values are read from a stream that lacks what a sender writes. */
function headVariants(
  graph: CircuitGraph,
  layer: AttentionLayer,
  parts: {
    readonly first: number;
    readonly sender: number;
    readonly positions: readonly number[];
    readonly asked: number;
    readonly x: Stream;
    /** What joins the inputs of queries and keys. */
    readonly places: Stream | undefined;
  },
): EdgeVariant[] {
  const { first, sender, asked, x, places } = parts;
  const values = layer.ln1 === undefined ? x : layer.ln1.apply(x);
  const scores = places === undefined ? values : add(values, places);
  const H = layer.heads.length;
  return (["q", "k", "v"] as const).flatMap((site, side) => {
    const [W, b] =
      site === "q" ? [layer.W_Q, layer.b_Q] : site === "k" ? [layer.W_K, layer.b_K] : [layer.W_V, layer.b_V];
    const from = site === "q" ? asked : 0;
    const positions = parts.positions.filter((p) => p >= from);
    // Where nothing changes there is nothing to run.
    if (positions.length === 0) return [];
    const read = site === "v" ? values : scores;
    const source = from === 0 ? project(read, W, b) : atLast(project(read.slice("pos", from), W, b), from);
    return layer.heads.map(({ head }) => ({
      edge: graph.between(sender, first + side * H + head) ?? 0,
      variant: [{ layer: layer.layer, site, source, heads: [head], positions }],
    }));
  });
}

/** Vectors of the last positions among those of all positions, at which nothing is asked for. */
function atLast(vectors: HeadVectors, from: number): HeadVectors {
  const [batch = 0, length = 0, heads = 0, width = 0] = vectors.shape;
  const [whole, own] = [(from + length) * heads * width, length * heads * width];
  const out = new Float32Array(batch * whole);
  const data = rawData(vectors) as Float32Array;
  for (let b = 0; b < batch; b++) out.set(data.subarray(b * own, (b + 1) * own), (b + 1) * whole - own);
  return tensorOf("batch pos head d_head", [batch, from + length, heads, width], out);
}

/** The first position that is read of any prompt; the last where none is. */
function firstRead(reads: Uint8Array, prompts: number): number {
  const pos = reads.length / prompts;
  let first = pos - 1;
  for (let place = 0; place < reads.length; place++) if (reads[place] === 1) first = Math.min(first, place % pos);
  return first;
}

/** What senders write less what they write ablated. */
class Differences {
  readonly #parts: CutParts;
  readonly #shape: readonly number[];
  readonly #size: number;
  readonly #positions = new Map<number, readonly number[]>();

  constructor(parts: CutParts, d_model: number) {
    this.#parts = parts;
    const [batch = 0, pos = 0] = parts.tokens.shape;
    this.#shape = [batch, pos, d_model];
    this.#size = batch * pos * d_model;
  }

  /** The positions at which a sender writes something else ablated, in any prompt. */
  positions(sender: number): readonly number[] {
    const known = this.#positions.get(sender);
    if (known !== undefined) return known;
    const { outputs, ablated } = this.#parts;
    const [batch = 0, pos = 0, d = 0] = this.#shape;
    const found: number[] = [];
    for (let p = 0; p < pos; p++) {
      let differs = false;
      for (let b = 0; b < batch && !differs; b++) {
        const start = sender * this.#size + (b * pos + p) * d;
        for (let i = start; i < start + d && !differs; i++)
          differs = (outputs[i] as number) !== (ablated === undefined ? 0 : (ablated[i] as number));
      }
      if (differs) found.push(p);
    }
    this.#positions.set(sender, found);
    return found;
  }

  /** A stream without what a sender writes, and with what it writes ablated. */
  without(x: Stream, sender: number): Stream {
    const of = (data: Float32Array): Stream =>
      tensorOf("batch pos d_model", this.#shape, data.subarray(sender * this.#size, (sender + 1) * this.#size));
    const { outputs, ablated } = this.#parts;
    const less = subtract(x, of(outputs));
    return ablated === undefined ? less : add(less, of(ablated));
  }
}
