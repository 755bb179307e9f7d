/**
 * Trace, norm, singular values and eigenvalues of products, in float64, from matrices of their inner dimension.
 *
 * With $M = L R$ of inner size $r$: $\operatorname{tr} M = \sum_i L_i \cdot R^{i}$;
 * $\|M\|_F^2 = \operatorname{tr}[(L^T L)(R R^T)]$; the singular values are those of the $r \times r$ core $T_L T_R^T$
 * of the QR decompositions $L = Q_L T_L$, $R^T = Q_R T_R$; the nonzero eigenvalues are those of the $r \times r$ matrix
 * $R L$. Trace and eigenvalues may be cycled, $\lambda(A B) = \lambda(B A)$ up to zeros, since $A B v = \lambda v$
 * gives $B A (B v) = \lambda (B v)$; **norms may not**: $\|A B\|_F \ne \|B A\|_F$ in general. The first version of the
 * Framework's composition figure did cycle a norm (its erratum of 2023).
 */
import { requireKind } from "../errors.ts";
import { eigenvalues, frobenius, qr, qrTriangle, singularValues, svd } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import { shownAs } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { Tensor } from "../tensor/index.ts";
import { gramOf, multiply, multiplyChain } from "./chain.ts";
import { cheapest, halvesOf, matricesOf } from "./collapse.ts";
import { matrixFactor, toFloat64, transposeFactor } from "./factor.ts";
import type { MatrixFactor, Product } from "./factor.ts";
import { diagonalEntries } from "./slices.ts";
import { requireSquare, LINEAR_MAP } from "./linear.ts";
import type { Linear, SquareMap } from "./linear.ts";

/**
 * The trace of a map from a space to itself or to its dual: the sum of its diagonal and of its eigenvalues.
 *
 * @returns $\operatorname{tr} M = \sum_i M_{ii}$, in float64.
 * @throws {@link ShapeError} when the map is not square; {@link AxisError} when its ends are different spaces.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose } from "transformer-circuits";
 * import { linear, traceOf } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1], [2]]));
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[3, 4]]));
 * console.log(traceOf(compose(W_V, W_O)));
 * // 11
 * ```
 */
export function traceOf<S extends string>(f: SquareMap<S>): number {
  requireKind(LINEAR_MAP, f, "f", "traceOf");
  requireSquare(f, "traceOf");
  if (f.factors.length === 0) return f.coefficient * f.rows;
  return diagonalEntries(f).reduce((sum, x) => sum + x, 0);
}

/**
 * The Gram form of the squared norm errs by about $\epsilon \operatorname{tr}(L^T L) \operatorname{tr}(R R^T)$. Where
 * the result is less than this share of that scale (then fewer than ten digits of the norm would be right), the norm
 * is taken from the QR core, which never squares.
 */
const CANCELLED = 1e-6;

/**
 * The Frobenius norm, $\|M\|_F = \sqrt{\sum_{ij} M_{ij}^2} = \sqrt{\sum_i \sigma_i^2}$, from two small Gram matrices.
 *
 * With $M = L R$, $\|M\|_F^2 = \operatorname{tr}[(L^T L)(R R^T)]$. The factors are never cycled: that holds for
 * traces and eigenvalues, not for norms (*A Mathematical Framework*, erratum of 2023).
 *
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose } from "transformer-circuits";
 * import { frobeniusNormOf, linear } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[3], [4]]));
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[1, 0]]));
 * console.log(frobeniusNormOf(compose(W_V, W_O)), frobeniusNormOf(compose(W_O, W_V)));
 * // 5 3
 * ```
 */
export function frobeniusNormOf(f: Linear): number {
  requireKind(LINEAR_MAP, f, "f", "frobeniusNormOf");
  if (f.factors.length === 0) return Math.abs(f.coefficient) * Math.sqrt(f.rows);
  const { left, right, rank } = halvesOf(f);
  const ofLeft = gramOf(transposeFactor(left) as MatrixFactor);
  const ofRight = gramOf(right);
  let squared = 0;
  let leftTrace = 0;
  let rightTrace = 0;
  for (let i = 0; i < rank; i++) {
    leftTrace += ofLeft[i * (rank + 1)] as number;
    rightTrace += ofRight[i * (rank + 1)] as number;
  }
  for (let t = 0; t < rank * rank; t++) squared += (ofLeft[t] as number) * (ofRight[t] as number);
  const scale = leftTrace * rightTrace;
  const isSafe = squared > CANCELLED * scale && squared > 1e-280 && scale < 1e280;
  return isSafe ? Math.sqrt(squared) : frobenius(smallCoreOf(f));
}

