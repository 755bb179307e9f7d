/** Data as figures take it, checked. Nothing here is drawn. */
import { InputError, ShapeError } from "../errors.ts";
import type { HeadId as HeadRef } from "../head-id.ts";

/**
 * A matrix as figures take it: rows of numbers, a flat row-major array with its sizes, or anything with a two-dimensional
 * `shape` and flat `data`, such as a `Tensor`.
 * @category Figures
 */
export type MatrixLike =
  | readonly ArrayLike<number>[]
  | { readonly rows: number; readonly cols: number; readonly data: ArrayLike<number> }
  | ShapedData;

/**
 * Flat row-major numbers with a shape; a `Tensor` is one.
 * @category Figures
 */
export interface ShapedData {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export type { HeadId as HeadRef } from "../head-id.ts";

/** A matrix after checking. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: ArrayLike<number>;
}

function isRows(values: MatrixLike): values is readonly ArrayLike<number>[] {
  return Array.isArray(values);
}

/** Any {@link MatrixLike} as rows, columns and flat data; refuses empty, ragged and contradictory ones. */
export function readMatrix(values: MatrixLike, operation: string, argument = "values"): Matrix {
  const matrix = isRows(values) ? readRows(values, operation, argument) : readFlat(values, operation, argument);
  if (matrix.rows < 1 || matrix.cols < 1) {
    throw new ShapeError(
      `${argument} is empty (${matrix.rows} rows, ${matrix.cols} columns). A figure needs at least one row and one column.`,
      { operation, argument, actual: [matrix.rows, matrix.cols] },
    );
  }
  return matrix;
}

function readRows(values: readonly ArrayLike<number>[], operation: string, argument: string): Matrix {
  const cols = values[0]?.length ?? 0;
  const data = new Float64Array(values.length * cols);
  for (const [i, row] of values.entries()) {
    if (row.length !== cols) {
      throw new ShapeError(
        `row ${i} of ${argument} has ${row.length} entries where row 0 has ${cols}. Give rows of equal length.`,
        { operation, argument, expected: cols, actual: row.length },
      );
    }
    for (let j = 0; j < cols; j++) data[i * cols + j] = row[j] as number;
  }
  return { rows: values.length, cols, data };
}

function readFlat(
  values: Exclude<MatrixLike, readonly ArrayLike<number>[]>,
  operation: string,
  argument: string,
): Matrix {
  const shape = "shape" in values ? values.shape : [values.rows, values.cols];
  if (shape.length !== 2) {
    throw new ShapeError(
      `${argument} has ${shape.length} axes, shape [${shape.join(", ")}]; a matrix has two. Select or average over the others first.`,
      { operation, argument, expected: 2, actual: shape },
    );
  }
  const [rows = 0, cols = 0] = shape;
  if (values.data.length !== rows * cols) {
    throw new ShapeError(
      `${argument} has ${values.data.length} numbers for ${rows} rows and ${cols} columns, which need ${rows * cols}. Check the sizes.`,
      { operation, argument, expected: rows * cols, actual: values.data.length },
    );
  }
  return { rows, cols, data: values.data };
}

/** Refuses an empty list. */
export function checkNonEmpty(length: number, operation: string, argument: string): void {
  if (length === 0) {
    throw new ShapeError(`${argument} is empty. A figure needs at least one entry.`, {
      operation,
      argument,
      expected: ">= 1",
      actual: 0,
    });
  }
}

/** Refuses a list whose length is not that of the data it goes with. */
export function checkCount(actual: number, expected: number, operation: string, argument: string, of: string): void {
  if (actual !== expected) {
    throw new ShapeError(`${argument} has ${actual} entries for ${expected} ${of}. Give one entry for each.`, {
      operation,
      argument,
      expected,
      actual,
    });
  }
}

/** Refuses a number that is not finite, where leaving it out would change the figure's meaning. */
export function checkFinite(value: number, operation: string, argument: string): void {
  if (!Number.isFinite(value)) {
    throw new InputError(`${argument} is ${value}. Give a finite number.`, {
      operation,
      argument,
      expected: "a finite number",
      actual: value,
    });
  }
}

/** Refuses a size that is not a positive whole number. */
export function checkSize(value: number, operation: string, argument: string): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new InputError(`${argument} is ${value}. Give a whole number of at least 1.`, {
      operation,
      argument,
      expected: ">= 1",
      actual: value,
    });
  }
}

/** Refuses a head that the model does not have. */
export function checkHead(ref: HeadRef, layers: number, heads: number, operation: string, argument: string): void {
  const inside = (value: number, size: number): boolean => Number.isInteger(value) && value >= 0 && value < size;
  if (!inside(ref.layer, layers) || !inside(ref.head, heads)) {
    throw new InputError(
      `${argument} is head L${ref.layer}H${ref.head}, but there are ${layers} layers (L0 to L${layers - 1}) of ${heads} heads (H0 to H${heads - 1}).`,
      { operation, argument, expected: { layers, heads }, actual: ref },
    );
  }
}

/** Refuses a domain that is empty, reversed or not finite. */
export function checkDomain(domain: readonly [number, number], operation: string, argument: string): void {
  if (!(Number.isFinite(domain[0]) && Number.isFinite(domain[1]) && domain[0] < domain[1])) {
    throw new InputError(`${argument} is [${domain[0]}, ${domain[1]}]. Give two finite numbers, the smaller first.`, {
      operation,
      argument,
      expected: "[low, high]",
      actual: domain,
    });
  }
}

/** How many entries are NaN or infinite. */
export function countNonFinite(values: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) count++;
  return count;
}
