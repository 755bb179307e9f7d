/** Types of the composition of all pairs of heads: scores, their baseline, and scores relative to it. */
import type { HeadId } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";

/**
 * Mean and standard deviation of the composition scores of random heads.
 * @category Circuits
 */
export interface CompositionBaseline {
  readonly mean: number;
  readonly std: number;
}

/**
 * One kind of composition between all pairs of heads, `[writer_layer, writer_head, reader_layer, reader_head]`.
 * @category Circuits
 */
export type PairScores = Tensor<"writer_layer writer_head reader_layer reader_head">;

/**
 * Composition between all pairs of heads of a model.
 * @category Circuits
 */
export interface CompositionScores {
  /** Through the reader's queries; 0 unless the writer's layer is the earlier. */
  readonly Q: PairScores;
  /** Through the reader's keys; 0 unless the writer's layer is the earlier. */
  readonly K: PairScores;
  /** Through the reader's values; 0 unless the writer's layer is the earlier. */
  readonly V: PairScores;
  /** What heads of random weights would score. */
  readonly baseline: CompositionBaseline;
  /**
   * Scores less the baseline's mean, as the paper's figure draws them: positive where two heads compose more than
   * random ones. Pairs that cannot compose, the writer not being in an earlier layer or one of the two maps being zero,
   * stay 0.
   */
  readonly excess: CompositionMaps;
  /** {@link excess} in standard deviations of the baseline. */
  readonly zScores: CompositionMaps;
  /** Heads whose maps are zero: their scores, 0/0, are given as 0. */
  readonly zeroHeads: { readonly W_OV: readonly HeadId[]; readonly W_QK: readonly HeadId[] };
}

/**
 * Composition scores of one model with the three kinds alike transformed.
 * @category Circuits
 */
export type CompositionMaps = Readonly<Record<"Q" | "K" | "V", PairScores>>;
