/**
 * `Linear<In, Out>`: a linear map between named spaces, kept as a product of factors.
 *
 * Convention, here and everywhere: vectors are rows, `y = x F1 F2 …`, so `compose(f, g)` applies `f` first and is the
 * matrix product in the order written (*A Mathematical Framework for Transformer Circuits* writes columns). A space
 * is a name, `d_model`; its dual, the space of linear readings of it, has a star, `d_model*`. `W_QK` reads one
 * residual vector against another, so it is a `Linear<"d_model", "d_model*">`, and `transpose` swaps the ends and
 * stars them.
 *
 * Nothing of size `rows x cols` is built by any function but `toDense`. The idea of keeping the factors apart is that
 * of TransformerLens's `FactoredMatrix` and of the Framework paper, "Working with low-rank matrices".
 */
import { dual, parseAxes } from "../axes.ts";
import type { Dual } from "../axes.ts";
import { AxisError, InputError, ShapeError, requireKind } from "../errors.ts";
import type { Kind } from "../errors.ts";
import type { FloatArray } from "../kernels/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import { shortNumber, Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { astype } from "../tensor/index.ts";
import { describeTensor, kernelStorage } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import { matrixFactor, widthOf } from "./factor.ts";
import type { Factor, MatrixFactor, Product } from "./factor.ts";

export const LINEAR_MAP: Kind = {
  member: "factors",
  what: "a linear map",
  remedy: "Make one with linear, or take a circuit of a model",
};

/**
 * An immutable linear map from space `In` to space `Out`, `[rows, cols]`, kept as a product of factors.
 *
 * Made by {@link linear} and {@link identityMap} and by the functions that combine maps; a class only so that its
 * spaces and sizes always agree with its factors. A `Linear` without names (`Linear<string, string>`) is checked at
 * run time.
 *
 * @category Linear maps
 * @example
 * ```ts
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { W_OV } = model.head("L1H4");
 * console.log(W_OV.in, W_OV.out, W_OV.rows, W_OV.factors.length);
 * // d_model d_model 128 2
 * ```
 */
export class Linear<In extends string = string, Out extends string = string> extends Shown implements Product {
  /** The space of the row vectors that the map takes. */
  readonly in: In;
  /** The space of the row vectors that the map gives. */
  readonly out: Out;
  /** The size of `in`. */
  readonly rows: number;
  /** The size of `out`. */
  readonly cols: number;
  /** A number that multiplies the product of the factors. */
  readonly coefficient: number;
  /** `y = coefficient · x F1 F2 …`; no factors are the identity. */
  readonly factors: readonly Factor[];

  /** For the functions of this folder; use {@link linear}. */
  constructor(inSpace: In, outSpace: Out, product: Product) {
    super();
    this.in = inSpace;
    this.out = outSpace;
    this.rows = product.rows;
    this.cols = product.cols;
    this.coefficient = product.coefficient;
    this.factors = product.factors;
  }

  /** Spaces with sizes, and how narrow the product is: `Linear[d_vocab=50257 -> d_vocab=50257] of rank at most 64`. */
  override toString(): string {
    return `Linear${describeMap(this)} of rank at most ${widthOf(this)}`;
  }

  /** Its ends and sizes, not its numbers, which may be many: `toDense(map)` has them. */
  override toJSON(): { type: "Linear"; in: In; out: Out; rows: number; cols: number; rank: number } {
    const { rows, cols } = this;
    return { type: "Linear", in: this.in, out: this.out, rows, cols, rank: widthOf(this) };
  }

  /** @internal */
  override showing(): Showing {
    const factors = this.factors.map((factor) => `[${factor.rows} × ${factor.cols}]`).join(" · ");
    const product = factors === "" ? "the identity" : `= ${factors}`;
    const coefficient = this.coefficient === 1 ? "" : ` times ${shortNumber(this.coefficient)}`;
    return { title: this.toString(), parts: () => [{ kind: "words", text: `${product}${coefficient}` }] };
  }
}

/** `[d_model=64 -> d_head=16]`: a map's ends with sizes, as error texts show them. */
export function describeMap(f: Linear): string {
  return `[${f.in}=${f.rows} -> ${f.out}=${f.cols}]`;
}

/**
 * Makes a linear map of one matrix, float32 or float64, without copying it.
 *
 * @param inSpace - the space of the rows of the matrix: what the map takes.
 * @param outSpace - the space of its columns: what the map gives.
 * @param matrix - `[in, out]`.
 * @throws {@link ShapeError} when the tensor is not a matrix; {@link AxisError} when a space is not a name, or when
 * the tensor's axes are the two spaces the other way round.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1, 0], [0, 1], [1, 1]]));
 * console.log(W_V.toString());
 * // Linear[d_model=3 -> d_head=2] of rank at most 2
 * ```
 */
export function linear<In extends string, Out extends string>(
  inSpace: In,
  outSpace: Out,
  matrix: Tensor | DenseMatrix,
): Linear<In, Out> {
  checkSpace(inSpace, "inSpace");
  checkSpace(outSpace, "outSpace");
  const isDense = typeof matrix === "object" && "cols" in (matrix ?? {}) && "data" in matrix;
  if (!isDense) requireKind("tensor", matrix, "matrix", "linear");
  const factor = "strides" in matrix ? tensorFactor(inSpace, outSpace, matrix) : denseFactor(matrix);
  return new Linear(inSpace, outSpace, { rows: factor.rows, cols: factor.cols, coefficient: 1, factors: [factor] });
}

