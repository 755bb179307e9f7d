/**
 * The certificate: is it a circuit? Sufficient and necessary, by the benchmark's measures and in every usual way,
 * prompt by prompt, against random circuits of its size, and when it is looked for again on other prompts.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { MetricLike, Transformer } from "../../model/index.ts";
import { requireChoice, requireCount } from "../../model/internal.ts";
import { meanOf } from "../../tensor/internal.ts";
import { edgeAttribution, exactEdges, pruneCircuit, topEdges } from "../discovery/index.ts";
import type {
  Circuit,
  CircuitGraph,
  CircuitMask,
  CircuitPrompts,
  EdgeAblation,
  EdgeEffects,
  EdgeScoreOptions,
} from "../discovery/index.ts";
import { checkPrompts, CircuitRuns, isLoss, requireCircuit } from "../discovery/internal.ts";
import type { CheckedPrompts, EdgeMask } from "../discovery/internal.ts";
import { CircuitCertificate } from "./certificate.ts";
import type { PromptFaithfulness, RandomBaseline } from "./certificate.ts";
import { faithfulnessOf, requireShares, SHARES } from "./circuit-faithfulness.ts";
import { gridCells, gridMasks, neuronMasks, possibleAblations, requirePositions } from "./circuit-grid.ts";
import { circuitPositions } from "./circuit-positions.ts";
import { circuitStability } from "./circuit-stability.ts";
import { randomCircuits } from "./random-circuits.ts";
import type { RandomCircuitOptions } from "./random-circuits.ts";
import { summaryOf } from "./statistics.ts";

/**
 * How {@link evaluateCircuit} judges.
 * @category Circuit evaluation
 */
export interface EvaluationOptions extends ProgressOptions {
  /**
   * What a cut edge carries; `"counterfactual"` where there are corrupted prompts and `"zero"` otherwise, unless given.
   */
  readonly ablation?: EdgeAblation | undefined;
  /**
   * What edges are worth on these prompts, from which circuits of other sizes and of resampled prompts are selected;
   * measured unless given: exactly in models of up to four layers, else by attribution.
   */
  readonly effects?: EdgeEffects | undefined;
  /** Shares of the edges at which faithfulness is measured; the benchmark's unless given. */
  readonly shares?: readonly number[] | undefined;
  /** Whether the metric falls where the model gets better; of a loss and of a KL divergence it does, unless given. */
  readonly lowerIsBetter?: boolean | undefined;
  /** How many random circuits; 200 unless given. */
  readonly randomCount?: number | undefined;
  /**
   * How many random circuits of each size of the curve; 20 in graphs of up to 4,000 edges and none in larger ones,
   * unless given.
   */
  readonly randomBySize?: number | undefined;
  /** How random circuits are drawn; `"connected"` unless given. */
  readonly randomKind?: "connected" | "matched" | undefined;
  /** How often prompts are resampled; 100 unless given. */
  readonly samples?: number | undefined;
  /** How many of the worst prompts are named; 5 unless given. */
  readonly worst?: number | undefined;
  /** The seed of all that is drawn; 0 unless given. */
  readonly seed?: number | undefined;
  /**
   * Which positions are text and which are padding; all are text unless given. Positions of a circuit are then those of
   * the padded prompts.
   */
  readonly attentionMask?: CircuitMask | undefined;
}

/** Edges in a graph whose effects are measured exactly without being asked to, at most. */
const MOST_EXACT = 4000;
/** Random circuits of each size of the curve. */
const BY_SIZE = 20;

/**
 * Judges a circuit by everything that a claim of one should stand up to: CPR and CMD; sufficiency and necessity by edge
 * and node, each ablation, all positions and its own; the distribution over prompts and the worst of them; random
 * circuits of its size; and the same search on resampled prompts.
 *
 * @param circuit - the circuit; what leads nowhere in it does not count.
 * @param prompts - prompts of one length, padded or not, with corrupted ones and others to take means of where there
 * are some.
 * @throws {@link InputError} or {@link ShapeError} for prompts, a metric or a circuit that do not fit the model; the
 * signal's reason when aborted.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { evaluateCircuit, exactEdges, topEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 8, batch: 3, seed: 0, bos: 0 });
 * const mask = prompts.map(() => Array.from({ length: 16 }, (_, p) => (p > 8 ? 1 : 0)));
 * const metric = crossEntropy(prompts, { mask });
 * const effects = exactEdges(model, prompts, metric, { ablation: "resample" });
 * const circuit = topEdges(effects.circuit, 60);
 * const options = { ablation: "resample", effects, randomCount: 20 } as const;
 * const certificate = evaluateCircuit(model, circuit, prompts, metric, options);
 * console.log(certificate.random.atLeastAsFaithful, certificate.grid.cells.length);
 * // 0 24
 * ```
 */
