/** The copying score of one head, without what all heads of a model share. */
import { requireKind } from "../../errors.ts";
import { kernels, kindOf, withWorkspace } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import { eigenvaluesOfStack } from "../../linalg/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { requireSameTokens } from "../../model/internal.ts";
import { positivityOf } from "./cores.ts";

/**
 * The copying score of one head, $\sum \lambda / \sum |\lambda|$ over the eigenvalues of its full OV circuit, as {@link copyingScores} has it for all: sooner found
 * alone where few heads are asked for, from $(W_O W_U)(W_E W_V)$.
 *
 * @param head - the head, by place or label.
 * @throws {@link ConfigError} when output tokens are not the input tokens; {@link InputError} when there is no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingScore } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(copyingScore(model, "L1H4").toFixed(2));
 * // 0.99
 * ```
 */
export function copyingScore(model: Transformer, head: HeadRef): number {
  requireKind("model", model, "model", "copyingScore");
  requireSameTokens(model, "copyingScore");
  const { layer, head: index } = model.head(head);
  const { d_vocab, d_model, d_head } = model.config;
  const [W_E, W_U] = ["embed.W_E", "unembed.W_U"].map((name) => rawData(model.weight(name)) as FloatArray) as [
    FloatArray,
    FloatArray,
  ];
  const [W_V, W_O] = [model.layer(layer).W_V, model.layer(layer).W_O].map((W) => rawData(W) as FloatArray) as [
    FloatArray,
    FloatArray,
  ];
  const kind = [W_E, W_U, W_V, W_O].some((W) => kindOf(W) === "float64") ? "float64" : "float32";
  const own = d_model * d_head * index;
  const core = new Float64Array(d_head * d_head);
  withWorkspace((take) => {
    const written = rowMajor(take(kind, d_head * d_vocab), d_vocab);
    const read = rowMajor(take(kind, d_vocab * d_head), d_head);
    const [O, V] = [rowMajor(W_O, d_model, own), rowMajor(W_V, d_head, own)];
    kernels().matmul({ batch: 1, m: d_head, n: d_vocab, k: d_model, a: O, b: rowMajor(W_U, d_vocab), out: written });
    kernels().matmul({ batch: 1, m: d_vocab, n: d_head, k: d_model, a: rowMajor(W_E, d_model), b: V, out: read });
    kernels().matmul({ batch: 1, m: d_head, n: d_head, k: d_vocab, a: written, b: read, out: rowMajor(core, d_head) });
  });
  const { re, im } = eigenvaluesOfStack(core, 1, d_head);
  return positivityOf(re, im);
}

function rowMajor(data: FloatArray, cols: number, offset = 0): MatrixView {
  return { data, offset, rowStride: cols, colStride: 1, batchStride: 0 };
}
