/**
 * Path patching (Wang et al. 2022, "Interpretability in the Wild", appendix B; Goldowsky-Dill et al. 2023): what a head
 * does to others, or to the logits, along chosen paths alone.
 *
 * First the sender gives what it gave on the other prompts, and all heads are held at what they gave, so that what
 * receivers read differs by what comes from the sender directly, and through MLPs. Then they read that, and everything
 * after them is computed anew. Heads that are not held let paths pass through them.
 */
import { InputError, nameOf, requireKind, requireObject } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId, HeadRef, MetricLike, Transformer } from "../../model/index.ts";
import {
  asStream,
  baseRun,
  headInputs,
  partialPass,
  project,
  Readout,
  requireChoice,
  requireOwnKeys,
  siteHook,
} from "../../model/internal.ts";
import type { BaseRun, Change, PassOptions, Rows, Variant } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { settingOf, sweepOf } from "./prompts.ts";
import type { SweepPrompts } from "./prompts.ts";
import type { Sweep } from "./result.ts";
import { requireReplacement, Sources } from "./sources.ts";
import type { Replacement } from "./sources.ts";

/**
 * Who reads the end of a path: the logits, the stream before a layer, or a head by its queries, keys or values.
 * @category Interventions
 */
export type PathReceiver =
  "logits" | { readonly stream: number } | { readonly head: HeadRef; readonly input: "q" | "k" | "v" };

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
}

const KNOWN = "metric receivers through mlps direction put positions seed senders signal onProgress";

/**
 * Measures a metric when receivers read another sender's output, once for each sender.
 *
 * @param prompts - clean and corrupted ones, as many of each, or the prompts of an ablation alone.
 * @param options - `metric`, `receivers`, `through`, `mlps`, `direction`, `put`, `positions`, `seed`, `signal`,
 * `onProgress` (in senders); `senders`, heads or groups of heads, each group together; every head unless given.
 * @returns a sweep over `layer head`, or over `sender` where those are given.
 * @throws {@link InputError} for prompts the model cannot run or that do not match, a head or layer that it has not,
 * other receivers beside the logits or a stream, or a replacement that would change nothing; the signal's reason when
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
  options: PathPatchingOptions & { readonly senders: readonly (HeadRef | readonly HeadRef[])[] },
): Sweep<"sender">;
export function pathPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: PathPatchingOptions & { readonly senders?: undefined },
): Sweep<"layer head">;
export function pathPatching(
  model: Transformer,
  prompts: SweepPrompts,
  options: PathPatchingOptions & { readonly senders?: readonly (HeadRef | readonly HeadRef[])[] | undefined },
): Sweep<"sender"> | Sweep<"layer head"> {
  const operation = "pathPatching";
  requireKind("model", model, "model", operation, options, KNOWN);
  requireObject(options, "options", operation);
  const { direction = "noising", mlps = "recomputed", seed = 0, signal } = options;
  requireChoice(mlps, ["recomputed", "frozen"], "mlps", operation);
  const groups = options.senders?.map((group) => (Array.isArray(group) ? (group as HeadRef[]) : [group as HeadRef]));
  const senders: HeadId[][] = (groups ?? model.heads.map((head) => [head])).map((group) =>
    group.map((h) => model.head(h)),
  );
  const receivers = receiversOf(model, options.receivers);
  const through = (options.through ?? []).map((head) => model.head(head));
  const { metric, put, from, to, isOwn, isPaired } = settingOf(model, prompts, { ...options, direction }, operation);
  const [batch = 0, pos = 0] = to.shape;
  const positions = options.positions?.map((p) => (p < 0 ? p + pos : p));
  requirePositions(positions, pos);
  requireReplacement(put, { prompts: batch, others: from.sizeOf("batch"), isOwn, sites: ["z"] }, operation);
  const steps = new Steps(options, senders.length);
  const base = baseRun(model, to, { signal });
  const other = isOwn ? base : baseRun(model, from, { signal });
  const sources = new Sources(other, put, batch, seed, isOwn);
  const variants = senders.map((heads): Variant =>
    heads.map(({ layer, head }): Change => ({
      layer,
      site: "z",
      source: sources.at(layer, "z"),
      heads: [head],
      positions,
    })),
  );
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
    const early = variants.map((variant) => variant.filter(({ layer }) => layer < last));
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
        : { sender: senders.map((heads) => heads.map((head) => headLabel(head)).join("+")) },
    base: readout,
    other: isPaired ? new Readout(other, metric) : undefined,
  }) as unknown as Sweep<"sender"> | Sweep<"layer head">;
}

const allOf = ({ config }: Transformer): number[] => Array.from({ length: config.n_heads }, (_, head) => head);

/** One input of a head. */
interface HeadInput extends HeadId {
  readonly input: "q" | "k" | "v";
}

