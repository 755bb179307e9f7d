/**
 * What edits added to a run: each as a stream of its own, by which the frozen model reaches what the run had.
 *
 * An edit of the stream, of what a layer wrote, or of weighted values adds the difference that it made, after less
 * before. One of values adds what their difference writes, $A\,\Delta v\,W_O$. Edits of tokens, embeddings, queries,
 * keys, scores, patterns, norm scales and of anything within an MLP add nothing: patterns, scales, embeddings and what
 * MLPs wrote are constants as the run had them. Where an edit sets the weighted values of a head to 0 at a position, it
 * attends to nothing there, and no path goes through it.
 */
import { InputError, requireKind } from "../../errors.ts";
import type { ActivationCache, AttentionLayer, AxesOfHook, HookName, PartialRun } from "../../model/index.ts";
import { ofEachHead, traceOf, RUN } from "../../model/internal.ts";
import type { Trace } from "../../model/internal.ts";
import { add, astype, matmul, multiply, subtract, sum, Tensor } from "../../tensor/index.ts";
import { rawData, reshaped } from "../../tensor/internal.ts";

/** @inline */
type Stream = Tensor<"batch pos d_model">;
type HeadVectors = Tensor<"batch pos head d_head">;

/**
 * The label of an edit as a source or a component.
 * @inline
 */
export type EditLabel = `edit[${HookName}]`;

/** The addition of an edit. */
export interface EditStream {
  readonly hook: HookName;
  readonly label: EditLabel;
  /** The first layer that reads it; `n_layers` where none does. */
  readonly from: number;
  /** Whether it joins behind the final norm. */
  readonly isFinal: boolean;
  /** `[batch, pos, d_model]`, float64. */
  readonly stream: Stream;
}

/**
 * Which edits count: of `"paths"` all that the frozen model does not have; of what was `"written"` in the run those
 * alone that come after what heads and MLPs wrote.
 */
export type EditView = "paths" | "written";

/** The edits of a run, as streams. */
export interface RunEdits {
  readonly paths: readonly EditStream[];
  readonly written: readonly EditStream[];
}

/** What is known of a run that a decomposition is asked of; refuses runs that cannot be taken apart. */
export function requireWhole(run: PartialRun, operation: string): Trace {
  requireKind(RUN, run, "run", operation);
  const trace = traceOf(run);
  const refuse = (message: string, expected: string): InputError =>
    new InputError(message, { operation, argument: "run", expected, actual: run.edited });
  if (trace === undefined) throw refuse("the run is none that a model made. Pass what model.run gave.", "a run");
  if (!trace.isWhole) {
    throw refuse(
      "the run began in the middle, so that it is not known what the stream there was made of. Run it from the tokens, with the same edits.",
      "a run from the tokens",
    );
  }
  return trace;
}

/** By how much an edit changed an activation, float64; what came to an edited hook is kept with what left it. */
export function editDifference<N extends HookName>(run: PartialRun, trace: Trace, hook: N): Tensor<AxesOfHook<N>> {
  const after: Tensor = astype(run.cache.get(hook), "float64");
  const difference: Tensor = subtract(after, astype(trace.before.get(hook) ?? after, "float64"));
  return difference as Tensor<AxesOfHook<N>>;
}

/** The edits of a run whose cache has the effective patterns. */
export function runEdits(run: PartialRun, trace: Trace): RunEdits {
  const difference = <N extends HookName>(hook: N): Tensor<AxesOfHook<N>> => editDifference(run, trace, hook);
  const all: (EditStream & { readonly isWritten: boolean })[] = [];
  const take = (hook: HookName, from: number, stream: Stream, isWritten: boolean, isFinal = false): void => {
    if (rawData(stream).every((x) => x === 0)) return;
    all.push({ hook, label: `edit[${hook}]`, from, isFinal, stream, isWritten });
  };
  for (const layer of run.model.layers) {
    const at = `blocks.${layer.layer}` as const;
    const next = layer.layer + 1;
    const isEdited = (hook: HookName): boolean => run.edited.includes(hook);
    if (isEdited(`${at}.hook_resid_pre`)) {
      take(`${at}.hook_resid_pre`, layer.layer, difference(`${at}.hook_resid_pre`), true);
    }
    for (const [hook, values] of valueEdits(run, trace, layer)) {
      take(hook, next, writtenBy(layer, attended(run.cache, layer, values)), false);
    }
    if (isEdited(`${at}.attn.hook_z`)) {
      const z = difference(`${at}.attn.hook_z`);
      take(`${at}.attn.hook_z`, next, writtenBy(layer, withoutSilent(run.cache, trace, layer.layer, z)), false);
    }
    if (isEdited(`${at}.attn.hook_result`)) {
      const results = difference(`${at}.attn.hook_result`);
      take(`${at}.attn.hook_result`, next, sum(results, "head"), true);
    }
    for (const name of ["hook_attn_out", "hook_resid_mid", "hook_resid_post"] as const) {
      if (isEdited(`${at}.${name}`)) take(`${at}.${name}`, next, difference(`${at}.${name}`), true);
    }
  }
  takeFinal(run, trace, take);
  return { paths: all, written: all.filter(({ isWritten }) => isWritten) };
}

