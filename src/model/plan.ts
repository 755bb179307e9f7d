/** What a run has to do, of checked options: where it begins and ends, which hooks pass, which logits it computes. */
import { InputError, requireKind, requireObject, ShapeError } from "../errors.ts";
import { add } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../tensor/internal.ts";
import { paddingMask } from "./attention-mask.ts";
import type { PaddingMask } from "./attention-mask.ts";
import { resolveEdits } from "./edits.ts";
import { positionalEmbedding } from "./embedding.ts";
import type { ModelParts, RunningModel } from "./embedding.ts";
import type { HeadVectors, Stream } from "./head-products.ts";
import { hookNames, noSuchHook } from "./hooks.ts";
import type { HookName } from "./hooks.ts";
import type { ModelConfig } from "./model-config.ts";
import { traceOf, RUN } from "./run.ts";
import type { AllRunOptions, AnyRun, RunStart } from "./run.ts";
import { HookSession } from "./session.ts";
import { logitSelection } from "./unembedding.ts";
import type { LogitSelection } from "./unembedding.ts";

/** What a run has to do. */
export interface Plan {
  /** The model in float32. */
  readonly parts: ModelParts;
  readonly tokens: Tensor<"batch pos">;
  readonly hooks: HookSession;
  readonly mask: PaddingMask | undefined;
  /** Where it begins, unless with the tokens. */
  readonly start: Start | undefined;
  /** The layer before which it stops. */
  readonly stopLayer: number | undefined;
  readonly logits: LogitSelection;
}

/** Hooks inside a layer at which a run can begin. */
const STARTS = ["attn.hook_z", "hook_attn_out", "hook_resid_mid", "hook_resid_post"] as const;

/** A place to begin. */
export interface Start {
  readonly layer: number;
  /** The hook to begin at; before the layer where there is none. */
  readonly hook: (typeof STARTS)[number] | undefined;
  /** The stream before the layer; what `value` is where that alone is needed. */
  readonly resid: Stream;
  /** What comes to the hook. */
  readonly value: Stream | HeadVectors;
  readonly shortformer: Stream | undefined;
}

/** Checks what a run is asked for. */
export function planOf(model: RunningModel, tokens: Tensor<"batch pos">, options: AllRunOptions): Plan {
  const parts = model.inFloat32;
  const { config } = parts;
  const { stopAt, unembed, directions } = options;
  const earlier = options.from !== undefined && "run" in options.from ? options.from.run : undefined;
  const mask = paddingMask(options.attentionMask, tokens, "run") ?? (earlier && traceOf(earlier)?.mask);
  const start = options.from === undefined ? undefined : startOf(model, tokens, options.from, mask);
  const isPartial = unembed === "none" || stopAt !== undefined;
  const stopLayer = typeof stopAt === "number" ? layerNumber(stopAt, config, "stopAt") : undefined;
  const hooks = new HookSession(config, options.cache ?? "all", resolveEdits(config, options.edits, mask), {
    first: start && firstHook(config, start),
    last: typeof stopAt === "string" ? stopAt : undefined,
    end: stopLayer === undefined ? undefined : hookBefore(config, stopLayer),
    isPartial,
  });
  const logits = unembed === "none" || isPartial ? {} : logitSelection(config, tokens, mask, { unembed, directions });
  return { parts, tokens, hooks, mask, start, stopLayer, logits };
}

/** The number of a layer; a negative one counts from the end. */
function layerNumber(layer: number, { n_layers }: ModelConfig, argument: string): number {
  const counted = layer < 0 ? layer + n_layers : layer;
  if (Number.isSafeInteger(counted) && counted >= 0 && counted <= n_layers) return counted;
  throw new InputError(
    `${argument} is layer ${layer}; this model has layers 0 to ${n_layers - 1}, and ${n_layers} is its end.`,
    {
      operation: "run",
      argument,
      expected: [-n_layers, n_layers],
      actual: layer,
    },
  );
}

/** The first hook of a layer, or of what follows the last. */
function hookBefore(config: ModelConfig, layer: number): HookName {
  if (layer < config.n_layers) return `blocks.${layer}.hook_resid_pre`;
  return config.normalization_type === null ? "unembed.hook_in" : "ln_final.hook_scale";
}

function firstHook(config: ModelConfig, { layer, hook }: Start): HookName {
  return hook === undefined ? hookBefore(config, layer) : `blocks.${layer}.${hook}`;
}

