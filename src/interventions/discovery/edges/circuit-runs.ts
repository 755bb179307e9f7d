/** A metric of a model under masks of edges: prompts in portions that fit into memory, each as the ablation has it. */
import { InputError, nameOf } from "../../../errors.ts";
import type { Metric, MetricInput, MetricLike, Transformer } from "../../../model/index.ts";
import {
  metricOf,
  readPositions,
  requireMetricOf,
  requireNoPadding,
  requireOwnKeys,
  requireSeed,
} from "../../../model/internal.ts";
import { add, gather, matmul } from "../../../tensor/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { rawData, tensorOf } from "../../../tensor/internal.ts";
import { requireGraph } from "../circuits/index.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import { ablationOf, promptsDrawn, somePrompts } from "./circuit-prompts.ts";
import type { CheckedPrompts, EdgeAblation, MaskedTokens } from "./circuit-prompts.ts";
import { EdgeRuns } from "./edge-runs.ts";
import type { EdgeMask } from "./edge-weights.ts";
import { addPrompts, isSenderHook, repeated, senderOutputs } from "./sender-outputs.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

/** Whether a metric is one that training makes small. */
export const isLoss = (name: string): boolean => name === "loss" || name === "KL divergence";

/** Portions of prompts are as large as makes so many numbers of one array of sender outputs. */
const PORTION = 2 ** 24;

type Prompts = Pick<MaskedTokens, "tokens" | "attentionMask">;

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

/** The runs of a metric under masks. */
export class CircuitRuns {
  readonly metric: Metric;
  readonly ablation: EdgeAblation;
  /** The number of prompts. */
  readonly count: number;
  readonly #model: Transformer;
  readonly #graph: CircuitGraph;
  readonly #prompts: CheckedPrompts;
  readonly #seed: number;
  /** Numbers of one array of sender outputs, at most. */
  readonly #most: number;
  readonly #from: number;
  /** The unembedding of the tokens that the metric reads. */
  readonly #unembed: { readonly W_U: Tensor<"d_model d_vocab">; readonly b_U: Tensor<"d_vocab"> };
  #portion: { readonly start: number; readonly runs: EdgeRuns } | undefined;
  #mean: SenderOutputs | undefined;