type Take = (hook: HookName, from: number, stream: Stream, isWritten: boolean, isFinal?: boolean) => void;

/** Edits behind the final norm. */
function takeFinal(run: PartialRun, trace: Trace, take: Take): void {
  const { n_layers } = run.model.config;
  const hook = "ln_final.hook_normalized";
  if (run.edited.includes(hook)) {
    const changed = editDifference(run, trace, hook);
    take(hook, n_layers, run.model.ln_final?.applyWeights(changed) ?? changed, true, true);
  }
  if (!run.edited.includes("unembed.hook_in")) return;
  take("unembed.hook_in", n_layers, editDifference(run, trace, "unembed.hook_in"), true, true);
}

/**
 * What edits changed of the values of a layer: what they are read from, and the values themselves. Where the streams of
 * the heads were changed, the difference of the run's values from those of the frozen model.
 */
function valueEdits(run: PartialRun, trace: Trace, layer: AttentionLayer): [HookName, HeadVectors][] {
  const at = `blocks.${layer.layer}` as const;
  const found: [HookName, HeadVectors][] = [];
  const hook_v = `${at}.attn.hook_v` as const;
  const readers = readerEdit(run, trace, layer, "v");
  if (readers !== undefined) found.push([readers, vectorEdit(run, trace, layer, "v")]);
  if (run.edited.includes(hook_v)) {
    found.push([hook_v, ofEachHead(editDifference(run, trace, hook_v), layer.heads.length)]);
  }
  return found;
}

/** The hook whose edit changed what queries, keys or values are read from; the last of them where there are several. */
export function readerEdit(
  run: PartialRun,
  trace: Trace,
  { layer }: AttentionLayer,
  side: "q" | "k" | "v",
): HookName | undefined {
  const at = `blocks.${layer}` as const;
  const own = [`${at}.hook_${side}_input`, `${at}.hook_attn_in`] as const;
  const split = own.find((hook) => trace.waits.has(hook));
  const shared = [`${at}.ln1.hook_normalized`, `${at}.ln1.hook_scale`] as const;
  if (split === undefined) return run.edited.includes(shared[0]) ? shared[0] : undefined;
  const changes = [...own, ...shared].some((hook) => run.edited.includes(hook));
  return changes ? split : undefined;
}

/** The queries, keys or values of a run, before their own edit, less those that the frozen norm and the stream give. */
export function vectorEdit(run: PartialRun, trace: Trace, layer: AttentionLayer, side: "q" | "k" | "v"): HeadVectors {
  const at = `blocks.${layer.layer}` as const;
  const hook = `${at}.attn.hook_${side}` as const;
  const shared = (trace.before.get(hook) as HeadVectors | undefined) ?? run.cache.get(hook);
  const own = ofEachHead(astype(shared, "float64"), layer.heads.length);
  const resid = astype(run.cache.get(`${at}.hook_resid_pre`), "float64");
  const { ln1 } = layer;
  const normed = ln1 === undefined ? resid : ln1.addBias(ln1.applyFrozen(resid, run.cache.get(`${at}.ln1.hook_scale`)));
  const isShortformer = run.model.config.positional_embedding_type === "shortformer" && side !== "v";
  const read = isShortformer ? add(normed, run.cache.get("hook_pos_embed")) : normed;
  const [W, b]: readonly [Tensor<"head d_model d_head">, Tensor<"head d_head">] =
    side === "q" ? [layer.W_Q, layer.b_Q] : side === "k" ? [layer.W_K, layer.b_K] : [layer.W_V, layer.b_V];
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = own.shape;
  const out = new Float64Array(own.size);
  const data = rawData(own);
  for (let h = 0; h < heads; h++) {
    const product: Tensor<"batch pos d_head"> = matmul(read, W.select("head", h));
    const frozen = rawData(add(product, b.select("head", h)));
    for (let row = 0; row < batch * pos; row++) {
      for (let e = 0; e < d_head; e++) {
        const i = (row * heads + h) * d_head + e;
        out[i] = (data[i] as number) - (frozen[row * d_head + e] as number);
      }
    }
  }
  return Tensor.from("batch pos head d_head", own.shape, out);
}