/**
 * A thin singular value decomposition, $M = U \operatorname{diag}(S) V^T$.
 * @category Linear maps
 */
export interface MapSVD<In extends string, Out extends string> {
  /** `[in, component]`: orthonormal columns, directions that the map reads. */
  readonly U: Tensor<`${In} component`>;
  /** `[component]`: singular values, largest first, none negative. */
  readonly S: Tensor<"component">;
  /** `[out, component]`: orthonormal columns, directions that the map writes. Not the transpose. */
  readonly V: Tensor<`${Out} component`>;
}

/**
 * The singular value decomposition of a map from a small core: for $M = L R$, $L = Q_L T_L$ and $R^T = Q_R T_R$, with
 * $T_L T_R^T = U_c S V_c^T$, it is $U = Q_L U_c$, $V = Q_R V_c$.
 *
 * There are as many components as the narrowest place of the product is wide, zeros included; the sign of each pair of
 * columns is arbitrary.
 *
 * @throws {@link CircuitsError} when the iteration of the small core does not converge.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose } from "transformer-circuits";
 * import { linear, svdOf } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[0], [2]]));
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[3, 4]]));
 * const { U, S, V } = svdOf(compose(W_V, W_O));
 * console.log(S.at(0).toFixed(6), Math.abs(U.at(1, 0)).toFixed(6), Math.abs(V.at(1, 0)).toFixed(6));
 * // 10.000000 1.000000 0.800000
 * ```
 */
export function svdOf<In extends string, Out extends string>(f: Linear<In, Out>): MapSVD<In, Out> {
  requireKind(LINEAR_MAP, f, "f", "svdOf");
  const { leftBasis, core, rightBasis, rank } = coreOf(f);
  const { U, S, V } = rank === 0 ? { U: core, S: new Float64Array(0), V: core } : svd(core);
  const left = multiply(factorOf(leftBasis), factorOf(U)).data;
  const right = multiply(factorOf(rightBasis), factorOf(V)).data;
  return {
    U: Tensor.from(`${f.in} component`, [f.rows, rank], left),
    S: Tensor.from("component", [rank], S),
    V: Tensor.from(`${f.out} component`, [f.cols, rank], right),
  };
}

/**
 * The singular values of a map, largest first: as many as the narrowest place of its product is wide, zeros included.
 *
 * @returns `[component]`, float64.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, singularValuesOf } from "transformer-circuits/linear";
 *
 * const f = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[0, -2, 0], [1, 0, 0]]));
 * console.log(Array.from(singularValuesOf(f).data, (s) => s.toFixed(6)).join(" "));
 * // 2.000000 1.000000
 * ```
 */
export function singularValuesOf(f: Linear): Tensor<"component"> {
  requireKind(LINEAR_MAP, f, "f", "singularValuesOf");
  const core = smallCoreOf(f);
  return Tensor.from("component", [core.rows], core.rows === 0 ? new Float64Array(0) : singularValues(core));
}

/**
 * Complex numbers in two tensors, sorted by descending modulus.
 * @category Linear maps
 */
export interface Eigenvalues {
  /** `[eigenvalue]`: real parts. */
  readonly re: Tensor<"eigenvalue">;
  /** `[eigenvalue]`: imaginary parts; conjugate pairs side by side. */
  readonly im: Tensor<"eigenvalue">;
}

