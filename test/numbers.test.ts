/**
 * Every number that a public function of circuits/, paths/, heads/ and interventions/ takes, found in its source: wrong kinds are
 * refused by a typed error.
 * A function that takes a number and is not in the table of calls fails.
 */
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../src/errors.ts";
import { Tensor } from "../src/tensor/index.ts";
import * as library from "./support/everything.ts";
import { numericParameters } from "./support/numeric-parameters.ts";
import type { NumericParameter } from "./support/numeric-parameters.ts";
import { randomModel } from "./support/random-model.ts";

const model = randomModel({ n_layers: 3, norm: "LN", bias: true });
const standard = randomModel({ position: "standard" });
const rotary = randomModel({ position: "rotary" });
const mlp = randomModel({ mlp: "gelu" });
const tokens = [
  [1, 2, 3, 1, 2, 3, 1, 2],
  [4, 5, 6, 4, 5, 6, 4, 5],
];
const run = model.run(tokens);
const pattern = run.cache.get("blocks.0.attn.hook_pattern");
const measured = library.headScores(model, { length: 3, batch: 2 });
const grid = Tensor.zeros("layer head", [3, 3], "float64");
const pair = { destination: 4, out: 5 };
const frequencies = Array.from({ length: 17 }, () => 1);
const small = randomModel({ n_layers: 2, n_heads: 2 });
const metric = library.logitDifference({ answer: 1, wrong: 2 });
const exact = library.exactEdges(small, tokens, metric);
const scored = exact.circuit;
const few = library.topEdges(scored, 9);
const pairs = { clean: tokens, corrupted: tokens.map((row) => [...row].reverse()) };
const judging = { randomCount: 2, randomBySize: 2, samples: 2, worst: 1, seed: 1, shares: [0.5, 1] };

type Parameters = Readonly<Record<string, unknown>>;

