/** Attention of all heads on a short sequence, as the page's explorer takes it. */
import { lossPerToken } from "../../model/index.ts";
import type { AttentionLayer, HookName, Transformer } from "../../model/index.ts";
import { matmul } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Corpus } from "../corpus.ts";
import { short } from "../numbers.ts";
import type { AttentionSample, LayerAttention } from "../types.ts";

/**
 * The beginning of the window in which the most different pairs of neighbouring tokens come again: where an induction
 * head has most to do. Pairs of equal tokens do not count; the first of several.
 */
export function readablePassage(windows: readonly (readonly number[])[], length: number): readonly number[] {
  let best: readonly number[] = windows[0]?.slice(0, length) ?? [];
  let most = 0;
  for (const window of windows) {
    const passage = window.slice(0, length);
    const seen = new Set<string>();
    const again = new Set<string>();
    for (let i = 1; i < passage.length; i++) {
      const pair = `${passage[i - 1]} ${passage[i]}`;
      if (seen.has(pair) && passage[i - 1] !== passage[i]) again.add(pair);
      seen.add(pair);
    }
    if (again.size > most) [most, best] = [again.size, passage];
  }
  return best;
}

/** Patterns and norms of every head on one sequence. */
export function attentionSample(
  model: Transformer,
  ids: readonly number[],
  corpus: Corpus,
  kind: AttentionSample["kind"],
): AttentionSample {
  const { cache, logits, tokens } = model.run([ids], { cache: (name: HookName) => /hook_(pattern|v)$/.test(name) });
  const loss = lossPerToken(logits, tokens).data;
  return {
    kind,
    ids: [...ids],
    tokens: ids.map(corpus.tokenText),
    loss: [null, ...Array.from(loss, (value) => short(value))],
    layers: model.layers.map((layer) => {
      const at = `blocks.${layer.layer}.attn` as const;
      return layerAttention(layer, cache.get(`${at}.hook_pattern`), cache.get(`${at}.hook_v`));
    }),
  };
}

function layerAttention(
  layer: AttentionLayer,
  pattern: Tensor<"batch head query_pos key_pos">,
  values: Tensor<"batch pos head d_head">,
): LayerAttention {
  const heads = layer.heads.map(({ head }) => {
    const v = values.select("batch", 0).select("head", head);
    return {
      pattern: triangle(pattern.select("batch", 0).select("head", head)),
      valueNorm: rowNorms(v),
      resultNorm: rowNorms(matmul(v, layer.W_O.select("head", head))),
    };
  });
  return {
    pattern: heads.map((head) => head.pattern),
    valueNorm: heads.map((head) => head.valueNorm),
    resultNorm: heads.map((head) => head.resultNorm),
  };
}

function triangle(pattern: Tensor<"query_pos key_pos">): number[] {
  const data = rawData(pattern);
  const n = pattern.sizeOf("key_pos");
  const out: number[] = [];
  for (let query = 0; query < n; query++)
    for (let key = 0; key <= query; key++) out.push(short(data[query * n + key] as number));
  return out;
}

function rowNorms(rows: Tensor): number[] {
  const [count = 0, width = 0] = rows.shape;
  const data = rows.data;
  return Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += (data[i * width + j] as number) ** 2;
    return short(Math.sqrt(sum));
  });
}
