/**
 * Cheap checks before a kernel runs. The folders above check shapes and speak to the user; a failure here is a defect
 * of the library, caught before it turns into wrong numbers (typed arrays read `undefined` past their end).
 */
import { invariant } from "../errors.ts";
import type {
  ActivateArgs,
  AddArgs,
  AttentionArgs,
  CausalSoftmaxArgs,
  CrossEntropyArgs,
  FloatArray,
  HeadVectorsView,
  MatmulArgs,
  MatrixView,
  NormArgs,
  ProductCrossEntropyArgs,
  SoftmaxArgs,
} from "./interface.ts";
import type { BlockSquaresArgs, GramArgs, PairNormsArgs, RootsArgs, RowScreenArgs } from "./weights-interface.ts";

export function checkCount(operation: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    invariant(false, operation, `${name} is ${value}, not a count`);
  }
}

function checkRange(operation: string, name: string, length: number, first: number, last: number): void {
  if (!(Number.isInteger(first) && Number.isInteger(last) && first >= 0 && last < length)) {
    invariant(false, operation, `${name} reaches from element ${first} to ${last} of an array of ${length}`);
  }
}

function checkView(operation: string, name: string, view: MatrixView, batch: number, rows: number, cols: number): void {
  if (batch === 0 || rows === 0 || cols === 0) return;
  const byBatch = (batch - 1) * view.batchStride;
  const byRow = (rows - 1) * view.rowStride;
  const byCol = (cols - 1) * view.colStride;
  let first = view.offset;
  let last = first;
  if (byBatch < 0) first += byBatch;
  else last += byBatch;
  if (byRow < 0) first += byRow;
  else last += byRow;
  if (byCol < 0) first += byCol;
  else last += byCol;
  checkRange(operation, name, view.data.length, first, last);
}

export function checkFlat(
  operation: string,
  name: string,
  data: FloatArray | Int32Array,
  offset: number,
  size: number,
): void {
  if (size > 0) checkRange(operation, name, data.length, offset, offset + size - 1);
}

/** Sizes are counts and the three views lie inside their arrays. */
export function checkMatmul(args: MatmulArgs): void {
  const { batch, m, n, k } = args;
  checkCount("matmul", "batch", batch);
  checkCount("matmul", "m", m);
  checkCount("matmul", "n", n);
  checkCount("matmul", "k", k);
  checkView("matmul", "a", args.a, batch, m, k);
  checkView("matmul", "b", args.b, batch, k, n);
  checkView("matmul", "out", args.out, batch, m, n);
}

/** Sizes are counts and the two views lie inside their arrays. */
export function checkGram(args: GramArgs): void {
  const { batch, m, k } = args;
  checkCount("gram", "batch", batch);
  checkCount("gram", "m", m);
  checkCount("gram", "k", k);
  checkView("gram", "a", args.a, batch, m, k);
  checkView("gram", "out", args.out, batch, m, m);
}

/** Sizes are counts, blocks divide the matrix, and arrays are long enough. */
export function checkBlockSquares(args: BlockSquaresArgs): void {
  const { rows, cols, blockRows, blockCols } = args;
  for (const name of ["rows", "cols", "blockRows", "blockCols"] as const) checkCount("blockSquares", name, args[name]);
  if (!(blockRows > 0 && blockCols > 0 && rows % blockRows === 0 && cols % blockCols === 0)) {
    invariant(false, "blockSquares", `blocks of ${blockRows} x ${blockCols} do not divide ${rows} x ${cols}`);
  }
  checkFlat("blockSquares", "data", args.data, 0, rows * cols);
  checkFlat("blockSquares", "out", args.out, 0, (rows / blockRows) * (cols / blockCols));
}

/** Sizes are counts and arrays are long enough. */
export function checkRoots(args: RootsArgs): void {
  checkCount("triangularRoots", "count", args.count);
  checkCount("triangularRoots", "n", args.n);
  checkFlat("triangularRoots", "matrices", args.matrices, 0, args.count * args.n * args.n);
  checkFlat("triangularRoots", "isDone", args.isDone, 0, args.count);
}

/** Sizes are counts, arrays are long enough, and each first partner is one. */
export function checkPairNorms(args: PairNormsArgs): void {
  const { countA, countB, k, d, first } = args;
  for (const name of ["countA", "countB", "k", "d"] as const) checkCount("pairNorms", name, args[name]);
  checkFlat("pairNorms", "a", args.a, 0, countA * k * d);
  checkFlat("pairNorms", "b", args.b, 0, countB * k * d);
  checkFlat("pairNorms", "first", first, 0, countA);
  checkFlat("pairNorms", "out", args.out, 0, countA * countB);
  for (let i = 0; i < countA; i++) {
    const at = first[i]!;
    if (!(at >= (i === 0 ? 0 : first[i - 1]!) && at <= countB)) {
      invariant(false, "pairNorms", `first is ${at} for map ${i}, not ascending up to ${countB}`);
    }
  }
}

/** Rows lie inside both arrays; shared by softmax and log-softmax. */
export function checkRows(operation: string, args: SoftmaxArgs): void {
  const { rows, cols } = args;
  checkCount(operation, "rows", rows);
  checkCount(operation, "cols", cols);
  checkFlat(operation, "input", args.input, args.inputOffset, rows * cols);
  checkFlat(operation, "output", args.output, args.outputOffset, rows * cols);
}

/** The period divides the number of sums, and arrays are long enough. */
export function checkAdd({ period, a, b, out }: AddArgs): void {
  checkCount("add", "period", period);
  if (out.length > 0 && out.length % period !== 0) {
    invariant(false, "add", `a period of ${period} does not divide ${out.length} numbers`);
  }
  checkFlat("add", "a", a, 0, out.length);
  if (out.length > 0) checkFlat("add", "b", b, 0, period);
}

