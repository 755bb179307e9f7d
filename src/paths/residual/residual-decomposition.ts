/**
 * The residual stream of a run taken apart: by layer or by head, and as it grew. Components, labels and order are those
 * of TransformerLens's `decompose_resid`, `get_full_resid_decomposition` and `accumulated_resid`, except that
 * shortformer positions, which never enter the stream, are no component.
 */
import { ConfigError, InputError, requireKind } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import { requireChoice, traceOf, RUN } from "../../model/internal.ts";
import type { HookName, Norm, PartialRun, Transformer } from "../../model/index.ts";
import { add, stack, Tensor } from "../../tensor/index.ts";
import { isRun, mlpLabel } from "../frozen/frozen-run.ts";
import type { Stream } from "../frozen/frozen-run.ts";
import { editDifference } from "../frozen/run-edits.ts";

/**
 * How streams are shown: as they are (`"none"`); centred and divided by a scale (`"scale"`); or through the whole norm,
 * weights and bias included (`"full"`). {@link decomposeResid} divides all components by the one scale of the run, so
 * that they keep their sum, as TransformerLens's `apply_ln` does for stacks of components (there `"scale"`);
 * {@link accumulatedResid} divides each stream by its own.
 * @category Attribution
 */
export type NormHandling = "none" | "scale" | "full";

const HANDLINGS: readonly NormHandling[] = ["none", "scale", "full"];

/**
 * What {@link decomposeResid} takes apart.
 * @category Attribution
 */
export interface DecomposeOptions {
  /**
   * `"layer"` (the default): what each layer added; `"head"`: what each head added, with all $b_O$ as one component
   * `bias`.
   */
  readonly by?: "layer" | "head" | undefined;
  /** The stream to take apart: what this layer reads; by default `n_layers`, what the unembedding reads. */
  readonly layer?: number | undefined;
  /**
   * Whether the reader is that layer's MLP rather than its heads; the stream then holds what the heads wrote, unless
   * both read one.
   */
  readonly mlpInput?: boolean | undefined;
  /** Whether components pass through the norm of that reader, its scale that of the run; `"none"` by default. */
  readonly applyNorm?: NormHandling | undefined;
}

/**
 * A residual stream as a sum.
 * @category Attribution
 */
export interface ResidDecomposition {
  /** The name of each component. */
  readonly labels: string[];
  /** `[component, batch, pos, d_model]`, float32. */
  readonly components: Tensor<"component batch pos d_model">;
}

interface Component {
  readonly label: string;
  readonly stream: Stream;
}

/** Where a stream is looked at: how many layers' heads and MLPs have written to it, and who reads it there. */
interface Place {
  readonly heads: number;
  readonly mlps: number;
  readonly reader: Reader | undefined;
}

/** The norm through which a stream is read, with its scale in the run. */
interface Reader {
  readonly norm: Norm;
  readonly scale: Tensor<"batch pos scale">;
  /** The hook behind its quotient. */
  readonly normalized: HookName;
}

function readerOf(model: Transformer, run: PartialRun, layer: number, handling: NormHandling): Reader | undefined {
  const isFinal = layer === model.config.n_layers;
  const norm = isFinal ? model.ln_final : model.layer(layer).ln1;
  if (norm === undefined || handling === "none") return undefined;
  const at = isFinal ? ("ln_final" as const) : (`blocks.${layer}.ln1` as const);
  return { norm, scale: run.cache.get(`${at}.hook_scale`), normalized: `${at}.hook_normalized` };
}

function placeOf(model: Transformer, run: PartialRun, options: DecomposeOptions): Place {
  const { n_layers, parallel_attn_mlp } = model.config;
  const { layer = n_layers, applyNorm = "none", mlpInput = false } = options;
  const last = mlpInput ? n_layers - 1 : n_layers;
  if (!Number.isInteger(layer) || layer < 0 || layer > last) {
    const what = mlpInput ? `no MLP in layer ${layer}; give 0 to ${last}.` : `no stream before layer ${layer}; `;
    throw new InputError(
      `there is ${what}${mlpInput ? "" : `give 0 to ${n_layers}, ${n_layers} being what the unembedding reads.`}`,
      { operation: "decomposeResid", argument: "layer", expected: [0, last], actual: layer },
    );
  }
  if (!mlpInput) return { heads: layer, mlps: layer, reader: readerOf(model, run, layer, applyNorm) };
  const { mlp } = model.layer(layer);
  if (mlp === undefined) {
    throw new ConfigError("mlpInput asks for what an MLP reads, but this model is attention-only.", {
      operation: "decomposeResid",
      argument: "mlpInput",
      expected: false,
      actual: true,
    });
  }
  const reader =
    mlp.ln2 === undefined || applyNorm === "none"
      ? undefined
      : {
          norm: mlp.ln2,
          scale: run.cache.get(`blocks.${layer}.ln2.hook_scale`),
          normalized: `blocks.${layer}.ln2.hook_normalized` as const,
        };
  return { heads: parallel_attn_mlp === true ? layer : layer + 1, mlps: layer, reader };
}

