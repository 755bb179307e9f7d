/**
 * The logit lens: what a model would say if its stream were read where it is, through the final norm and $W_U$
 * (nostalgebraist, "interpreting GPT: the logit lens"); with the maps of `translators.ts`, a tuned lens.
 */
import { InputError, requireKind, requireObject, ShapeError } from "../../errors.ts";
import type { PartialRun, Transformer } from "../../model/index.ts";
import { requireChoice, RUN } from "../../model/internal.ts";
import { add, astype, matmul, Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { accumulatedResid } from "./residual-decomposition.ts";
import type { Translator } from "./translators.ts";

/** @inline */
type Stream = Tensor<"batch pos d_model">;

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
  requireKind(RUN, run, "run", operation, options, "scale includeMid directions translators");
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
