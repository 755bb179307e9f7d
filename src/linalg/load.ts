/** Matrices on their way into a workspace. */
import { InputError, ShapeError, requireKind } from "../errors.ts";
import { safeScale } from "./vector.ts";
import { paddedRows, strideOf } from "./workspace.ts";

/** A row-major matrix inside a flat array. */
export interface Source {
  readonly data: Float64Array;
  /** Index of its first entry. */
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
}

/** Refuses a stack of matrices whose entries are too many or too few. */
export function checkStack(operation: string, data: Float64Array, count: number, rows: number, cols: number): void {
  requireKind("list", data, "data", operation);
  const areCounts = [count, rows, cols].every((size) => Number.isInteger(size) && size >= 0);
  if (areCounts && data.length === count * rows * cols) return;
  throw new ShapeError(
    `${count} matrices of ${rows} x ${cols} have ${count * rows * cols} entries but data holds ${data.length}. Pass one matrix after another, each row by row.`,
    { operation, argument: "data", expected: count * rows * cols, actual: data.length },
  );
}

/**
 * Copies the matrix, or its transpose, to `to`, padding included, multiplied by a power of two that keeps squares of
 * its entries from overflow and underflow; returns that factor, 1 as a rule.
 *
 * @throws InputError when an entry is NaN or infinite.
 */
export function loadMatrix(
  operation: string,
  numbers: Float64Array,
  to: number,
  source: Source,
  transposed = false,
): number {
  const { data, offset } = source;
  const [rows, cols] = transposed ? [source.cols, source.rows] : [source.rows, source.cols];
  const [rowStep, colStep] = transposed ? [1, rows] : [cols, 1];
  const stride = strideOf(cols);
  let largest = 0;
  // x - x is 0 for every finite number and NaN for the others.
  let notFinite = 0;
  for (let i = 0; i < rows; i++) {
    const row = to + i * stride;
    let from = offset + i * rowStep;
    for (let j = 0; j < cols; j++) {
      const x = data[from]!;
      notFinite += x - x;
      const size = Math.abs(x);
      if (size > largest) largest = size;
      numbers[row + j] = x;
      from += colStep;
    }
    for (let j = cols; j < stride; j++) numbers[row + j] = 0;
  }
  if (notFinite !== 0) refuse(operation, source);
  numbers.fill(0, to + rows * stride, to + paddedRows(rows) * stride);
  const scale = safeScale(largest);
  if (scale !== 1) for (let t = to; t < to + rows * stride; t++) numbers[t] = numbers[t]! * scale;
  return scale;
}

/**
 * Copies the upper triangle that a triangularization left in `count` rows at `from` (as columns) and in `diagonal`, to
 * a matrix at `to`, padding included.
 */
export function loadTriangle(
  numbers: Float64Array,
  to: number,
  from: number,
  count: number,
  fromStride: number,
  diagonal: number,
): void {
  const stride = strideOf(count);
  numbers.fill(0, to, to + paddedRows(count) * stride);
  for (let j = 0; j < count; j++) {
    for (let i = 0; i < j; i++) numbers[to + i * stride + j] = numbers[from + j * fromStride + i]!;
    numbers[to + j * stride + j] = numbers[diagonal + j]!;
  }
}

/** NaN and infinities would keep an iteration from ending. */
function refuse(operation: string, { data, offset, rows, cols }: Source): never {
  let i = 0;
  while (Number.isFinite(data[offset + i])) i++;
  const x = data[offset + i]!;
  throw new InputError(
    `entry (${Math.floor(i / cols)}, ${i % cols}) of the ${rows} x ${cols} matrix is ${x}. Every entry must be finite; look for NaN in the weights.`,
    { operation, argument: "a", expected: "finite entries", actual: x },
  );
}
