/**
 * Parts of a map: rows, columns, single entries and the diagonal, computed without the rest.
 */
import { InputError, nameOf, requireKind } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { multiplyChain } from "./chain.ts";
import { cheapest, halvesOf, matricesOf } from "./collapse.ts";
import { denseTensor, type MatrixAxes } from "./dense.ts";
import { identityRows, matrixFactor, transposeProduct } from "./factor.ts";
import type { Factor, MatrixFactor, Product, SumFactor } from "./factor.ts";
import { describeMap, Linear, requireSquare, LINEAR_MAP } from "./linear.ts";
import type { SquareMap } from "./linear.ts";

/**
 * The map restricted to some of its rows and columns, still in factors: the full circuit of chosen source and output
 * tokens. The result keeps the names of the spaces; its ends have one place per id.
 *
 * @param only - `rows`, `columns`: ids in the order wanted, which may repeat; all of a side that is left out.
 * @throws {@link InputError} when an id is not a row or column.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, toDense } from "transformer-circuits";
 * import { linear, restrict } from "transformer-circuits/linear";
 *
 * const W_U = linear("d_model", "d_vocab", Tensor.fromNested("d_model d_vocab", [[1, 2, 3], [4, 5, 6]]));
 * const some = restrict(W_U, { columns: [2, 0] });
 * console.log(String(some), toDense(some).toNested());
 * // Linear[d_model=2 -> d_vocab=2] of rank at most 2 [ [ 3, 1 ], [ 6, 4 ] ]
 * ```
 */
export function restrict<In extends string, Out extends string>(
  f: Linear<In, Out>,
  only: { readonly rows?: ArrayLike<number> | undefined; readonly columns?: ArrayLike<number> | undefined },
): Linear<In, Out> {
  requireKind(LINEAR_MAP, f, "f", "restrict", only, "rows columns");
  const { rows, columns } = only;
  if (rows !== undefined) checkIds(f, rows, "row", "restrict");
  if (columns !== undefined) checkIds(f, columns, "column", "restrict");
  const whole = cheapest(f);
  const some = rows === undefined ? whole : rowsOfProduct(whole, rows);
  return new Linear(f.in, f.out, columns === undefined ? some : columnsOfProduct(some, columns));
}

/**
 * Some rows of a map as numbers: for the full OV circuit, the logit effect of attending to each of these tokens. For
 * columns, `toDense(restrict(f, { columns }))`.
 *
 * @param ids - rows in the order wanted.
 * @returns `[in, out]` with one row per id, float64, axes {@link MatrixAxes}.
 * @throws {@link InputError} when an id is not a row.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose } from "transformer-circuits";
 * import { linear, rowsOf } from "transformer-circuits/linear";
 *
 * const W_E = linear("d_vocab", "d_model", Tensor.fromNested("d_vocab d_model", [[1, 0], [0, 1], [1, 1]]));
 * const W_U = linear("d_model", "d_vocab", Tensor.fromNested("d_model d_vocab", [[1, 2, 3], [4, 5, 6]]));
 * console.log(rowsOf(compose(W_E, W_U), [2]).toNested());
 * // [ [ 5, 7, 9 ] ]
 * ```
 */
export function rowsOf<In extends string, Out extends string>(
  f: Linear<In, Out>,
  ids: ArrayLike<number>,
): Tensor<MatrixAxes<In, Out>> {
  requireKind(LINEAR_MAP, f, "f", "rowsOf");
  requireKind("list", ids, "ids", "rowsOf");
  checkIds(f, ids, "row", "rowsOf");
  return denseTensor(f, rowsOfProduct(cheapest(f), ids), "rowsOf");
}

/**
 * One entry of a map: one row through the factors to one column.
 *
 * @throws {@link InputError} when an index is out of range.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose } from "transformer-circuits";
 * import { entryOf, linear } from "transformer-circuits/linear";
 *
 * const W_E = linear("d_vocab", "d_model", Tensor.fromNested("d_vocab d_model", [[1, 0], [0, 1], [1, 1]]));
 * const W_U = linear("d_model", "d_vocab", Tensor.fromNested("d_model d_vocab", [[1, 2, 3], [4, 5, 6]]));
 * console.log(entryOf(compose(W_E, W_U), 2, 1));
 * // 7
 * ```
 */
export function entryOf(f: Linear, row: number, column: number): number {
  requireKind(LINEAR_MAP, f, "f", "entryOf");
  checkIds(f, [row], "row", "entryOf");
  checkIds(f, [column], "column", "entryOf");
  const product = columnsOfProduct(rowsOfProduct(cheapest(f), [row]), [column]);
  const { data, offset } = multiplyChain(matricesOf(product));
  return product.coefficient * (data[offset] as number);
}

