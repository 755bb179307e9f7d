/** Composition between all pairs of heads, and the paper's scatter of OV and QK positivity. */
import { compositionScores, inductionPositivity, sampleCompositionBaseline } from "../../circuits/index.ts";
import type { HeadScores } from "../../heads/index.ts";
import type { Transformer } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { short } from "../numbers.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { CompositionFacts, ReportFoundHeads, PositivityFacts } from "../types.ts";

/** Q-, K- and V-composition with what random heads of the same sizes have; `null` for fewer than two layers. */
export function compositionFacts(
  model: Transformer,
  seed: number,
  samples: number,
  inner: ProgressOptions = {},
): CompositionFacts | null {
  const { n_layers, d_model, d_head } = model.config;
  if (n_layers < 2) return null;
  const { Q, K, V } = compositionScores(model, inner);
  const { mean, std } = sampleCompositionBaseline({ d_model, d_head }, { samples, seed, signal: inner.signal });
  const rows = (scores: Tensor<"writer_layer writer_head reader_layer reader_head">): number[][] => {
    const heads = model.heads.length;
    const data = scores.data;
    return model.heads.map((_, writer) =>
      Array.from(data.subarray(writer * heads, (writer + 1) * heads), (x) => short(x, 6)),
    );
  };
  return { labels: model.heads.map((head) => head.label), Q: rows(Q), K: rows(K), V: rows(V), baseline: { mean, std } };
}

/**
 * OV positivity against the positivity of the K-composition circuit with the previous-token heads, each weighted by its
 * measured score. `null` where no previous-token head was found before the last layer.
 */
export function positivityFacts(
  model: Transformer,
  scores: HeadScores | undefined,
  found: ReportFoundHeads,
): PositivityFacts | null {
  const previous = model.heads.filter((head) => found.previousToken.includes(head.label));
  const first = Math.min(...previous.map((head) => head.layer));
  const readers = model.heads.filter((head) => head.layer > first);
  if (scores === undefined || readers.length === 0) return null;
  const { OV, QK } = inductionPositivity(model, { previous: previous.map(({ layer, head }) => ({ layer, head })) });
  return {
    previous: previous.map((head) => head.label),
    points: readers.map(({ label, layer, head }) => ({
      label,
      ov: OV.score.at(layer, head),
      qk: QK.score.at(layer, head),
      isInduction: found.induction.includes(label),
    })),
  };
}