/** A sound call of each function: its parameters by name, in order, every number that it can take among them. */
const calls: Record<string, Parameters | readonly Parameters[]> = {
  acdcCircuit: { model: small, prompts: pairs, metric, options: { threshold: 0.1, seed: 1 } },
  attributionPatching: [
    {
      model: small,
      prompts: pairs,
      options: { at: "z", over: "layer", metric, layers: [0, 1], heads: [0, 1], seed: 1 },
    },
    { model: small, prompts: pairs, options: { at: "pattern", over: "head", metric, positions: [1, 2], keys: [0, 1] } },
    { model: small, prompts: pairs, options: { at: "z", over: "layer", metric, steps: 2 } },
  ],
  attributeScore: [
    { model, tokens, head: "L1H0", options: { query: 3, key: 1, prompt: 1 } },
    { model, tokensOrHead: tokens, headOrOptions: "L1H0", given: { query: 3, key: 1, prompt: 1 } },
    { run, tokensOrHead: "L1H0", headOrOptions: { query: 3, key: 1, prompt: 1 } },
  ],
  circuitFaithfulness: { model: small, scored, prompts: tokens, metric, options: { shares: [0.5, 1], seed: 1 } },
  circuitGraph: { source: { n_layers: 2, n_heads: 2, d_model: 8, parallel_attn_mlp: false, attn_only: true } },
  circuitGrid: { model: small, circuit: few, prompts: tokens, metric, options: { seed: 1 } },
  circuitPositions: {
    circuit: few,
    byPosition: library.edgeAttribution(small, tokens, metric).byPosition,
    options: { share: 0.5 },
  },
  circuitStability: { effects: exact, options: { samples: 2, count: 3, seed: 1 } },
  bigramFit: { model, texts: tokens.flat(), options: { smoothing: 0.5 } },
  compositionBaseline: { sizes: { d_model: 12, d_head: 4 } },
  compositionEffects: { model: small, prompts: pairs, metric, options: { seed: 1 } },
  copyingAccuracy: { model, heads: "L1H0", options: { k: 2 } },
  copyingEvaluator: { model, options: { length: 4, samples: 2, seed: 1, bos: 0 } },
  decomposeResid: [
    { model, run, options: { layer: 1 } },
    { model, runOrOptions: run, given: { layer: 1 } },
    { run, runOrOptions: { layer: 1 } },
  ],
  discoverCircuit: [
    { model: small, prompts: tokens, metric, options: { method: "eap-ig-inputs", steps: 2, count: 9, seed: 1 } },
    { model: small, prompts: tokens, metric, options: { method: "eap", threshold: 0.1 } },
    { model: small, prompts: tokens, metric, options: { method: "eap", faithfulness: 0.5 } },
  ],
  duplicateTokenScores: { pattern, period: 3 },
  edgeAttribution: { model: small, prompts: tokens, metric, options: { method: "eap-ig-inputs", steps: 2, seed: 1 } },
  edgesAbove: { circuit: scored, threshold: 0.1 },
  evaluateCircuit: { model: small, circuit: few, prompts: tokens, metric, options: { effects: exact, ...judging } },
  exactEdges: { model: small, prompts: tokens, metric, options: { seed: 1 } },
  findHeads: [
    { scores: { current: grid, previous: grid, first: grid, duplicate: grid, induction: grid }, threshold: 0.4 },
    {
      scores: { current: grid, previous: grid, first: grid, duplicate: grid, induction: grid },
      threshold: { threshold: 0.4, excess: 0.2, confidence: 0.9 },
    },
  ],
  findSkipTrigramBugs: {
    model,
    head: "L1H0",
    attested: [{ source: 1, destination: 2, out: 3 }],
    options: { k: 1, start: 1, sources: [1, 2] },
  },
  fitTranslators: { runs: [run], options: { ridge: 0.1 } },
  firstOrderLoss: { model, tokens, subset: { layers: [0, 1] } },
  frozenAblationLoss: { model, tokens, subset: { layers: [0, 1] } },
  fullQKCircuit: { model: rotary, head: "L1H0", options: { offset: 2 } },
  greedyEdges: { circuit: scored, count: 9 },
  headEvidence: { scores: measured, kind: "previous", options: { excess: 0.2, confidence: 0.9 } },
  headAblation: { model, tokens, options: { from: 1 } },
  headScores: [
    { model, options: { length: 3, batch: 2, seed: 1, bos: 0, repeats: 2, chunk: 2 } },
    { model, options: { tokens, period: 3 } },
  ],
  inContextLearningScore: { loss: Tensor.zeros("batch pos", [2, 9]), options: { early: 4, late: 8, window: 2 } },
  inductionScores: { pattern, options: { period: 3 } },
  kCompositionAccuracy: { model, previous: "L0H0", later: "L1H0", options: { k: 2 } },
  logIndexDerivative: { loss: Tensor.zeros("pos", [9]), factor: 1.5 },
  logitLens: { run, options: { directions: [1, 2] } },
  logitTermNorms: { model, options: { maxOrder: 1 } },
  lossTrajectory: { losses: library.randomNormal("snapshot token", [4, 5], { seed: 1 }), components: 2 },
  meanRotaryPattern: { model: rotary, head: "L1H0", n: 4 },
  mixedOV: { model, heads: ["L1H0", "L1H1"], weights: [0.5, 0.5] },
  mixedQK: { model, heads: ["L1H0", "L1H1"], weights: [0.5, 0.5] },
  neuronCosines: { model: mlp, layer: 1 },
  neuronExamples: {
    model: mlp,
    prompts: tokens,
    options: { layer: 1, neurons: [0, 2], count: 2, before: 1, after: 1, from: 1 },
  },
  neuronLogitCircuit: { model: mlp, layer: 1 },
  neuronTokenCircuit: { model: mlp, layer: 1 },
  normedTokens: { model, layer: 1 },
  offsetAblatedLosses: { model, tokens, head: "L1H0", options: { keep: [1, 2] } },
  pathExpansion: [
    { model, tokensOrOptions: tokens, options: { maxOrder: 1, maxTerms: 1000 } },
    { factored: library.factoredModel(model, tokens), tokensOrOptions: { maxOrder: 1, maxTerms: 1000 } },
  ],
  pathPatching: {
    model: small,
    prompts: pairs,
    options: { receivers: "logits", metric, positions: [1, 2], seed: 1 },
  },
  positionalPattern: { model: standard, head: "L1H0", n: 4 },
  randomCircuits: { circuit: few, options: { count: 2, seed: 1 } },
  rankAgreement: { estimate: scored, truth: scored, options: { count: 2 } },
  repeatedTokens: { config: model.config, options: { length: 3, batch: 2, seed: 1, bos: 0, repeats: 2, chunk: 2 } },
  sampleCompositionBaseline: { sizes: { d_model: 12, d_head: 4 }, options: { samples: 3, seed: 1 } },
  scoreExpansion: [
    { model, tokens, head: "L1H0", options: { maxOrder: 1, maxTerms: 1000 } },
    { model, tokens, headOrOptions: "L1H0", given: { maxOrder: 1, maxTerms: 1000 } },
    { run, head: "L1H0", headOrOptions: { maxOrder: 1, maxTerms: 1000 } },
  ],
  scoreNull: { model, options: { samples: 3, seed: 1 } },
  scoreTermNorms: { model, ref: "L1H0", options: { maxOrder: 1 } },
  searchVirtualHeads: { model, tokens, options: { order: 2, k: 2 } },
  skipTrigramBugs: {
    model,
    head: "L1H0",
    source: 1,
    pairs: [pair, { destination: 6, out: 7 }],
    options: { start: 1 },
  },
  skipTrigramEffects: { model, head: "L1H0", trigrams: [{ source: 1, ...pair }], options: { start: 1 } },
  skipTrigrams: { model, head: "L1H0", sources: [1, 2], options: { k: 2, start: 1, frequencies } },
  smearedKeys: { keys: run.cache.get("blocks.0.attn.hook_k"), alpha: [1, 2, 3] },
  strongestVirtualHeads: { model, options: { order: 2, k: 2 } },
  sweep: [
    {
      model: small,
      prompts: pairs,
      options: { at: "z", over: "layer", metric, layers: [0, 1], heads: [0, 1], seed: 1 },
    },
    { model: small, prompts: pairs, options: { at: "pattern", over: "head", metric, positions: [1, 2], keys: [0, 1] } },
  ],
  termImportance: [
    { model, tokens, options: { resamples: 3, seed: 1 } },
    { model, tokensOrOptions: tokens, given: { resamples: 3, seed: 1 } },
    { run, tokensOrOptions: { resamples: 3, seed: 1 } },
  ],
  topEdges: { circuit: scored, count: 9 },
  topSkipTrigrams: { model, head: "L1H0", options: { k: 2, perPair: 1, start: 1, frequencies } },
  valueWeightedPattern: { model, run, layer: 1 },
};

