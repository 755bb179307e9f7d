/** One drawing of each figure that runs the model, of small made-up data; they are committed beside this file. */
import {
  drawAblationRises,
  drawAllHeadPatterns,
  drawAttention,
  drawAttributionMap,
  drawChangeAttribution,
  drawCircuit,
  drawCircuitCertificate,
  drawComponentNorms,
  drawCompositionChance,
  drawCompositionMaps,
  drawContextScore,
  drawEmbeddingCloud,
  drawEvaluatorScatter,
  drawEvaluatorValidation,
  drawImportanceByHead,
  drawImportanceByLayer,
  drawImportanceByOrder,
  drawInductionExamples,
  drawInductionPatching,
  drawInductionStripes,
  drawLensReadings,
  drawJointComponents,
  drawLossByIndex,
  drawNeuronExamples,
  drawLossCurve,
  drawLossOnRepeats,
  drawLossPath,
  drawLossSlope,
  drawOffsetRises,
  drawOVSample,
  drawPathEffects,
  drawPositivityScatter,
  drawPrefixOverTraining,
  drawPreviousPattern,
  drawScoreSpread,
  drawScoreStripe,
  drawScoreTiles,
  drawTraceOverTraining,
  drawTrainingFilm,
  type CircuitFigure,
  type EmbeddingCloud,
  type Evaluations,
  type FigureToken,
  type ImportanceFigure,
  type LensReadings,
  type ScoreParts,
  type TrainingLosses,
} from "../../src/figures/index.ts";
import { neurons } from "./kinds.ts";
import { Tensor } from "../../src/tensor/index.ts";
import type { Figure } from "../../src/viz/index.ts";
import { filmOf } from "./film-frames.ts";
import { scoreDrawings } from "./score-drawings.ts";

/** Numbers between -1 and 1 that look irregular and are the same everywhere. */
const irregular = (i: number): number => ((((i + 1) * 7919) % 199) - 99) / 100;
const positive = (i: number): number => Math.abs(irregular(i));

function tensor<A extends string>(axes: A, shape: readonly number[], of: (i: number) => number): Tensor<A> {
  const size = shape.reduce((product, n) => product * n, 1);
  return Tensor.from(
    axes,
    shape,
    Float64Array.from({ length: size }, (_, i) => of(i)),
  );
}

const cloud = (of: EmbeddingCloud["of"], count: number): EmbeddingCloud => ({
  of,
  points: tensor("point direction", [count, 3], irregular),
  labels: Array.from({ length: count }, (_, i) => (of === "tokens" ? ` t${i}` : i.toString())),
  directions: ["PC 1 (50 %)", "PC 2 (25 %)", "PC 3 (5 %)"],
  ...{ shares: [0.5, 0.25, 0.05], reading: "" },
});

const circuit: CircuitFigure = {
  ...{ layers: 2, heads: 3, mlps: true, of: 70, metric: "loss", ablation: "counterfactual" },
  edges: [
    { from: "input", to: "a0.h1", input: "v", value: -2 },
    { from: "a0.h1", to: "a1.h0", input: "k", value: -1.5 },
    { from: "a0.h2", to: "m0", input: null, value: 0.3 },
    { from: "input", to: "a0.h2", input: "q", value: -0.2 },
    { from: "m0", to: "a1.h0", input: "q", value: -0.4 },
    { from: "a1.h0", to: "logits", input: null, value: -1 },
  ],
  ...{ full: 0.4, empty: 6, sufficiency: 0.96, necessity: 0.9, cpr: 0.84, cmd: 0.16 },
  shares: Tensor.from("share", [4], [0.01, 0.1, 0.5, 1]),
  signed: Tensor.from("share", [4], [0, 0.7, 1.1, 1]),
  absolute: Tensor.from("share", [4], [0, 0.6, 0.95, 1]),
  random: tensor("circuit", [40], (i) => 0.1 * irregular(i)),
  randomKind: "connected",
  fullByPrompt: Tensor.from("batch", [3], [0.3, 0.5, 0.4]),
  circuitByPrompt: Tensor.from("batch", [3], [0.5, 0.6, 0.4]),
};