/** Values weighted by the patterns of a run. */
function attended(cache: ActivationCache, { layer }: AttentionLayer, values: HeadVectors): HeadVectors {
  const pattern = cache.get(`blocks.${layer}.attn.hook_pattern`);
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = values.shape;
  const [A, v] = [rawData(pattern), rawData(values)];
  const out = new Float64Array(values.size);
  for (let row = 0; row < batch * heads * pos; row++) {
    const [b, h, i] = [Math.floor(row / (heads * pos)), Math.floor(row / pos) % heads, row % pos];
    for (let j = 0; j < pos; j++) {
      const weight = A[row * pos + j] as number;
      if (weight === 0) continue;
      for (let e = 0; e < d_head; e++) {
        const to = ((b * pos + i) * heads + h) * d_head + e;
        out[to] = (out[to] as number) + weight * (v[((b * pos + j) * heads + h) * d_head + e] as number);
      }
    }
  }
  return Tensor.from("batch pos head d_head", values.shape, out);
}

/** The output of weighted values, all heads together. */
function writtenBy(layer: AttentionLayer, z: HeadVectors): Stream {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const W_O = reshaped(layer.W_O, "head_and_d_head d_model", [heads * d_head, layer.W_O.sizeOf("d_model")]);
  return matmul(reshaped(z, "batch pos head_and_d_head", [batch, pos, heads * d_head]), astype(W_O, "float64"));
}

/** Whether an edit set a head's weighted values to 0 at a position: one entry a row of `[batch, pos, head]`. */
function silentRows(cache: ActivationCache, trace: Trace, layer: number): Uint8Array {
  const hook = `blocks.${layer}.attn.hook_z` as const;
  const after = cache.get(hook);
  const width = after.sizeOf("d_head");
  const rows = new Uint8Array(after.size / width);
  if (!trace.before.has(hook)) return rows;
  const data = rawData(after);
  for (let row = 0; row < rows.length; row++) {
    rows[row] = data.subarray(row * width, (row + 1) * width).every((x) => x === 0) ? 1 : 0;
  }
  return rows;
}

/** A change of weighted values without the rows that were set to 0. */
function withoutSilent(cache: ActivationCache, trace: Trace, layer: number, z: HeadVectors): HeadVectors {
  const kept = Float64Array.from(silentRows(cache, trace, layer), (isSilent) => 1 - isSilent);
  const [batch = 0, pos = 0, heads = 0] = z.shape;
  return multiply(z, Tensor.from("batch pos head", [batch, pos, heads], kept));
}

/** The cache of a run in which heads attend to nothing where their weighted values were set to 0. */
export function effectiveCache(run: PartialRun, trace: Trace): ActivationCache {
  const entries = new Map<HookName, () => Tensor>();
  for (const { layer } of run.model.layers) {
    const hook = `blocks.${layer}.attn.hook_pattern` as const;
    if (!trace.before.has(`blocks.${layer}.attn.hook_z`) || !run.cache.has(hook)) continue;
    entries.set(hook, () => silenced(run.cache.get(hook), silentRows(run.cache, trace, layer)));
  }
  return entries.size === 0 ? run.cache : run.cache.replacing(entries);
}

/** Patterns with 0 in the rows of silent heads. */
function silenced(
  pattern: Tensor<"batch head query_pos key_pos">,
  silent: Uint8Array,
): Tensor<"batch head query_pos key_pos"> {
  const [batch = 0, heads = 0, queries = 0] = pattern.shape;
  const kept = new Float32Array(batch * heads * queries);
  for (let row = 0; row < kept.length; row++) {
    const [b, h, i] = [Math.floor(row / (heads * queries)), Math.floor(row / queries) % heads, row % queries];
    kept[row] = silent[(b * queries + i) * heads + h] === 1 ? 0 : 1;
  }
  return multiply(pattern, Tensor.from("batch head query_pos", [batch, heads, queries], kept));
}
