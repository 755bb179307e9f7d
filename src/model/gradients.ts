/**
 * Gradients of a metric: how it changes with every activation and every weight.
 *
 * One run that keeps what the derivatives need, and one pass back (`backward/`). The gradient at a hook is the one that
 * TransformerLens 3.x leaves in `tensor.grad` of what a hook passes on; at `hook_attn_in`, `hook_q_input` and their
 * like it is that of each head's own input. The hooks of `ln1` fire three times there, for queries, keys and values:
 * here once, and the gradient is the sum.
 */
import { InputError, nameOf, requireKind } from "../errors.ts";
import { keepForKernels, withRecycling, withWorkspace } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { dataForResult, tensorOf } from "../tensor/internal.ts";
import { activationsFor, runBackward } from "./backward/backward.ts";
import type { PassedEdit } from "./backward/hooks.ts";
import { Backward } from "./backward/pass.ts";
import { requireHook, scalarOf } from "./backward/scalar.ts";
import type { GradientSeeds } from "./backward/scalar.ts";
import { paddingMask } from "./attention-mask.ts";
import type { AttentionMask } from "./attention-mask.ts";
import { derivativeOf } from "./edit-derivatives.ts";
import { resolveEdits } from "./edits.ts";
import type { EditsLike } from "./edits.ts";
import type { AxesOfHook, Edit, Edits, HookName } from "./hooks.ts";
import { RowMetric } from "./metric.ts";
import type { MetricLike } from "./metric.ts";
import type { ModelConfig } from "./model-config.ts";
import { orderOf } from "./session.ts";
import { toTokenTensor } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";
import type { Transformer } from "./transformer.ts";

/**
 * What {@link gradients} is asked for.
 * @category Model
 */
export interface GradientOptions {
  /** Hooks whose gradients to keep: names, or a predicate over them; none unless given. */
  readonly at?: readonly HookName[] | ((name: HookName) => boolean);
  /** Weights whose gradients to compute: all, none, or those named; all where no hooks are asked for. */
  readonly parameters?: boolean | readonly string[];
  /** Changes of activations as they pass; see {@link editWithDerivative}. */
  readonly edits?: EditsLike;
  /** Which positions are text (1) and which are padding (0), as a run takes it; all are text unless given. */
  readonly attentionMask?: AttentionMask | undefined;
  /** Cancels between layers. */
  readonly signal?: AbortSignal;
}

/**
 * A metric's value on prompts, and its gradients: those of `value`.
 * @category Model
 */
export interface Gradients {
  /** The mean of the metric over the prompts; where gradients were put in, the sum. */
  readonly value: number;
  /** The metric of each prompt. */
  readonly values: Float64Array;
  /** Gradients by weights, by their names. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The hooks whose gradients were kept, in the order in which they fire. */
  readonly names: readonly HookName[];
  /** The gradient by the activation at a hook; throws an {@link InputError} when it was not asked for. */
  readonly at: <N extends HookName>(name: N) => Tensor<AxesOfHook<N>>;
}

function gradientsOf(
  value: number,
  values: Float64Array,
  hooks: ReadonlyMap<HookName, Tensor>,
  parameters: ReadonlyMap<string, Tensor>,
): Gradients {
  const names = Object.freeze([...hooks.keys()]);
  const at = <N extends HookName>(name: N): Tensor<AxesOfHook<N>> => {
    const found = hooks.get(name);
    if (found !== undefined) return found as Tensor<AxesOfHook<N>>;
    throw new InputError(
      `the gradient at "${String(name)}" was not kept. Ask for it: gradients(model, tokens, metric, { at: ["${String(name)}"] }).`,
      { operation: "gradients.at", argument: "name", expected: names, actual: name },
    );
  };
  return Object.freeze({ value, values, parameters, names, at });
}