const words = ["<|start|>", "inter", "face", " A", " {", "\n", "inter", "face", " B", "<b>&"];
const tokens: FigureToken[] = words.map((text, id) => ({ id, text }));
const nobody = { encode: () => [], bos: undefined };
const n = tokens.length;
const causal = (i: number): number => (i % n > Math.floor(i / n) % n ? 0 : positive(i));
const stack = [0, 1].map((layer) =>
  tensor("batch head query_pos key_pos", [1, 2, n, n], (i) => causal(i + layer * 7 * n)),
);
const zeroAfter = stack.map((t) =>
  Tensor.from(
    t.axes,
    t.shape,
    t.data.map((x, i) => (i % n > Math.floor(i / n) % n ? 0 : x)),
  ),
);

const lens: LensReadings = {
  tokens,
  labels: ["0_pre", "1_pre", "final_post"],
  top: [0, 1, 2].map((row) => tokens.map((_, i) => tokens[(i + 1 + row) % n] as FigureToken)),
  probability: tensor("component pos", [3, n], positive),
  divergence: tensor("component pos", [3, n], (i) => (i >= 2 * n ? 0 : 4 * positive(i + 3))),
};

const importance: ImportanceFigure = {
  windows: 4,
  length: 64,
  n_layers: 2,
  rows: [
    { terms: "order 0", relativeTo: "uniform", gain: 1.8, error: 0.1, interval: [1.6, 2] },
    { terms: "order 1", relativeTo: "orders below", gain: 5.2, error: 0.2, interval: [4.8, 5.6] },
    { terms: "order 2", relativeTo: "orders below", gain: -0.05, error: 0.06, interval: [-0.2, 0.1] },
    { terms: "L0", relativeTo: "direct", gain: 1.3, error: 0.1, interval: [1.1, 1.5] },
    { terms: "L0", relativeTo: "direct and other layers", gain: 0.05, error: 0.02, interval: [0, 0.1] },
    { terms: "L1", relativeTo: "direct", gain: 5.2, error: 0.1, interval: [5, 5.4] },
    { terms: "L1", relativeTo: "direct and other layers", gain: 4, error: NaN, interval: [NaN, NaN] },
  ],
};

const parts = ["embed", "pos_embed", "L0H0", "bias"];
const scoreParts: ScoreParts = {
  head: { layer: 1, head: 3 },
  tokens,
  period: 4,
  first: 1,
  labels: parts,
  queryNorms: tensor("component pos", [4, n], (i) => 3 * positive(i)),
  keyNorms: tensor("component pos", [4, n], (i) => 2 * positive(i + 5)),
  std: tensor("query_component key_component", [4, 4], positive),
  share: tensor("query_component key_component", [4, 4], (i) => (i === 2 ? 0.7 : 0.02)),
  strongest: { query: "embed", key: "L0H0" },
  stripe: tensor("query_pos key_pos", [n, n], (i) => (i % n === Math.floor(i / n) - 3 ? 4 : irregular(i))),
  tiled: parts.slice(0, 3),
  tiles: tensor("query_component key_component query_pos key_pos", [3, 3, n, n], irregular),
};

const checkpoints = [0, 1000, 4000].map((step) => ({ label: `step ${step}`, step }));
const training: TrainingLosses = {
  checkpoints,
  stepName: "training step",
  windows: 2,
  length: 41,
  uniform: Math.log(100),
  byIndex: tensor(
    "checkpoint pos",
    [3, 40],
    (i) => 4.6 - Math.floor(i / 40) * (1 + 0.3 * Math.log((i % 40) + 2)) + 0.05 * irregular(i),
  ),
  losses: tensor("snapshot token", [3, 80], (i) => 4.6 - Math.floor(i / 80) ** 2 * 0.5 + 0.3 * irregular(i)),
};
const evaluated = (from: number, scale = 1): Evaluations["copying"] =>
  tensor("checkpoint layer head", [3, 2, 4], (i) => scale * irregular(i + from) * Math.floor(i / 8));
const evaluations: Evaluations = {
  checkpoints,
  stepName: "training step",
  prefixMatching: tensor("checkpoint layer head", [3, 2, 4], (i) => 0.45 * positive(i) * Math.floor(i / 8)),
  previous: tensor("checkpoint layer head", [3, 2, 4], positive),
  copying: evaluated(3, 0.4),
  eigenvalues: evaluated(9, 0.5),
  trace: tensor("checkpoint layer head", [3, 2, 4], (i) => (i % 8 < 4 ? 0 : 1200 * irregular(i))),
};
const grid = (from: number, scale = 1): Tensor<"layer head"> =>
  tensor("layer head", [2, 4], (i) => scale * irregular(i + from));
