/**
 * Estimates of what each edge is worth, by gradients: for the edge from sender s to reader r,
 *
 * $$\sum (y_s - a_s) \cdot \frac{\partial m}{\partial x_r},$$
 *
 * $y_s$ what the sender writes, $a_s$ what it writes ablated, $x_r$ what the reader reads. Edge attribution patching
 * takes the gradient of the clean run (Syed et al. 2310.10348); with integrated gradients it is the mean over runs
 * between the ablated and the clean embedding ("inputs"), or in which one layer's heads or one MLP after the other is
 * between ("activations"; Hanna et al. 2403.17806). Steps and their places are EAP-IG's.
 */
import { InputError, requireKind } from "../../../errors.ts";
import { Steps } from "../../../progress.ts";
import { editAt, editWithDerivative, gradients } from "../../../model/index.ts";
import type { Edit, Edits, HookName, MetricLike, Transformer } from "../../../model/index.ts";
import { requireChoice, requireCount } from "../../../model/internal.ts";
import { batchMatmul, Tensor } from "../../../tensor/index.ts";
import { tensorOf, viewOf } from "../../../tensor/internal.ts";
import { Circuit, circuitGraph } from "../circuits/index.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import { checkPrompts } from "./circuit-prompts.ts";
import type { CircuitPrompts } from "./circuit-prompts.ts";
import { CircuitRuns } from "./circuit-runs.ts";
import type { EdgeEffects, EdgeScoreOptions } from "./exact-edges.ts";
import { rankAgreement } from "./rank-agreement.ts";
import type { RankAgreement } from "./rank-agreement.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

/**
 * A way to estimate what edges are worth: edge attribution patching, and with integrated gradients over the inputs or
 * over activations.
 * @category Circuit discovery
 */
export type AttributionMethod = "eap" | "eap-ig-inputs" | "eap-ig-activations";

/**
 * Options of {@link edgeAttribution}.
 * @category Circuit discovery
 */
export interface EdgeAttributionOptions extends EdgeScoreOptions {
  /** `"eap"` unless given. */
  readonly method?: AttributionMethod | undefined;
  /** Steps of integrated gradients; 5 unless given, as in the benchmark. */
  readonly steps?: number | undefined;
  /** The exact effects, which the estimate is compared with. */
  readonly exact?: EdgeEffects | undefined;
}

/**
 * What edges are worth by an estimate.
 * @category Circuit discovery
 */
export interface EdgeAttribution extends EdgeEffects {
  /** How well the estimate ranks the exact effects, where they were given. */
  readonly agreement: RankAgreement | undefined;
  /** `[edge, pos]`: what each position adds to the score, the mean over prompts; padding adds nothing. */
  readonly byPosition: Tensor<"edge pos">;
}

/**
 * Estimates by how much the metric falls when each edge is cut, from gradients: one run and one pass back for `"eap"`,
 * as many as there are steps with integrated gradients.
 *
 * @param prompts - prompts of one length, padded or not, with their corrupted counterparts where edges are to carry
 * those.
 * @param metric - a metric with a gradient.
 * @throws {@link InputError} or {@link ShapeError} for prompts or a metric that do not fit, or a metric without a
 * gradient; the signal's reason when aborted.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { edgeAttribution, exactEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 12, batch: 2, seed: 0, bos: 0 });
 * const metric = crossEntropy(prompts);
 * const exact = exactEdges(model, prompts, metric, { ablation: "resample" });
 * const options = { ablation: "resample", exact } as const;
 * const { agreement } = edgeAttribution(model, prompts, metric, options);
 * console.log((agreement?.auroc ?? 0) > 0.8);
 * // true
 * ```
 */
