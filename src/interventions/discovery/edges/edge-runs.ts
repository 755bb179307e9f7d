/**
 * Runs of a model in which every reader (queries, keys and values of a head, an MLP, the logits) reads its own sum of
 * what was written before it, each sender as this run has it or ablated, as the edges say:
 *
 * $$x_r = c + \sum_s a_s + \sum_s e_{sr} (y_s - a_s),$$
 *
 * $y_s$ what the sender writes in this run, $a_s$ its ablated output, $e_{sr}$ 1 where the edge is kept, and $c$ what
 * no sender writes: standard positions and the biases $b_O$ before the reader. Of a sender that is kept at some
 * positions or in some coordinates alone, $e_{sr}$ is 1 there and 0 elsewhere.
 *
 * What is as in the clean run is not computed again, readers that read the same sum share it, heads from which no kept
 * edge leads to the logits are left out, and the last layer computes no position that is not read.
 */
import type { AttentionLayer, PaddingMask, Transformer } from "../../../model/index.ts";
import { EdgeWeights } from "./edge-weights.ts";
import type { EdgeMask } from "./edge-weights.ts";
import {
  attentionScores,
  headResults,
  hidePaddedKeys,
  mlpAdds,
  paddingMask,
  project,
  requireOwnKeys,
  requireWithinWindow,
  rotateTo,
  weightValues,
} from "../../../model/internal.ts";
import { add, causalAttention, matmul, softmax } from "../../../tensor/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { dataForResult, rawData, reshaped, tensorOf } from "../../../tensor/internal.ts";
import { rotate } from "../../../model/index.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import type { MaskedTokens } from "./circuit-prompts.ts";
import { SenderDifferences } from "./sender-differences.ts";
import type { MaskedDifferences } from "./sender-differences.ts";
import { isSenderHook, senderOutputs } from "./sender-outputs.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

type Stream = Tensor<"batch pos d_model">;
type HeadVectors = Tensor<"batch pos head d_head">;
type Side = "q" | "k" | "v";
const SIDES = ["q", "k", "v"] as const;

/** Vectors of one side: of all heads, or of some. */
type SideVectors =
  | { readonly all: HeadVectors; readonly each?: undefined }
  | { readonly all?: undefined; readonly each: Map<number, HeadVectors> };

/** The model, some prompts, and what their senders write when they are ablated. */
export class EdgeRuns {
  readonly #model: Transformer;
  readonly #graph: CircuitGraph;
  readonly #batch: number;
  readonly #pos: number;
  readonly #mask: PaddingMask | undefined;
  readonly #from: number;
  readonly #ablated: SenderOutputs | undefined;
  readonly #differences: SenderDifferences;
  readonly #bases: ReadonlyMap<number, Float32Array>;
  readonly #vectors: Readonly<Record<Side, HeadVectors>>[];
  readonly #positions: Tensor<"batch pos d_model"> | undefined;

