/** Whether the same circuit is found on other prompts: prompts drawn anew with replacement, edges selected anew. */
import { InputError, requireKind, requireObject, requireOptions } from "../../errors.ts";
import { requireCount } from "../../model/internal.ts";
import { Random } from "../../tensor/index.ts";
import { Circuit, topEdges } from "../discovery/index.ts";
import type { EdgeEffects } from "../discovery/index.ts";
import { resampled, summaryOf } from "./statistics.ts";
import type { SampleSummary } from "./statistics.ts";

/**
 * How a circuit is found again.
 * @category Circuit evaluation
 */
export interface StabilityOptions {
  /** How many times; 100 unless given. */
  readonly samples?: number | undefined;
  /** Selects a circuit of scored edges; by default as many edges as the given number, of the largest scores. */
  readonly select?: ((scored: Circuit) => Circuit) | undefined;
  /** How many edges the default selection takes; a tenth of all, at least one, unless given. */
  readonly count?: number | undefined;
  /** 0 unless given. */
  readonly seed?: number | undefined;
}

/**
 * How stable a discovery is.
 * @category Circuit evaluation
 */
export interface CircuitStability {
  /** The Jaccard index of the edges found on all prompts and those found on each sample of them. */
  readonly jaccard: SampleSummary;
  /** That of the edges found on two samples, over all pairs. */
  readonly pairwise: SampleSummary;
  /** `[edge]`, in the graph's order: in which share of the samples each edge was found. */
  readonly frequency: readonly number[];
  readonly samples: number;
}

/**
 * Bootstraps a discovery: draws as many prompts with replacement, averages their effects, selects, and compares.
 * Effects are those that were measured, so that nothing runs again.
 *
 * @param effects - as {@link exactEdges} or {@link edgeAttribution} give them, of at least two prompts.
 * @throws {@link InputError} when there is one prompt alone.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { circuitStability, exactEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 10, batch: 4, seed: 0, bos: 0 });
 * const effects = exactEdges(model, prompts, crossEntropy(prompts), { ablation: "resample" });
 * const { jaccard } = circuitStability(effects, { count: 20, samples: 50 });
 * console.log(jaccard.median > 0.6);
 * // true
 * ```
 */
export function circuitStability(effects: EdgeEffects, options: StabilityOptions = {}): CircuitStability {
  const operation = "circuitStability";
  requireOptions(options, operation, "samples select count seed");
  requireObject(effects, "effects", operation);
  requireKind("tensor", effects.effects, "effects.effects", operation);
  const { graph } = effects.circuit;
  const { samples = 100, seed = 0, count = Math.max(1, Math.round(graph.size / 10)) } = options;
  requireCount(samples, "samples", operation);
  requireCount(count, "count", operation);
  const select = options.select ?? ((scored: Circuit) => topEdges(scored, Math.min(count, graph.size)));
  const prompts = effects.effects.sizeOf("batch");
  if (prompts < 2) {
    throw new InputError("effects of one prompt cannot be resampled. Measure them on several.", {
      operation,
      argument: "effects",
      expected: "at least 2 prompts",
      actual: prompts,
    });
  }
  const data = effects.effects.data;
  const random = new Random(seed);
  const found = (places: readonly number[]): Uint8Array => {
    const scores = Float64Array.from({ length: graph.size }, (_, edge) => {
      let sum = 0;
      for (const b of places) sum += data[edge * prompts + b] ?? 0;
      return sum / places.length;
    });
    return select(Circuit.from(graph, { scores })).kept;
  };
  const whole = found(Array.from({ length: prompts }, (_, b) => b));
  const drawn = Array.from({ length: samples }, () => found(resampled(random, prompts)));
  const pairs = drawn.flatMap((a, i) => drawn.slice(i + 1).map((b) => jaccard(a, b)));
  return {
    jaccard: summaryOf(drawn.map((kept) => jaccard(whole, kept))),
    pairwise: summaryOf(pairs.length === 0 ? [1] : pairs),
    frequency: Array.from(whole, (_, edge) => drawn.reduce((sum, kept) => sum + (kept[edge] ?? 0), 0) / samples),
    samples,
  };
}

/** The share of the edges of either that both have; 1 where neither has any. */
function jaccard(a: Uint8Array, b: Uint8Array): number {
  let [both, either] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    both += (a[i] ?? 0) & (b[i] ?? 0);
    either += (a[i] ?? 0) | (b[i] ?? 0);
  }
  return either === 0 ? 1 : both / either;
}
