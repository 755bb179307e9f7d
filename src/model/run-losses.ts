/** The losses of a run, without its logits: of 8 prompts of 256 tokens and a vocabulary of 50,000 those are 400 MB. */
import { kernels, matrix } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { Tensor } from "../tensor/index.ts";
import { allocateData, rawData, rightOperand, withWorkspace } from "../tensor/internal.ts";
import { isZero } from "./bias.ts";
import { targetOf } from "./loss.ts";
import type { RunOptions } from "./run.ts";
import type { TokensLike } from "./tokens.ts";
import type { Transformer } from "./transformer.ts";

/** What `lossPerToken(model.run(tokens, options).logits, tokens)` gives, to the rounding of its sums. */
export function runLosses(
  model: Transformer,
  tokens: TokensLike,
  options: Pick<RunOptions, "from" | "edits"> & { readonly signal?: AbortSignal | undefined } = {},
): Tensor<"batch pos"> {
  const { signal, ...rest } = options;
  const abort = signal === undefined ? {} : { signal };
  const run = model.run(tokens, { ...rest, ...abort, cache: ["unembed.hook_in"], unembed: "none" });
  const [batch = 0, pos = 0] = run.tokens.shape;
  const count = Math.max(0, pos - 1);
  const rows = batch * count;
  const output = allocateData("float32", rows) as FloatArray;
  const parts = model.inFloat32;
  const W_U = parts.weight("unembed.W_U");
  const [d_model = 0, d_vocab = 0] = W_U.shape;
  const ids = rawData(run.tokens);
  const targets = Int32Array.from({ length: rows }, (_, row) =>
    targetOf(ids, Math.floor(row / count) * pos + (row % count) + 1, d_vocab),
  );
  const b_U = rawData(parts.b_U) as FloatArray;
  const bias = isZero(b_U) ? undefined : b_U;
  const final = rawData(run.cache.get("unembed.hook_in"));
  withWorkspace((take) => {
    const x = take("float32", rows * d_model);
    for (let b = 0; b < batch; b++) {
      const start = b * pos * d_model;
      x.set(final.subarray(start, start + count * d_model), b * count * d_model);
    }
    const operands = { a: matrix(x, d_model), ...rightOperand(W_U, rows), bias, targets };
    kernels().productCrossEntropy({ rows, cols: d_vocab, k: d_model, ...operands, output });
  });
  return Tensor.from("batch pos", [batch, count], output);
}
