/**
 * Products of float32 over tens of thousands of terms, in WebAssembly, into float64: sums of 4,096 terms in float32, and float64 sums of these.
 *
 * Large ones by Strassen's algorithm in Winograd's form, once: seven products of halves instead of eight, whose sums over the spans are kept apart and put
 * together at the end, in float64. Its additions mix rows of `a` and columns of `b`, so these are scaled by powers of two to about one size first, which
 * rounds nothing; then an entry errs by a few roundings of `‖row‖ ‖column‖`.
 */
import type { MatrixView } from "../interface.ts";
import type { DeepProductArgs } from "../weights-interface.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import type { Borrowed, Placed } from "./place.ts";
import { runProduct } from "./split.ts";
import type { WeightEngine } from "./weights-engine.ts";

/** Terms of a half of a span. */
const HALF = 1024;
/** Spans of which products are summed in float32. */
const TOGETHER = 2;
/** Bytes from row to row of sums of `a`: rows of a tile fall into different sets of the cache. */
const LEFT_ROW = 4 * (HALF + 256);
/** Terms of a row or column that its size is told by, side by side, and in how many places. */
const SAMPLED = 16;
const SAMPLED_SPANS = 8;

/** The result of a product by Winograd's form; false where it is not one for it, or memory is at its end. */
export function deepProduct(engine: WeightEngine, args: DeepProductArgs): boolean {
  const { m, n, k, a, b } = args;
  const { heap } = engine;
  const isFit = m % 8 === 0 && n % 8 === 0 && m >= 256 && n >= 256 && k >= 4 * HALF;
  const isPlaced = [a, b].every(({ data, colStride }) => colStride === 1 && isInHeap(heap, data));
  const isSingle = a.data instanceof Float32Array && b.data instanceof Float32Array;
  return isFit && isPlaced && isSingle && withBlocks(heap, (borrowed) => run(engine, args, borrowed));
}

/** A block of an operand in memory: the address and the steps of rows and columns, in bytes. */
type Block = readonly [address: number, row: number];

function run(engine: WeightEngine, { m, n, k, a, b, out }: DeepProductArgs, borrowed: Borrowed[]): void {
  const { heap, kernels } = engine;
  const take = (bytes: number): number => borrow(heap, bytes, borrowed);
  const [rows, columns] = [m / 2, n / 2];
  const leftStep = rows * LEFT_ROW;
  const rightStep = 4 * HALF * columns;
  const [left, right] = [take(4 * leftStep), take(4 * rightStep)];
  const [products, sums] = [take(28 * rows * columns), take(56 * rows * columns)];
  const [leftScales, rightScales] = [take(4 * m), take(4 * n)];
  const doubles = new Float64Array(heap.memory.buffer, sums, 7 * rows * columns).fill(0);
  const spans = Math.floor(k / (2 * HALF));
  const scalesOfRows = scalesOf({ view: a, count: m, terms: k, step: a.rowStride, termStep: 1 });
  const scalesOfColumns = scalesOf({ view: b, count: n, terms: k, step: 1, termStep: b.rowStride });
  heap.floats.set(scalesOfRows, leftScales / 4);
  heap.floats.set(scalesOfColumns, rightScales / 4);
  const addressOf = (view: MatrixView, row: number, column: number): Block => [
    view.data.byteOffset + 4 * (view.offset + row * view.rowStride + column),
    4 * view.rowStride,
  ];
  const S = (i: number): Block => [left + i * leftStep, LEFT_ROW];
  const T = (i: number): Block => [right + i * rightStep, 4 * columns];
  const place = ([address, row]: Block): Placed => ({ address, batch: 0, row, column: 4 });
  for (let span = 0; span < spans; span++) {
    const [from, middle] = [2 * HALF * span, 2 * HALF * span + HALF];
    const A = [addressOf(a, 0, from), addressOf(a, 0, middle), addressOf(a, rows, from), addressOf(a, rows, middle)];
    const B = [
      addressOf(b, from, 0),
      addressOf(b, from, columns),
      addressOf(b, middle, 0),
      addressOf(b, middle, columns),
    ];
    const quarters = (X: readonly Block[]): [number, number, number, number, number] => [
      X[0]![0],
      X[1]![0],
      X[2]![0],
      X[3]![0],
      X[0]![1],
    ];
    kernels.leftSums(rows, HALF, ...quarters(A), leftScales, left, LEFT_ROW, leftStep);
    kernels.rightSums(HALF, columns, ...quarters(B), rightScales, right, 4 * columns, rightStep);
    const pairs: readonly (readonly [Block, Block])[] = [
      [A[0]!, B[0]!],
      [A[1]!, B[2]!],
      [S(3), B[3]!],
      [A[3]!, T(3)],
      [S(0), T(0)],
      [S(1), T(1)],
      [S(2), T(2)],
    ];
    pairs.forEach(([x, y], i) => {
      const c = { address: products + 4 * i * rows * columns, batch: 0, row: 4 * columns };
      const accumulate = span % TOGETHER > 0;
      runProduct(engine, { batch: 1, m: rows, n: columns, k: HALF, a: place(x), b: place(y), c, accumulate });
    });
    if (span % TOGETHER === TOGETHER - 1 || span === spans - 1) {
      kernels.addSingles(sums, products, 7 * rows * columns);
    }
  }
  putTogether(doubles, rows, columns, scalesOfRows, scalesOfColumns, out);
  addRest(engine, { m, n, k, a, b, out }, 2 * HALF * spans, borrowed);
  clear(out, scalesOfRows, scalesOfColumns);
}

