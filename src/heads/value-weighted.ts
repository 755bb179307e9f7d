/**
 * Value-weighted attention: a head may look where there is nothing to read, so patterns are shown times the size of
 * what is moved (*A Mathematical Framework for Transformer Circuits*, induction head figures, after Kobayashi et al.
 * 2020).
 */
import { requireKind } from "../errors.ts";
import type { PartialRun, Transformer } from "../model/index.ts";
import { astype, matmul, Tensor } from "../tensor/index.ts";
import { rawData, rowNorms } from "../tensor/internal.ts";
import { ofEachHead, requireChoice, RUN } from "../model/internal.ts";
import type { Pattern } from "./scores/tally.ts";

/**
 * What {@link valueWeightedPattern} weighs attention with.
 * @category Attribution
 */
export interface ValueWeightedOptions {
  /**
   * `"value"` (the default): $\|v_j\|$, as in the paper; `"result"`: $\|v_j W_O\|$, which does not depend on how
   * $W_{OV}$ is split into $W_V$ and $W_O$.
   */
  readonly norm?: "value" | "result" | undefined;
}

/**
 * The attention patterns of a layer times the size of the value at the key: $A_{ij} \|v_j\|$ or $A_{ij} \|v_j W_O\|$.
 *
 * Rows do not sum to 1. Biases of the values are included.
 *
 * @param run - a run of the model that kept `hook_pattern` and `hook_v` of the layer.
 * @param layer - which layer's heads.
 * @returns `[batch, head, query_pos, key_pos]`, float32.
 * @throws {@link InputError} when there is no such layer or weighting, or the run did not keep what is needed.
 * @category Attribution
 * @example
 * ```ts
 * import { valueWeightedPattern } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const run = model.run([0, 300, 301, 302]);
 * console.log(String(valueWeightedPattern(model, run, 1, { norm: "result" })));
 * // Tensor[batch=1 head=8 query_pos=4 key_pos=4] float32
 * ```
 */
export function valueWeightedPattern(
  model: Transformer,
  run: PartialRun,
  layer: number,
  options: ValueWeightedOptions = {},
): Pattern {
  requireKind("model", model, "model", "valueWeightedPattern", options, "norm");
  requireKind(RUN, run, "run", "valueWeightedPattern");
  const { norm = "value" } = options;
  requireChoice(norm, ["value", "result"], "norm", "valueWeightedPattern");
  const { W_O, heads } = model.layer(layer);
  const pattern = run.cache.get(`blocks.${layer}.attn.hook_pattern`);
  const v = ofEachHead(astype(run.cache.get(`blocks.${layer}.attn.hook_v`), "float64"), heads.length);
  const [batch = 0, n_heads = 0, queries = 0, keys = 0] = pattern.shape;
  const out = new Float32Array(pattern.size);
  const A = rawData(pattern);
  for (const { head } of heads) {
    const values: Tensor = v.select("head", head);
    const sizes = rowNorms(
      norm === "value" ? values : matmul(values as Tensor<"batch pos d_head">, W_O.select("head", head)),
    );
    for (let b = 0; b < batch; b++) {
      const start = (b * n_heads + head) * queries * keys;
      for (let i = 0; i < queries * keys; i++)
        out[start + i] = (A[start + i] as number) * (sizes[b * keys + (i % keys)] as number);
    }
  }
  return Tensor.from("batch head query_pos key_pos", pattern.shape, out);
}
