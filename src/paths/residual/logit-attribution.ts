/**
 * Direct logit attribution: what the embedding and every head or layer of a run add to a logit (Elhage et al. 2021,
 * "term importance" by logits; ARENA 1.2, "logit attribution").
 *
 * Unlike paths, components are what the heads of the run really wrote, all that they read included: the attribution of
 * a head of layer 1 is its single-head path and its virtual heads together.
 *
 * What a head adds to a logit of direction $u$ is $(z W_O) \cdot u = z \cdot (W_O u)$: one product with $W_O$ serves
 * all heads of a layer, and no head's output is formed. With a certificate that is made when it is asked for, the small
 * model's attribution at 64 positions takes a quarter of the time, its run included.
 */
import { headLabel } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { add, astype, matmul, mean, Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import { NormSum, writtenErrorBound } from "../certificate.ts";
import type { Certificate } from "../certificate.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import { flat, layerWritten } from "../frozen/frozen-layers.ts";
import { frozenOf, mlpLabel, mlpStream, sourceStreams, throughFinalNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { readHeads, readingsOfStream } from "../logits/attribution.ts";
import { readAlong, readoutOf } from "../targets.ts";
import type { Readout, Targets } from "../targets.ts";

/**
 * What {@link logitAttribution} explains, and by what.
 * @category Attribution
 */
export interface LogitAttributionOptions extends ProgressOptions {
  /** The components beside the embeddings: heads (the default) or whole layers. */
  readonly by?: "head" | "layer" | undefined;
  /** The logits to explain; those of the correct next tokens by default. */
  readonly targets?: Targets | undefined;
}

/**
 * A logit as a sum over components.
 * @category Attribution
 */
export interface LogitAttribution {
  /**
   * `embed`, `pos_embed` where positions enter the residual stream, then `L0H0` … and `0_mlp_out` …, or by layer
   * `0_attn_out`, `0_mlp_out`, `1_attn_out` …, of an edited run `edit[blocks.0.hook_resid_post]` …, and `bias`.
   */
  readonly labels: string[];
  /** `[component, batch, pos]`, float64, in logits; for next tokens one position fewer than the prompt. */
  readonly attribution: Tensor<"component batch pos">;
  /** That the components sum to the logits of the model; made when it is first asked for. */
  readonly certificate: Certificate;
}

interface Component {
  readonly label: string;
  /** What it wrote. */
  stream(): Stream;
  /** What it adds to the logits, where that takes no stream. */
  values?(): Float64Array;
  /** Whether it joins behind the final norm. */
  readonly isFinal?: boolean;
}

/** Heads, `directions` those of the logits in the stream before the final norm. */
function headComponents(frozen: FrozenRun, readout: Readout, directions: Stream): Component[] {
  const { model, run } = frozen;
  return model.layers.flatMap(({ layer, heads, W_O }) => {
    const z = run.cache.get(`blocks.${layer}.attn.hook_z`);
    let found: Float64Array[] | undefined;
    const ofHeads = (): Float64Array[] => {
      const all = frozenHeads(frozen, layer);
      const each: Float64Array[] = [];
      readHeads(all, rawData(z) as FloatArray, all.writeBack(flat(directions)), readout.positions, (_, values) =>
        each.push(values),
      );
      return each;
    };
    return heads.map((head) => ({
      label: headLabel(head),
      stream: (): Stream => {
        const own: Tensor<"batch pos d_head"> = z.select("head", head.head);
        return matmul(astype(own, "float64"), W_O.select("head", head.head));
      },
      values: () => (found ??= ofHeads())[head.head] as Float64Array,
    }));
  });
}

/** A layer's heads together, with its $b_O$, in float64 from what they read. */
function layerComponents(frozen: FrozenRun): Component[] {
  return frozen.model.layers.map(({ layer }) => ({
    label: `${layer}_attn_out`,
    stream: () => layerWritten(frozen, layer),
  }));
}

/** The output of a layer's MLP, as no component or one. */
function mlpComponent(frozen: FrozenRun, layer: number): Component[] {
  const written = mlpStream(frozen, layer);
  return written === undefined ? [] : [{ label: mlpLabel(layer), stream: () => written }];
}

/**
 * What no embedding, head or layer writes, through the final norm: $b_O$ where heads stand alone, and that norm's bias.
 */
function biasComponent(frozen: FrozenRun, by: "head" | "layer"): Stream {
  const { model, run } = frozen;
  const zeros: Stream = Tensor.zeros("batch pos d_model", run.cache.get("hook_embed").shape, "float64");
  const written = by === "head" ? model.layers.reduce((sum, { b_O }) => add(sum, b_O), zeros) : zeros;
  const linear = throughFinalNorm(frozen, written);
  return model.ln_final === undefined ? linear : model.ln_final.addBias(linear);
}

/**
 * What each component of a run adds to the logit of a target token, by default the correct next one: its vector through
 * the final norm, whose scale is that of the run, times the token's column of $W_U$.
 *
 * Exact for every kind of positions and norms: the components sum to the model's logit, with everything that is a
 * constant ($b_U$, the $b_O$ where components are heads, the bias of the final norm) in `bias`; $b_V$ is part of what
 * heads write, $b_{out}$ of what MLPs do. The certificate compares the sums with the logits. Shortformer positions act
 * on patterns alone and are no component.
 *
 * @param tokens - a prompt, or several of equal length.
 * @throws {@link InputError} for tokens the model cannot run, a prompt without next token, or a target that is no
 * output token; {@link ShapeError} when targets do not fit the prompts.
 * @category Attribution
 * @example
 * ```ts
 * import { logitAttribution } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 300, 301, 302, 303, 304, 300, 301, 302, 303];
 * const { labels, attribution, certificate } = logitAttribution(model, tokens);
 * console.log(labels.length, certificate.withinBound);
 * // 18 true
 * const atLast = labels.map((label, c) => ({ label, value: attribution.at(c, 0, 8) }));
 * atLast.sort((a, b) => b.value - a.value);
 * console.log(atLast[0]?.label.startsWith("L1"));
 * // true
 * ```
 */
export function logitAttribution(
  model: Transformer,
  tokens: TokensLike,
  options?: LogitAttributionOptions,
): LogitAttribution;
/** As above, of a run that was made before, edits and all: what edits of the stream added are components. */
export function logitAttribution(run: Run, options?: LogitAttributionOptions): LogitAttribution;
export function logitAttribution(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | LogitAttributionOptions,
  given?: LogitAttributionOptions,
): LogitAttribution {
  const operation = "logitAttribution";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "by targets signal onProgress");
  const { model } = frozen;
  const { by = "head", targets = "next" } = options;
  requireChoice(by, ["head", "layer"], "by", operation);
  const readout = readoutOf(model, frozen.run.tokens, targets, operation);
  const directions = readingsOfStream(frozen, readout);
  const { embed, pos_embed } = sourceStreams(frozen);
  const components: Component[] = [
    { label: "embed", stream: () => embed },
    ...(pos_embed === undefined ? [] : [{ label: "pos_embed", stream: () => pos_embed }]),
    ...(by === "head"
      ? [
          ...headComponents(frozen, readout, directions),
          ...model.layers.flatMap(({ layer }) => mlpComponent(frozen, layer)),
        ]
      : layerComponents(frozen).flatMap((part, layer) => [part, ...mlpComponent(frozen, layer)])),
    ...(frozen.edits?.written ?? []).map(({ label, stream, isFinal }) => ({ label, stream: () => stream, isFinal })),
  ];
  const batch = frozen.run.tokens.sizeOf("batch");
  const size = batch * readout.positions;
  const out = new Float64Array((components.length + 1) * size);
  const steps = new Steps(options, components.length);
  for (const [c, component] of components.entries()) {
    const ofStream = component.isFinal === true ? readout : { ...readout, directions };
    out.set(component.values?.() ?? readAlong(ofStream, component.stream()), c * size);
    steps.advance();
  }
  const bias = readAlong(readout, biasComponent(frozen, by)).map((x, i) => x + (readout.constants[i] as number));
  out.set(bias, components.length * size);
  const attribution = Tensor.from("component batch pos", [components.length + 1, batch, readout.positions], out);
  let certificate: Certificate | undefined;
  const result: LogitAttribution = {
    labels: [...components.map(({ label }) => label), "bias"],
    attribution,
    get certificate() {
      return (certificate ??= certify(frozen, readout, attribution, components));
    },
  };
  return shownAs(result, attributionShowing);
}

/** A row a component, those that add most first; no certificate is made for it. */
function attributionShowing({ labels, attribution }: LogitAttribution): Showing {
  const [, batch = 0, pos = 0] = attribution.shape;
  const means = mean(mean(attribution, "pos"), "batch");
  const rows = labels.map((label, c): [string, number] => [label, means.at(c)]).sort((a, b) => b[1] - a[1]);
  const title = `LogitAttribution of ${labels.length} components, means of ${batch * pos} logits`;
  return { title, parts: () => [{ kind: "rows", columns: ["component", "logits"], rows }] };
}

/** Compares the sums over components with the logits. */
function certify(
  frozen: FrozenRun,
  readout: Readout,
  attribution: Tensor<"component batch pos">,
  components: readonly Component[],
): Certificate {
  const norms = new NormSum();
  for (const component of components) {
    const stream = component.stream();
    norms.add(component.isFinal === true ? stream : throughFinalNorm(frozen, stream));
  }
  const wanted = readout.logitsOf(frozen.run.logits);
  const terms = attribution.sizeOf("component");
  const data = attribution.data;
  let maxDeviation = 0;
  for (const [i, logit] of wanted.entries()) {
    let sum = 0;
    for (let c = 0; c < terms; c++) sum += data[c * wanted.length + i] as number;
    maxDeviation = Math.max(maxDeviation, Math.abs(sum - logit));
  }
  const { d_model, d_head } = frozen.model.config;
  const operations = terms + 2 * d_model + d_head;
  const bound = writtenErrorBound(frozen, readout, { operations, norms: norms.largest });
  return { maxDeviation, bound, withinBound: maxDeviation <= bound, terms };
}
