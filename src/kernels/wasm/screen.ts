/** Entries above a threshold in each row of a product, found in WebAssembly; see assembly/screen.ts. */
import { checkRowScreen } from "../checks.ts";
import { rowScreenByParts } from "../plain/parts.ts";
import type { Multiplies } from "../plain/parts.ts";
import type { MatrixView } from "../interface.ts";
import { matrix } from "../view.ts";
import type { RowScreenArgs } from "../weights-interface.ts";
import { borrow, place, withBlocks } from "./place.ts";
import { runRanges } from "./split.ts";
import type { WeightEngine } from "./weights-engine.ts";

/** Modes of assembly/screen.ts. */
const MODES = ["largest", "first", "between"] as const;

/** `a` with its entries side by side, as the tiles read it. */
function rowMajor(view: MatrixView, m: number, k: number): MatrixView {
  if (view.colStride === 1) return view;
  const data = new Float32Array(m * k);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) data[i * k + p] = view.data[view.offset + i * view.rowStride + p * view.colStride]!;
  }
  return matrix(data, k);
}

/**
 * The deepest product of which 8 columns fit packed into a thread's working space; see `B_BYTES` of assembly/matmul.ts.
 */
const DEEPEST = 65_536;

/** Whether a question to rows of this size is one for the WebAssembly kernels. */
const isForRows = (args: RowScreenArgs): boolean =>
  args.m * args.n * args.k > 0 &&
  args.k <= DEEPEST &&
  [args.a, args.b].every(({ data }) => data instanceof Float32Array);

/** {@link WeightKernels.rowScreen}. */
export function rowScreen(engine: WeightEngine, parts: Multiplies, args: RowScreenArgs): void {
  checkRowScreen(args);
  const { heap } = engine;
  const { m, n, k, most, whole, keep } = args;
  const isDone =
    isForRows(args) &&
    withBlocks(heap, (borrowed) => {
      const a = place(heap, rowMajor(args.a, m, k), 1, m, k, borrowed);
      const b = place(heap, args.b, 1, k, n, borrowed);
      const rowsOf = (data: Float32Array, rows: number, width: number): number =>
        place(heap, matrix(data, width), 1, rows, width, borrowed).address;
      const bytes = 4 * (whole?.width ?? 0);
      const wholeA = whole === undefined ? 0 : rowsOf(whole.a, m, whole.width);
      const wholeB = whole === undefined ? 0 : rowsOf(whole.b, n, whole.width);
      const numbers = (count: number): number => borrow(heap, 4 * count, borrowed);
      const [bars, highs, found, above] = [numbers(m), numbers(m), numbers(m), numbers(m)];
      const [values, indices] = [numbers(m * most), numbers(m * most)];
      heap.floats.set(args.bars.subarray(0, m), bars / 4);
      if (keep === "between") heap.floats.set(args.highs!.subarray(0, m), highs / 4);
      else heap.floats.fill(Infinity, highs / 4, highs / 4 + m);
      if (keep === "largest") heap.floats.fill(-Infinity, values / 4, values / 4 + m * most);
      heap.ints.fill(0, found / 4, found / 4 + m);
      heap.ints.fill(0, above / 4, above / 4 + m);
      runRanges(engine, "screenedProduct", m, 24, m * n * k, (i, count) => [
        ...[count, n, k, a.address + i * a.row, a.row, b.address, b.row, b.column],
        ...[bytes, wholeA + i * bytes, wholeB, MODES.indexOf(keep), most],
        ...[values + 4 * i * most, indices + 4 * i * most, bars + 4 * i, highs + 4 * i, found + 4 * i, above + 4 * i],
      ]);
      args.values.set(heap.floats.subarray(values / 4, values / 4 + m * most));
      args.indices.set(heap.ints.subarray(indices / 4, indices / 4 + m * most));
      args.found.set(heap.ints.subarray(found / 4, found / 4 + m));
      args.above?.set(heap.ints.subarray(above / 4, above / 4 + m));
    });
  if (!isDone) rowScreenByParts(parts, args);
}
