/**
 * How far a sum of score terms may be from the scores of a float32 run, by rounding alone; see certificate.ts for the conventions.
 *
 * A score is $\tilde q \cdot \tilde k / c$ with $\tilde q = \tilde n W_Q + b_Q$ of the stored stream. If the parts sum to the stream up to $e$ (2-norm at a
 * position), queries err by $\epsilon_q = \|W_Q\| (\max|w|\,e / s + \mu) + \gamma_d \|\tilde n\| \|W_Q\|_F + 4u(\|\tilde q\| + \|b_Q\|)$, $\mu$ being the rounding of
 * the norm and 4 the roundings of product, bias and rotation; keys likewise; and a score by $(\epsilon_q \|\tilde k\| + \|\tilde q\| \epsilon_k +
 * \epsilon_q \epsilon_k + \gamma_k \|\tilde q\| \|\tilde k\|)/c$ and $2u$ of itself.
 */
import type { HeadId } from "../../model/index.ts";
import { frobeniusNorm } from "../../tensor/index.ts";
import { sumRounding, U32, maxAbs, rowNorms } from "../../tensor/internal.ts";
import { normRounding, readNorms, spectralBound, streamError, writeRounding } from "../certificate.ts";
import type { PerPosition } from "../certificate.ts";
import { directStream, frozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import type { ScorePartition } from "./components.ts";

/** Bounds on what rounding does to the scores of a head: of each query, of each key. */
export interface ScoreRounding {
  /** The bound for the score of query position `i` and key position `j` of prompt `b`, in scores. */
  readonly at: (b: number, i: number, j: number, score: number) => number;
}

/** Follows the rounding of a run to the scores of a head. */
export function scoreRounding(frozen: FrozenRun, { layer, head }: HeadId, by: ScorePartition): ScoreRounding {
  const { model, run } = frozen;
  const attention = model.layer(layer);
  const pos = run.tokens.sizeOf("pos");
  const norm = frozenNorm(frozen, layer);
  const gain = norm?.norm.w === undefined ? 1 : maxAbs(norm.norm.w.data);
  const stream = run.cache.get(`blocks.${layer}.hook_resid_pre`);
  const local = normRounding(frozen, layer, stream);
  const isShortformer = model.config.positional_embedding_type === "shortformer";
  const added = isShortformer ? rowNorms(run.cache.get("hook_pos_embed")) : undefined;
  const positions = positionRounding(frozen, layer, gain);
  const read = readNorms(frozen, layer).map((size, row) => size + (added?.[row] ?? 0));
  const apart = (by === "head" ? writtenApart(frozen, layer) : rowNorms(streamError(frozen, layer))).map(
    (e, row) => (gain * e) / (norm?.scale.data[row] ?? 1) + (local[row] as number) + (positions[row] as number),
  );
  const side = (name: "Q" | "K"): { readonly size: PerPosition; readonly error: PerPosition } => {
    const hook = name === "Q" ? "hook_q" : "hook_k";
    const size = rowNorms(run.cache.get(`blocks.${layer}.attn.${hook}`).select("head", head));
    const of = spectralBound(attention[`W_${name}`].select("head", head));
    const bias = rowNorms(attention[`b_${name}`].select("head", head))[0] ?? 0;
    const ofSums = sumRounding(model.config.d_model) * frobeniusNorm(attention[`W_${name}`].select("head", head));
    return {
      size,
      error: size.map((q, row) => of * (apart[row] as number) + ofSums * (read[row] as number) + 4 * U32 * (q + bias)),
    };
  };
  const [q, k] = [side("Q"), side("K")];
  return {
    at: (b, i, j, score) => {
      const [row, col] = [b * pos + i, b * pos + j];
      const [eq, ek] = [q.error[row] as number, k.error[col] as number];
      const [ofQ, ofK] = [q.size[row] as number, k.size[col] as number];
      const spread = eq * ofK + ek * ofQ + eq * ek + sumRounding(model.config.d_head) * ofQ * ofK;
      return spread / attention.attnScale + 2 * U32 * Math.abs(score);
    },
  };
}

/** How far what was written may be from the stream that it was added to, for each position. */
function writtenApart(frozen: FrozenRun, before: number): PerPosition {
  const first = rowNorms(directStream(frozen)).map((size) => U32 * size);
  return frozen.model.layers
    .slice(0, before)
    .map((layer) => writeRounding(frozen, layer))
    .reduce<PerPosition>((sum, each) => sum.map((e, row) => e + (each[row] as number)), first);
}

/** The rounding of the sum of normalised stream and shortformer positions. */
function positionRounding({ model, run }: FrozenRun, layer: number, gain: number): PerPosition {
  const { cache } = run;
  const hasNorm = model.layer(layer).ln1 !== undefined;
  const read = rowNorms(cache.get(hasNorm ? `blocks.${layer}.ln1.hook_normalized` : `blocks.${layer}.hook_resid_pre`));
  if (model.config.positional_embedding_type !== "shortformer") return new Float64Array(read.length);
  const positions = rowNorms(cache.get("hook_pos_embed"));
  return read.map((size, row) => U32 * (gain * size + (positions[row] as number)));
}
