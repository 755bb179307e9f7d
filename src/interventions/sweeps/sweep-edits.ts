/** A metric after each of a list of edits. */
import { InputError, nameOf, requireKind, requireObject } from "../../errors.ts";
import type {
  AttentionMask,
  Edit,
  EditsLike,
  HookName,
  Metric,
  MetricLike,
  PaddingMask,
  TokensLike,
  Transformer,
} from "../../model/index.ts";
import {
  baseRun,
  checkedEdit,
  metricOf,
  paddingMask,
  partialPass,
  Readout,
  readPositions,
  requireMetricOf,
  requireNoPadding,
  resolveEdits,
  siteOfHook,
} from "../../model/internal.ts";
import type { BaseRun, Change } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { promptsOf, sweepOf } from "./prompts.ts";
import type { Sweep } from "./result.ts";

/**
 * How {@link sweepEdits} measures.
 * @category Interventions
 */
export interface SweepEditsOptions extends ProgressOptions {
  /** What is measured: a metric, or a function of the logits. */
  readonly metric: MetricLike;
  /** Which positions are text (1) and which are padding (0), as a run takes it; all are text unless given. */
  readonly attentionMask?: AttentionMask | undefined;
  /** A name for each entry of the list; its place unless given. */
  readonly labels?: readonly (string | number)[] | undefined;
}

/** Edits whose new activations are held at once. */
const AT_ONCE = 64;

/**
 * Measures a metric once for each entry of a list of edits, each by itself: what {@link sweep} does, for whatever a run
 * takes as `edits`. An entry that edits one hook of a head, of the stream, or of what is added to it costs what it
 * reaches; others cost a run each.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param edits - for each entry of the result what `run` takes as its edits.
 * @param options - `metric`, `labels`, `attentionMask`, `signal`, `onProgress` (in entries).
 * @throws {@link InputError} for tokens the model cannot run, a hook that it has not, or another number of labels; what
 * a run throws of an edit; the signal's reason when aborted.
 * @category Interventions
 * @example
 * ```ts
 * import { multiply, repeatedTokens } from "transformer-circuits";
 * import { crossEntropy, editAt } from "transformer-circuits/model";
 * import { sweepEdits } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, seed: 0, bos: 0 });
 * const labels = [0, 0.5, 1];
 * const scaled = labels.map((factor) => editAt("blocks.0.hook_attn_out", (out) => multiply(out, factor)));
 * const { values, base } = sweepEdits(model, tokens, scaled, { metric: crossEntropy(tokens), labels });
 * console.log(values.at(0) > values.at(1), values.at(2) === base);
 * // true true
 * ```
 */
export function sweepEdits(
  model: Transformer,
  tokens: TokensLike,
  edits: readonly EditsLike[],
  options: SweepEditsOptions,
): Sweep<"edit"> {
  const operation = "sweepEdits";
  requireKind("model", model, "model", operation, options, "metric labels attentionMask signal onProgress");
  requireObject(options, "options", operation);
  requireKind("list", edits, "edits", operation);
  const metric = metricOf(options.metric, operation);
  const { signal, attentionMask, labels = edits.map((_, i) => i) } = options;
  requireKind("list", labels, "labels", operation);
  const odd = labels.find((one) => typeof one !== "string" && !Number.isFinite(one));
  if (odd !== undefined) {
    throw new InputError(`a label is ${nameOf(odd)}. Give texts or numbers.`, {
      ...{ operation, argument: "labels", expected: "texts or numbers", actual: odd },
    });
  }
  if (labels.length !== edits.length) {
    throw new InputError(`there are ${labels.length} labels for ${edits.length} edits. Give one for each.`, {
      operation,
      argument: "labels",
      expected: edits.length,
      actual: labels.length,
    });
  }
  const { clean } = promptsOf(model, tokens, operation);
  const batch = clean.sizeOf("batch");
  requireMetricOf(metric, batch, operation);
  const mask = paddingMask(attentionMask, clean, operation);
  requireNoPadding(metric, mask, operation);
  const steps = new Steps(options, edits.length);
  const single = edits.map((one) => singleEdit(model, one, mask));
  const hooks = new Set(single.map((one) => one?.[0]));
  const base = baseRun(model, clean, { signal, attentionMask, also: (name) => hooks.has(name) });
  const readout = new Readout(base, metric);
  const perPrompt = new Float64Array(edits.length * batch);
  for (let start = 0; start < edits.length; start += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, edits.length - start) }, (_, i) => start + i);
    const changes = some.map((i) => changeOf(base, single[i]));
    const partial = some.filter((_, at) => changes[at] !== undefined);
    const variants = changes.flatMap((change) => (change === undefined ? [] : [change]));
    partialPass(base, variants, { reads: readout.reads, signal }, (rows, first, count) => {
      const values = readout.values(rows, count);
      for (let v = 0; v < count; v++) {
        perPrompt.set(values.subarray(v * batch, (v + 1) * batch), (partial[first + v] as number) * batch);
      }
      steps.advance(count);
    });
    for (const [at, i] of some.entries()) {
      if (changes[at] !== undefined) continue;
      perPrompt.set(valuesOfRun(base, edits[i] as EditsLike, metric, { signal, attentionMask }), i * batch);
      steps.advance();
    }
  }
  return sweepOf({
    what: "each edit by itself",
    metric: metric.name,
    axes: "edit",
    shape: [edits.length],
    labels: { edit: [...labels] },
    perPrompt,
    base: readout,
    other: undefined,
  });
}