export function evaluateCircuit(
  model: Transformer,
  circuit: Circuit,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: EvaluationOptions = {},
): CircuitCertificate {
  const operation = "evaluateCircuit";
  const known =
    "ablation effects shares lowerIsBetter randomCount randomBySize randomKind samples worst seed attentionMask signal onProgress";
  requireKind("model", model, "model", operation, options, known);
  requireCircuit(circuit, operation);
  const { randomCount, randomBySize, randomKind, shares, samples, worst, seed } = extentOf(circuit, options, operation);
  const checked = checkPrompts(model, prompts, operation, options.attentionMask);
  requirePositions(circuit, checked.clean.tokens.sizeOf("pos"), operation);
  const { graph } = circuit;
  const { ablation, attentionMask, signal } = options;
  const runs = new CircuitRuns(model, graph, checked, metric, { ablation, seed, operation });
  const scoring = { ablation: runs.ablation, graph, seed, attentionMask, signal };
  const { effects = measured(model, graph, prompts, metric, scoring) } = options;
  requireEffects(effects, graph, runs.count, operation);
  const isDifferentiable = runs.metric.gradient !== undefined;
  const judged =
    circuit.positions.size === 0 && isDifferentiable
      ? circuitPositions(pruneCircuit(circuit), edgeAttribution(model, prompts, metric, scoring).byPosition)
      : pruneCircuit(circuit);
  const { ablations, notes } = possibleAblations(checked, judged);
  const masks = gridMasks(judged);
  const total = shares.length * (2 + randomBySize) + 4 + randomCount + ablations.length * (masks.length + 2);
  const steps = new Steps({ signal, onProgress: options.onProgress }, total);
  const onStep = (): void => {
    steps.advance();
  };
  const run = (mask: EdgeMask): Float64Array => {
    const values = runs.value(mask);
    onStep();
    return values;
  };
  const lowerIsBetter = options.lowerIsBetter ?? isLoss(runs.metric.name);
  const scored = circuit.edgeScores.some((x) => x !== 0 && Number.isFinite(x)) ? circuit : effects.circuit;
  const curve = faithfulnessOf(runs, scored, { shares, lowerIsBetter }, operation, onStep);
  const { full, empty } = curve;
  const faithful = (values: ArrayLike<number>): number => (meanOf(values) - empty) / (full - empty);
  const own = { edges: judged.kept, neurons: neuronMasks(judged) };
  const values = run(own);
  const without = run({ ...own, cuts: true });
  const drawn = randomCircuits(judged, { count: randomCount, kind: randomKind, seed });
  const judge = (one: Circuit): number => faithful(run({ edges: one.kept }));
  const drawing = { count: randomBySize, kind: randomKind, seed };
  const bySize = randomBySize === 0 ? [] : bySizes(scored, shares, drawing, judge, steps);
  const random = { ...baseline(drawn.map(judge), faithful(values), randomKind), bySize };
  const whole = runs.value({ edges: new Uint8Array(graph.size), cuts: true });
  const none = runs.value({ edges: new Uint8Array(graph.size) });
  const cells = ablations.flatMap((each) => {
    if (each === runs.ablation) return gridCells(runs, masks, onStep);
    const others = new CircuitRuns(model, graph, checked, metric, { ablation: each, seed, operation });
    return gridCells(others, masks, onStep);
  });
  const count = judged.size;
  const isStable = effects.effects.sizeOf("batch") > 1;
  const select = (found: Circuit): Circuit => topEdges(found, count);
  return new CircuitCertificate({
    circuit: judged,
    metric: runs.metric.name,
    ablation: runs.ablation,
    prompts: runs.count,
    full,
    empty,
    sufficiency: faithful(values),
    necessity: 1 - faithful(without),
    curve,
    grid: { cells, notes },
    perPrompt: perPrompt({ values, whole, none, tokens: textTokens(checked.clean), worst }),
    random,
    stability: isStable ? circuitStability(effects, { samples, select, seed }) : undefined,
  });
}

/** Refuses effects of another graph or of other prompts. */
function requireEffects(effects: EdgeEffects, graph: CircuitGraph, prompts: number, operation: string): void {
  requireObject(effects, "effects", operation);
  requireCircuit(effects.circuit, operation);
  requireKind("tensor", effects.effects, "effects.effects", operation);
  const { shape } = effects.effects;
  const { config } = effects.circuit.graph;
  const isSame = Object.entries(graph.config).every(([key, value]) => config[key as keyof typeof config] === value);
  if (isSame && shape[0] === graph.size && shape[1] === prompts) return;
  throw new InputError(
    `the effects are of ${shape.join(" edges and ")} prompts of ${String(effects.circuit.graph)}, not of the ${prompts} prompts and of ${String(graph)}. Measure them on these prompts, or leave them out.`,
    { operation, argument: "effects", expected: [graph.size, prompts], actual: shape },
  );
}