/**
 * The diagonal of a map from a space to itself or to its dual: for the full OV circuit, how much attending to a token
 * raises that same token.
 *
 * Each entry is one dot product between a row of the left factor and a column of the right one.
 *
 * @returns `[in]`, float64.
 * @throws {@link ShapeError} when the map is not square; {@link AxisError} when its ends are different spaces.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { diagonalOf, linear } from "transformer-circuits/linear";
 *
 * const bigram = linear("d_vocab", "d_vocab", Tensor.fromNested("source out", [[1, 2], [3, 4]]));
 * console.log(diagonalOf(bigram).toNested());
 * // [ 1, 4 ]
 * ```
 */
export function diagonalOf<S extends string>(f: SquareMap<S>): Tensor<S> {
  requireKind(LINEAR_MAP, f, "f", "diagonalOf");
  requireSquare(f, "diagonalOf");
  return Tensor.from(f.in, [f.rows], diagonalEntries(f));
}

/** The diagonal of a square product. */
export function diagonalEntries(product: Product): Float64Array {
  const { left, right, rank } = halvesOf(product);
  const out = new Float64Array(product.rows);
  for (let i = 0; i < out.length; i++) {
    let a = left.offset + i * left.rowStride;
    let b = right.offset + i * right.colStride;
    let sum = 0;
    for (let r = 0; r < rank; r++, a += left.colStride, b += right.rowStride) {
      sum += (left.data[a] as number) * (right.data[b] as number);
    }
    out[i] = sum;
  }
  return out;
}

/** Some rows of a product: those of its first factor, of every term where that is a sum. */
export function rowsOfProduct(product: Product, ids: ArrayLike<number>): Product {
  const { cols, coefficient, factors } = product;
  const [first, ...rest] = factors;
  const chosen =
    first === undefined ? gatherRows(identityRows(product.rows, product.rows), ids) : rowsOfFactor(first, ids);
  return { rows: ids.length, cols, coefficient, factors: [chosen, ...rest] };
}

function columnsOfProduct(product: Product, ids: ArrayLike<number>): Product {
  return transposeProduct(rowsOfProduct(transposeProduct(product), ids));
}

function rowsOfFactor(factor: Factor, ids: ArrayLike<number>): Factor {
  if (factor.kind === "matrix") return gatherRows(factor, ids);
  const terms = factor.terms.map((term) => rowsOfProduct(term, ids));
  return { kind: "sum", rows: ids.length, cols: factor.cols, terms } satisfies SumFactor;
}

/** Rows of a matrix: a view where the ids are evenly spaced, otherwise a copy of the rows. */
export function gatherRows(matrix: MatrixFactor, ids: ArrayLike<number>): MatrixFactor {
  const { cols, data, offset, rowStride, colStride } = matrix;
  const start = ids[0] ?? 0;
  const step = (ids[1] ?? start) - start;
  let isEven = true;
  for (let t = 0; t < ids.length && isEven; t++) isEven = ids[t] === start + t * step;
  if (isEven) return { ...matrix, rows: ids.length, offset: offset + start * rowStride, rowStride: step * rowStride };
  const out = data instanceof Float32Array ? new Float32Array(ids.length * cols) : new Float64Array(ids.length * cols);
  for (let t = 0, at = 0; t < ids.length; t++) {
    let from = offset + (ids[t] as number) * rowStride;
    for (let j = 0; j < cols; j++, from += colStride) out[at++] = data[from] as number;
  }
  return matrixFactor(ids.length, cols, out);
}

/** Rejects ids that are not rows (or columns) of the map. */
export function checkIds(f: Linear, ids: ArrayLike<number>, kind: "row" | "column", operation: string): void {
  requireKind("list", ids, kind === "row" ? "rows" : "columns", operation);
  const size = kind === "row" ? f.rows : f.cols;
  const space = kind === "row" ? f.in : f.out;
  for (let t = 0; t < ids.length; t++) {
    const id = ids[t] as number;
    if (!Number.isInteger(id) || id < 0 || id >= size) {
      throw new InputError(
        `${kind} ${nameOf(id)} is outside ${space} of ${describeMap(f)}; it takes 0 to ${size - 1}.`,
        {
          operation,
          argument: kind,
          expected: [0, size - 1],
          actual: id,
        },
      );
    }
  }
}