/** The rows of `a` or columns of `b`: where they lie, how many, and the steps from line to line and from term to term. */
interface Lines {
  readonly view: MatrixView;
  readonly count: number;
  readonly terms: number;
  readonly step: number;
  readonly termStep: number;
}

/** Powers of two that bring lines to about one size, by a sample of their terms, or by all where those are 0; 0 for a line of nothing else. */
function scalesOf(lines: Lines): Float32Array {
  const { view, count, terms, step, termStep } = lines;
  const { data, offset } = view;
  const squares = new Float64Array(count);
  for (let span = 0; span < SAMPLED_SPANS; span++) {
    const start = offset + Math.floor((span * terms) / SAMPLED_SPANS) * termStep;
    // Along the shorter step inside, whichever it is.
    const [outer, inner] = step < termStep ? [SAMPLED, count] : [count, SAMPLED];
    for (let x = 0; x < outer; x++) {
      for (let y = 0; y < inner; y++) {
        const [line, term] = step < termStep ? [y, x] : [x, y];
        const number = data[start + line * step + term * termStep]!;
        squares[line] = squares[line]! + number * number;
      }
    }
  }
  return Float32Array.from(squares, (sampled, line) => {
    const square = sampled > 0 ? sampled : squareOfLine(lines, line);
    if (square === 0) return 0;
    const scale = 2 ** -Math.round(Math.log2(square) / 2);
    return Math.min(2 ** 60, Math.max(2 ** -60, scale));
  });
}

/** The sum of squares of a line; above 0 where a number is not 0. */
function squareOfLine({ view: { data, offset }, terms, step, termStep }: Lines, line: number): number {
  let square = 0;
  for (let p = 0; p < terms; p++) {
    const number = data[offset + line * step + p * termStep]!;
    square += number * number;
  }
  return square;
}

/** Makes the rows and columns of lines that are zero exactly that, which additions and subtractions of others have not left so. */
function clear(out: Float64Array, ofRows: Float32Array, ofColumns: Float32Array): void {
  const n = ofColumns.length;
  for (const [i, scale] of ofRows.entries()) if (scale === 0) out.fill(0, i * n, (i + 1) * n);
  for (const [j, scale] of ofColumns.entries()) {
    if (scale === 0) for (let i = 0; i < ofRows.length; i++) out[i * n + j] = 0;
  }
}

/** The four quarters of the product, from the sums of the seven products, scales taken back. */
function putTogether(
  sums: Float64Array,
  rows: number,
  columns: number,
  ofRows: Float32Array,
  ofColumns: Float32Array,
  out: Float64Array,
): void {
  const size = rows * columns;
  for (let i = 0; i < rows; i++) {
    const [upper, lower] = [ofRows[i]! || 1, ofRows[rows + i]! || 1];
    for (let j = 0; j < columns; j++) {
      const [left, right] = [ofColumns[j]! || 1, ofColumns[columns + j]! || 1];
      const t = i * columns + j;
      const first = sums[t]! * upper * left;
      const second = sums[size + t]! * upper * left;
      const third = sums[2 * size + t]! * right;
      const fourth = sums[3 * size + t]! * lower;
      const fifth = sums[4 * size + t]!;
      const both = first + sums[5 * size + t]!;
      const more = both + sums[6 * size + t]!;
      const at = 2 * i * columns + j;
      const below = 2 * (rows + i) * columns + j;
      out[at] = (first + second) / (upper * left);
      out[at + columns] = (both + fifth + third) / (upper * right);
      out[below] = (more - fourth) / (lower * left);
      out[below + columns] = (more + fifth) / (lower * right);
    }
  }
}

/** Adds the product over the terms from `from` on. */
function addRest(engine: Engine, { m, n, k, a, b, out }: DeepProductArgs, from: number, borrowed: Borrowed[]): void {
  if (from === k) return;
  const { heap } = engine;
  const address = borrow(heap, 4 * m * n, borrowed);
  const placed = (view: MatrixView, first: number): Placed => ({
    address: view.data.byteOffset + 4 * (view.offset + first),
    batch: 0,
    row: 4 * view.rowStride,
    column: 4,
  });
  const c = { address, batch: 0, row: 4 * n };
  const [left, right] = [placed(a, from), placed(b, from * b.rowStride)];
  runProduct(engine, { batch: 1, m, n, k: k - from, a: left, b: right, c, accumulate: false });
  const rest = heap.floats.subarray(address / 4, address / 4 + m * n);
  for (let t = 0; t < rest.length; t++) out[t] = out[t]! + rest[t]!;
}
