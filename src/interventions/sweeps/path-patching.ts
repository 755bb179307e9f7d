/**
 * Path patching (Wang et al. 2022, "Interpretability in the Wild", appendix B; Goldowsky-Dill et al. 2023): what a
 * head, an MLP or the embedding does to heads, or to the logits, along chosen paths alone.
 *
 * First the sender gives what it gave on the other prompts, and all heads are held at what they gave, so that what
 * receivers read differs by what comes from the sender directly, and through MLPs. Then they read that, and everything
 * after them is computed anew. Heads that are not held let paths pass through them.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { HeadRef, HookName, MetricLike, Transformer } from "../../model/index.ts";
import {
  asStream,
  baseRun,
  headInputs,
  partialPass,
  project,
  Readout,
  requireChoice,
  requireSeed,
  siteHook,
} from "../../model/internal.ts";
import type { BaseRun, Change, PassOptions, Rows, Variant } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { changesOf, isEmbedding, receiversOf, senderOf } from "./path-receivers.ts";
import type { HeadInput, PathReceiver, PathSender } from "./path-receivers.ts";
import { chosen } from "./grid.ts";
import { settingOf, sweepOf } from "./prompts.ts";
import type { SweepMask, SweepPrompts } from "./prompts.ts";
import type { Sweep } from "./result.ts";
import { requireReplacement, Sources } from "./sources.ts";
import type { Replacement } from "./sources.ts";

/**
 * What {@link pathPatching} follows, and how it measures what that does.
 * @category Interventions
 */
export interface PathPatchingOptions extends ProgressOptions {
  /** What is measured: a metric, or a function of the logits. */
  readonly metric: MetricLike;
  /** Who reads what the sender changes; `"logits"` unless given, or several heads' inputs together. */
  readonly receivers?: PathReceiver | readonly PathReceiver[] | undefined;
  /** Heads that are not held, through which paths may pass; none unless given. */
  readonly through?: readonly HeadRef[] | undefined;
  /** Whether MLPs read what the sender changes (`"recomputed"`, as in the paper and the default) or not. */
  readonly mlps?: "recomputed" | "frozen" | undefined;
  /** `"noising"` (the default, as in the paper): corrupted into the clean run; `"denoising"`: clean into corrupted. */
  readonly direction?: "denoising" | "noising" | undefined;
  /** What the sender gives: `"copy"`, of the other run, where there is one; otherwise say it. */
  readonly put?: Replacement | undefined;
  /** Positions at which the sender gives it; all unless given. */
  readonly positions?: readonly number[] | undefined;
  /** Of `"resample"`. */
  readonly seed?: number | undefined;
  /** Which positions are text and which are padding; all are text unless given. */
  readonly attentionMask?: SweepMask | undefined;
}

const KNOWN = "metric receivers through mlps direction put positions seed attentionMask senders signal onProgress";

/**
 * Measures a metric when receivers read another sender's output, once for each sender.
 *
 * @param prompts - clean and corrupted ones, as many of each, or the prompts of an ablation alone.
 * @param options - `metric`, `receivers`, `through`, `mlps`, `direction`, `put`, `positions`, `seed`,
 * `attentionMask`, `signal`, `onProgress` (in senders); `senders`, heads, MLPs, the embeddings, or groups of
 * these, each group together; every head unless given.
 * @returns a sweep over `layer head`, or over `sender` where those are given.
 * @throws {@link InputError} for prompts the model cannot run or that do not match, a head, MLP or layer that it has
 * not, other receivers beside the logits or a stream, or what {@link sweep} refuses to put; the signal's reason when
 * aborted.
 * @category Interventions
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { pathPatching } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, batch: 2, seed: 0, bos: 0 });
 * const receivers = (["L1H1", "L1H2", "L1H4"] as const).map((head) => ({ head, input: "k" }) as const);
 * const keys = pathPatching(model, tokens, { receivers, put: "zero", metric: crossEntropy(tokens) });
 * // Induction heads find their keys by what the previous-token head writes.
 * console.log(keys.largest(1)[0]?.at);
 * // { layer: 0, head: 5 }
 * ```
 */