/** Who reads the ends of paths, checked. */
type Receivers =
  | { readonly kind: "logits"; readonly what: string }
  | { readonly kind: "stream"; readonly what: string; readonly layer: number }
  | { readonly kind: "heads"; readonly what: string; readonly inputs: readonly HeadInput[] };

function receiversOf(model: Transformer, given: PathPatchingOptions["receivers"]): Receivers {
  const refuse = (message: string): InputError =>
    new InputError(
      `${message} Give "logits", { stream: layer }, or inputs of heads, as { head: "L1H4", input: "k" }.`,
      {
        operation: "pathPatching",
        argument: "receivers",
        actual: given,
      },
    );
  const list = (Array.isArray(given) ? given : [given ?? "logits"]) as readonly PathReceiver[];
  const [first] = list;
  if (first === undefined) throw refuse("receivers is an empty list.");
  if (first === "logits" && list.length === 1) return { kind: "logits", what: "the logits" };
  for (const one of list) {
    if (typeof one !== "object" || (one as unknown) === null) {
      throw refuse(one === "logits" ? "the logits read beside other receivers." : `a receiver is ${nameOf(one)}.`);
    }
  }
  if ("stream" in (first as object)) {
    const { stream: layer } = first as { stream: number };
    const { n_layers } = model.config;
    if (list.length > 1) throw refuse("a stream reads beside other receivers.");
    if (!Number.isInteger(layer) || layer < 0 || layer >= n_layers) {
      throw refuse(`the stream before layer ${nameOf(layer)} is none of ${n_layers}.`);
    }
    return { kind: "stream", what: `the stream before layer ${layer}`, layer };
  }
  const inputs = (list as readonly { head: HeadRef; input: "q" | "k" | "v" }[]).map((one): HeadInput => {
    requireObject(one, "receivers", "pathPatching", "head input");
    if (!["q", "k", "v"].includes(one.input))
      throw refuse(`the input of a head is ${nameOf(one.input)}, not q, k or v.`);
    const { layer, head } = model.head(one.head);
    if (one.input !== "q") requireOwnKeys(model.config, "pathPatching");
    return { layer, head, input: one.input };
  });
  return { kind: "heads", what: inputs.map((one) => `${one.input} of ${headLabel(one)}`).join(", "), inputs };
}

function requirePositions(positions: readonly number[] | undefined, pos: number): void {
  const wrong = positions?.find((p) => !Number.isInteger(p) || p < 0 || p >= pos);
  if (wrong === undefined) return;
  throw new InputError(`position ${nameOf(wrong)} is none of ${pos}.`, {
    operation: "pathPatching",
    argument: "positions",
    expected: [-pos, pos - 1],
    actual: wrong,
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
      const vectors = vectorsOf(model, rows, layer, head, input);
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
function vectorsOf(model: Transformer, rows: Rows, layer: number, head: number, input: "q" | "k" | "v"): Float32Array {
  const weights = model.layer(layer);
  const read = headInputs(model, weights, rows);
  const [W, b] = {
    q: [weights.W_Q, weights.b_Q] as const,
    k: [weights.W_K, weights.b_K] as const,
    v: [weights.W_V, weights.b_V] as const,
  }[input];
  const x = asStream(input === "v" ? read.values : read.scores);
  const projected = project(x, W.slice("head", head, head + 1), b.slice("head", head, head + 1));
  return rawData(projected) as Float32Array;
}
