/** What is refused by kind: a forgotten argument, an array for a tensor, a number for options. */
import { describe, expect, test } from "vitest";
import * as library from "./support/everything.ts";
import {
  CircuitsError,
  InputError,
  type Norm,
  Tensor,
  applyMap,
  causalAttention,
  dense,
  linear,
  matmulDense,
  randomNormal,
  rowStatistics,
  topSkipTrigrams,
} from "./support/everything.ts";
import { randomModel } from "./support/random-model.ts";

/** The library as an untyped user sees it. */
const untyped = library as unknown as Record<string, (...given: unknown[]) => unknown>;
const call = (name: string, ...given: unknown[]): unknown =>
  (untyped[name] as (...given: unknown[]) => unknown)(...given);
const model = randomModel();
const t = randomNormal("pos d_model", [4, 5], { seed: 1 });
const f = linear("d_model", "d_head", randomNormal("d_model d_head", [5, 3], { seed: 2 }));

/** Functions that take what is not there for their first argument: nothing, or something else. */
const taking = {
  tensor:
    "add subtract multiply divide map argmax max mean sum softmax logSoftmax sumAll meanAll frobeniusNorm maxAbsDifference astype gather assertAxes matmul batchMatmul causalSoftmax causalAttention lossPerToken meanLoss attentionByOffset currentTokenScores previousTokenScores firstTokenScores duplicateTokenScores inductionScores prefixMatchingScores detectionScores inContextLearningScore logIndexDerivative lossTrajectory applyMap applyProduct applySum principalAngles smearedKeys scalePositions",
  "linear map":
    "rowsOf restrict entryOf diagonalOf diagonalRanks diagonalTopK rowStatistics topKOfRow topKPerRow topKOverall traceOf frobeniusNormOf svdOf singularValuesOf eigenvaluesOf readSpaceOf writeSpaceOf transpose scaleMap toDense onFeatures",
  Transformer:
    "ablatedLosses accumulatedResid attributeScore bareOVSpectrum bareQKSpectrum bigramFit compositionEffects compositionImportance compositionOnText compositionScores cycledCompositionScores copyingAccuracy copyingEvaluator copyingScore copyingScores decomposeResid directPathCircuit effectiveEmbedding effectiveOVCircuit factoredModel findSkipTrigramBugs firstOrderLoss frozenAblationLoss fullOVCircuit fullQKCircuit headAblation headScores headTermImportance inductionPositivity jointPCA kCompositionAccuracy kCompositionCircuit layerTermImportance logitAttribution logitsByOrder logitTermNorms lossByMaxOrder matchingScores meanRotaryPattern memoryScores mixedOV mixedQK neuronCosines normedTokens neuronLogitCircuit neuronTokenCircuit offsetAblatedLosses ovDiagonal ovSpectrum pathExpansion pathTotals positionalPattern positionalQKCircuit qCompositionCircuit qkSpectrum scoreExpansion scoreNull scoreTermNorms searchVirtualHeads skipTrigramBugs skipTrigramEffects skipTrigrams strongestVirtualHeads termImportance topSkipTrigrams valueWeightedPattern virtualHead virtualOVCircuit centerUnembed centerWritingWeights dropKeyBiases foldLayerNorm foldValueBiases processWeights processingReport refactorHeads restrictedComposition",
  AttentionHead: "qComposition kComposition vComposition",
};

const cases = Object.entries(taking).flatMap(([what, names]) => names.split(" ").map((name) => [name, what] as const));

test.each(cases)("%s says that it takes a %s", (name, what) => {
  for (const wrong of [undefined, null, [1, 2], "text", 7, new Map()]) {
    let error: unknown;
    try {
      call(name, wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).operation).toBe(name);
    expect((error as InputError).message).toContain(
      `not ${what === "AttentionHead" ? "an" : "a"} ${what[0]?.toUpperCase() === what[0] || what !== "tensor" ? what : "Tensor"}`,
    );
  }
});