export function pathPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: PathPatchingOptions & { readonly senders: readonly (PathSender | readonly PathSender[])[] },
): Sweep<"sender">;
export function pathPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: PathPatchingOptions & { readonly senders?: undefined },
): Sweep<"layer head">;
export function pathPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: PathPatchingOptions & { readonly senders?: readonly (PathSender | readonly PathSender[])[] | undefined },
): Sweep<"sender"> | Sweep<"layer head"> {
  const operation = "pathPatching";
  requireKind("model", model, "model", operation, options, KNOWN);
  requireObject(options, "options", operation);
  const { direction = "noising", mlps = "recomputed", seed = 0, signal } = options;
  requireChoice(mlps, ["recomputed", "frozen"], "mlps", operation);
  requireSeed(seed, operation);
  requireList(options.senders, "senders");
  if (options.through !== undefined) requireKind("list", options.through, "through", operation);
  const groups = options.senders?.map((group) =>
    Array.isArray(group) ? (group as PathSender[]) : [group as PathSender],
  );
  const senders = (groups ?? model.heads.map((head) => [head])).map((group) =>
    group.map((one) => senderOf(model, one)),
  );
  const receivers = receiversOf(model, options.receivers);
  const through = (options.through ?? []).map((head) => model.head(head));
  const { metric, put, from, to, isPaired } = settingOf(model, prompts, { ...options, direction }, operation);
  const [batch = 0, pos = 0] = to.tokens.shape;
  const positions =
    options.positions === undefined ? undefined : chosen(options.positions, pos, "positions", operation);
  requireReplacement(put, { to, from, sites: ["z"] }, operation);
  const steps = new Steps(options, senders.length);
  const isEmbedded = senders.flat().some(isEmbedding);
  const also = (name: HookName): boolean => isEmbedded && (name === "hook_embed" || name === "hook_pos_embed");
  const base = baseRun(model, to.tokens, { ...to, signal, also });
  const other = from === to ? base : baseRun(model, from.tokens, { ...from, signal, also });
  const sources = new Sources(other, put, base, seed);
  const variants = senders.map((group) => changesOf(group, base, sources, positions));
  const readout = new Readout(base, metric);
  const values = new Float64Array(senders.length * batch);
  const collect = (rows: Rows, first: number, count: number): void => {
    values.set(readout.values(rows, count), first * batch);
    steps.advance(count);
  };
  const last = receivers.kind === "stream" ? receivers.layer : Infinity;
  const held: Omit<PassOptions, "reads"> = {
    liveHeads: (layer) =>
      layer < last ? through.filter((head) => head.layer === layer).map(({ head }) => head) : allOf(model),
    liveMlps: (layer) => layer >= last || mlps === "recomputed",
    signal,
  };
  if (receivers.kind === "heads") {
    const read = readByHeads(base, variants, receivers.inputs, held);
    partialPass(base, read, { reads: readout.reads, signal }, collect);
  } else {
    const early = variants.map((variant) => variant.filter(({ layer, site }) => layer < last || site === "resid_pre"));
    partialPass(base, early, { ...held, reads: readout.reads }, collect);
  }
  const { n_layers, n_heads } = model.config;
  const [axes, shape] =
    groups === undefined ? (["layer head", [n_layers, n_heads]] as const) : (["sender", [senders.length]] as const);
  const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
  return sweepOf<string>({
    what: `${receivers.what} read another sender`,
    axes,
    shape,
    metric: metric.name,
    perPrompt: values,
    labels:
      groups === undefined
        ? { layer: range(n_layers), head: range(n_heads) }
        : { sender: senders.map((group) => group.map(({ label }) => label).join("+")) },
    base: readout,
    other: isPaired ? new Readout(other, metric) : undefined,
  }) as unknown as Sweep<"sender"> | Sweep<"layer head">;
}

const allOf = ({ config }: Transformer): number[] => Array.from({ length: config.n_heads }, (_, head) => head);

/** Refuses what is given in place of a list, and a list of nothing. */
function requireList(list: readonly unknown[] | undefined, argument: string): void {
  if (list === undefined) return;
  requireKind("list", list, argument, "pathPatching");
  if (list.length > 0) return;
  throw new InputError(`${argument} is an empty list. Leave it out for what is meant without it.`, {
    ...{ operation: "pathPatching", argument, expected: "at least one", actual: list },
  });
}

/** What heads then read, as changes of their queries, keys and values: of each sender those that it reaches. */
function readByHeads(
  base: BaseRun,
  senders: readonly Variant[],
  inputs: readonly HeadInput[],
  held: Omit<PassOptions, "reads">,
): Variant[] {
  const { model, tokens, cache } = base;
  const out: Change[][] = senders.map(() => []);
  const onStream = (layer: number, rows: Rows, first: number): void => {
    const { runs, prompts, pos } = rows.frame;
    if (rows.count === 0) return;
    for (const { head, input } of inputs.filter((one) => one.layer === layer)) {
      const vectors = vectorsOf(base, rows, layer, head, input);
      const given = cache.get(siteHook(layer, input)) as Tensor;
      const width = given.size / (prompts * pos);
      const d_head = model.config.d_head;
      for (let v = 0; v < runs / prompts; v++) {
        const data = Float32Array.from(rawData(given));
        const positions = new Set<number>();
        for (let b = 0; b < prompts; b++) {
          const [from, to] = rows.ofRun(v * prompts + b);
          for (let row = from; row < to; row++) {
            const place = (rows.places[row] as number) % (prompts * pos);
            positions.add(place % pos);
            data.set(vectors.subarray(row * d_head, (row + 1) * d_head), place * width + head * d_head);
          }
        }
        if (positions.size === 0) continue;
        const source = Tensor.from(given.axes, given.shape, data);
        out[first + v]?.push({ layer, site: input, source, heads: [head], positions: [...positions] });
      }
    }
  };
  const all = new Uint8Array(tokens.size).fill(1);
  const until = Math.max(...inputs.map(({ layer }) => layer));
  partialPass(base, senders, { ...held, reads: all, until, onStream }, () => undefined);
  return out;
}

/** A head's queries, keys or values of a stream, one row each, not yet turned to their positions. */
function vectorsOf(base: BaseRun, rows: Rows, layer: number, head: number, input: "q" | "k" | "v"): Float32Array {
  const weights = base.model.layer(layer);
  const read = headInputs(base, weights, rows);
  const [W, b] = {
    q: [weights.W_Q, weights.b_Q] as const,
    k: [weights.W_K, weights.b_K] as const,
    v: [weights.W_V, weights.b_V] as const,
  }[input];
  const x = asStream(input === "v" ? read.values : read.scores);
  const projected = project(x, W.slice("head", head, head + 1), b.slice("head", head, head + 1));
  return rawData(projected) as Float32Array;
}