export function edgeAttribution(
  model: Transformer,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: EdgeAttributionOptions = {},
): EdgeAttribution {
  const operation = "edgeAttribution";
  const known = "method steps exact ablation graph seed attentionMask signal onProgress";
  requireKind("model", model, "model", operation, options, known);
  const { method = "eap", steps = 5, exact } = options;
  requireChoice(method, ["eap", "eap-ig-inputs", "eap-ig-activations"], "method", operation);
  requireCount(steps, "steps", operation);
  const { graph = circuitGraph(model) } = options;
  const checked = checkPrompts(model, prompts, operation, options.attentionMask);
  const runs = new CircuitRuns(model, graph, checked, metric, { ...options, operation });
  if (runs.metric.gradient === undefined) {
    throw new InputError(`the metric ${runs.metric.name} has no gradient. Give customMetric one, or use exactEdges.`, {
      operation,
      argument: "metric",
      expected: "a metric with a gradient",
      actual: runs.metric.name,
    });
  }
  const passes = passesOf(graph, method, steps);
  const count = runs.count;
  const pos = checked.clean.tokens.sizeOf("pos");
  const total = new EdgeSums(graph, count, pos, model.config.d_model);
  const clean = new Float64Array(count);
  const progress = new Steps(options, passes.length * runs.portions.length);
  const at = readerHooks(model, graph);
  const hooks = new Set(at);
  for (const { start, end } of runs.portions) {
    const { outputs, ablated } = runs.outputs(start, end);
    const { tokens, attentionMask } = runs.prompts(start, end);
    const own = runs.metricOf(start, end);
    const differences = ablated === undefined ? outputs : outputs.map((y, i) => y - (ablated[i] ?? 0));
    const parts = { outputs, ablated, batch: end - start, pos };
    for (const pass of passes) {
      const edits = pass === undefined ? {} : between(model, parts, pass);
      const found = gradients(model, tokens, own, {
        at,
        edits,
        parameters: false,
        attentionMask,
        ...signalOf(options),
      });
      if (pass === undefined) clean.set(found.values, start);
      total.add(found, hooks, differences, start, end - start, 1 / passes.length);
      progress.advance();
    }
  }
  if (method !== "eap") clean.set(runs.value({ edges: new Uint8Array(graph.size), cuts: true }));
  const { effects, byPosition } = total;
  const scores = Float64Array.from({ length: graph.size }, (_, edge) => {
    let sum = 0;
    for (let b = 0; b < count; b++) sum += effects[edge * count + b] ?? 0;
    return sum / count;
  });
  const ofSteps = method === "eap" ? {} : { steps };
  const provenance = { method, ...ofSteps, metric: runs.metric.name, ablation: runs.ablation, prompts: count };
  const circuit = Circuit.from(graph, { edges: "all", scores, provenance });
  return {
    circuit,
    effects: Tensor.from("edge batch", [graph.size, count], effects),
    clean: Tensor.from("batch", [count], clean),
    agreement: exact === undefined ? undefined : rankAgreement(circuit, exact.circuit),
    byPosition: Tensor.from("edge pos", [graph.size, pos], byPosition),
  };
}

const signalOf = ({ signal }: EdgeScoreOptions): { signal?: AbortSignal } => (signal === undefined ? {} : { signal });

/** One run of integrated gradients: which senders are between ablated and clean, and how near to clean. */
interface Pass {
  /** The hook of what the senders write; of MLPs that only the graph has, none. */
  readonly hook: HookName;
  readonly first: number;
  readonly count: number;
  readonly share: number;
}

/** The runs of a method; `undefined` is the clean run. */
function passesOf(graph: CircuitGraph, method: AttributionMethod, steps: number): (Pass | undefined)[] {
  if (method === "eap") return [undefined];
  const inputs = { hook: "hook_embed", first: 0, count: 1 } as const;
  if (method === "eap-ig-inputs") return Array.from({ length: steps }, (_, k) => ({ ...inputs, share: k / steps }));
  const groups: Omit<Pass, "share">[] = [inputs];
  const { n_layers, n_heads, attn_only } = graph.config;
  for (let layer = 0; layer < n_layers; layer++) {
    const first = graph.place(`a${layer}.h0`) ?? 0;
    groups.push({ hook: `blocks.${layer}.attn.hook_result`, first, count: n_heads });
    if (!attn_only) groups.push({ hook: `blocks.${layer}.hook_mlp_out`, first: first + n_heads, count: 1 });
  }
  return groups.flatMap((group) => Array.from({ length: steps }, (_, k) => ({ ...group, share: (k + 1) / steps })));
}

interface PassParts {
  readonly outputs: SenderOutputs;
  readonly ablated: SenderOutputs | undefined;
  readonly batch: number;
  readonly pos: number;
}