describe("texts", () => {
  test("say what was given and how to come by the right thing", () => {
    expect(() => call("add", t)).toThrow(
      "add: b is undefined, not a Tensor. Make one with Tensor.from or Tensor.fromNested.",
    );
    expect(() => call("matmul", [1, 2], t)).toThrow("matmul: a is an array, not a Tensor.");
    expect(() => call("rowsOf", f, null)).toThrow("rowsOf: ids is null, not a list. Write it in brackets.");
    expect(() => call("pathExpansion", t, [1])).toThrow("pathExpansion: model is of class Tensor, not a Transformer.");
    expect(() => call("effectiveOVCircuit", model, "L0H0")).toThrow(
      'effectiveOVCircuit: the heads are L0H0, which is no list. Write ["L0H0"].',
    );
    expect(() => call("compose", f)).not.toThrow();
    expect(() => call("compose", f, undefined)).toThrow("compose: maps[1] is undefined, not a linear map.");
    expect(() => call("stack", "batch", [t, 3])).toThrow("stack: tensors[1] is 3, not a Tensor.");
    expect(() => call("map", t)).toThrow("map: f is undefined, not a function.");
  });

  test("options are an object", () => {
    expect(() => call("topSkipTrigrams", model, "L0H0", 20)).toThrow(
      "topSkipTrigrams: options is 20, not an object of named values, as in { k: 5 }.",
    );
    expect(() => call("copyingScores", model, null)).toThrow("copyingScores: options is null, not an object");
    expect(() => call("inductionScores", model.run([1, 2]).cache.get("blocks.0.attn.hook_pattern"))).toThrow(
      "inductionScores: options is null, not an object",
    );
  });

  test("heads that are no heads", () => {
    for (const wrong of [undefined, null, 3, [], {}]) {
      expect(() => model.head(wrong as never)).toThrow(InputError);
    }
    expect(() => model.head(null as never)).toThrow('"null" does not name a head; write it as L1H4 or 1.4.');
    expect(() => model.head("L9H0")).toThrow("there is no head L9H0 in this model");
  });
});