/**
 * The eigenvalues of a map from a space to itself or to its dual, but for zeros that its factors make certain: a map
 * of narrowest size `r` has at most `r` that are not 0, and these `r` are returned.
 *
 * They come from the small side, $\lambda(A B) = \lambda(B A)$ up to zeros, with the cyclic product taken in its
 * cheapest order: the full OV circuit $W_E W_V W_O W_U$ of a vocabulary of any size costs one
 * $d_{head} \times d_{head}$ problem, that of $W_O W_U W_E W_V$ (*A Mathematical Framework*, "Summarizing OV/QK
 * matrices").
 *
 * @returns real and imaginary parts, float64, by descending modulus.
 * @throws {@link ShapeError} when the map is not square; {@link AxisError} when its ends are different spaces.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose, eigenvaluesOf } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1], [0], [2]]));
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[3, 5, -4]]));
 * const { re, im } = eigenvaluesOf(compose(W_V, W_O));
 * console.log(re.toNested(), im.toNested());
 * // [ -5 ] [ 0 ]
 * ```
 */
export function eigenvaluesOf<S extends string>(f: SquareMap<S>): Eigenvalues {
  requireKind(LINEAR_MAP, f, "f", "eigenvaluesOf");
  requireSquare(f, "eigenvaluesOf");
  const core = cyclicCore(f);
  const none = new Float64Array(0);
  const { re, im } = core.rows === 0 ? { re: none, im: none } : eigenvalues(core);
  const found = { re: Tensor.from("eigenvalue", [core.rows], re), im: Tensor.from("eigenvalue", [core.rows], im) };
  return shownAs(found, eigenvaluesShowing);
}

function eigenvaluesShowing({ re, im }: Eigenvalues): Showing {
  const rows = Array.from(re.data, (x, i) => [x, im.at(i), Math.hypot(x, im.at(i))]);
  const parts: Showing["parts"] = () => [{ kind: "rows", columns: ["real", "imaginary", "modulus"], rows }];
  return { title: `${rows.length} eigenvalues`, parts };
}

/** The factors of a square product, cycled to begin at the smallest inner dimension, and multiplied. */
function cyclicCore(f: Linear): DenseMatrix {
  const product: Product = cheapest(f);
  const matrices = matricesOf(product);
  let start = 0;
  for (const [t, matrix] of matrices.entries()) {
    if (matrix.rows < (matrices[start] as MatrixFactor).rows) start = t;
  }
  const core = multiplyChain([...matrices.slice(start), ...matrices.slice(0, start)]);
  return denseMatrix(core, product.coefficient);
}

interface Core {
  readonly leftBasis: DenseMatrix;
  readonly core: DenseMatrix;
  readonly rightBasis: DenseMatrix;
  readonly rank: number;
}

/** `M = leftBasis · core · rightBasisᵀ` with orthonormal columns in both bases. */
function coreOf(f: Linear): Core {
  const { left, right, rank } = halvesOf(f);
  if (rank === 0) {
    const empty = (rows: number): DenseMatrix => ({ rows, cols: 0, data: new Float64Array(0) });
    return { leftBasis: empty(f.rows), core: empty(0), rightBasis: empty(f.cols), rank };
  }
  const { Q: leftBasis, R: leftCore } = qr(denseMatrix(left));
  const { Q: rightBasis, R: rightCore } = qr(denseMatrix(transposeFactor(right) as MatrixFactor));
  return { leftBasis, core: coreFrom(leftCore, rightCore), rightBasis, rank };
}

/** The core alone, without the bases. */
function smallCoreOf(f: Linear): DenseMatrix {
  const { left, right, rank } = halvesOf(f);
  if (rank === 0) return { rows: 0, cols: 0, data: new Float64Array(0) };
  return coreFrom(qrTriangle(denseMatrix(left)), qrTriangle(denseMatrix(transposeFactor(right) as MatrixFactor)));
}

function coreFrom(left: DenseMatrix, right: DenseMatrix): DenseMatrix {
  return denseMatrix(multiply(factorOf(left), transposeFactor(factorOf(right)) as MatrixFactor));
}

function denseMatrix(matrix: MatrixFactor, coefficient = 1): DenseMatrix {
  return { rows: matrix.rows, cols: matrix.cols, data: toFloat64(matrix, coefficient) };
}

function factorOf(matrix: DenseMatrix): MatrixFactor {
  return matrixFactor(matrix.rows, matrix.cols, matrix.data);
}
