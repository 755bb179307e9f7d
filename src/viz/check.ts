/** Data as figures take it, checked. Nothing here is drawn. */
import { InputError, isPromise, nameOf, requireKind, requireNumbers, requireObject, ShapeError } from "../errors.ts";
import { headIdOf, headLabel, type HeadId, type HeadRef } from "../head-id.ts";

/**
 * A matrix as figures take it: rows of numbers, a flat row-major array with its sizes, or anything with a
 * two-dimensional `shape` and flat `data`, such as a `Tensor`.
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

export type { HeadId, HeadRef };

/** A matrix after checking. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: ArrayLike<number>;
}

/** Refuses options that are no object of names, and names that are neither the captions nor among the known ones. */
export function checkOptions(options: unknown, operation: string, ...known: readonly string[]): void {
  requireObject(options, "options", operation, [...known, "title", "subtitle"]);
}

/** Refuses what is no list of numbers. */
export function checkNumbers(list: unknown, operation: string, argument: string): void {
  requireNumberList(list, operation, argument);
  if (Array.isArray(list)) requireNumbers(list, operation, argument);
}

function requireNumberList(list: unknown, operation: string, argument: string): void {
  if (typeof list === "object" && list !== null && !("length" in list) && "data" in list) {
    throw new InputError(`${argument} is a tensor, not a list of numbers. Give its data.`, {
      operation,
      argument,
      expected: "a list of numbers",
      actual: list,
    });
  }
  requireKind("list", list, argument, operation);
}

/** Refuses what is no list of texts. */
export function checkTexts(list: unknown, operation: string, argument: string): void {
  requireKind("list", list, argument, operation);
  for (const [i, text] of Array.from(list as ArrayLike<unknown>).entries())
    checkText(text, operation, `${argument}[${i}]`);
}

/** Refuses what is no text. */
export function checkText(text: unknown, operation: string, argument: string): void {
  if (typeof text === "string") return;
  throw new InputError(
    `${argument} is ${String(text)}, of type ${typeof text}, not a text. Write it in quotation marks.`,
    {
      operation,
      argument,
      expected: "a text",
      actual: text,
    },
  );
}

/** Refuses what is no number. */
export function checkNumber(value: unknown, operation: string, argument: string): void {
  if (typeof value === "number") return;
  throw new InputError(`${argument} is ${String(value)}, of type ${typeof value}, not a number.`, {
    operation,
    argument,
    expected: "a number",
    actual: value,
  });
}

/** Refuses what is no list of objects of names. */
export function checkObjects(list: unknown, operation: string, argument: string): void {
  requireKind("list", list, argument, operation);
  const objects = list as ArrayLike<unknown>;
  for (let i = 0; i < objects.length; i++) requireObject(objects[i], `${argument}[${i}]`, operation);
}

function isRows(values: MatrixLike): values is readonly ArrayLike<number>[] {
  return Array.isArray(values);
}

/** Any {@link MatrixLike} as rows, columns and flat data; refuses empty, ragged and contradictory ones. */
export function readMatrix(values: MatrixLike, operation: string, argument = "values"): Matrix {
  if (!isMatrixLike(values)) {
    throw new InputError(
      `${argument} is ${isPromise(values) ? "a Promise. Write await before the call that gave it" : "no matrix. Give rows of numbers, as in [[1, 2], [3, 4]], or a tensor of two axes"}.`,
      { operation, argument, expected: "a matrix", actual: values },
    );
  }
  const matrix = isRows(values) ? readRows(values, operation, argument) : readFlat(values, operation, argument);
  if (matrix.rows < 1 || matrix.cols < 1) {
    throw new ShapeError(
      `${argument} is empty (${matrix.rows} rows, ${matrix.cols} columns). A figure needs at least one row and one column.`,
      { operation, argument, actual: [matrix.rows, matrix.cols] },
    );
  }
  return matrix;
}

function isMatrixLike(values: unknown): values is MatrixLike {
  if (Array.isArray(values)) return true;
  return typeof values === "object" && values !== null && "data" in values && ("shape" in values || "rows" in values);
}

function readRows(values: readonly ArrayLike<number>[], operation: string, argument: string): Matrix {
  for (const [i, row] of values.entries()) {
    if (typeof row === "object" && (row as unknown) !== null && "length" in row) continue;
    throw new InputError(
      `row ${i} of ${argument} is ${nameOf(row)}, not a list of numbers. Give a list of rows; a single row is [[1, 2, 3]].`,
      { operation, argument, expected: "rows of numbers", actual: row },
    );
  }
  const cols = values[0]?.length ?? 0;
  const data = new Float64Array(values.length * cols);
  for (const [i, row] of values.entries()) {
    if (row.length !== cols) {
      throw new ShapeError(
        `row ${i} of ${argument} has ${row.length} entries where row 0 has ${cols}. Give rows of equal length.`,
        { operation, argument, expected: cols, actual: row.length },
      );
    }
    checkNumbers(row, operation, `row ${i} of ${argument}`);
    for (let j = 0; j < cols; j++) data[i * cols + j] = row[j] as number;
  }
  return { rows: values.length, cols, data };
}

function readFlat(
  values: Exclude<MatrixLike, readonly ArrayLike<number>[]>,
  operation: string,
  argument: string,
): Matrix {
  checkNumbers(values.data, operation, `${argument}.data`);
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

/** The place of a head; refuses one that the model does not have. */
export function checkHead(ref: HeadRef, layers: number, heads: number, operation: string, argument: string): HeadId {
  const inside = (value: number, size: number): boolean => Number.isInteger(value) && value >= 0 && value < size;
  const id = headIdOf(ref, operation, argument);
  if (!inside(id.layer, layers) || !inside(id.head, heads)) {
    throw new InputError(
      `${argument} is head ${headLabel(id)}, but there are ${layers} layers (L0 to L${layers - 1}) of ${heads} heads (H0 to H${heads - 1}).`,
      { operation, argument, expected: { layers, heads }, actual: ref },
    );
  }
  return id;
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
