/**
 * Linear maps between named spaces, kept as products of thin factors: a circuit of vocabulary x vocabulary is never
 * multiplied out. Beside them the linear algebra of small dense float64 matrices that spectra rest on.
 *
 * A `Linear<In, Out>` acts on row vectors, $y = x M$; `compose(f, g)` applies `f` first. With $M = L R$, $L$ of few
 * columns, the eigenvalues of a square $M$ are those of $R L$, and zeros.
 *
 * In reading order: `linear.ts` (the class), `compose.ts`, `sum.ts`, `slices.ts`, `spectrum.ts`, `subspaces.ts`,
 * `tensor-products/` ($A \otimes W$), `search/` (the largest entries, by bounds).
 *
 * @packageDocumentation
 */
export { Linear, identityMap, innerProductMap, linear } from "./linear.ts";
export type { Factor, MatrixFactor, Product, SumFactor } from "./factor.ts";
export { compose, composeAll, transpose } from "./compose.ts";
export { addMaps, scaleMap, subtractMaps, sumMaps } from "./sum.ts";
export { applyMap, toDense } from "./dense.ts";
export type { BaseSpace, MatrixAxes } from "./dense.ts";
export { diagonalOf, entryOf, restrict, rowsOf } from "./slices.ts";
export type { SquareMap } from "./linear.ts";
export { eigenvaluesOf, frobeniusNormOf, singularValuesOf, svdOf, traceOf } from "./spectrum.ts";
export type { Eigenvalues, MapSVD } from "./spectrum.ts";
export type { StreamOptions } from "./stream.ts";
export { diagonalRanks, diagonalTopK } from "./search/diagonal.ts";
export type { DiagonalRankOptions } from "./search/diagonal.ts";
export { topKOfRow, topKPerRow } from "./search/top-k.ts";
export type { MapEntry, TopK } from "./search/top-k.ts";
export { topKOverall } from "./search/top-k-overall.ts";
export { rowStatistics } from "./statistics.ts";
export type { MapStatistics } from "./statistics.ts";
export { principalAngles, readSpaceOf, writeSpaceOf } from "./subspaces.ts";
export type { SubspaceOptions } from "./subspaces.ts";
export {
  TensorProduct,
  composeProducts,
  onFeatures,
  scalePositions,
  scaleProduct,
  tensorProduct,
} from "./tensor-products/tensor-product.ts";
export type { PositionFactor, PositionMap } from "./tensor-products/tensor-product.ts";
export { applyProduct, positionMatrixOf, toDenseKronecker } from "./tensor-products/apply-product.ts";
export { TensorSum, applySum, countTerms, expandSums, sumProducts } from "./tensor-products/tensor-sum.ts";
export type { ExpandOptions, ExpandedProduct, NamedProduct } from "./tensor-products/tensor-sum.ts";
export {
  dense,
  frobenius,
  gram,
  identity,
  matmulDense,
  transposeDense,
  eigenvalues,
  eigenvaluesOfStack,
  qr,
  qrTriangle,
  singularValues,
  singularValuesOfStack,
  svd,
} from "../linalg/index.ts";
export type { Complex, ComplexArray, DenseMatrix, MatmulDenseOptions, QR, SVD } from "../linalg/index.ts";
