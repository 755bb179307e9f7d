/** A run: what goes into it, and what comes out. */
import { InputError } from "../errors.ts";
import type { Kind } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AttentionMask, PaddingMask } from "./attention-mask.ts";
import type { ActivationCache } from "./cache.ts";
import type { EditsLike } from "./edits.ts";
import type { HookName } from "./hooks.ts";
import type { Stream } from "./head-products.ts";
import type { CacheRequest } from "./session.ts";

export const RUN: Kind = { member: "cache", what: "a run", remedy: "Make one with model.run(tokens)" };

/**
 * What runs keep and change, and where they begin.
 * @inline
 */
interface AnyRunOptions {
  /** Which activations to keep; all by default. What can be computed from others is, when asked for. */
  readonly cache?: CacheRequest | undefined;
  /** Changes of activations as they pass: by hook name, as edits of `/interventions`, or a list of such. */
  readonly edits?: EditsLike | undefined;
  /** Where to begin; with the tokens unless given. */
  readonly from?: RunStart | undefined;
  /**
   * Which positions are text (1) and which are padding (0); all are text unless given. No query sees padding, positions
   * count from the first token of text, and the positional embedding of padding is 0, as with TransformerLens's
   * `attention_mask`. A run that goes on from another takes its mask.
   */
  readonly attentionMask?: AttentionMask | undefined;
  /** Cancels the run between layers. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Where a run begins: before a layer with a given stream; or where an earlier run of the same tokens was, before a
 * layer or at a hook, whose edits then take what that run had. `n_layers` is before the unembedding.
 *
 * A run can begin at `hook_resid_pre`, `attn.hook_z`, `hook_attn_out`, `hook_resid_mid` and `hook_resid_post` of a
 * layer. The earlier run has to have kept the activation, and before `hook_resid_mid` the stream before the layer.
 * @category Model
 */
export type RunStart =
  | { readonly layer: number; readonly resid: Tensor<"batch pos d_model"> }
  | { readonly layer: number; readonly run: AnyRun }
  | { readonly hook: HookName; readonly run: AnyRun };

/**
 * What a run keeps and changes, where it begins, and which logits it computes.
 * @category Model
 */
export interface RunOptions extends AnyRunOptions {
  /**
   * The positions whose logits are computed: `"all"` (the default), the `"last"` of each prompt's text, some positions
   * of every prompt, or a list of as many for each; negative ones count from the end. The logits have these positions
   * alone, in this order.
   */
  readonly unembed?: "all" | "last" | readonly number[] | readonly (readonly number[])[] | undefined;
  /** The output tokens whose logits are computed, which are then the entries of `d_vocab`; all unless given. */
  readonly directions?: readonly number[] | undefined;
}

/**
 * What a run keeps and changes that computes no logits: it ends after the last activation that it keeps or edits, or
 * where `stopAt` says.
 * @category Model
 */
export type PartialRunOptions = AnyRunOptions &
  (
    | { readonly unembed: "none"; readonly stopAt?: undefined }
    | {
        readonly unembed?: "none";
        /** Before this layer, a negative one counted from the end, or right after this hook. */
        readonly stopAt: number | HookName;
      }
  );

/**
 * Whether a run with this `unembed` and this `stopAt`, each undefined where it is left out, computes logits.
 * @inline
 */
export type Unembeds<U, S> = [S] extends [undefined] ? ("none" extends U ? false : true) : false;

/**
 * The options of a run by its `unembed` and `stopAt`: one without logits has no tokens to compute them of.
 * @inline
 */
export interface RunOptionsBy<
  U extends AllRunOptions["unembed"],
  S extends AllRunOptions["stopAt"],
> extends AnyRunOptions {
  /**
   * The positions whose logits are computed: `"all"` (the default), the `"last"` of each prompt's text, some positions
   * of every prompt, or a list of as many for each; `"none"` for no logits.
   */
  readonly unembed?: U | undefined;
  /** The output tokens whose logits are computed, which are then the entries of `d_vocab`; all unless given. */
  readonly directions?: Unembeds<U, S> extends true ? RunOptions["directions"] : undefined;
  /** Before this layer, a negative one counted from the end, or right after this hook; the run has no logits. */
  readonly stopAt?: S | undefined;
}

/**
 * What else the options of a run that stops at `S` are held to: it unembeds nothing.
 * @inline
 */
export type StopOptions<S> = [S] extends [undefined] ? unknown : { readonly unembed?: "none" | undefined };

/** The options of runs of either kind. */
export interface AllRunOptions extends AnyRunOptions {
  readonly unembed?: RunOptions["unembed"] | "none";
  readonly directions?: RunOptions["directions"];
  readonly stopAt?: number | HookName | undefined;
}

/**
 * What every run has.
 * @inline
 */
export interface AnyRun {
  /** The tokens that went in, `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** The activations that were kept. */
  readonly cache: ActivationCache;
  /** The hooks at which an edit changed something, in the order in which they fired. */
  readonly edited: readonly HookName[];
}

/** What is known of a run beside what it shows. */
export interface Trace {
  /** The model that ran. */
  readonly model: object;
  readonly mask: PaddingMask | undefined;
  /** Whether it began with the tokens. */
  readonly isWhole: boolean;
  /** Whether it computed the logits of all positions and tokens. */
  readonly isUnembedded: boolean;
  /** The hooks at which edits waited, whether they changed something or not. */
  readonly waits: ReadonlySet<HookName>;
  /** What came to the edited hooks that it kept, before the edits. */
  readonly before: ReadonlyMap<HookName, Tensor>;
}

const traces = new WeakMap<object, Trace>();

/** Of caches, so that what has a run's cache alone still knows what of it is padding. */
const masks = new WeakMap<ActivationCache, PaddingMask>();

/** What is known of a run; nothing of what no model made. */
export function traceOf(run: AnyRun): Trace | undefined {
  return traces.get(run);
}

/** What of a run was padding, by its cache; `undefined` where nothing was. */
export function maskOf({ cache }: Pick<AnyRun, "cache">): PaddingMask | undefined {
  return masks.get(cache);
}

interface Outcome extends AnyRun {
  readonly trace: Trace;
  readonly logits?: Tensor<"batch pos d_vocab"> | undefined;
  readonly resid?: Stream | undefined;
}

/** A run as it is handed out: the model stands beside what shows itself. */
export function toRun({ tokens, cache, edited, trace, logits, resid }: Outcome): AnyRun {
  const shown = { tokens, ...(logits && { logits }), ...(resid && { resid }), cache };
  const run = Object.defineProperties(shown, {
    model: { value: trace.model },
    edited: { value: Object.freeze(edited) },
    ...(logits === undefined ? { logits: { get: refuseLogits } } : {}),
  }) as unknown as AnyRun;
  traces.set(run, trace);
  if (trace.mask !== undefined) masks.set(cache, trace.mask);
  return Object.freeze(run);
}

function refuseLogits(): never {
  throw new InputError(
    'this run computed no logits: it stopped before them, or was asked for none. Run without stopAt and unembed: "none".',
    { operation: "run", argument: "logits", expected: "a run that unembeds" },
  );
}
