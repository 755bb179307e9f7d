/** Every exported function and method that takes a tensor, with its type and a mistake that must not compile. */
import type { Taker } from "./calls.ts";

const of = "batch pos d_model";
const same = `Tensor<"${of}">`;

/** Functions of tensors of any axes: the call, its type, the call with a mistake in it. */
const ofAnyAxes: Record<string, readonly [call: string, type: string, mistake: string]> = {
  "Tensor#indexOf": ['_.indexOf("pos")', "number", '_.indexOf("head")'],
  "Tensor#sizeOf": ['_.sizeOf("batch")', "number", '_.sizeOf("head")'],
  "Tensor#select": ['_.select("pos", 0)', 'Tensor<"batch d_model">', '_.select("head", 0)'],
  "Tensor#slice": ['_.slice("d_model", 0)', same, '_.slice("head", 0)'],
  "Tensor#permute": ['_.permute("pos d_model batch")', 'Tensor<"pos d_model batch">', '_.permute("pos d_model")'],
  "Tensor#rename": ['_.rename("pos", "key_pos")', 'Tensor<"batch key_pos d_model">', '_.rename("head", "key_pos")'],
  sum: ['sum(_, "batch")', 'Tensor<"pos d_model">', 'sum(_, "head")'],
  mean: ['mean(_, "pos")', 'Tensor<"batch d_model">', 'mean(_, "head")'],
  max: ['max(_, "d_model")', 'Tensor<"batch pos">', 'max(_, "head")'],
  argmax: ['argmax(_, "d_model")', 'Tensor<"batch pos">', 'argmax(_, "extra")'],
  softmax: ['softmax(_, "d_model")', same, 'softmax(_, "extra")'],
  logSoftmax: ['logSoftmax(_, "pos")', same, 'logSoftmax(_, "head")'],
  gather: ['gather(_, "pos", [0])', same, 'gather(_, "head", [0])'],
  stack: ['stack("head", [_, _])', 'Tensor<"head batch pos d_model">', 'stack("head", [_, given<"pos">()])'],
  concat: ['concat("pos", [_, _])', same, 'concat("pos", [_, given<"pos">()])'],
  add: ["add(_, _)", same, 'add(_, given<"head">())'],
  subtract: ['subtract(_, mean(_, "pos"))', same, 'subtract(mean(_, "pos"), _)'],
  multiply: ['multiply(_, sum(sum(_, "pos"), "batch"))', same, 'multiply(sum(_, "pos"), _)'],
  divide: ["divide(_, 2)", same, 'divide(_, given<"head">())'],
  map: ["map(_, (x) => x)", same, 'map(_, (x) => x).sizeOf("head")'],
  astype: ['astype(_, "float64")', same, 'astype(_, "float64").sizeOf("head")'],
  elementwise: ['elementwise("abs", _)', same, 'elementwise("abs", _).sizeOf("head")'],
  activate: ['activate("relu", _)', same, 'activate("relu", _).sizeOf("head")'],
  causalSoftmax: ["causalSoftmax(_)", same, 'causalSoftmax(_).sizeOf("head")'],
  maxAbsDifference: ["maxAbsDifference(_, _)", "number", 'maxAbsDifference(_, given<"pos">())'],
  matmul: [
    'matmul(_, given<"d_model d_head">())',
    'Tensor<"batch pos d_head">',
    'matmul(_, given<"d_head d_model">())',
  ],
  batchMatmul: [
    'batchMatmul(_, given<"batch d_model d_head">())',
    'Tensor<"batch pos d_head">',
    'batchMatmul(_, given<"batch pos d_head">())',
  ],
  applyMap: [
    'applyMap(_, mapping<"d_model", "d_vocab">())',
    'Tensor<"batch pos d_vocab">',
    'applyMap(_, mapping<"d_head", "d_model">())',
  ],
  applyProduct: [
    'applyProduct(_, product<"d_model", "d_vocab">())',
    'Tensor<"batch pos d_vocab">',
    'applyProduct(_, product<"d_head", "d_model">())',
  ],
  applySum: [
    'applySum(_, productSum<"d_model", "d_vocab">())',
    'Tensor<"batch pos d_vocab">',
    'applySum(_, productSum<"d_head", "d_model">())',
  ],
  assertAxes: ['assertAxes(_, "batch pos d_model")', same, 'assertAxes(_, "batch pos d_model").sizeOf("head")'],
  frobeniusNorm: ["frobeniusNorm(_)", "number", "frobeniusNorm([_])"],
  meanAll: ["meanAll(_)", "number", "meanAll([_])"],
  sumAll: ["sumAll(_)", "number", "sumAll([_])"],
  toNdarray: ["toNdarray(_).offset", "number", "toNdarray([_])"],
  writeSafetensors: ['writeSafetensors(new Map([["W", _]])).length', "number", "writeSafetensors(new Map([[0, _]]))"],
  "Norm#applyFrozen": ['norm.applyFrozen(_, given<"batch pos scale">())', same, "norm.applyFrozen(_, _)"],
  "Norm#applyWeights": ["norm.applyWeights(_)", same, 'norm.applyWeights(_).sizeOf("head")'],
  "Norm#normalizeBy": ['norm.normalizeBy(_, given<"batch pos scale">())', same, "norm.normalizeBy(_, _)"],
  "Norm#addBias": ["norm.addBias(_)", same, 'norm.addBias(_).sizeOf("head")'],
};