/** The hook and the function of an edit of one hook at which a partial pass can begin. */
function singleEdit(
  { config }: Transformer,
  edits: EditsLike,
  mask: PaddingMask | undefined,
): readonly [HookName, Edit] | undefined {
  const entries = Object.entries(resolveEdits(config, edits, mask)).filter(([, edit]) => typeof edit === "function");
  const [first, second] = entries as unknown as [HookName, Edit][];
  if (first === undefined || second !== undefined) return undefined;
  const at = siteOfHook(first[0]);
  return at !== undefined && at.layer < config.n_layers ? first : undefined;
}

/** What an edit changes of the base run; undefined where a partial pass cannot follow it. */
function changeOf(base: BaseRun, single: readonly [HookName, Edit] | undefined): Change[] | undefined {
  if (single === undefined || !base.cache.has(single[0])) return undefined;
  const [name, edit] = single;
  const { layer, site } = siteOfHook(name) as { layer: number; site: Change["site"] };
  const before: Tensor = base.cache.get(name);
  const source: Tensor = checkedEdit(name, before as never, edit(before as never, name));
  if (source === before) return [];
  if (source.dtype !== "float32") return undefined;
  const found = differences(before, source, base.model.config.attention_dir === "causal");
  if (found === undefined) return undefined;
  return found.positions.length === 0 ? [] : [{ layer, site, source, ...found }];
}

/** Positions, and heads, at which activations differ; undefined where a query would see keys that it cannot. */
function differences(
  before: Tensor,
  after: Tensor,
  isCausal: boolean,
): { readonly positions: number[]; readonly heads: number[] | undefined } | undefined {
  const [a, b] = [rawData(before), rawData(after)];
  const { names, shape } = before;
  const stride = (axis: string): number => shape.slice(names.indexOf(axis) + 1).reduce((x, y) => x * y, 1);
  const isOfPairs = names.includes("key_pos");
  const axis = isOfPairs ? "query_pos" : "pos";
  const [pos, step] = [before.sizeOf(axis), stride(axis)];
  const heads = names.includes("head") ? before.sizeOf("head") : 1;
  const headStep = names.includes("head") ? stride("head") : Infinity;
  const isAt = new Uint8Array(pos);
  const isOf = new Uint8Array(heads);
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    const position = Math.floor(i / step) % pos;
    if (isOfPairs && isCausal && i % pos > position) return undefined;
    isAt[position] = 1;
    isOf[headStep === Infinity ? 0 : Math.floor(i / headStep) % heads] = 1;
  }
  const chosen = (marks: Uint8Array): number[] => [...marks.keys()].filter((i) => marks[i] === 1);
  return { positions: chosen(isAt), heads: headStep === Infinity ? undefined : chosen(isOf) };
}

/** The metric of a whole run with edits. */
function valuesOfRun(
  base: BaseRun,
  edits: EditsLike,
  metric: Metric,
  options: Pick<SweepEditsOptions, "signal" | "attentionMask">,
): Float64Array {
  const { model, tokens } = base;
  const [batch = 0, pos = 0] = tokens.shape;
  const read = metric.reads.tokens;
  const { logits } = model.run(tokens, {
    edits,
    cache: [],
    unembed: Array.from({ length: batch }, (_, b) => readPositions(metric, b, pos)),
    ...(read === "all" ? {} : { directions: read }),
    ...options,
  });
  return metric.values(logits, { selected: true });
}