function startOf(
  model: RunningModel,
  tokens: Tensor<"batch pos">,
  from: RunStart,
  mask: PaddingMask | undefined,
): Start {
  requireObject(from, "from", "run", "layer resid hook run");
  const parts = model.inFloat32;
  const isStandard = parts.config.positional_embedding_type === "standard";
  if ("resid" in from) {
    const layer = layerNumber(from.layer, parts.config, "from.layer");
    requireStream(from.resid, tokens, parts.config.d_model);
    const shortformer = isStandard ? undefined : positionalEmbedding(parts, tokens, mask);
    return { layer, hook: undefined, resid: from.resid, value: from.resid, shortformer };
  }
  const { run } = from;
  requireEarlier(model, tokens, run);
  const isEdited = run.edited.includes("hook_pos_embed");
  const shortformer = isStandard
    ? undefined
    : isEdited || run.cache.has("hook_pos_embed")
      ? run.cache.get("hook_pos_embed")
      : positionalEmbedding(parts, tokens, mask);
  if (!("hook" in from)) {
    const layer = layerNumber(from.layer, parts.config, "from.layer");
    const resid = streamBefore(parts.config, run, layer);
    return { layer, hook: undefined, resid, value: resid, shortformer };
  }
  return { ...atHook(parts.config, from.hook, run), shortformer };
}

/** Where a run was at a hook. */
function atHook(config: ModelConfig, name: HookName, run: AnyRun): Omit<Start, "shortformer"> {
  const names = hookNames(config);
  if (!names.includes(name)) throw noSuchHook(name, names, "run");
  const [, number = "", suffix] = /^blocks\.(\d+)\.(.+)$/.exec(name) ?? [];
  const layer = Number(number);
  if (suffix === "hook_resid_pre") {
    const resid = run.cache.get(`blocks.${layer}.hook_resid_pre`);
    return { layer, hook: undefined, resid, value: resid };
  }
  const hook = STARTS.find((start) => start === suffix);
  if (hook === undefined) {
    throw new InputError(
      `a run cannot begin at "${name}". It can at hook_resid_pre, ${STARTS.join(", ")} of a layer, or before a layer: from: { run, layer }.`,
      { operation: "run", argument: "from.hook", expected: ["hook_resid_pre", ...STARTS], actual: name },
    );
  }
  const value = run.cache.get(`blocks.${layer}.${hook}`) as Stream | HeadVectors;
  const isStream = hook === "hook_resid_mid" || hook === "hook_resid_post";
  return { layer, hook, value, resid: isStream ? (value as Stream) : streamBefore(config, run, layer) };
}

/** The stream before a layer as a run had it, under either of its names. */
function streamBefore({ n_layers, positional_embedding_type }: ModelConfig, run: AnyRun, layer: number): Stream {
  const after = `blocks.${layer - 1}.hook_resid_post` as const;
  const isEnd = layer === n_layers;
  if (n_layers === 0) {
    const embed = run.cache.get("hook_embed");
    return positional_embedding_type === "standard" ? add(embed, run.cache.get("hook_pos_embed")) : embed;
  }
  const pre = `blocks.${layer}.hook_resid_pre` as const;
  // An edit of hook_resid_pre comes between the two.
  const isSame = isEnd || !run.edited.includes(pre);
  if (layer > 0 && isSame && (isEnd || !run.cache.has(pre))) return run.cache.get(after);
  return run.cache.get(pre);
}

function requireStream(resid: Stream, tokens: Tensor<"batch pos">, d_model: number): void {
  requireAxes(resid, "batch pos d_model", "from.resid", "run");
  const expected = [...tokens.shape, d_model];
  if (resid.shape.every((size, a) => size === expected[a])) return;
  throw new ShapeError(
    `from.resid is ${describeTensor(resid)} but the tokens are ${describeTensor(tokens)} and d_model=${d_model}.`,
    {
      operation: "run",
      argument: "from.resid",
      expected,
      actual: resid.shape,
    },
  );
}

/** Refuses a run of another model or of other tokens. */
function requireEarlier(model: RunningModel, tokens: Tensor<"batch pos">, run: AnyRun): void {
  requireKind(RUN, run, "from.run", "run");
  const known = traceOf(run)?.model;
  if (known !== model) {
    const what = known === undefined ? "nothing that a model made. Pass what model.run gave" : "a run of another model";
    throw new InputError(`from.run is ${what}, or a stream: from: { layer, resid }.`, {
      operation: "run",
      argument: "from.run",
      expected: "a run of this model",
      actual: run,
    });
  }
  const [ids, earlier] = [rawData(tokens), rawData(run.tokens)];
  if (tokens.shape.join() === run.tokens.shape.join() && ids.every((id, i) => id === earlier[i])) return;
  throw new InputError(
    `from.run is a run of other tokens, ${describeTensor(run.tokens)}. Pass run.tokens, or a stream: from: { layer, resid }.`,
    { operation: "run", argument: "from.run", expected: run.tokens.shape, actual: tokens.shape },
  );
}
