/**
 * How faithful circuits of growing size are (MIB, arXiv 2504.13151): with m the mean metric, N the whole model and ∅
 * the
 * model with every edge cut,
 *
 * $$f(C) = \frac{m(C) - m(\emptyset)}{m(N) - m(\emptyset)}$$
 *
 * for the circuits of 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50 and 100 % of the edges. CPR is the area under f over these
 * shares, CMD the area under |1 − f|, by trapezoids.
 */
import { InputError, nameOf, requireKind } from "../../errors.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { MetricLike, Transformer } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { meanOf } from "../../tensor/internal.ts";
import { Circuit, greedyEdges, topEdges } from "../discovery/index.ts";
import type { CircuitMask, CircuitPrompts, EdgeAblation } from "../discovery/index.ts";
import { checkPrompts, CircuitRuns, isLoss, requireCircuit } from "../discovery/internal.ts";

/** The benchmark's shares of the edges. */
export const SHARES: readonly number[] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/**
 * How circuits of growing size are made and run.
 * @category Circuit evaluation
 */
export interface FaithfulnessOptions extends ProgressOptions {
  /**
   * What a cut edge carries; `"counterfactual"` where there are corrupted prompts and `"zero"` otherwise, unless given.
   */
  readonly ablation?: EdgeAblation | undefined;
  /** Shares of the edges, ascending, above 0 and at most 1; the benchmark's unless given. */
  readonly shares?: readonly number[] | undefined;
  /** The largest scores (`"top"`, unless given), or those that hang together from the logits up (`"greedy"`). */
  readonly select?: "top" | "greedy" | undefined;
  /**
   * Whether the metric falls where the model gets better, so that edges of negative scores are the helpful ones; of a
   * loss and of a KL divergence it does, of others not, unless given.
   */
  readonly lowerIsBetter?: boolean | undefined;
  /** The seed of `"resample"`; 0 unless given. */
  readonly seed?: number | undefined;
  /** Which positions are text and which are padding; all are text unless given. */
  readonly attentionMask?: CircuitMask | undefined;
}

/**
 * The faithfulness of circuits of growing size.
 * @category Circuit evaluation
 */
export interface FaithfulnessCurve {
  /** The shares of all edges that were selected. */
  readonly shares: readonly number[];
  /** How many edges were left of each after pruning. */
  readonly edges: readonly number[];
  /** $f$ of each. */
  readonly faithfulness: readonly number[];
  /** The area under $f$. */
  readonly cpr: number;
  /** The area under $|1 - f|$. */
  readonly cmd: number;
}

/**
 * How faithful the circuits are that scores select.
 * @category Circuit evaluation
 */
export interface CircuitFaithfulness {
  /** The circuit performance ratio, of edges selected by signed scores: the more the better, and it may exceed 1. */
  readonly cpr: number;
  /** The circuit-model distance, of edges selected by the size of scores: 0 is best. */
  readonly cmd: number;
  /** Circuits selected by signed scores. */
  readonly signed: FaithfulnessCurve;
  /** Circuits selected by the size of scores. */
  readonly absolute: FaithfulnessCurve;
  /** The mean metric of the model. */
  readonly full: number;
  /** The mean metric with every edge cut. */
  readonly empty: number;
}

/**
 * CPR and CMD of scored edges, as the MIB benchmark's code has them.
 *
 * @param scored - a circuit, whose edges' scores alone count: what is selected keeps its nodes' neurons whole.
 * @param prompts - prompts of one length, padded or not, with their corrupted counterparts where edges are to carry
 * those.
 * @throws {@link InputError} or {@link ShapeError} for prompts, a metric or a circuit that do not fit the model; the
 * signal's reason when aborted.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { circuitFaithfulness, exactEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 12, batch: 2, seed: 0, bos: 0 });
 * const mask = [0, 1].map(() => Array.from({ length: 24 }, (_, p) => (p > 12 ? 1 : 0)));
 * const metric = crossEntropy(prompts, { mask });
 * const { circuit } = exactEdges(model, prompts, metric, { ablation: "resample" });
 * const { absolute, cmd } = circuitFaithfulness(model, circuit, prompts, metric, { ablation: "resample" });
 * console.log(absolute.faithfulness.at(-1), cmd < 0.2);
 * // 1 true
 * ```
 */
export function circuitFaithfulness(
  model: Transformer,
  scored: Circuit,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: FaithfulnessOptions = {},
): CircuitFaithfulness {
  const operation = "circuitFaithfulness";
  const known = "ablation shares select lowerIsBetter seed attentionMask signal onProgress";
  requireKind("model", model, "model", operation, options, known);
  requireCircuit(scored, operation);
  const checked = checkPrompts(model, prompts, operation, options.attentionMask);
  const runs = new CircuitRuns(model, scored.graph, checked, metric, {
    ...options,
    operation,
  });
  const { shares = SHARES } = options;
  requireShares(shares, operation);
  const steps = new Steps(options, 2 * shares.length + 2);
  return faithfulnessOf(runs, scored, options, operation, () => {
    steps.advance();
  });
}

/** {@link circuitFaithfulness} of runs that are there; `onStep` is called after each of its runs. */
export function faithfulnessOf(
  runs: CircuitRuns,
  scored: Circuit,
  options: FaithfulnessOptions,
  operation: string,
  onStep: () => void,
): CircuitFaithfulness {
  const { shares = SHARES, select = "top", lowerIsBetter = isLoss(runs.metric.name) } = options;
  requireChoice(select, ["top", "greedy"], "select", operation);
  const size = scored.graph.size;
  const mean = (edges: Uint8Array): number => {
    const value = meanOf(runs.value({ edges }));
    onStep();
    return value;
  };
  const full = mean(new Uint8Array(size).fill(1));
  const empty = mean(new Uint8Array(size));
  const curve = (absolute: boolean): FaithfulnessCurve => {
    const sign = lowerIsBetter && !absolute ? -1 : 1;
    const oriented = Circuit.from(scored.graph, { scores: scored.edgeScores.map((x) => sign * x) });
    const circuits = shares.map((share) =>
      (select === "top" ? topEdges : greedyEdges)(oriented, Math.floor(share * size), { absolute }),
    );
    const faithfulness = circuits.map(({ kept }) => (mean(kept) - empty) / (full - empty));
    return {
      shares,
      edges: circuits.map((circuit) => circuit.size),
      faithfulness,
      cpr: area(shares, faithfulness),
      cmd: area(
        shares,
        faithfulness.map((f) => Math.abs(1 - f)),
      ),
    };
  };
  const signed = curve(false);
  const absolute = curve(true);
  return { cpr: signed.cpr, cmd: absolute.cmd, signed, absolute, full, empty };
}

/** The area under a line through points. */
function area(x: readonly number[], y: readonly number[]): number {
  let sum = 0;
  for (let i = 1; i < x.length; i++) {
    sum += (((x[i] ?? 0) - (x[i - 1] ?? 0)) * ((y[i] ?? 0) + (y[i - 1] ?? 0))) / 2;
  }
  return sum;
}

export function requireShares(shares: readonly number[], operation: string): void {
  const isGood = Array.isArray(shares) && shares.length > 0;
  if (
    isGood &&
    shares.every((x, i) => typeof x === "number" && x > 0 && x <= 1 && (i === 0 || x > (shares[i - 1] ?? 0)))
  )
    return;
  throw new InputError(
    `shares are ${isGood ? shares.join(", ") : nameOf(shares)}. Give ascending shares of the edges, above 0 and at most 1.`,
    {
      operation,
      argument: "shares",
      expected: "ascending numbers in (0, 1]",
      actual: shares,
    },
  );
}