/**
 * Gradients of a metric by activations and weights, by a backward pass.
 *
 * They are gradients of the mean over prompts; prompts are independent, so one prompt's own are its part times the
 * number of prompts. Where the run is edited, the gradient at that hook is by the value that went on, and what lies
 * before gets what the edit's derivative passes: see {@link editWithDerivative}.
 *
 * @param model - the model; float64 weights are rounded to float32, as for runs.
 * @param tokens - ids of a prompt, or of several of equal length.
 * @param metric - a metric with a gradient, or gradients by activations to put in, by hook name.
 * @param options - `at`, the hooks to keep; `parameters`, the weights; `edits`; `attentionMask`; `signal`.
 * @throws {@link InputError} for tokens as in a run, a metric that reads padding, a hook or weight that the model does
 * not have, a metric without a gradient, or an edit without a derivative that the gradient would have to pass;
 * {@link ShapeError} or {@link AxisError} when a gradient put in is not as its activation.
 * @category Model
 * @example
 * ```ts
 * import { crossEntropy, gradients, logitDifference } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 5, 6, 7, 5, 6];
 * const metric = logitDifference({ answer: 7, wrong: 6 });
 * const { at, value } = gradients(model, tokens, metric, { at: ["blocks.1.attn.hook_z"] });
 * console.log(value.toFixed(3), String(at("blocks.1.attn.hook_z")));
 * // 11.086 Tensor[batch=1 pos=6 head=8 d_head=16] float32
 * const loss = gradients(model, tokens, crossEntropy(tokens));
 * console.log(String(loss.parameters.get("blocks.0.attn.W_Q")), loss.parameters.size);
 * // Tensor[head=8 d_model=128 d_head=16] float32 20
 * ```
 */
export function gradients(
  model: Transformer,
  tokens: TokensLike,
  metric: MetricLike | GradientSeeds,
  options: GradientOptions = {},
): Gradients {
  requireKind("model", model, "model", "gradients", options, "at parameters edits attentionMask signal");
  const { config } = model;
  const order: ReadonlyMap<string, number> = orderOf(config);
  const ids = toTokenTensor(config, tokens, "gradients");
  const wanted = wantedHooks(order, options.at);
  const parameters = wantedParameters(model, options);
  const storage = new Map(parameters.map((name) => [name, storageFor(name, model.weight(name).size)]));
  const { value, values, hooks } = passBack(model, ids, metric, { wanted, storage, ...options });
  const named = ([name, data]: readonly [string, FloatArray]): readonly [string, Tensor] => {
    const { axes, shape } = model.weight(name);
    return [name, tensorOf(axes, shape, data)];
  };
  return gradientsOf(value, values, hooks, new Map([...storage].map(named)));
}

/** Storage for the gradient by a weight; of the embedding few rows are written, which an array of the system serves. */
const storageFor = (name: string, size: number): FloatArray =>
  name === "embed.W_E" ? new Float32Array(size) : (dataForResult("float32", size) as FloatArray);

/**
 * Arrays for the gradient by every weight, for as many passes as wanted: in the kernels' memory, where they stay.
 */
export function parameterArrays(model: Transformer): Map<string, Float32Array> {
  const arrayOf = (size: number): Float32Array => {
    const zeros = new Float32Array(size);
    return keepForKernels(zeros, "weight") ?? zeros;
  };
  return new Map([...model.weights].map(([name, { size }]) => [name, arrayOf(size)]));
}

/**
 * {@link gradients} by weights, written over arrays that are kept, for a step of training: of the pass itself nothing
 * stays, as its arrays go back when it ends.
 */
export function gradientsInto(
  into: ReadonlyMap<string, Float32Array>,
  model: Transformer,
  tokens: TokensLike,
  metric: MetricLike | GradientSeeds,
  options: Pick<GradientOptions, "edits" | "attentionMask" | "signal"> = {},
): { readonly value: number; readonly values: Float64Array } {
  const ids = toTokenTensor(model.config, tokens, "gradients");
  into.get("embed.W_E")?.fill(0);
  const pass = (): ReturnType<typeof passBack> =>
    passBack(model, ids, metric, { wanted: new Set(), storage: into, ...options });
  // Where a caller's own functions see tensors they may keep them, and a model keeps its weights in float32.
  const isSeen = !(metric instanceof RowMetric) || options.edits !== undefined || model.inFloat32 !== model;
  const { value, values } = isSeen ? pass() : withRecycling(pass);
  return { value, values };
}

