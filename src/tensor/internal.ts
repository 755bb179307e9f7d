/** What tensor/ lends to the other folders of src/ and is no part of the package. */
export { kernelData, kernelStorage, moveToKernels, rawData, rawStorage, reshaped, tensorOf, viewOf } from "./raw.ts";
export { describeTensor, requireAxes } from "./tensor.ts";
export { allocateData, dataForResult, dtypeOf, rowMajorStrides } from "./storage.ts";
export { matrixView, rightOperand } from "./matmul.ts";
export { addTo, dot, maxAbs, meanOf, rowNorms } from "./vector.ts";
export { kindOf, withWorkspace } from "../kernels/index.ts";
export type { FloatArray, TakeArray } from "../kernels/index.ts";
export { checkIndices, eachPicked, indicesOf, placing } from "./indices.ts";
export type { Counted, OtherNames, Picks } from "./indices.ts";
export { sumRounding, U32 } from "./rounding.ts";