function through(reader: Reader | undefined, handling: NormHandling, stream: Stream): Stream {
  if (reader === undefined) return stream;
  const { norm, scale } = reader;
  return handling === "scale" ? norm.normalizeBy(stream, scale) : norm.applyFrozen(stream, scale);
}

/** A vector of `d_model` numbers at every position of a run. */
function everywhere(run: PartialRun, vector: Tensor<"d_model">): Stream {
  const zeros = Tensor.zeros("batch pos d_model", run.cache.get("hook_embed").shape);
  return add(zeros, vector);
}

function embeddings(model: Transformer, run: PartialRun): Component[] {
  const embed: Component = { label: "embed", stream: run.cache.get("hook_embed") };
  if (model.config.positional_embedding_type !== "standard") return [embed];
  return [embed, { label: "pos_embed", stream: run.cache.get("hook_pos_embed") }];
}

function headComponents(model: Transformer, run: PartialRun, layers: number): Component[] {
  return model.layers.slice(0, layers).flatMap(({ layer, heads }) => {
    const results = run.cache.get(`blocks.${layer}.attn.hook_result`);
    return heads.map((head) => ({ label: headLabel(head), stream: results.select("head", head.head) }));
  });
}

function mlpComponents(model: Transformer, run: PartialRun, layers: number): Component[] {
  return model.layers
    .slice(0, layers)
    .filter(({ mlp }) => mlp !== undefined)
    .map(({ layer }) => ({ label: mlpLabel(layer), stream: run.cache.get(`blocks.${layer}.hook_mlp_out`) }));
}

/** The output of each layer, its MLP after its attention. */
function layerComponents(model: Transformer, run: PartialRun, { heads, mlps }: Place): Component[] {
  const ofMlps = mlpComponents(model, run, mlps);
  return model.layers
    .slice(0, heads)
    .flatMap(({ layer }) => [
      { label: `${layer}_attn_out`, stream: run.cache.get(`blocks.${layer}.hook_attn_out`) },
      ...ofMlps.slice(layer, layer + 1),
    ]);
}

/**
 * What edits of the stream added before a place, and of what heads wrote where components are heads: there the results
 * of heads are taken as an edit of `hook_attn_out` found them.
 */
function editComponents(
  run: PartialRun,
  place: Place,
  { by = "layer", mlpInput: isMlpInput = false }: DecomposeOptions,
): Component[] {
  const trace = traceOf(run);
  if (trace === undefined) return [];
  const isBefore = (hook: HookName): boolean => {
    const [, layer, name] = /^blocks\.(\d+)\.hook_(resid_pre|attn_out|resid_mid|resid_post|mlp_in)$/.exec(hook) ?? [];
    if (name === undefined || (name === "attn_out" && by === "layer")) return false;
    const first = Number(layer);
    if (name === "mlp_in") return isMlpInput && first === place.mlps;
    if (name === "resid_post") return first < place.mlps;
    return name === "resid_pre" ? first <= place.mlps : first < place.heads;
  };
  return run.edited
    .filter(isBefore)
    .map((hook) => ({ label: `edit[${hook}]`, stream: editDifference(run, trace, hook) as Stream }));
}

/** What an edit added behind the reader's quotient, with the weights of the norm where components pass through all. */
function readerEdits(run: PartialRun, reader: Reader | undefined, handling: NormHandling): Component[] {
  const trace = traceOf(run);
  if (reader === undefined || trace === undefined || !run.edited.includes(reader.normalized)) return [];
  const difference = editDifference(run, trace, reader.normalized) as Stream;
  const stream = handling === "full" ? reader.norm.applyWeights(difference) : difference;
  return [{ label: `edit[${reader.normalized}]`, stream }];
}