/**
 * The identity of a space, held in no numbers at all.
 *
 * @throws {@link InputError} when the size is not a non-negative integer; {@link AxisError} when the space is not a
 * name.
 * @category Linear maps
 * @example
 * ```ts
 * import { identityMap, traceOf } from "transformer-circuits/linear";
 *
 * console.log(traceOf(identityMap("d_model", 64)));
 * // 64
 * ```
 */
export function identityMap<S extends string>(space: S, size: number): Linear<S, S> {
  return new Linear(space, space, identityOf(space, size, "identityMap"));
}

/**
 * The inner product of a space as a map from it to its dual, held in no numbers at all: what turns vectors into
 * readings, as for the table of dot products of embeddings, `compose(W_E, innerProductMap("d_model", d_model),
 * transpose(W_E))`.
 *
 * @throws {@link InputError} when the size is not a non-negative integer; {@link AxisError} when the space is not a
 * name.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose, toDense, transpose } from "transformer-circuits";
 * import { innerProductMap, linear } from "transformer-circuits/linear";
 *
 * const W_E = linear("d_vocab", "d_model", Tensor.fromNested("d_vocab d_model", [[1, 0], [0, 1], [1, 1]]));
 * console.log(toDense(compose(W_E, innerProductMap("d_model", 2), transpose(W_E))).toNested());
 * // [ [ 1, 0, 1 ], [ 0, 1, 1 ], [ 1, 1, 2 ] ]
 * ```
 */
export function innerProductMap<S extends string>(space: S, size: number): Linear<S, Dual<S>> {
  return new Linear(space, dual(space), identityOf(space, size, "innerProductMap"));
}

function identityOf(space: string, size: number, operation: string): Product {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new InputError(`${size} is not the size of a space; use a non-negative integer.`, {
      operation,
      argument: "size",
      actual: size,
    });
  }
  checkSpace(space, "space", operation);
  return { rows: size, cols: size, coefficient: 1, factors: [] };
}

/** A space without its star. */
export function baseOf(space: string): string {
  return space.endsWith("*") ? space.slice(0, -1) : space;
}

function checkSpace(space: string, argument: string, operation = "linear"): void {
  if (parseAxes(space, operation).length !== 1) {
    throw new AxisError(`"${space}" is not the name of one space. Write it as in "d_model" or "d_model*".`, {
      operation,
      argument,
      actual: space,
    });
  }
}

function tensorFactor(inSpace: string, outSpace: string, matrix: Tensor): MatrixFactor {
  const [rows = 0, cols = 0] = matrix.shape;
  if (matrix.rank !== 2) {
    throw new ShapeError(`takes a matrix [${inSpace}, ${outSpace}]; the tensor is ${describeTensor(matrix)}.`, {
      operation: "linear",
      argument: "matrix",
      expected: 2,
      actual: matrix.rank,
    });
  }
  const [first = "", second = ""] = matrix.names.map(baseOf);
  const [from, to] = [baseOf(inSpace), baseOf(outSpace)];
  if (from !== to && first === to && second === from) {
    throw new AxisError(
      `the matrix is ${describeTensor(matrix)}, the other way round: rows are ${inSpace} and columns ${outSpace}. Did you mean matrix.permute("${matrix.names[1]} ${matrix.names[0]}")?`,
      { operation: "linear", argument: "matrix", expected: [inSpace, outSpace], actual: matrix.names },
    );
  }
  const floats = matrix.dtype === "int32" ? astype(matrix, "float64") : matrix;
  const [rowStride = 0, colStride = 0] = floats.strides;
  return {
    kind: "matrix",
    rows,
    cols,
    data: kernelStorage(floats) as FloatArray,
    offset: floats.offset,
    rowStride,
    colStride,
  };
}

function denseFactor(matrix: DenseMatrix): MatrixFactor {
  const { rows, cols, data } = matrix;
  if (data.length !== rows * cols) {
    throw new ShapeError(`a ${rows} x ${cols} matrix holds ${rows * cols} numbers but ${data.length} were given.`, {
      operation: "linear",
      argument: "matrix",
      expected: rows * cols,
      actual: data.length,
    });
  }
  return matrixFactor(rows, cols, data);
}

/**
 * A map from a space to itself, as `W_OV`, or to its dual, as `W_QK`.
 *
 * A map to the dual is a bilinear form: its eigenvalues are those of its matrix in the coordinates given, which the
 * papers read for `W_QK` and for the full QK circuit (a token that attends to its like). They keep their meaning
 * under rotations of the space but, unlike those of a map from the space to itself, not under every change of basis.
 *
 * @category Linear maps
 */
export type SquareMap<S extends string> = Linear<S, NoInfer<S | Dual<S>>>;

/** Rejects maps whose ends differ in size or are different spaces. */
export function requireSquare(f: Linear, operation: string): void {
  if (f.rows !== f.cols) {
    throw new ShapeError(
      `${describeMap(f)} is not square: its ends have sizes ${f.rows} and ${f.cols}. Give a map from a space to itself or to its dual.`,
      { operation, argument: "f", expected: f.rows, actual: f.cols },
    );
  }
  if (baseOf(f.in) !== baseOf(f.out)) {
    throw new AxisError(
      `${describeMap(f)} goes from one space to another of the same size. Give a map from a space to itself or to its dual.`,
      { operation, argument: "f", expected: baseOf(f.in), actual: f.out },
    );
  }
}
