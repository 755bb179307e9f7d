/** What is asked of a path expansion: which of its terms, along which logits, and by what they are ordered. */
import type { HeadRef } from "../../model/index.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Targets } from "../targets.ts";
import type { PathSource } from "./sources.ts";
import type { PathTerm } from "./terms.ts";

/**
 * Which terms {@link PathExpansion.select} picks: those that meet every condition given.
 * @category Path expansion
 */
export interface PathFilter {
  /** Paths through exactly this many heads. */
  readonly order?: number | undefined;
  /** Paths through this head. */
  readonly head?: HeadRef | undefined;
  /** Paths through some head of this layer. */
  readonly layer?: number | undefined;
  /** Paths that end in this head: its direct effect on the logits, part by part. */
  readonly last?: HeadRef | undefined;
  /** Paths that begin here: `"direct"`, `"0_mlp_out"` for what an MLP wrote, `"b_O[0]"` for a bias. */
  readonly source?: PathSource | undefined;
}

/**
 * What {@link PathExpansion.rank} orders terms by: the mean attribution to the target, the mean norm of what the term
 * gives to the unembedding, or a function of the term and its attribution `[batch, pos]`.
 * @category Path expansion
 */
export type TermMetric = "attribution" | "norm" | ((term: PathTerm, attribution: Tensor<"batch pos">) => number);

/**
 * What {@link PathExpansion.rank} ranks, and where.
 * @category Path expansion
 */
export interface RankOptions extends AttributionOptions {
  /** How many terms, the largest first; all by default. */
  readonly k?: number | undefined;
  /** The positions that values are averaged over, as in `[12]`; all by default. */
  readonly positions?: readonly number[] | undefined;
}

/**
 * A term and its value under a metric.
 * @category Path expansion
 */
export interface RankedTerm {
  readonly term: PathTerm;
  readonly value: number;
}

/**
 * What {@link PathExpansion.attribution} explains.
 * @category Path expansion
 */
export interface AttributionOptions extends ProgressOptions {
  /** The logits to explain; those of the correct next tokens by default. */
  readonly targets?: Targets | undefined;
  /**
   * How products are taken when all paths are evaluated at once: `"float32"`, the default where all weights are, as the
   * model's own run; or `"float64"`.
   */
  readonly precision?: "float32" | "float64" | undefined;
  /** The terms to evaluate, such as groups; {@link PathExpansion.all} by default. */
  readonly terms?: readonly PathTerm[] | undefined;
}