describe("numbers that would be wrong without a word", () => {
  test("after a refused call the kernels compute as before", () => {
    const a = dense(2, 2, [1, 2, 3, 4]);
    for (const name of ["add", "divide", "map", "softmax", "applyMap"]) {
      expect(() => call(name, "text", t)).toThrow(CircuitsError);
    }
    expect(Array.from(matmulDense(a, a).data)).toEqual([7, 10, 15, 22]);
  });

  test("axes the other way round", () => {
    const square = (axes: string): Tensor =>
      Tensor.zeros(
        axes,
        axes.split(" ").map(() => 3),
      );
    const turned: readonly (readonly [string, () => unknown, string])[] = [
      [
        "lossPerToken",
        () =>
          call("lossPerToken", square("pos batch d_vocab"), [
            [0, 1, 2],
            [0, 1, 2],
            [0, 1, 2],
          ]),
        "logits is [pos=3 batch=3 d_vocab=3], not [batch pos d_vocab]",
      ],
      [
        "attentionByOffset",
        () => call("attentionByOffset", square("key_pos query_pos")),
        "pattern is [key_pos=3 query_pos=3], not [query_pos key_pos]",
      ],
      ["detectionPattern", () => call("detectionPattern", square("pos batch"), "induction_head"), "not [batch pos]"],
      [
        "detectionScores",
        () => call("detectionScores", square("batch head query_pos key_pos"), square("batch key_pos query_pos")),
        "detection is [batch=3 key_pos=3 query_pos=3], not [batch query_pos key_pos]",
      ],
      [
        "prefixMatchingScores",
        () => call("prefixMatchingScores", square("batch head query_pos key_pos"), square("pos batch")),
        "tokens is [pos=3 batch=3], not [batch pos]",
      ],
      [
        "inContextLearningScore",
        () => call("inContextLearningScore", square("pos batch")),
        "loss is [pos=3 batch=3], not [batch pos]",
      ],
      ["logIndexDerivative", () => call("logIndexDerivative", square("batch")), "loss is [batch=3], not [pos]"],
      [
        "lossTrajectory",
        () => call("lossTrajectory", square("token snapshot")),
        "losses is [token=3 snapshot=3], not [snapshot token]",
      ],
      [
        "smearedKeys",
        () => call("smearedKeys", square("batch head pos d_head"), [0, 0, 0]),
        "not [batch pos head d_head]",
      ],
      [
        "findHeads",
        () => call("findHeads", { current: square("head layer") }),
        "scores.current is [head=3 layer=3], not [layer head]",
      ],
      [
        "beforeAndAfterAttribution",
        () => call("beforeAndAfterAttribution", { before: square("pos batch"), after: square("batch pos") }, []),
        "change.before is [pos=3 batch=3], not [batch pos]",
      ],
      [
        "inductionPositivity",
        () => call("inductionPositivity", randomModel({ n_layers: 3 }), { previous: square("head layer") }),
        "previous is [head=3 layer=3], not [layer head]",
      ],
      [
        "run",
        () => model.run(square("pos batch") as never),
        "tokens are [pos=3 batch=3]. Give [pos], one prompt, or [batch, pos].",
      ],
      [
        "logitAttribution",
        () =>
          call(
            "logitAttribution",
            model,
            [
              [0, 1],
              [2, 3],
            ],
            { targets: Tensor.zeros("pos batch", [2, 2], "int32") },
          ),
        "[pos=2 batch=2]",
      ],
    ];
    for (const [operation, run, text] of turned) {
      expect(run, operation).toThrow(
        expect.objectContaining({ operation, message: expect.stringContaining(text) as string }),
      );
    }
  });

  test("heads before positions are not taken for positions", () => {
    const q: Tensor = randomNormal("batch head pos d_head", [1, 2, 2, 3], { seed: 1 });
    expect(() => causalAttention(q as never, q as never, q as never)).toThrow(
      "takes q, k and v [batch, pos, head, d_head] of the same sizes: q is [batch=1 head=2 pos=2 d_head=3]",
    );
  });

  test("a stream without prompts is not normalised", () => {
    const norm: Norm = randomModel({ norm: "LN" }).layer(0).ln1 as Norm;
    const stream: Tensor = Tensor.zeros("pos d_model", [2, 12]);
    expect(() => norm.apply(stream as never)).toThrow(
      "normalize: x is [pos=2 d_model=12], not [batch pos d_model]. Rename or permute its axes, or add one of size 1.",
    );
  });

  test("dtypes that tensors do not have, and entries that are no numbers", () => {
    expect(() => Tensor.zeros("pos", [2], "float16" as never)).toThrow('there is no dtype "float16"; the choices are');
    expect(() => Tensor.from("pos", [1], [1], "f32" as never)).toThrow('Tensor.from: there is no dtype "f32"');
    expect(() => call("astype", t, "double")).toThrow('astype: there is no dtype "double"');
    expect(() => Tensor.from("pos", [2], [1, undefined] as never)).toThrow(
      "Tensor.from: element 1 of data is undefined, of type undefined, not a number.",
    );
  });

  test("activation functions that do not exist", () => {
    expect(() => call("activate", "tanh", t)).toThrow(
      'activate: there is no activation function "tanh"; the choices are gelu,',
    );
  });

  test("infinite entries of a map: no statistics, and no product that is undefined", () => {
    const infinite = linear(
      "a",
      "b",
      Tensor.fromNested("a b", [
        [1, 2],
        [-Infinity, 3],
      ]),
    );
    expect(() => rowStatistics(infinite)).toThrow("rowStatistics: the entry of row 1 and column 0 is -Infinity;");
    expect(rowStatistics(infinite, { rows: [0] }).mean.toNested()).toEqual([1.5]);
    const x = Tensor.fromNested("pos a", [[1, 0]]);
    expect(() => applyMap(x, infinite)).toThrow("applyMap: the map or x holds numbers that are not finite");
    expect(applyMap(Tensor.fromNested("pos a", [[1, 1]]), infinite).toNested()).toEqual([[-Infinity, 5]]);
  });

  test("seeds, baselines, edits, positions and numbers of terms that are none", () => {
    expect(() => call("randomNormal", "a", [2], {})).toThrow(
      "randomNormal: seed is undefined; give a number, or a Random",
    );
    expect(() => call("compositionScores", model, { baseline: {} })).toThrow(
      "compositionScores: the baseline's mean is undefined; it is taken off the scores. Give { mean: 0.1, std: 0.01 }.",
    );
    expect(() => call("editAt", "hook_embed", 3)).toThrow("editAt: edit is 3, not a function.");
    expect(() => call("dense", 1, 1, ["1"])).toThrow("dense: element 0 of data is 1, of type string, not a number.");
    expect(() => call("identity", -1)).toThrow("identity: -1 is not a size.");
    expect(() => call("svd", t)).toThrow("svd: a is not a dense matrix, { rows, cols, data }. Make one with dense.");
    const { config } = randomModel({ position: "rotary" });
    const q: Tensor = randomNormal("batch pos head d_head", [1, 2, 3, 4], { seed: 1 });
    expect(() => call("rotate", q, config, "1")).toThrow(
      "rotate: takes vectors [batch, pos, head, d_head] and the whole number",
    );
    const factor = library.sumProducts([{ label: "a", product: library.onFeatures(library.identityMap("a", 2)) }]);
    expect(() => library.expandSums([factor], { maxOrder: -1 })).toThrow(
      "expandSums: maxOrder is -1; give a whole number of at least 0.",
    );
    expect(() => library.expandSums([factor], { maxTerms: Number.NaN })).toThrow("more than maxTerms=NaN");
    expect(() => library.pathExpansion(model, [1, 2]).rank("attribution", { k: -1 })).toThrow(
      "rank: k is -1; ask for a positive whole number.",
    );
    expect(() => call("findSkipTrigramBugs", model, "L0H0", 3)).toThrow("attested is undefined, not a list");
  });

  test("more skip-trigrams than can be kept in order", () => {
    expect(() => topSkipTrigrams(model, "L0H0", { k: 1e9 })).toThrow(
      "topSkipTrigrams: k is 1000000000, more than the 65536 trigrams that are kept at most.",
    );
  });
});