/** A run and a pass back. */
function passBack(
  model: Transformer,
  ids: Tensor<"batch pos">,
  metric: MetricLike | GradientSeeds,
  asked: {
    readonly wanted: ReadonlySet<HookName>;
    /** By parameter; that of the embedding is zero. */
    readonly storage: ReadonlyMap<string, FloatArray>;
  } & Pick<GradientOptions, "edits" | "attentionMask" | "signal">,
): { readonly value: number; readonly values: Float64Array; readonly hooks: ReadonlyMap<HookName, Tensor> } {
  const { config } = model;
  const { wanted, storage, attentionMask, signal } = asked;
  const mask = paddingMask(attentionMask, ids, "gradients");
  const order: ReadonlyMap<string, number> = orderOf(config);
  const scalar = scalarOf(metric, order, ids, mask);
  const first = Math.min(
    order.size,
    ...[...wanted].map((name) => order.get(name) ?? 0),
    ...[...storage.keys()].map((name) => placeOf(order, name)),
  );
  const firstLayer = layerAt([...order.keys()][first] ?? "", config);
  const { edits, passed, inputs } = recordedEdits(resolveEdits(config, asked.edits, mask), config);
  const sees = (name: HookName): boolean => wanted.has(name) || name in edits || scalar.hooks.includes(name);
  const needed = activationsFor(model.inFloat32, firstLayer, { pos: ids.sizeOf("pos"), mask, sees });
  const kept = new Set<string>([...needed, ...inputs, ...scalar.hooks]);
  const isWhole = wanted.has("unembed.hook_out") || "unembed.hook_out" in edits;
  const keeps = (name: HookName): boolean => kept.has(name);
  const run = scalar.run(model, ids, { cache: keeps, edits, attentionMask, signal }, isWhole);
  const activation = (name: HookName): Tensor => run.cache.get(name);
  return withWorkspace((take) => {
    const { value, values, seeds, atLogits } = scalar.start(run);
    const taken = (length: number): Float32Array => take("float32", length) as Float32Array;
    const request = { order, wanted, seeds, edits: passed, first, take: taken };
    const pass = new Backward(model.inFloat32, { tokens: ids, mask }, activation, request, (name) => storage.get(name));
    runBackward(pass, atLogits, firstLayer, signal);
    return { value, values, hooks: pass.hooks.inOrder() };
  });
}

function wantedHooks(order: ReadonlyMap<string, number>, at: GradientOptions["at"]): Set<HookName> {
  const all = [...order.keys()] as HookName[];
  if (typeof at === "function") return new Set(all.filter((name) => name !== "hook_tokens" && at(name)));
  const names: unknown = at ?? [];
  if (!Array.isArray(names)) {
    throw new InputError(`at is ${nameOf(names)}. Give a list of hook names, or a function that picks them.`, {
      operation: "gradients",
      argument: "at",
      expected: "a list or a function",
      actual: at,
    });
  }
  for (const name of names as HookName[]) requireHook(order, name);
  return new Set(names as HookName[]);
}

function wantedParameters(model: Transformer, { at, parameters = at === undefined }: GradientOptions): string[] {
  if (typeof parameters === "boolean") return parameters ? [...model.weights.keys()] : [];
  requireKind("list", parameters, "parameters", "gradients");
  for (const name of parameters) model.weight(name);
  return [...new Set(parameters)];
}

/** Where the gradient of a parameter is at hand, going back, as a place in the order of hooks. */
function placeOf(order: ReadonlyMap<string, number>, name: string): number {
  const layer = /^blocks\.\d+/.exec(name)?.[0];
  if (layer !== undefined) return order.get(`${layer}.hook_resid_pre`) ?? 0;
  if (name.startsWith("unembed")) return order.get("unembed.hook_in") ?? 0;
  return name.startsWith("ln_final") ? (order.get("ln_final.hook_scale") ?? 0) : 0;
}

/** The layer that a hook lies in; beyond the last where it lies after the layers, 0 where before. */
function layerAt(name: string, config: ModelConfig): number {
  const layer = /^blocks\.(\d+)/.exec(name)?.[1];
  if (layer !== undefined) return Number(layer);
  return /^(hook_embed|hook_pos_embed|hook_tokens)$/.test(name) ? 0 : config.n_layers;
}

/** Edits that remember what they were given, and hooks whose activations their derivatives read. */
function recordedEdits(
  given: Edits,
  config: ModelConfig,
): { readonly edits: Edits; readonly passed: ReadonlyMap<HookName, PassedEdit>; readonly inputs: readonly HookName[] } {
  const passed = new Map<HookName, PassedEdit>();
  const entries = (Object.entries(given) as [HookName, Edit | undefined][]).map(
    ([name, edit]): readonly [HookName, Edit | undefined] => {
      if (typeof edit !== "function") return [name, edit];
      const derivative = derivativeOf(edit);
      const recorded: Edit = (value, hook) => {
        passed.set(hook, { derivative, before: value });
        return edit(value, hook);
      };
      return [name, recorded];
    },
  );
  const isSplit = entries.some(([name]) => /\.hook_(attn_in|[qkv]_input)$/.test(name));
  const layers = isSplit ? Array.from({ length: config.n_layers }, (_, layer) => layer) : [];
  const inputs = layers.flatMap((layer) =>
    (["q", "k", "v"] as const).map((side) => `blocks.${layer}.hook_${side}_input` as const),
  );
  return { edits: Object.fromEntries(entries) as unknown as Edits, passed, inputs };
}