/** Functions of tensors of certain axes: the axes, then the calls. */
const ofGivenAxes: Record<string, Record<string, string>> = {
  "batch pos": {
    scalePositions: 'scalePositions(_, "d_model", 2)',
    detectionPattern: 'detectionPattern(_, "induction_head")',
    inContextLearningScore: "inContextLearningScore(_)",
    prefixMatchingScores: "prefixMatchingScores(pattern, _)",
    "Transformer#forward": "model.forward(_)",
    "Transformer#run": "model.run(_)",
    toTokenTensor: "toTokenTensor(model.config, _)",
    processingReport: "processingReport(model, _)",
    ablatedLosses: "ablatedLosses(model, _, [])",
    attributeScore: 'attributeScore(model, _, "L0H0", { query: 0, key: 0 })',
    compositionImportance: "compositionImportance(model, _)",
    factoredModel: "factoredModel(model, _)",
    firstOrderLoss: "firstOrderLoss(model, _, {})",
    frozenAblationLoss: "frozenAblationLoss(model, _, {})",
    headAblation: "headAblation(model, _)",
    headTermImportance: "headTermImportance(model, _)",
    layerTermImportance: "layerTermImportance(model, _)",
    logitAttribution: "logitAttribution(model, _)",
    logitsByOrder: "logitsByOrder(model, _)",
    lossByMaxOrder: "lossByMaxOrder(model, _)",
    memoryScores: "memoryScores(model, _)",
    offsetAblatedLosses: 'offsetAblatedLosses(model, _, "L0H0", { keep: [1] })',
    pathExpansion: "pathExpansion(model, _)",
    pathTotals: "pathTotals(model, _)",
    scoreExpansion: 'scoreExpansion(model, _, "L0H0")',
    searchVirtualHeads: "searchVirtualHeads(model, _)",
    termImportance: "termImportance(model, _)",
    virtualHeadContribution: 'virtualHeadContribution(virtualHead(model, ["L0H0", "L1H0"]), _)',
  },
  "batch pos d_model": {
    "MLP#preActivations": "mlp.preActivations(_)",
    "Norm#apply": "norm.apply(_)",
    "Norm#normalize": "norm.normalize(_)",
    "Norm#scaleOf": "norm.scaleOf(_)",
  },
  "batch pos d_mlp": { "MLP#write": "mlp.write(_)" },
  "batch pos d_vocab": { lossPerToken: "lossPerToken(_, [0, 1])", meanLoss: "meanLoss(_, [0, 1])" },
  "batch pos head d_head": {
    causalAttention: "causalAttention(_, _, _)",
    rotate: "rotate(_, model.config)",
    smearedKeys: "smearedKeys(_, [1])",
  },
  "batch head query_pos key_pos": {
    currentTokenScores: "currentTokenScores(_)",
    previousTokenScores: "previousTokenScores(_)",
    firstTokenScores: "firstTokenScores(_)",
    duplicateTokenScores: "duplicateTokenScores(_, 2)",
    inductionScores: "inductionScores(_, { period: 2 })",
    "detectionScores of patterns": 'detectionScores(_, given<"batch query_pos key_pos">())',
    "prefixMatchingScores of patterns": 'prefixMatchingScores(_, given<"batch pos">())',
  },
  "batch query_pos key_pos": {
    detectionScores: "detectionScores(pattern, _)",
    tensorProduct: 'tensorProduct(_, mapping<"d_model", "d_model">())',
  },
  "query_pos key_pos": { attentionByOffset: "attentionByOffset(_)" },
  "snapshot token": { lossTrajectory: "lossTrajectory(_)" },
  "d_model component": { principalAngles: 'principalAngles(given<"d_model component">(), _)' },
  "d_model d_head": {
    "matmul, second operand": 'matmul(given<"batch pos d_model">(), _)',
  },
  "head d_model d_head": {
    "batchMatmul, second operand": 'batchMatmul(given<"head pos d_model">(), _)',
  },
  pos: {
    logIndexDerivative: "logIndexDerivative(_)",
    "add, second operand": 'add(given<"batch pos">(), _)',
    "subtract, second operand": 'subtract(given<"batch pos">(), _)',
    "multiply, second operand": 'multiply(given<"batch pos">(), _)',
    "divide, second operand": 'divide(given<"batch pos">(), _)',
    "maxAbsDifference, second operand": 'maxAbsDifference(given<"pos">(), _)',
    "a field of such a type": "takeField({ loss: _ })",
    "a variable of such a type": '((): Tensor<"pos"> => _)()',
    "a generic function of a user": 'takeAny(_).sizeOf("pos")',
  },
};

const fill = (call: string) => (argument: string) => call.replace(/\b_\b/g, () => argument);

export const tensorTakers: readonly Taker[] = [
  ...Object.entries(ofAnyAxes).map(([name, [call, type, mistake]]) => ({
    ...{ name, of, type },
    call: fill(call),
    mistake: fill(mistake),
  })),
  ...Object.entries(ofGivenAxes).flatMap(([axes, calls]) =>
    Object.entries(calls).map(([name, call]) => ({
      ...{ name, of: axes, type: undefined },
      call: fill(call),
      mistake: { of: axes.replace(/\w+/, "other") },
    })),
  ),
];