  /**
   * @param prompts - the prompts, and what of them is padding.
   * @param ablated - what senders write when they are ablated, made of what they write otherwise; nothing where they
   * write nothing.
   * @param from - the first position of the logits that is read.
   */
  constructor(
    model: Transformer,
    graph: CircuitGraph,
    { tokens, attentionMask }: Pick<MaskedTokens, "tokens" | "attentionMask">,
    ablated: ((clean: SenderOutputs) => SenderOutputs | undefined) | undefined,
    from: number,
  ) {
    requireOwnKeys(model.config, "circuit");
    requireWithinWindow(model.config, tokens.sizeOf("pos"), "circuit");
    this.#model = model.inFloat32;
    this.#graph = graph;
    [this.#batch = 0, this.#pos = 0] = tokens.shape;
    this.#mask = paddingMask(attentionMask, tokens, "circuit");
    this.#from = from;
    const isRotary = model.config.positional_embedding_type === "rotary";
    const vector = isRotary ? /attn\.hook_(rot_q|rot_k|v)$/ : /attn\.hook_[qkv]$/;
    const { cache } = model.run(tokens, {
      cache: (name) => isSenderHook(name) || vector.test(name) || name === "hook_pos_embed",
      unembed: "none",
      attentionMask,
    });
    this.#vectors = model.layers.map(({ layer }) => {
      const at = `blocks.${layer}.attn` as const;
      return {
        q: cache.get(isRotary ? `${at}.hook_rot_q` : `${at}.hook_q`),
        k: cache.get(isRotary ? `${at}.hook_rot_k` : `${at}.hook_k`),
        v: cache.get(`${at}.hook_v`),
      };
    });
    const clean = senderOutputs(model, graph, cache);
    this.#ablated = ablated?.(clean);
    const pos_embed = model.W_pos === undefined ? undefined : cache.get("hook_pos_embed");
    const isStandard = model.config.positional_embedding_type === "standard";
    this.#positions = isStandard ? undefined : pos_embed;
    this.#bases = this.#makeBases(isStandard ? pos_embed : undefined);
    this.#differences = new SenderDifferences({
      clean,
      ablated: this.#ablated,
      senders: graph.nodes.length - 1,
      batch: this.#batch,
      pos: this.#pos,
      width: this.#width,
      from,
    });
  }

  get #width(): number {
    return this.#model.config.d_model;
  }

  /**
   * $c + \sum_s a_s$ of each reader, by how many senders it reads and whether it comes after the heads of its layer.
   */
  #makeBases(pos_embed: Stream | undefined): ReadonlyMap<number, Float32Array> {
    const { readers } = this.#graph;
    const bases = new Map<number, Float32Array>();
    const size = this.#batch * this.#pos * this.#width;
    let sum = dataForResult("float32", size) as Float32Array;
    if (pos_embed === undefined) sum.fill(0);
    else sum.set(rawData(pos_embed));
    let [sender, biases] = [0, 0];
    for (const { layer, head, senders } of readers) {
      // An MLP after the heads reads their bias too; so does everything in later layers.
      const isAfterHeads =
        head === undefined && layer < this.#model.config.n_layers && !this.#graph.config.parallel_attn_mlp;
      const wanted = isAfterHeads ? layer + 1 : layer;
      const key = baseKey(senders, wanted);
      if (bases.has(key)) continue;
      sum = sum.slice();
      for (; biases < wanted; biases++) addRows(sum, rawData(this.#model.layer(biases).b_O) as Float32Array);
      for (; sender < senders; sender++) {
        if (this.#ablated === undefined) continue;
        for (let i = 0, at = sender * size; i < size; i++)
          sum[i] = (sum[i] as number) + (this.#ablated[at + i] as number);
      }
      bases.set(key, sum);
    }
    return bases;
  }

  /**
   * The stream before the last norm of a run with these edges, from the first position that is read on.
   */
  run(mask: EdgeMask): Stream {
    const weights = new EdgeWeights(this.#graph, mask);
    this.#differences.restore();
    const masked = weights.partial.length === 0 ? undefined : this.#differences.masked(weights);
    const last = this.#model.config.n_layers - 1;
    const perLayer = this.#graph.readers.length === 1 ? 0 : (this.#graph.readers.length - 1) / (last + 1);
    for (const layer of this.#model.layers) {
      const first = layer.layer * perLayer;
      const { n_heads } = this.#model.config;
      const onTail = layer.layer === last;
      this.#heads(layer, first, weights, masked, onTail);
      if (this.#graph.config.attn_only) continue;
      this.#mlp(layer, first + 3 * n_heads, weights, masked, onTail);
    }
    const logits = this.#graph.readers.length - 1;
    return this.#inputs([logits], weights, masked, true, last + 1);
  }

  /** Whether a reader reads what it read in the clean run. */
  #isClean(reader: number, weights: EdgeWeights): boolean {
    const { senders } = this.#graph.readers[reader] ?? { senders: 0 };
    return weights.isWhole(reader) && !this.#differences.isAnyChanged(senders);
  }

  /** What several readers of equal standing read, `[reader · batch, pos, d_model]`. */
  #inputs(
    readers: readonly number[],
    weights: EdgeWeights,
    masked: MaskedDifferences | undefined,
    onTail: boolean,
    biases: number,
  ): Stream {
    const senders = this.#graph.readers[readers[0] ?? 0]?.senders ?? 0;
    const { data, size, from } = this.#differences.at(onTail);
    const block = (source: Float32Array): Tensor<"sender element"> =>
      tensorOf("sender element", [senders, size], source.subarray(0, senders * size));
    const rows = (inPart: boolean): Tensor<"reader sender"> => {
      const out = new Float32Array(readers.length * senders);
      for (const [i, reader] of readers.entries())
        weights.fill(reader, inPart, out.subarray(i * senders, (i + 1) * senders));
      return tensorOf("reader sender", [readers.length, senders], out);
    };
    let x = matmul(rows(false), block(data));
    if (masked !== undefined) x = add(x, matmul(rows(true), block(masked[onTail ? 1 : 0])));
    const whole = this.#bases.get(baseKey(senders, biases)) as Float32Array;
    const base = onTail && from > 0 ? this.#differences.tailOf(whole) : whole;
    const sum = add(x, tensorOf("element", [size], base) as Tensor as Tensor<"reader element">);
    const shape = [readers.length * this.#batch, this.#pos - from, this.#width];
    return reshaped(sum, "batch pos d_model", shape);
  }

  #heads(
    layer: AttentionLayer,
    first: number,
    weights: EdgeWeights,
    masked: MaskedDifferences | undefined,
    onTail: boolean,
  ): void {
    const H = layer.heads.length;
    const sender = this.#graph.readers[first]?.senders ?? 0;
    const dirty: Record<Side, number[]> = { q: [], k: [], v: [] };
    const heads: number[] = [];
    for (let head = 0; head < H; head++) {
      if (!weights.isLive(sender + head)) continue;
      const sides = SIDES.filter((_, i) => !this.#isClean(first + i * H + head, weights));
      for (const side of sides) dirty[side].push(head);
      if (sides.length > 0) heads.push(head);
    }
    if (heads.length === 0) return;
    const [q, k, v] = SIDES.map((side, i) => {
      const isTailed = onTail && side === "q";
      return this.#vectorsOf(layer, side, dirty[side], first + i * H, weights, masked, isTailed);
    }) as [SideVectors, SideVectors, SideVectors];
    if (heads.length === H && q.all && k.all && v.all) {
      const results = headResults(layer, this.#attend(layer, q.all, k.all, v.all));
      for (const head of heads)
        this.#differences.write(
          sender + head,
          rawData(results.select("head", head)) as Float32Array,
          onTail,
          weights,
          masked,
        );
      return;
    }
    const clean = this.#vectors[layer.layer] as Record<Side, HeadVectors>;
    for (const head of heads) {
      const own = (vectors: SideVectors, side: Side): HeadVectors => {
        if (vectors.each?.has(head) === true) return vectors.each.get(head) as HeadVectors;
        const all = vectors.all ?? (onTail && side === "q" ? clean.q.slice("pos", this.#from) : clean[side]);
        return all.slice("head", head, head + 1);
      };
      const z = this.#attend(layer, own(q, "q"), own(k, "k"), own(v, "v"));
      const rows = reshaped(z, "row d_head", [z.size / (z.shape[3] ?? 1), z.shape[3] ?? 0]);
      const result = matmul(rows as Tensor, layer.W_O.select("head", head));
      this.#differences.write(sender + head, rawData(result) as Float32Array, onTail, weights, masked);
    }
  }

  /** Queries, keys or values: those of the clean run where heads read the same, new ones where not. */
  #vectorsOf(
    layer: AttentionLayer,
    side: Side,
    dirty: readonly number[],
    first: number,
    weights: EdgeWeights,
    masked: MaskedDifferences | undefined,
    isTailed: boolean,
  ): SideVectors {
    const clean = (this.#vectors[layer.layer] as Record<Side, HeadVectors>)[side];
    const H = layer.heads.length;
    if (dirty.length === 0) return { all: isTailed && this.#from > 0 ? clean.slice("pos", this.#from) : clean };
    // Rotation knows positions by their place, so that rotated queries are made of all positions and cut afterwards.
    const isRotary = this.#model.config.positional_embedding_type === "rotary";
    const isCut = isTailed && !isRotary;
    const groups = new Map<string, number[]>();
    for (const head of dirty) {
      const key = weights.key(first + head);
      groups.set(key, [...(groups.get(key) ?? []), head]);
    }
    const members = [...groups.values()];
    const readers = members.map(([head = 0]) => first + head);
    const inputs = this.#inputs(readers, weights, masked, isCut, layer.layer);
    const normalized = layer.ln1 === undefined ? inputs : layer.ln1.apply(inputs);
    const [W, b] =
      side === "q" ? [layer.W_Q, layer.b_Q] : side === "k" ? [layer.W_K, layer.b_K] : [layer.W_V, layer.b_V];
    const finished = (x: HeadVectors): HeadVectors => {
      if (!isRotary || side === "v") return x;
      const { config } = this.#model;
      const rotated = this.#mask === undefined ? rotate(x, config) : rotateTo(x, config, this.#mask.places);
      return isTailed && this.#from > 0 ? rotated.slice("pos", this.#from) : rotated;
    };
    const B = this.#batch;
    const each = new Map<number, HeadVectors>();
    for (const [i, heads] of members.entries()) {
      const own = normalized.slice("batch", i * B, (i + 1) * B);
      const x = side === "v" ? own : this.#withPositions(own, isCut);
      if (heads.length === H) return { all: finished(project(x, W, b)) };
      for (const head of heads) {
        const one = (w: Tensor): Tensor => w.slice("head", head, head + 1);
        each.set(head, finished(project(x, one(W) as typeof W, one(b) as typeof b)));
      }
    }
    return { each };
  }

  #withPositions(x: Stream, isCut: boolean): Stream {
    if (this.#positions === undefined) return x;
    return add(x, isCut ? this.#positions.slice("pos", this.#from) : this.#positions);
  }

  #attend(layer: AttentionLayer, q: HeadVectors, k: HeadVectors, v: HeadVectors): HeadVectors {
    const isCausal = this.#model.config.attention_dir === "causal";
    const isPlain = isCausal && this.#mask === undefined && q.sizeOf("pos") === k.sizeOf("pos");
    if (isPlain) return causalAttention(q, k, v, { scale: layer.attnScale });
    const scores = attentionScores(q, k, layer.attnScale, isCausal);
    if (this.#mask !== undefined) hidePaddedKeys(scores, this.#mask);
    return weightValues(softmax(scores, "key_pos"), v);
  }

  #mlp(
    layer: AttentionLayer,
    reader: number,
    weights: EdgeWeights,
    masked: MaskedDifferences | undefined,
    onTail: boolean,
  ): void {
    const { mlp } = layer;
    const sender = this.#graph.place(`m${layer.layer}`) ?? 0;
    if (mlp === undefined || !weights.isLive(sender) || this.#isClean(reader, weights)) return;
    const biases = this.#graph.config.parallel_attn_mlp ? layer.layer : layer.layer + 1;
    const x = this.#inputs([reader], weights, masked, onTail, biases);
    this.#differences.write(sender, rawData(mlpAdds(mlp, x)) as Float32Array, onTail, weights, masked);
  }
}

const baseKey = (senders: number, biases: number): number => senders * 65_536 + biases;

/** Adds a bias to every row. */
function addRows(x: Float32Array, bias: Float32Array): void {
  for (let start = 0; start < x.length; start += bias.length)
    for (let j = 0; j < bias.length; j++) x[start + j] = (x[start + j] as number) + (bias[j] as number);
}
