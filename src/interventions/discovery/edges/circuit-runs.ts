/** A metric of a model under masks of edges: prompts in portions that fit into memory, each as the ablation has it. */
import { InputError, nameOf, requireObject, ShapeError } from "../../../errors.ts";
import { toTokenTensor } from "../../../model/index.ts";
import type { Metric, MetricInput, MetricLike, TokensLike, Transformer } from "../../../model/index.ts";
import { metricOf, readPositions, requireChoice, requireMetricOf, requireOwnKeys } from "../../../model/internal.ts";
import { add, gather, matmul } from "../../../tensor/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { rawData, tensorOf } from "../../../tensor/internal.ts";
import { alike, drawnPrompts } from "../../drawn-prompts.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import { EdgeRuns } from "./edge-runs.ts";
import type { EdgeMask } from "./edge-weights.ts";
import { isSenderHook, meanOverPrompts, senderOutputs } from "./sender-outputs.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

/**
 * What a cut edge carries: nothing (`"zero"`); the mean over prompts of what its sender writes at each position
 * (`"mean"`); what it writes in another prompt, drawn at random (`"resample"`); what it writes in the corrupted prompt
 * (`"counterfactual"`, the benchmark's `patching`).
 * @category Circuit discovery
 */
export type EdgeAblation = "zero" | "mean" | "resample" | "counterfactual";

/** The ablations, in the order in which tables have them. */
export const ABLATIONS = ["zero", "mean", "resample", "counterfactual"] as const;

/**
 * The prompts that a circuit is found or judged on, all of one length: the prompts alone, or with others beside them.
 * @category Circuit discovery
 */
export type CircuitPrompts =
  | TokensLike
  | {
      /** The prompts. */
      readonly clean: TokensLike;
      /** A corrupted prompt for each, for `"counterfactual"`. */
      readonly corrupted?: TokensLike | undefined;
      /**
       * Other prompts, of which `"mean"` is the mean and from which `"resample"` draws; the prompts themselves unless
       * given.
       */
      readonly reference?: TokensLike | undefined;
    };

/** {@link CircuitPrompts}, checked. */
export interface CheckedPrompts {
  readonly clean: Tensor<"batch pos">;
  readonly corrupted: Tensor<"batch pos"> | undefined;
  readonly reference: Tensor<"batch pos"> | undefined;
}

/** Prompts of one length that the model can run. */
export function checkPrompts(model: Transformer, prompts: CircuitPrompts, operation: string): CheckedPrompts {
  const parts = isParts(prompts) ? prompts : { clean: prompts };
  if (isParts(prompts)) requireObject(prompts, "prompts", operation, "clean corrupted reference");
  const clean = toTokenTensor(model.config, parts.clean, operation);
  const others = (["corrupted", "reference"] as const).map((name) => {
    const given = parts[name];
    if (given === undefined) return undefined;
    const tokens = toTokenTensor(model.config, given, operation);
    const [batch, pos] = tokens.shape;
    if (pos === clean.shape[1] && (name === "reference" || batch === clean.shape[0])) return tokens;
    const mend = name === "reference" ? "Give prompts of the same length." : "Give one of the same length for each.";
    throw new ShapeError(
      `the ${name} prompts are [${tokens.shape.join(", ")}], the prompts [${clean.shape.join(", ")}]. ${mend}`,
      {
        operation,
        argument: name,
        expected: clean.shape,
        actual: tokens.shape,
      },
    );
  });
  return { clean, corrupted: others[0], reference: others[1] };
}

const isParts = (prompts: CircuitPrompts): prompts is Exclude<CircuitPrompts, TokensLike> =>
  typeof prompts === "object" && (prompts as unknown) !== null && "clean" in prompts;

/**
 * The ablation asked for, or the one that the prompts allow: counterfactual where there are corrupted ones, else zero.
 */
export function ablationOf(
  asked: EdgeAblation | undefined,
  { clean, corrupted, reference }: CheckedPrompts,
  operation: string,
): EdgeAblation {
  const ablation = asked ?? (corrupted === undefined ? "zero" : "counterfactual");
  requireChoice(ablation, [...ABLATIONS], "ablation", operation);
  if (ablation === "counterfactual" && corrupted === undefined) {
    throw new InputError("there are no corrupted prompts. Give them: { clean, corrupted }, or another ablation.", {
      operation,
      argument: "corrupted",
      expected: "a corrupted prompt for each",
      actual: undefined,
    });
  }
  const count = clean.sizeOf("batch");
  if ((ablation === "mean" || ablation === "resample") && reference === undefined && count < 2) {
    throw new InputError(
      `"${ablation}" ablation of one prompt without others is that prompt itself, so nothing would change. Give several prompts, or reference prompts.`,
      { operation, argument: "prompts", expected: "at least 2 prompts", actual: count },
    );
  }
  return ablation;
}

