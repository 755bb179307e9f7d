/**
 * Tensors with named axes, and the ground they stand on: axes as types, errors, the choice of kernels and threads.
 *
 * A `Tensor<"batch pos d_model">` is an immutable array of float32, float64 or int32 numbers in row-major order.
 * Operations go by the names of axes; sizes are checked at run time, names by the compiler too.
 *
 * @packageDocumentation
 */
export { dual } from "../axes.ts";
export type { AxisOf, Dual, InitAxes, Join, LastAxis, Renamed, Without } from "../axes.ts";
export {
  AxisError,
  CircuitsError,
  ConfigError,
  FormatError,
  InputError,
  ResourceError,
  ShapeError,
} from "../errors.ts";
export type { ErrorDetails } from "../errors.ts";
export { kernelInfo, useKernels, useThreads } from "../kernels/index.ts";
export type { KernelInfo, KernelName, ThreadOptions, WorkerLike } from "../kernels/index.ts";
export type { ProgressOptions } from "../progress.ts";
export type { Shown } from "../show/index.ts";
export { Tensor } from "./tensor.ts";
export type { TensorJSON } from "./json.ts";
export type { Nested } from "./tensor.ts";
export type { DType, Layout, TensorData } from "./storage.ts";
export { add, astype, divide, map, multiply, subtract } from "./elementwise.ts";
export { argmax, max, mean, meanAll, min, std, sum, sumAll, topK } from "./reduce.ts";
export type { TopElements } from "./reduce.ts";
export { batchMatmul, matmul } from "./matmul.ts";
export { logSoftmax, softmax } from "./softmax.ts";
export { causalAttention, causalSoftmax } from "./attention.ts";
export type { AttentionOptions } from "./attention.ts";
export { assertAxes, concat, gather, stack } from "./combine.ts";
export { set, where } from "./set.ts";
export type { IndexRange, Indices } from "./indices.ts";
export { diagonal, reshape } from "./views.ts";
export { frobeniusNorm, maxAbsDifference } from "./compare.ts";
export { Random, randomNormal } from "./random.ts";