/** How much of everything is asked for, checked. */
function extentOf(circuit: Circuit, options: EvaluationOptions, operation: string) {
  const { randomCount = 200, randomKind = "connected", samples = 100, worst = 5, seed = 0, shares = SHARES } = options;
  const { randomBySize = circuit.graph.size <= MOST_EXACT ? BY_SIZE : 0 } = options;
  requireCount(randomCount, "randomCount", operation);
  requireCount(samples, "samples", operation);
  if (worst !== 0) requireCount(worst, "worst", operation);
  if (randomBySize !== 0) requireCount(randomBySize, "randomBySize", operation);
  requireChoice(randomKind, ["connected", "matched"], "randomKind", operation);
  requireShares(shares, operation);
  return { randomCount, randomBySize, randomKind, shares, samples, worst, seed };
}

/** What edges are worth: exactly where that is not too dear. */
function measured(
  model: Transformer,
  graph: CircuitGraph,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: EdgeScoreOptions,
): EdgeEffects {
  const isSmall = model.config.n_layers <= 4 && graph.size <= MOST_EXACT;
  return (isSmall ? exactEdges : edgeAttribution)(model, prompts, metric, options);
}

/** Random circuits of the sizes of a curve. */
function bySizes(
  scored: Circuit,
  shares: readonly number[],
  drawing: RandomCircuitOptions & { readonly count: number },
  judge: (circuit: Circuit) => number,
  steps: Steps,
): RandomBaseline["bySize"] {
  return shares.map((share) => {
    const { edges, drawn } = drawnLike(topEdges(scored, Math.floor(share * scored.graph.size)), drawing);
    steps.advance(drawing.count - drawn.length);
    return { share, edges, faithfulness: drawn.map(judge) };
  });
}

/** Random circuits of a circuit's size; the one there is of no edges or of all, none where none is connected. */
function drawnLike(
  circuit: Circuit,
  options: RandomCircuitOptions,
): { readonly edges: number; readonly drawn: readonly Circuit[] } {
  const edges = circuit.size;
  if (edges === 0 || edges === circuit.graph.size) return { edges, drawn: [circuit] };
  try {
    return { edges, drawn: randomCircuits(circuit, options) };
  } catch (error) {
    if (error instanceof InputError) return { edges, drawn: [] };
    throw error;
  }
}

function baseline(faithfulness: number[], own: number, kind: "connected" | "matched"): Omit<RandomBaseline, "bySize"> {
  const summary = summaryOf(faithfulness);
  const near = faithfulness.filter((f) => !(Math.abs(1 - f) > Math.abs(1 - own))).length;
  return {
    kind,
    count: faithfulness.length,
    faithfulness,
    summary,
    atLeastAsFaithful: near,
    pValue: (near + 1) / (faithfulness.length + 1),
  };
}

interface PromptValues {
  readonly values: Float64Array;
  readonly whole: Float64Array;
  readonly none: Float64Array;
  readonly tokens: readonly (readonly number[])[];
  readonly worst: number;
}

/** The tokens of each prompt without padding. */
function textTokens({ tokens, mask }: CheckedPrompts["clean"]): number[][] {
  const rows = tokens.toNested() as number[][];
  const pos = tokens.sizeOf("pos");
  return rows.map((row, b) => row.filter((_, p) => mask?.visible[b * pos + p] !== 0));
}

/** How the circuit does on each prompt, and on which it does worst. */
function perPrompt({ values, whole, none, tokens, worst }: PromptValues): PromptFaithfulness {
  const deviation = values.map((value, b) => value - (whole[b] ?? NaN));
  const faithfulness = values.map((value, b) => (value - (none[b] ?? NaN)) / ((whole[b] ?? NaN) - (none[b] ?? NaN)));
  const order = Array.from(deviation.keys()).sort((a, b) => Math.abs(deviation[b] ?? 0) - Math.abs(deviation[a] ?? 0));
  return {
    full: [...whole],
    circuit: [...values],
    empty: [...none],
    deviation: summaryOf(deviation),
    faithfulness: summaryOf(faithfulness),
    worst: order.slice(0, worst).map((prompt) => ({
      prompt,
      tokens: tokens[prompt] ?? [],
      full: whole[prompt] ?? NaN,
      circuit: values[prompt] ?? NaN,
      faithfulness: faithfulness[prompt] ?? NaN,
    })),
  };
}