/**
 * What no head or embedding writes: the $b_O$ of earlier layers, and the norm's bias where components pass through all
 * of it.
 */
function constants(model: Transformer, run: PartialRun, { heads, reader }: Place, handling: NormHandling): Stream {
  const written = model.layers
    .slice(0, heads)
    .reduce((sum, { b_O }) => add(sum, b_O), Tensor.zeros("d_model", [model.config.d_model]));
  const stream = through(reader, handling, everywhere(run, written));
  return reader !== undefined && handling === "full" ? reader.norm.addBias(stream) : stream;
}

/**
 * The residual stream of a run as a sum of what was written to it, for every position.
 *
 * By layer the components are `embed`, `pos_embed` (where positions enter the stream), `0_attn_out`, `0_mlp_out` (where
 * there are MLPs), `1_attn_out` …; by head `L0H0`, `L0H1`, …, `0_mlp_out`, …, `embed`, `pos_embed`, `bias`. A norm's
 * scale is that of the run, so the components still sum to what its reader reads: with `applyNorm: "full"` to
 * `unembed.hook_in` (by layer, the final norm's bias is then a component `bias`). What an edit of the stream added is
 * a component of its own, `edit[blocks.0.hook_resid_post]`.
 *
 * @param run - a run that kept the embeddings, `hook_attn_out` or `hook_result` of the layers and the
 * norm's scale.
 * @throws {@link InputError} when there is no such layer or the run did not keep what is needed; {@link ConfigError}
 * for `mlpInput` on an attention-only model.
 * @category Attribution
 * @example
 * ```ts
 * import { maxAbsDifference, sum } from "transformer-circuits";
 * import { decomposeResid } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const run = model.run([0, 300, 301]);
 * const { labels, components } = decomposeResid(run);
 * console.log(labels.join(" "));
 * // embed 0_attn_out 1_attn_out
 * const difference = maxAbsDifference(sum(components, "component"), run.cache.get("blocks.1.hook_resid_post"));
 * console.log(difference < 1e-5);
 * // true
 * ```
 */
export function decomposeResid(run: PartialRun, options?: DecomposeOptions): ResidDecomposition;
/** As above, with the model beside its run. */
export function decomposeResid(model: Transformer, run: PartialRun, options?: DecomposeOptions): ResidDecomposition;
export function decomposeResid(
  subject: Transformer | PartialRun,
  runOrOptions?: PartialRun | DecomposeOptions,
  given?: DecomposeOptions,
): ResidDecomposition {
  const { model, run, options } = runAndOptions(
    subject,
    runOrOptions,
    given,
    "decomposeResid",
    "by layer mlpInput applyNorm",
  );
  const { by = "layer", applyNorm = "none" } = options;
  requireChoice(by, ["head", "layer"], "by", "decomposeResid");
  requireChoice(applyNorm, HANDLINGS, "applyNorm", "decomposeResid");
  const place = placeOf(model, run, options);
  const { heads, mlps, reader } = place;
  const sources = embeddings(model, run);
  const written =
    by === "head"
      ? [...headComponents(model, run, heads), ...mlpComponents(model, run, mlps), ...sources]
      : [...sources, ...layerComponents(model, run, place)];
  const edits = editComponents(run, place, options);
  const parts = [...written, ...edits].map((part) => passed(part, reader, applyNorm));
  parts.push(...readerEdits(run, reader, applyNorm));
  const b = applyNorm === "full" ? reader?.norm.b : undefined;
  if (by === "head") parts.push({ label: "bias", stream: constants(model, run, place, applyNorm) });
  else if (b !== undefined) parts.push({ label: "bias", stream: everywhere(run, b) });
  return {
    labels: parts.map(({ label }) => label),
    components: stack(
      "component",
      parts.map(({ stream }) => stream),
    ),
  };
}

/** A run with its model, which stands before it or is its own, and the options, which stand last. */
function runAndOptions<O extends object>(
  subject: Transformer | PartialRun,
  runOrOptions: PartialRun | O | undefined,
  given: O | undefined,
  operation: string,
  known: string,
): { readonly model: Transformer; readonly run: PartialRun; readonly options: O } {
  const isAlone = isRun(subject);
  const options = ((isAlone ? runOrOptions : given) ?? {}) as O;
  const model = isAlone ? subject.model : subject;
  requireKind("model", model, isAlone ? "run.model" : "model", operation, options, known);
  const run = (isAlone ? subject : runOrOptions) as PartialRun;
  requireKind(RUN, run, "run", operation);
  return { model, run, options };
}

