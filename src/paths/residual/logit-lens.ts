/**
 * The logit lens: what a model would say if its stream were read where it is, through the final norm and $W_U$
 * (nostalgebraist, "interpreting GPT: the logit lens"); and the tuned lens, which first takes each stream through an
 * affine map of its own, $x A_l + b_l$ (Belrose et al., "Eliciting Latent Predictions from Transformers with the Tuned
 * Lens"; there trained by gradient on the KL divergence, here fitted to the last stream by least squares).
 */
import { InputError, requireKind, requireKinds, requireObject, requireOptions, ShapeError } from "../../errors.ts";
import { dense, qr } from "../../linalg/index.ts";
import type { PartialRun, Transformer } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { add, astype, matmul, Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { accumulatedResid } from "./residual-decomposition.ts";

/** @inline */
type Stream = Tensor<"batch pos d_model">;

/**
 * What a stream goes through before it is read, $x A + b$.
 * @category Attribution
 */
export interface Translator {
  /** The stream, by its label in {@link LogitLens}: `0_pre`, `1_pre`, …. */
  readonly label: string;
  /** $A$, `[d_model, d_model_out]`, both of size d_model. */
  readonly A: Tensor<"d_model d_model_out">;
  /** $b$, `[d_model]`. */
  readonly b: Tensor<"d_model">;
}

/**
 * How {@link logitLens} reads.
 * @category Attribution
 */
export interface LogitLensOptions {
  /**
   * The scale of the final norm: each stream's `"own"` (the default, as TransformerLens's `apply_ln`), or the `"final"`
   * one of the run, by which the reading is linear in the stream.
   */
  readonly scale?: "own" | "final" | undefined;
  /** Whether the streams between attention and MLP are read too. */
  readonly includeMid?: boolean | undefined;
  /** The output tokens whose logits are computed, which are then the entries of `d_vocab`; all unless given. */
  readonly directions?: readonly number[] | undefined;
  /** Maps of the streams they name, as {@link fitTranslators} gives them; others are read as they are. */
  readonly translators?: readonly Translator[] | undefined;
}

/**
 * The logits at each stream.
 * @category Attribution
 */
export interface LogitLens {
  /** `0_pre`, `1_pre`, …, `final_post`, as {@link accumulatedResid} has them. */
  readonly labels: string[];
  /** `[component, batch, pos, d_vocab]`, float32: of the last one the logits of the run. */
  readonly logits: Tensor<"component batch pos d_vocab">;
}

/**
 * The logits that each stream of a run would give if it were the last.
 *
 * @param run - a run that kept `hook_resid_pre` of the layers and the last `hook_resid_post`; for `scale: "final"`, the
 * scale of the final norm too.
 * @throws {@link InputError} when the run did not keep what is needed, a direction is no output token, or a translator
 * names no stream or one twice; {@link ShapeError} when a translator is of other sizes; {@link ConfigError} as
 * {@link accumulatedResid}.
 * @category Attribution
 * @example
 * ```ts
 * import { logitLens } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const run = model.run([0, 300, 301, 302, 300, 301]);
 * const { labels, logits } = logitLens(run, { directions: [302] });
 * console.log(labels.join(" "), String(logits));
 * // 0_pre 1_pre final_post Tensor[component=3 batch=1 pos=6 d_vocab=1] float32
 * console.log(Math.abs(logits.at(2, 0, 5, 0) - run.logits.at(0, 5, 302)) < 1e-4);
 * // true
 * ```
 */
export function logitLens(run: PartialRun, options: LogitLensOptions = {}): LogitLens {
  const operation = "logitLens";
  requireKind("run", run, "run", operation, options, "scale includeMid directions translators");
  const { scale = "own", includeMid, directions, translators = [] } = options;
  requireChoice(scale, ["own", "final"], "scale", operation);
  const { model } = run;
  const { labels, components } = accumulatedResid(run, { includeMid });
  requireTranslators(translators, labels, model.config.d_model);
  const reader = readerOf(model, directions, operation);
  const finalScale =
    scale === "final" && model.ln_final !== undefined ? run.cache.get("ln_final.hook_scale") : undefined;
  const [, batch = 0, pos = 0] = components.shape;
  const width = reader.bias.length;
  const out = new Float32Array(labels.length * batch * pos * width);
  for (const [c, label] of labels.entries()) {
    const stream = translated(
      components.select("component", c),
      translators.find((each) => each.label === label),
    );
    const read = throughNorm(model, stream, finalScale);
    const data = rawData(matmul(read, reader.columns));
    const start = c * batch * pos * width;
    for (let i = 0; i < data.length; i++) out[start + i] = (data[i] as number) + (reader.bias[i % width] as number);
  }
  return { labels, logits: Tensor.from("component batch pos d_vocab", [labels.length, batch, pos, width], out) };
}

function throughNorm({ ln_final }: Transformer, stream: Stream, scale: Tensor<"batch pos scale"> | undefined): Stream {
  if (ln_final === undefined) return stream;
  return scale === undefined ? ln_final.apply(stream) : ln_final.addBias(ln_final.applyFrozen(stream, scale));
}

function translated(stream: Stream, translator: Translator | undefined): Stream {
  if (translator === undefined) return stream;
  const moved: Tensor<"batch pos d_model_out"> = matmul(astype(stream, "float64"), translator.A);
  return astype(add(moved.rename("d_model_out", "d_model"), translator.b), "float32");
}

/** Columns of $W_U$ and entries of $b_U$, of all output tokens or of some. */
function readerOf(
  model: Transformer,
  directions: readonly number[] | undefined,
  operation: string,
): { readonly columns: Tensor<"d_model d_vocab">; readonly bias: ArrayLike<number> } {
  const W_U = model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
  const b_U = rawData(model.b_U);
  if (directions === undefined) return { columns: W_U, bias: b_U };
  requireKind("list", directions, "directions", operation);
  const [d = 0, size = 0] = W_U.shape;
  const wrong = directions.find((id) => !Number.isInteger(id) || id < 0 || id >= size);
  if (wrong !== undefined) {
    throw new InputError(`directions has ${wrong}; it is a list of output tokens, 0 to ${size - 1}.`, {
      operation,
      argument: "directions",
      expected: [0, size - 1],
      actual: wrong,
    });
  }
  const data = rawData(W_U);
  const n = directions.length;
  const columns = Float32Array.from(
    { length: d * n },
    (_, t) => data[Math.floor(t / n) * size + (directions[t % n] as number)] as number,
  );
  return {
    columns: Tensor.from("d_model d_vocab", [d, n], columns),
    bias: directions.map((id) => b_U[id] as number),
  };
}

function requireTranslators(translators: readonly Translator[], labels: readonly string[], d_model: number): void {
  const operation = "logitLens";
  requireKind("list", translators, "translators", operation);
  const seen = new Set<string>();
  for (const translator of translators) {
    requireObject(translator, "translators", operation);
    const { label, A, b } = translator;
    if (!labels.includes(label) || seen.has(label)) {
      const what = seen.has(label) ? "is named twice" : "is no stream of this run";
      throw new InputError(`the translator's "${label}" ${what}; the streams are ${labels.join(", ")}.`, {
        operation,
        argument: "translators",
        expected: labels,
        actual: label,
      });
    }
    seen.add(label);
    requireAxes(A, "d_model d_model_out", `translators.${label}.A`, operation);
    requireAxes(b, "d_model", `translators.${label}.b`, operation);
    if (A.shape.every((size) => size === d_model) && b.size === d_model) continue;
    throw new ShapeError(
      `the translator of ${label} has A ${describeTensor(A)} and b ${describeTensor(b)}; this model has d_model=${d_model}.`,
      { operation, argument: "translators", expected: [d_model, d_model], actual: A.shape },
    );
  }
}

/**
 * How {@link fitTranslators} fits.
 * @category Attribution
 */
export interface FitTranslatorsOptions {
  /**
   * How much a map is held to the identity, as a share of the mean square of the stream: adds
   * $\lambda \|A - I\|^2$ to the squared error; $10^{-4}$ unless given, 0 for none where there are positions enough.
   */
  readonly ridge?: number | undefined;
}

/**
 * For the stream before each layer the affine map that takes it to the last stream with the least squared error over
 * all positions of some runs, in closed form (QR): a tuned lens for {@link logitLens}.
 *
 * @param runs - runs of one model that kept `hook_resid_pre` of the layers and the last `hook_resid_post`.
 * @returns a translator for each layer.
 * @throws {@link InputError} for no run, runs of several models, a negative ridge, or a run that did not keep what is
 * needed.
 * @category Attribution
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { fitTranslators, logitLens } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const fitted = fitTranslators([model.run(repeatedTokens(model.config, { length: 20, batch: 8, seed: 1 }))]);
 * const run = model.run(repeatedTokens(model.config, { length: 20, batch: 2, seed: 2 }));
 * console.log(fitted.map(({ label }) => label).join(" "), logitLens(run, { translators: fitted }).labels.length);
 * // 0_pre 1_pre 3
 * ```
 */
export function fitTranslators(runs: readonly PartialRun[], options: FitTranslatorsOptions = {}): Translator[] {
  const operation = "fitTranslators";
  requireOptions(options, operation, "ridge");
  requireKinds("run", runs, "runs", operation);
  const { ridge = 1e-4 } = options;
  const [first] = runs;
  if (first === undefined || !(ridge >= 0 && ridge < Infinity) || runs.some(({ model }) => model !== first.model)) {
    const message =
      first === undefined
        ? "there are no runs to fit to. Give at least one."
        : ridge >= 0 && ridge < Infinity
          ? "the runs are of several models. Fit each by itself."
          : `ridge is ${ridge}; give a number of at least 0.`;
    throw new InputError(message, { operation, argument: first !== undefined && !(ridge >= 0) ? "ridge" : "runs" });
  }
  const streams = runs.map((run) => accumulatedResid(run));
  const d = first.model.config.d_model;
  const rowsOf = (c: number): Float64Array => {
    const parts = streams.map(({ components }) => rawData(components.select("component", c)));
    const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  const labels = streams[0]?.labels ?? [];
  const last = rowsOf(labels.length - 1);
  return labels.slice(0, -1).map((label, c) => ({ label, ...fitted(rowsOf(c), last, d, ridge) }));
}

/** The affine map from rows of one matrix to rows of another with the least squares, held to the identity. */
function fitted(x: Float64Array, y: Float64Array, d: number, ridge: number): Pick<Translator, "A" | "b"> {
  const count = x.length / d;
  const weight = Math.sqrt((ridge * x.reduce((sum, value) => sum + value * value, 0)) / d);
  const rows = count + (weight > 0 ? d : 0);
  const left = new Float64Array(rows * (d + 1));
  const right = new Float64Array(rows * d);
  for (let row = 0; row < count; row++) {
    left.set(x.subarray(row * d, (row + 1) * d), row * (d + 1));
    left[row * (d + 1) + d] = 1;
  }
  right.set(y);
  for (let i = 0; count + i < rows; i++) {
    left[(count + i) * (d + 1) + i] = weight;
    right[(count + i) * d + i] = weight;
  }
  if (rows < d + 1) {
    throw new InputError(
      `${count} positions do not determine a map of d_model=${d}. Give more runs, or a ridge above 0.`,
      { operation: "fitTranslators", argument: "runs", expected: d + 1, actual: count },
    );
  }
  const { Q, R } = qr(dense(rows, d + 1, left));
  const turned: Tensor<"column row"> = Tensor.from("row column", [rows, d + 1], Q.data).permute("column row");
  const target: Tensor<"row out"> = Tensor.from("row out", [rows, d], right);
  const solution = rawData(matmul(turned, target)).slice();
  for (let i = d; i >= 0; i--) {
    const pivot = R.data[i * (d + 1) + i] as number;
    for (let j = 0; j < d; j++) {
      let sum = solution[i * d + j] as number;
      for (let k = i + 1; k <= d; k++) sum -= (R.data[i * (d + 1) + k] as number) * (solution[k * d + j] as number);
      solution[i * d + j] = pivot === 0 ? 0 : sum / pivot;
    }
  }
  return {
    A: Tensor.from("d_model d_model_out", [d, d], solution.slice(0, d * d)),
    b: Tensor.from("d_model", [d], solution.slice(d * d)),
  };
}