/** Whether a metric is one that training makes small. */
export const isLoss = (name: string): boolean => name === "loss" || name === "KL divergence";

/** Portions of prompts are as large as makes so many numbers of one array of sender outputs. */
const PORTION = 2 ** 24;

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
    this.metric = metricOf(metric, operation);
    this.ablation = ablationOf(ablation, prompts, operation);
    this.count = prompts.clean.sizeOf("batch");
    this.#model = model.inFloat32;
    this.#graph = graph;
    this.#prompts = prompts;
    this.#seed = seed;
    this.#most = portion;
    requireMetricOf(this.metric, this.count, operation);
    const pos = prompts.clean.sizeOf("pos");
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
    const outputs = this.#outputsOf(this.#prompts.clean.slice("batch", start, end));
    return { outputs, ablated: this.#ablated(start, end)?.() };
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
    const each = (this.#graph.nodes.length - 1) * this.#prompts.clean.sizeOf("pos") * this.#model.config.d_model;
    return Math.max(1, Math.min(this.count, Math.floor(this.#most / each)));
  }

  #runsFrom(start: number, end: number): EdgeRuns {
    if (this.#portion?.start === start) return this.#portion.runs;
    this.#portion = undefined;
    const tokens = this.#prompts.clean.slice("batch", start, end);
    const runs = new EdgeRuns(this.#model, this.#graph, tokens, this.#ablated(start, end), this.#from);
    this.#portion = { start, runs };
    return runs;
  }

  /** What senders write when they are ablated. */
  #ablated(start: number, end: number): (() => SenderOutputs) | undefined {
    const { corrupted, clean, reference } = this.#prompts;
    if (this.ablation === "zero") return undefined;
    if (this.ablation === "mean") return () => this.#meanOf(end - start);
    const other = this.ablation === "counterfactual" ? corrupted : gather(reference ?? clean, "batch", this.#drawn());
    return () => this.#outputsOf((other as Tensor<"batch pos">).slice("batch", start, end));
  }

  /** Which prompt stands in for each: another one, or any of the reference. */
  #drawn(): number[] {
    const others = this.#prompts.reference?.sizeOf("batch");
    return drawnPrompts(this.#seed, alike(this.count), others === undefined ? undefined : alike(others));
  }

  #outputsOf(tokens: Tensor<"batch pos">): SenderOutputs {
    const { cache } = this.#model.run(tokens, { cache: isSenderHook });
    return senderOutputs(this.#model, this.#graph, cache);
  }

  #meanOf(into: number): SenderOutputs {
    const senders = this.#graph.nodes.length - 1;
    this.#mean ??= this.#meanOfAll(senders);
    return meanOverPrompts(this.#mean, senders, 1, into);
  }

  #meanOfAll(senders: number): SenderOutputs {
    const tokens = this.#prompts.reference ?? this.#prompts.clean;
    const [batch = 0, pos = 0] = tokens.shape;
    const size = pos * this.#model.config.d_model;
    const step = Math.max(1, Math.floor(this.#most / (senders * size)));
    const sum = new Float64Array(senders * size);
    for (let start = 0; start < batch; start += step) {
      const end = Math.min(batch, start + step);
      const mean = meanOverPrompts(this.#outputsOf(tokens.slice("batch", start, end)), senders, end - start, 1);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (mean[i] as number) * (end - start);
    }
    return Float32Array.from(sum, (x) => x / batch);
  }

  /** The metric of a final stream from the first position that is read on. */
  #valuesOf(resid: Tensor<"batch pos d_model">, start: number): Float64Array {
    const [batch = 0, length = 0, d = 0] = resid.shape;
    const pos = this.#prompts.clean.sizeOf("pos");
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

/** Refuses a graph of other sizes than the model's. A graph may have MLPs that the model has not: they do nothing. */
export function requireGraphOf(model: Transformer, graph: CircuitGraph, operation: string): void {
  const { config } = model;
  requireOwnKeys(config, operation);
  const isParallel = config.parallel_attn_mlp ?? false;
  const isSame =
    graph.config.n_layers === config.n_layers &&
    graph.config.n_heads === config.n_heads &&
    (config.attn_only || (!graph.config.attn_only && graph.config.parallel_attn_mlp === isParallel));
  if (isSame) return;
  throw new InputError(
    `the circuit is of another model: ${String(graph)}, but this model has n_layers=${config.n_layers}, n_heads=${config.n_heads}${config.attn_only ? "" : `, MLPs, parallel_attn_mlp=${isParallel}`}. Take circuitGraph(model).`,
    {
      operation,
      argument: "graph",
      expected: config,
      actual: nameOf(graph),
    },
  );
}