const shares = (from: number): Tensor<"component"> => {
  const raw = Array.from({ length: 8 }, (_, i) => 1 / (i + from));
  const total = raw.reduce((a, b) => a + b, 0);
  return tensor("component", [8], (i) => (raw[i] ?? 0) / total);
};
const pairs = (from: number): Tensor<"writer_layer writer_head reader_layer reader_head"> =>
  tensor("writer_layer writer_head reader_layer reader_head", [2, 3, 2, 3], (i) =>
    Math.floor(i / 18) === 0 && Math.floor(i / 3) % 2 === 1 ? 0.3 * positive(i + from) : 0,
  );

/** The drawings by name of the list's entries. */
export function runGallery(): ReadonlyMap<string, Figure> {
  return new Map<string, Figure>([
    [
      "value-weighted-attention",
      drawAttention({
        kind: "text",
        tokens,
        pattern: zeroAfter,
        valueWeighted: zeroAfter,
        resultWeighted: zeroAfter,
        logProbs: Float64Array.from(tokens, (_, i) => (i === 0 ? NaN : -positive(i))),
        selected: [{ layer: 1, head: 1 }],
      }),
    ],
    [
      "all-heads",
      drawAllHeadPatterns({
        n_layers: 1,
        n_heads: 3,
        tokens,
        heads: [0, 1, 2].map((head) => ({
          layer: 0,
          head,
          weighted: tensor("query_pos key_pos", [n, n], (i) => causal(i + head * n * n)),
        })),
      }),
    ],
    [
      "induction-examples",
      drawInductionExamples({
        head: { layer: 1, head: 3 },
        tokens,
        effect: Float64Array.from(tokens, (_, i) => (i === 0 ? NaN : 3 * irregular(i))),
        examples: [
          { query: 6, key: 2, attention: Float64Array.from(tokens, (_, i) => (i === 2 ? 0.8 : i < 2 ? 0.1 : 0)) },
        ],
      }),
    ],
    ...scoreDrawings(tokens, irregular),
    [
      "positivity-scatter",
      drawPositivityScatter({
        previous: [{ layer: 0, head: 2 }],
        inductionHeads: [{ layer: 1, head: 3 }],
        points: [0, 1, 2, 3, 4].map((head) => ({
          layer: 1,
          head,
          OV: head === 3 ? 0.98 : irregular(head),
          QK: head === 3 ? 0.99 : irregular(head + 20),
          induction: head === 3 ? 0.9 : head === 4 ? NaN : 0.01,
        })),
      }),
    ],
    [
      "path-effects",
      drawPathEffects({
        paths: 1e7,
        n_layers: 6,
        maxOrder: 2,
        terms: 6,
        positions: 64,
        maxDeviation: 9.2e-6,
        bound: 1.7e-5,
        withinBound: true,
        on: "second copy",
        top: [
          { label: "L1H2", kind: "path", source: "direct", order: 1, mean: 6.84 },
          { label: "L0H5→L1H2", kind: "path", source: "direct", order: 2, mean: -1.2 },
          { label: "direct", kind: "path", source: "direct", order: 0, mean: 0.8 },
          { label: "0_mlp_out", kind: "path", source: "0_mlp_out", order: 0, mean: 0.7 },
          { label: "remainder", kind: "remainder", source: "direct", order: 3, mean: -0.4 },
          { label: "bias", kind: "bias", source: "direct", order: 0, mean: 0.1 },
        ],
      }),
    ],
    ["term-importance", drawImportanceByOrder(importance)],
    ["term-importance-by-layer", drawImportanceByLayer(importance)],
    [
      "term-importance-by-head",
      drawImportanceByHead({
        predictions: 63,
        addedToDirect: tensor("layer head", [2, 4], irregular),
        removedFromFull: tensor("layer head", [2, 4], (i) => (i === 2 ? NaN : irregular(i + 30))),
      }),
    ],
    [
      "joint-pca",
      drawJointComponents({
        variance: shares(1),
        components: tensor("component d_model", [8, 8], (i) => (i % 9 === 0 ? 1 : 0)),
        embedShare: tensor("component", [8], (i) => (i === 7 ? NaN : positive(i))),
        embed: shares(2),
        unembed: shares(4),
      }),
    ],
    [
      "loss-on-repeats",
      drawLossOnRepeats({
        period: 6,
        first: 1,
        prompts: 4,
        mean: Float64Array.from({ length: 12 }, (_, i) => (i < 7 ? 5 + irregular(i) : 0.5 * positive(i))),
        std: Float64Array.from({ length: 12 }, (_, i) => 0.3 * positive(i)),
        uniform: Math.log(100),
      }),
    ],
    [
      "induction-scores",
      drawInductionStripes({
        scores: tensor("layer head", [2, 4], positive),
        arena: tensor("layer head", [2, 4], (i) => positive(i) / 2),
        period: 6,
        prompts: 4,
      }),
    ],
    [
      "logit-attribution",
      drawAttributionMap({
        tokens,
        period: 4,
        first: 1,
        labels: parts,
        attribution: tensor("component pos", [4, n - 1], irregular),
      }),
    ],
    ["head-ablation", drawAblationRises({ period: 6, prompts: 4, clean: 0.25, zero: grid(0, 3), mean: grid(11) })],
    [
      "offset-ablation",
      drawOffsetRises({
        period: 6,
        prompts: 4,
        clean: 0.25,
        heads: [0, 1].map((head) => ({ layer: 0, head })),
        kept: ["none", 0, 1, [1, 2]],
        rise: tensor("head kept", [2, 4], (i) => (i === 2 ? 0 : 2 * positive(i))),
      }),
    ],
    [
      "induction-patching",
      drawInductionPatching({
        period: 4,
        prompts: 4,
        labels: ["BOS", "r1", "A", "B", "r4", "r1", "A"],
        clean: -0.2,
        corrupted: -6.5,
        stream: tensor("layer pos", [2, 7], (i) => (i === 2 || i === 10 ? 0.95 : irregular(i) / 20)),
        heads: grid(7),
      }),
    ],
    ["logit-lens", drawLensReadings(lens)],
    ["tuned-lens", drawLensReadings({ ...lens, fitted: 1616 })],
    [
      "ov-sample",
      drawOVSample({
        head: { layer: 1, head: 3 },
        tokens,
        values: tensor("source output", [n, n], (i) => (i % (n + 1) === 0 ? 3 : irregular(i))),
      }),
    ],
    [
      "positional-pattern",
      drawPreviousPattern({
        head: { layer: 0, head: 2 },
        pattern: tensor("query_pos key_pos", [n, n], (i) => (i % n === Math.max(0, Math.floor(i / n) - 1) ? 1 : 0)),
        previous: 1,
      }),
    ],
    ["component-norms", drawComponentNorms(scoreParts)],
    ["score-stripe", drawScoreStripe(scoreParts)],
    ["score-spread", drawScoreSpread(scoreParts)],
    ["score-tiles", drawScoreTiles(scoreParts)],
    [
      "composition-maps",
      drawCompositionMaps({ n_layers: 2, n_heads: 3, Q: pairs(0), K: pairs(7), V: pairs(31), baseline: 0.1 }),
    ],
    [
      "composition-baseline",
      drawCompositionChance({
        samples: Float64Array.from({ length: 40 }, (_, i) => 0.1 + 0.01 * irregular(i)),
        mean: 0.1,
        std: 0.006,
        expected: 0.101,
        largest: { Q: 0.12, K: 0.2, V: 0.13 },
      }),
    ],
    ["loss-curve", drawLossCurve(training)],
    ["loss-by-index", drawLossByIndex(training)],
    ["loss-slope", drawLossSlope(training)],
    ["context-score", drawContextScore(training)],
    ["loss-path", drawLossPath(training)],
    ["prefix-over-training", drawPrefixOverTraining(evaluations)],
    ["trace-over-training", drawTraceOverTraining(evaluations)],
    ["evaluator-scatter", drawEvaluatorScatter(evaluations)],
    ["evaluator-validation", drawEvaluatorValidation(evaluations)],
    [
      "ablation-attribution",
      drawChangeAttribution({ before: "step 0", after: "step 4000", windows: 2, length: 41, attribution: grid(3, 4) }),
    ],
    ["training-film", drawTrainingFilm(filmOf(irregular))],
    ["circuit", drawCircuit(circuit)],
    ["circuit-certificate", drawCircuitCertificate(circuit)],
    ["token-embeddings", drawEmbeddingCloud(cloud("tokens", 30))],
    ["positional-embeddings", drawEmbeddingCloud(cloud("positions", 12))],
    ["neuron-examples", drawNeuronExamples(neurons, { ...nobody, tokenString: (id) => words[id] ?? "" })],
  ]);
}