/** There is an input for every output. */
export function checkActivate({ input, output }: ActivateArgs): void {
  checkFlat("activate", "input", input, 0, output.length);
}

/** Scores and output lie inside their arrays, and the query offset is a count. */
export function checkCausal(args: CausalSoftmaxArgs): void {
  const { batch, queries, keys } = args;
  checkCount("causalSoftmax", "batch", batch);
  checkCount("causalSoftmax", "queries", queries);
  checkCount("causalSoftmax", "keys", keys);
  checkCount("causalSoftmax", "queryOffset", args.queryOffset);
  checkFlat("causalSoftmax", "scores", args.scores, args.scoresOffset, batch * queries * keys);
  checkFlat("causalSoftmax", "output", args.output, args.outputOffset, batch * queries * keys);
}

/** Arrays are long enough and every target is a column. */
export function checkCrossEntropy(args: CrossEntropyArgs): void {
  checkTargets("crossEntropy", args);
  checkFlat("crossEntropy", "logits", args.logits, args.logitsOffset, args.rows * args.cols);
}

/** The operands lie inside their arrays and every target is a column. */
export function checkProductCrossEntropy(args: ProductCrossEntropyArgs): void {
  const operation = "productCrossEntropy";
  const { rows, cols, k } = args;
  checkTargets(operation, args);
  checkCount(operation, "k", k);
  checkView(operation, "a", args.a, 1, rows, k);
  checkView(operation, "b", args.b, 1, k, cols);
  if (args.bias !== undefined) checkFlat(operation, "bias", args.bias, 0, cols);
}

function checkTargets(operation: string, args: Pick<CrossEntropyArgs, "rows" | "cols" | "targets" | "output">): void {
  const { rows, cols, targets } = args;
  checkCount(operation, "rows", rows);
  checkCount(operation, "cols", cols);
  checkFlat(operation, "targets", targets, 0, rows);
  checkFlat(operation, "output", args.output, 0, rows);
  for (let row = 0; row < rows; row++) {
    const target = targets[row]!;
    if (target < 0 || target >= cols) {
      invariant(false, operation, `target ${target} of row ${row} is not one of ${cols} columns`);
    }
  }
}

/** Rows, output and scales lie inside their arrays. */
export function checkNorm(args: NormArgs): void {
  const { rows, cols } = args;
  checkCount("normalize", "rows", rows);
  checkCount("normalize", "cols", cols);
  checkFlat("normalize", "input", args.input, args.inputOffset, rows * cols);
  checkFlat("normalize", "output", args.output, args.outputOffset, rows * cols);
  checkFlat("normalize", "scale", args.scale, args.scaleOffset, rows);
}

export function checkHeads(
  operation: string,
  name: string,
  view: HeadVectorsView,
  { batch, heads }: Pick<AttentionArgs, "batch" | "heads">,
  rows: number,
  width: number,
): void {
  if (batch === 0 || heads === 0 || rows === 0 || width === 0) return;
  const reach = [(batch - 1) * view.batchStride, (heads - 1) * view.headStride, (rows - 1) * view.rowStride, width - 1];
  const first = reach.reduce((at, step) => at + Math.min(0, step), view.offset);
  const last = reach.reduce((at, step) => at + Math.max(0, step), view.offset);
  checkRange(operation, name, view.data.length, first, last);
}

/** Sizes are counts, the views lie inside their arrays and the scale is above 0. */
export function checkAttention(args: AttentionArgs): void {
  for (const name of ["batch", "heads", "queries", "keys", "width", "valueWidth", "queryOffset"] as const) {
    checkCount("attention", name, args[name]);
  }
  if (!(args.scale > 0)) invariant(false, "attention", `scale is ${args.scale}, not above 0`);
  checkHeads("attention", "q", args.q, args, args.queries, args.width);
  checkHeads("attention", "k", args.k, args, args.keys, args.width);
  checkHeads("attention", "v", args.v, args, args.keys, args.valueWidth);
  checkHeads("attention", "out", args.out, args, args.queries, args.valueWidth);
}

/** Sizes are counts and the operands, bars and results lie inside their arrays. */
export function checkRowScreen(args: RowScreenArgs): void {
  checkProduct("rowScreen", args);
  const { m, n, most, whole, keep, highs, above } = args;
  checkCount("rowScreen", "most", most);
  if (most === 0) invariant(false, "rowScreen", "most is 0");
  if (whole !== undefined) {
    if (!(whole.width > 0 && whole.width % 8 === 0)) invariant(false, "rowScreen", `width is ${whole.width}`);
    checkFlat("rowScreen", "whole.a", whole.a, 0, m * whole.width);
    checkFlat("rowScreen", "whole.b", whole.b, 0, n * whole.width);
  }
  if (keep === "between" && (highs === undefined || above === undefined)) {
    invariant(false, "rowScreen", "there is no second bar, or no place to count beyond it");
  }
  checkFlat("rowScreen", "bars", args.bars, 0, m);
  checkFlat("rowScreen", "values", args.values, 0, m * most);
  checkFlat("rowScreen", "indices", args.indices, 0, m * most);
  checkFlat("rowScreen", "found", args.found, 0, m);
  if (highs !== undefined) checkFlat("rowScreen", "highs", highs, 0, m);
  if (above !== undefined) checkFlat("rowScreen", "above", above, 0, m);
}

function checkProduct(operation: string, args: RowScreenArgs): void {
  const { m, n, k } = args;
  checkCount(operation, "m", m);
  checkCount(operation, "n", n);
  checkCount(operation, "k", k);
  checkView(operation, "a", args.a, 1, m, k);
  checkView(operation, "b", args.b, 1, k, n);
}