/** Numbers that need not be whole, or need not be positive, or may be without end. */
const REAL = [
  "share",
  "shares",
  "faithfulness",
  "smoothing",
  "ridge",
  "mean",
  "std",
  "threshold",
  "factor",
  "weights",
  "alpha",
  "frequencies",
  "excess",
  "confidence",
];
const SIGNED = ["offset", "keep", "positions", "keys"];
const ENDLESS = ["maxTerms", "alpha"];
const OPTIONAL = ["bos"];
/** Of these several are asked for by a list. */
const LISTED = ["copyingAccuracy"];
/** These take an object of options instead. */
const OR_OPTIONS = ["findHeads"];

const anyNumber = [NaN, "3", [3], [1, 5], {}, true, 3n, () => 3];

/** What is no such number. */
function wrongValues(name: string): unknown[] {
  const wrong: unknown[] = [...anyNumber];
  if (!ENDLESS.includes(name)) wrong.push(Infinity, -Infinity);
  if (!OPTIONAL.includes(name)) wrong.push(null);
  if (REAL.includes(name)) return wrong;
  wrong.push(1.5);
  if (!SIGNED.includes(name)) wrong.push(-1);
  return wrong;
}

/** What is no list of such numbers: other things than lists, and lists with one wrong element. */
function wrongLists(name: string, sound: readonly unknown[]): unknown[] {
  const inside = wrongValues(name).map((wrong) => [wrong, ...sound.slice(1)]);
  return [3, NaN, {}, true, null, ...inside];
}

const untyped = library as unknown as Readonly<Record<string, (...given: unknown[]) => unknown>>;
const call = (name: string, given: Parameters): unknown => untyped[name]?.(...Object.values(given));

/** That a call is refused in words, and not by a defect. */
function expectRefusal(refused: () => unknown, wrong: unknown): void {
  let error: unknown = "nothing was thrown";
  try {
    refused();
  } catch (thrown) {
    error = thrown;
  }
  const given = Array.isArray(wrong) ? `[${wrong.map(String).join(", ")}]` : String(wrong);
  expect(error, `${typeof wrong} ${given}`).toBeInstanceOf(CircuitsError);
  expect((error as CircuitsError).message, given).not.toContain("internal:");
}