  constructor(
    model: Transformer,
    graph: CircuitGraph,
    prompts: CheckedPrompts,
    metric: MetricLike,
    {
      ablation,
      seed = 0,
      operation,
      portion = PORTION,
    }: { ablation?: EdgeAblation | undefined; seed?: number | undefined; operation: string; portion?: number },
  ) {
    requireGraphOf(model, graph, operation);
    requireSeed(seed, operation);
    this.metric = metricOf(metric, operation);
    this.ablation = ablationOf(ablation, prompts, operation);
    const { tokens: ids, mask } = prompts.clean;
    this.count = ids.sizeOf("batch");
    this.#model = model.inFloat32;
    this.#graph = graph;
    this.#prompts = prompts;
    this.#seed = seed;
    this.#most = portion;
    requireMetricOf(this.metric, this.count, operation);
    requireNoPadding(this.metric, mask, operation);
    const pos = ids.sizeOf("pos");
    const read = Array.from({ length: this.count }, (_, p) => readPositions(this.metric, p, pos));
    this.#from = read.flat().reduce((least, p) => Math.min(least, p), pos - 1);
    const { tokens } = this.metric.reads;
    const W_U = this.#model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
    this.#unembed =
      tokens === "all"
        ? { W_U, b_U: this.#model.b_U }
        : { W_U: gather(W_U, "d_vocab", tokens), b_U: gather(this.#model.b_U, "d_vocab", tokens) };
  }

  /** The metric of each prompt under one mask. */
  value(mask: EdgeMask): Float64Array {
    return this.values(1, () => mask)[0] as Float64Array;
  }

  /**
   * The metric of each prompt under each of several masks, which are asked for one by one.
   *
   * @param onMask - called after each mask of each portion of prompts, with that portion's share of the prompts.
   */
  values(count: number, maskAt: (i: number) => EdgeMask, onMask?: (share: number) => void): Float64Array[] {
    const out = Array.from({ length: count }, () => new Float64Array(this.count));
    for (const { start, end } of this.portions) {
      const runs = this.#runsFrom(start, end);
      for (const [i, values] of out.entries()) {
        values.set(this.#valuesOf(runs.run(maskAt(i)), start), start);
        onMask?.((end - start) / this.count);
      }
    }
    return out;
  }

  /** The prompts in portions that fit into memory. */
  get portions(): { readonly start: number; readonly end: number }[] {
    const size = this.#portionSize;
    return Array.from({ length: Math.ceil(this.count / size) }, (_, i) => ({
      start: i * size,
      end: Math.min(this.count, (i + 1) * size),
    }));
  }

  /** What senders write for a portion of the prompts, and what they write ablated: nothing where it is undefined. */
  outputs(start: number, end: number): { outputs: SenderOutputs; ablated: SenderOutputs | undefined } {
    const outputs = this.#outputsOf(this.prompts(start, end));
    return { outputs, ablated: this.#ablated(start, end)?.() };
  }

  /** A portion of the prompts. */
  prompts(start: number, end: number): Prompts {
    return somePrompts(this.#prompts.clean, range(start, end));
  }

  /** The metric of a portion of the prompts. */
  metricOf(start: number, end: number): Metric {
    const { metric } = this;
    if (start === 0 && end === this.count) return metric;
    const { positions, tokens } = metric.reads;
    const own = positions === "all" || positions.length === 1 ? positions : positions.slice(start, end);
    const all = Array.from({ length: end - start }, (_, i) => i);
    const shifted = (input: MetricInput = {}): MetricInput => ({
      ...input,
      prompts: (input.prompts ?? all).map((prompt) => start + prompt),
    });
    return {
      name: metric.name,
      reads: { positions: own, tokens },
      values: (logits, input) => metric.values(logits, shifted(input)),
      ...(metric.gradient !== undefined && {
        gradient: (logits: Tensor<"batch pos d_vocab">, input?: MetricInput) =>
          (metric as Required<Metric>).gradient(logits, shifted(input)),
      }),
    };
  }

  /** All prompts at once where the metric has to see them together. */
  get #portionSize(): number {
    if (this.metric.together === true) return this.count;
    const each = (this.#graph.nodes.length - 1) * this.#prompts.clean.tokens.sizeOf("pos") * this.#model.config.d_model;
    return Math.max(1, Math.min(this.count, Math.floor(this.#most / each)));
  }

  #runsFrom(start: number, end: number): EdgeRuns {
    if (this.#portion?.start === start) return this.#portion.runs;
    this.#portion = undefined;
    const runs = new EdgeRuns(
      this.#model,
      this.#graph,
      this.prompts(start, end),
      this.#ablated(start, end),
      this.#from,
    );
    this.#portion = { start, runs };
    return runs;
  }

  /** What senders write when they are ablated. */
  #ablated(start: number, end: number): (() => SenderOutputs) | undefined {
    const { corrupted, clean, reference } = this.#prompts;
    const wanted = range(start, end);
    if (this.ablation === "zero") return undefined;
    if (this.ablation === "mean") return () => this.#meanOf(end - start);
    if (this.ablation === "counterfactual") {
      return () => this.#outputsOf(somePrompts(corrupted as MaskedTokens, wanted));
    }
    const drawn = promptsDrawn(this.#prompts, this.#seed);
    const others = wanted.map((b) => drawn[b] as number);
    return () => this.#outputsOf(somePrompts(reference ?? clean, others));
  }

  #outputsOf({ tokens, attentionMask }: Prompts): SenderOutputs {
    const { cache } = this.#model.run(tokens, { cache: isSenderHook, unembed: "none", attentionMask });
    return senderOutputs(this.#model, this.#graph, cache);
  }

  #meanOf(into: number): SenderOutputs {
    const senders = this.#graph.nodes.length - 1;
    this.#mean ??= this.#meanOfAll(senders);
    return repeated(this.#mean, senders, into);
  }

  #meanOfAll(senders: number): SenderOutputs {
    const from = this.#prompts.reference ?? this.#prompts.clean;
    const [batch = 0, pos = 0] = from.tokens.shape;
    const size = pos * this.#model.config.d_model;
    const step = Math.max(1, Math.floor(this.#most / (senders * size)));
    const sum = new Float64Array(senders * size);
    const counts = new Float64Array(pos);
    for (let start = 0; start < batch; start += step) {
      const prompts = range(start, Math.min(batch, start + step));
      const visible = prompts.map((b) => from.mask?.visible.subarray(b * pos, (b + 1) * pos));
      addPrompts(this.#outputsOf(somePrompts(from, prompts)), senders, visible, sum);
      for (const text of visible) for (let p = 0; p < pos; p++) (counts[p] as number) += text?.[p] ?? 1;
    }
    const d = this.#model.config.d_model;
    // Where no prompt has text, nothing reads the mean.
    return Float32Array.from(sum, (x, i) => x / Math.max(1, counts[Math.floor(i / d) % pos] as number));
  }

  /** The metric of a final stream from the first position that is read on. */
  #valuesOf(resid: Tensor<"batch pos d_model">, start: number): Float64Array {
    const [batch = 0, length = 0, d = 0] = resid.shape;
    const pos = this.#prompts.clean.tokens.sizeOf("pos");
    const prompts = Array.from({ length: batch }, (_, b) => start + b);
    const read = prompts.map((p) => readPositions(this.metric, p, pos));
    const count = read[0]?.length ?? 0;
    const data = rawData(resid);
    const rows = new Float32Array(batch * count * d);
    for (const [b, list] of read.entries()) {
      for (const [i, p] of list.entries()) {
        const from = (b * length + p - this.#from) * d;
        rows.set(data.subarray(from, from + d), (b * count + i) * d);
      }
    }
    const final = tensorOf("batch pos d_model", [batch, count, d], rows);
    const normalized = this.#model.ln_final === undefined ? final : this.#model.ln_final.apply(final);
    const logits = add(matmul(normalized, this.#unembed.W_U), this.#unembed.b_U);
    return this.metric.values(logits, { prompts, selected: true });
  }
}

/** `d_model` of a graph read from a file that does not say it. */
const UNKNOWN_WIDTH = 1;

/** Refuses a graph of other sizes than the model's. A graph may have MLPs that the model has not: they do nothing. */
export function requireGraphOf(model: Transformer, graph: CircuitGraph, operation: string): void {
  const { config } = model;
  requireGraph(graph, operation);
  requireOwnKeys(config, operation);
  const isParallel = config.parallel_attn_mlp ?? false;
  const isSame =
    graph.config.n_layers === config.n_layers &&
    graph.config.n_heads === config.n_heads &&
    (graph.config.d_model === config.d_model || graph.config.d_model === UNKNOWN_WIDTH) &&
    (config.attn_only || (!graph.config.attn_only && graph.config.parallel_attn_mlp === isParallel));
  if (isSame) return;
  throw new InputError(
    `the circuit is of another model: ${String(graph)}, d_model=${graph.config.d_model}; but this model has n_layers=${config.n_layers}, n_heads=${config.n_heads}, d_model=${config.d_model}${config.attn_only ? "" : `, MLPs, parallel_attn_mlp=${isParallel}`}. Take circuitGraph(model).`,
    {
      operation,
      argument: "graph",
      expected: config,
      actual: nameOf(graph),
    },
  );
}