function passed({ label, stream }: Component, reader: Reader | undefined, handling: NormHandling): Component {
  return { label, stream: through(reader, handling, stream) };
}

/**
 * What {@link accumulatedResid} shows.
 * @category Attribution
 */
export interface AccumulatedOptions {
  /** Whether each stream passes through the final norm, at its own scale; `"none"` by default. */
  readonly applyNorm?: NormHandling | undefined;
  /** Whether the streams between attention and MLP are shown too. */
  readonly includeMid?: boolean | undefined;
}

/**
 * The residual stream of a run as it grew: before each layer, with `includeMid` between its attention and its MLP too,
 * and at the end.
 *
 * With `applyNorm` each of them passes through the final norm at its own scale, mean and variance being those of that
 * stream: the logit lens, TransformerLens's `accumulated_resid(apply_ln=True)`. `"full"` is what the unembedding would
 * read of it; `"scale"` leaves weights and bias of the norm out, for unembeddings that hold them already.
 *
 * @param run - a run that kept `hook_resid_pre` of the layers and the last `hook_resid_post`.
 * @returns labels `0_pre`, `0_mid`, `1_pre`, …, `final_post`, and `components` `[component, batch, pos, d_model]`; each
 * is the whole stream, they are not to be summed.
 * @throws {@link InputError} when the run did not keep what is needed; {@link ConfigError} for `includeMid` on a model
 * whose stream has no middle, as it has no MLPs or reads them beside the attention.
 * @category Attribution
 * @example
 * ```ts
 * import { accumulatedResid } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(accumulatedResid(model.run([0, 300, 301])).labels.join(" "));
 * // 0_pre 1_pre final_post
 * ```
 */
export function accumulatedResid(run: PartialRun, options?: AccumulatedOptions): ResidDecomposition;
/** As above, with the model beside its run. */
export function accumulatedResid(model: Transformer, run: PartialRun, options?: AccumulatedOptions): ResidDecomposition;
export function accumulatedResid(
  subject: Transformer | PartialRun,
  runOrOptions?: PartialRun | AccumulatedOptions,
  given?: AccumulatedOptions,
): ResidDecomposition {
  const { model, run, options } = runAndOptions(
    subject,
    runOrOptions,
    given,
    "accumulatedResid",
    "applyNorm includeMid",
  );
  const { applyNorm = "none", includeMid = false } = options;
  requireChoice(applyNorm, HANDLINGS, "applyNorm", "accumulatedResid");
  const { n_layers, attn_only, parallel_attn_mlp } = model.config;
  if (includeMid && (attn_only || parallel_attn_mlp === true)) {
    const why = attn_only ? "it is attention-only" : "its MLPs read what the attention reads";
    throw new ConfigError(
      `includeMid asks for the stream between attention and MLP, but this model has none: ${why}.`,
      {
        operation: "accumulatedResid",
        argument: "includeMid",
        expected: false,
        actual: true,
      },
    );
  }
  const before = model.layers.flatMap(({ layer }) => [
    { label: `${layer}_pre`, stream: run.cache.get(`blocks.${layer}.hook_resid_pre`) },
    ...(includeMid ? [{ label: `${layer}_mid`, stream: run.cache.get(`blocks.${layer}.hook_resid_mid`) }] : []),
  ]);
  const last =
    n_layers === 0
      ? embeddings(model, run)
          .map(({ stream }) => stream)
          .reduce((sum, part) => add(sum, part))
      : run.cache.get(`blocks.${n_layers - 1}.hook_resid_post`);
  const parts = [...before, { label: "final_post", stream: last }];
  return {
    labels: parts.map(({ label }) => label),
    components: stack(
      "component",
      parts.map(({ stream }) => throughOwnNorm(model.ln_final, applyNorm, stream)),
    ),
  };
}

/** A whole stream through a norm at its own scale. */
function throughOwnNorm(norm: Norm | undefined, handling: NormHandling, stream: Stream): Stream {
  if (norm === undefined || handling === "none") return stream;
  return handling === "scale" ? norm.normalize(stream).normalized : norm.apply(stream);
}