const found = new Map(
  [...numericParameters(["circuits", "paths", "heads", "interventions"])].flatMap(([name, all]) => {
    // Labels may be texts too.
    const numbers = all.filter(({ option }) => option !== "labels");
    return numbers.length === 0 ? [] : [[name, numbers] as const];
  }),
);
const named = [...found].flatMap(([name, parameters]) =>
  parameters.map(
    (each) => [name, [each.parameter, each.option].filter((x) => x !== undefined).join("."), each] as const,
  ),
);

test("every function that takes a number has its sound call here, and no other", () => {
  expect(Object.keys(calls).sort()).toEqual([...found.keys()].sort());
  for (const [name, given] of Object.entries(calls))
    for (const one of [given].flat() as Parameters[]) expect(() => call(name, one), name).not.toThrow();
});

describe("a number of a wrong kind is refused", () => {
  test.each(named)("%s: %s", (name, _, { parameter, option, isList }: NumericParameter) => {
    const soundOf = ({ [parameter]: holder }: Parameters): unknown =>
      option === undefined ? holder : (Object(holder) as Parameters)[option];
    const given = ([calls[name] ?? {}].flat() as Parameters[]).find((one) => soundOf(one) !== undefined) ?? {};
    const holder = given[parameter];
    const sound = soundOf(given);
    expect(sound, "the sound call gives the number").toBeDefined();
    const argument = option ?? parameter;
    const wrongs = (isList ? wrongLists(argument, sound as unknown[]) : wrongValues(argument)).filter(
      (wrong) =>
        !(LISTED.includes(name) && Array.isArray(wrong)) &&
        !(OR_OPTIONS.includes(name) && option === undefined && String(wrong) === "[object Object]"),
    );
    for (const wrong of wrongs) {
      const changed = option === undefined ? wrong : { ...(holder as Parameters), [option]: wrong };
      expectRefusal(() => call(name, { ...given, [parameter]: changed }), wrong);
    }
  });
});

const paths = library.pathExpansion(model, tokens);
const scores = library.scoreExpansion(rotary, tokens, "L1H0");
const chance = library.scoreNull(model, { samples: 3 });
const pair0 = scores.select({ query: "embed", key: "embed" })[0];
const trigram = (field: string, value: unknown): unknown[] => [{ source: 1, destination: 2, out: 3, [field]: value }];

/** Numbers of methods, of targets and of lists of objects, each with a call that takes it. */
const others: readonly (readonly [string, sound: unknown, (value: never) => unknown])[] = [
  ["rank: k", 2, (k) => paths.rank("attribution", { k })],
  ["attribution: targets", 3, (targets) => paths.attribution({ targets })],
  ["logitAttribution: targets", 3, (targets) => library.logitAttribution(model, tokens, { targets })],
  ["pathTotals: targets", 3, (targets) => library.pathTotals(model, tokens, { targets })],
  ["searchVirtualHeads: targets", 3, (targets) => library.searchVirtualHeads(model, tokens, { targets })],
  ["decomposed: prompt", 1, (prompt) => scores.decomposed(prompt)],
  ["circuit: offset", 2, (offset) => scores.circuit(pair0 as library.ScoreTerm, offset)],
  ["quantile: share", 0.5, (share) => chance.quantile(share)],
  ...["source", "destination", "out"].flatMap((field) =>
    [
      ["findSkipTrigramBugs", (list: unknown[]) => call("findSkipTrigramBugs", { model, head: "L1H0", list })] as const,
      ["skipTrigramEffects", (list: unknown[]) => call("skipTrigramEffects", { model, head: "L1H0", list })] as const,
    ].map(([name, take]) => [`${name}: ${field}`, 1, (value: never) => take(trigram(field, value))] as const),
  ),
];

describe("and so by methods, as targets and within lists of objects", () => {
  test.each(others)("%s", (name, sound, take) => {
    expect(() => take(sound as never)).not.toThrow();
    const isTarget = name.endsWith("targets");
    const wrongs = [...anyNumber, Infinity, -Infinity, null, ...(name.endsWith("offset") ? [] : [-1]), 1.5];
    for (const wrong of wrongs) {
      // An id for each position is a target too.
      if (isTarget && Array.isArray(wrong)) continue;
      expectRefusal(() => take(wrong as never), wrong);
    }
  });
});
