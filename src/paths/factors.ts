/**
 * The parts of a frozen model as tensor products: heads with the norm that they read through, the final norm, and
 * layers as sums, $\mathrm{Id} \otimes \mathrm{Id} + \sum_h A^h \otimes W_{OV}^h$ (*A Mathematical Framework for
 * Transformer Circuits*, "The path expansion trick").
 */
import {
  composeProducts,
  compose,
  identityMap,
  linear,
  onFeatures,
  scalePositions,
  tensorProduct,
  type TensorProduct,
} from "../linear/index.ts";
import type { HeadId } from "../model/index.ts";
import { astype, map } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { frozenNorm } from "./frozen/frozen-run.ts";
import type { FrozenRun } from "./frozen/frozen-run.ts";
import { foldedReader, normMap } from "../model/internal.ts";

type StreamProduct = TensorProduct<"d_model", "d_model">;

/** What a head does to the raw residual stream: $A^h \mathrm{diag}(1/s) \otimes C\,\mathrm{diag}(w) W_V W_O$. */
export function headProduct(frozen: FrozenRun, { layer, head }: HeadId): StreamProduct {
  const attention = frozen.model.layer(layer);
  const W_V = linear("d_model", "d_head", foldedReader(attention, "W_V").select("head", head));
  const moving = tensorProduct(patternOf(frozen, { layer, head }), compose(W_V, attention.head(head).W_O));
  const scaling = scaleProductOf(frozen, layer);
  return scaling === undefined ? moving : composeProducts(scaling, moving);
}

/** What a head does to its layer's normalised stream. */
export function normalizedHeadProduct(frozen: FrozenRun, { layer, head }: HeadId): StreamProduct {
  return tensorProduct(patternOf(frozen, { layer, head }), frozen.model.layer(layer).head(head).W_OV);
}

/** The pattern of a head alone, $A^h \otimes \mathrm{Id}$. */
export function patternProduct(frozen: FrozenRun, head: HeadId): StreamProduct {
  return tensorProduct(patternOf(frozen, head), identityMap("d_model", frozen.model.config.d_model));
}

/** The final norm's linear part; `undefined` where there is none. */
export function finalNormProduct(frozen: FrozenRun): StreamProduct | undefined {
  const { n_layers, d_model } = frozen.model.config;
  const scaling = scaleProductOf(frozen, n_layers);
  const norm = frozen.model.ln_final;
  if (scaling === undefined || norm === undefined) return undefined;
  return composeProducts(scaling, onFeatures(normMap(norm, d_model)));
}

/** From the stream after the last layer to the logits, without biases. */
export function unembedProduct(frozen: FrozenRun): TensorProduct<"d_model", "d_vocab"> {
  const W_U = onFeatures(frozen.model.W_U);
  const final = finalNormProduct(frozen);
  return final === undefined ? W_U : composeProducts(final, W_U);
}

function patternOf({ run }: FrozenRun, { layer, head }: HeadId): Parameters<typeof tensorProduct>[0] {
  return run.cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head);
}

/** $\mathrm{diag}(1/s) \otimes \mathrm{Id}$ of the norm before a layer, or with `layer = n_layers` of the final one. */
function scaleProductOf(frozen: FrozenRun, layer: number): StreamProduct | undefined {
  const found = frozenNorm(frozen, layer);
  if (found === undefined) return undefined;
  const scale: Tensor<"batch pos"> = found.scale.select("scale", 0);
  const inverse = map(astype(scale, "float64"), (s) => 1 / s);
  return scalePositions(inverse, "d_model", frozen.model.config.d_model);
}
