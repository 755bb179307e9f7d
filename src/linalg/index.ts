/**
 * Linear algebra of small dense float64 matrices: products, QR, singular values, eigenvalues.
 */
export {
  type Complex,
  type ComplexArray,
  dense,
  type DenseMatrix,
  frobenius,
  gram,
  identity,
  matmulDense,
  type MatmulDenseOptions,
  transposeDense,
} from "./dense.ts";
export { eigenvalues, eigenvaluesOfStack } from "./eigenvalues.ts";
export { qr, type QR, qrTriangle } from "./qr.ts";
export { singularValues, singularValuesOfStack, svd, type SVD } from "./svd.ts";