/** The edit that puts what senders write between ablated and clean; nothing of it passes back. */
function between(model: Transformer, parts: PassParts, { hook, first, count, share }: Pass): Edits {
  if (hook.endsWith("hook_mlp_out") && model.config.act_fn === undefined) return {};
  const { outputs, ablated, batch, pos } = parts;
  const d = model.config.d_model;
  const rows = batch * pos;
  const out = new Float32Array(count * rows * d);
  for (let s = 0; s < count; s++) {
    for (let row = 0; row < rows; row++) {
      const from = ((first + s) * rows + row) * d;
      const to = (row * count + s) * d;
      for (let i = 0; i < d; i++) {
        const y = outputs[from + i] as number;
        const a = ablated === undefined ? 0 : (ablated[from + i] as number);
        out[to + i] = share * y + (1 - share) * a;
      }
    }
  }
  const isPerHead = hook.endsWith("hook_result");
  const axes = isPerHead ? "batch pos head d_model" : "batch pos d_model";
  const value: Tensor = Tensor.from(axes, isPerHead ? [batch, pos, count, d] : [batch, pos, d], out);
  const edit = (() => value) as unknown as Edit;
  const none = (gradient: Tensor): Tensor => Tensor.zeros(gradient.axes, gradient.shape);
  return editAt(hook, editWithDerivative(edit, none as never));
}

/** The hooks at which readers read. */
function readerHooks(model: Transformer, graph: CircuitGraph): HookName[] {
  const { n_layers } = graph.config;
  if (n_layers === 0) return ["hook_embed"];
  const names: HookName[] = [];
  for (let layer = 0; layer < n_layers; layer++) {
    for (const side of ["q", "k", "v"] as const) names.push(`blocks.${layer}.hook_${side}_input`);
    if (model.config.act_fn !== undefined) names.push(`blocks.${layer}.hook_mlp_in`);
  }
  return [...names, `blocks.${n_layers - 1}.hook_resid_post`];
}

/** Products of differences and gradients, summed by prompt and by position. */
class EdgeSums {
  readonly effects: Float64Array;
  readonly byPosition: Float64Array;
  readonly #graph: CircuitGraph;
  readonly #count: number;
  readonly #pos: number;
  readonly #width: number;

  constructor(graph: CircuitGraph, count: number, pos: number, d_model: number) {
    this.#graph = graph;
    this.#count = count;
    this.#pos = pos;
    this.#width = d_model;
    this.effects = new Float64Array(graph.size * count);
    this.byPosition = new Float64Array(graph.size * pos);
  }

  /** Adds a share of one pass back over a portion of the prompts. */
  add(
    found: { at(name: HookName): Tensor },
    has: ReadonlySet<HookName>,
    differences: Float32Array,
    start: number,
    batch: number,
    share: number,
  ): void {
    const { readers, config } = this.#graph;
    for (let first = 0; first < readers.length;) {
      const { layer, input, senders } = readers[first] ?? { layer: 0, input: undefined, senders: 0 };
      const isLast = layer === config.n_layers;
      const last: HookName = layer === 0 ? "hook_embed" : `blocks.${layer - 1}.hook_resid_post`;
      const own: HookName = input === undefined ? `blocks.${layer}.hook_mlp_in` : `blocks.${layer}.hook_${input}_input`;
      const width = input === undefined ? 1 : config.n_heads;
      const name = isLast ? last : own;
      if (has.has(name)) this.#addReaders(found.at(name), differences, { first, width, senders, start, batch, share });
      first += width;
    }
  }

  #addReaders(
    gradient: Tensor,
    differences: Float32Array,
    {
      first,
      width,
      senders,
      start,
      batch,
      share,
    }: Record<"first" | "width" | "senders" | "start" | "batch" | "share", number>,
  ): void {
    const rows = batch * this.#pos;
    const d = this.#width;
    const block = tensorOf("all", [differences.length], differences);
    const D = viewOf(block, "row sender d_model", { shape: [rows, senders, d], strides: [d, rows * d, 1], offset: 0 });
    const flat = tensorOf("all", [gradient.size], gradient.data);
    const G = viewOf(flat, "row d_model reader", { shape: [rows, d, width], strides: [width * d, 1, d], offset: 0 });
    const products = batchMatmul(D, G).data;
    // Gradients are of the mean over this portion's prompts.
    const factor = share * batch;
    for (let row = 0; row < rows; row++) {
      const prompt = start + Math.floor(row / this.#pos);
      const p = row % this.#pos;
      for (let s = 0; s < senders; s++) {
        for (let r = 0; r < width; r++) {
          const edge = this.#graph.between(s, first + r) ?? 0;
          const product = factor * (products[(row * senders + s) * width + r] as number);
          const at = edge * this.#count + prompt;
          this.effects[at] = (this.effects[at] as number) + product;
          const place = edge * this.#pos + p;
          this.byPosition[place] = (this.byPosition[place] as number) + product / this.#count;
        }
      }
    }
  }
}
