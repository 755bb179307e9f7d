export {
  Tensor,
  describeTensor,
  kernelStorage,
  moveToKernels,
  rawData,
  rawStorage,
  reshaped,
  tensorOf,
  viewOf,
} from "./tensor.ts";
export { allocateData, dataForResult, copyStrided, dtypeOf, rowMajorStrides } from "./storage.ts";
export type { Nested } from "./tensor.ts";
export type { DType, Layout, TensorData } from "./storage.ts";
export { add, astype, divide, map, multiply, subtract } from "./elementwise.ts";
export { argmax, max, mean, meanAll, sum, sumAll } from "./reduce.ts";
export { batchMatmul, matmul, matrixView } from "./matmul.ts";
export { logSoftmax, softmax } from "./softmax.ts";
export { causalAttention, causalSoftmax } from "./attention.ts";
export type { AttentionOptions } from "./attention.ts";
export { assertAxes, concat, gather, stack } from "./combine.ts";
export { frobeniusNorm, maxAbsDifference } from "./compare.ts";
export { Random, randomNormal } from "./random.ts";
