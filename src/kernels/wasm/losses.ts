/**
 * Losses of the rows of a product in WebAssembly, 256 columns after another: of rows times an unembedding of 50,278
 * tokens the logits are never written to memory, and the unembedding is read once for all rows. 1,197 rows, 19 variants
 * of 63 positions, take 1.09 times as long where 315 at a time get their logits, 63 MB, and then their losses; a rest
 * of 1.05 times is left at 1,024 tokens. Nearly all of the time is that of the product.
 */
import { checkProductCrossEntropy } from "../checks.ts";
import type { ProductCrossEntropyArgs } from "../interface.ts";
import { crossEntropyByParts } from "../plain/parts.ts";
import type { LossParts } from "../plain/parts.ts";
import { CHUNK_BYTES } from "./chunks.ts";
import type { Engine } from "./engine.ts";
import type { Job } from "./jobs.ts";
import { isInHeap } from "./memory.ts";
import { packedInPlace } from "./packed.ts";
import { borrow, place, withBlocks } from "./place.ts";
import type { Borrowed } from "./place.ts";
import { runRanges } from "./split.ts";

/** Columns that are taken up together, whoever computes them: so the number of threads changes no bit. */
const STRETCH = 2048;
/** The deepest product of which 8 columns fit into the working space, with room to spare. */
const DEEPEST = 32_768;

/** {@link Kernels.productCrossEntropy}. */
export function productCrossEntropy(engine: Engine, parts: LossParts, args: ProductCrossEntropyArgs): void {
  checkProductCrossEntropy(args);
  const { rows, cols, k, a, b, bias } = args;
  if (rows === 0) return;
  const areFloat32 = [a.data, b.data, bias].every((data) => data === undefined || data instanceof Float32Array);
  const isThere = isInHeap(engine.heap, b.data) || 4 * k * cols <= CHUNK_BYTES;
  const isOurs = areFloat32 && isThere && k > 0 && k <= DEEPEST;
  if (!isOurs || !withBlocks(engine.heap, (borrowed) => run(engine, args, borrowed))) {
    crossEntropyByParts(parts, args);
  }
}

function run(engine: Engine, args: ProductCrossEntropyArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { rows, cols, k, b, packed, bias, targets, output } = args;
  const count = Math.ceil(cols / STRETCH);
  // Borrowed first: memory may grow, and then its numbers are another array.
  const pairs = borrow(heap, 16 * rows * count, borrowed);
  const chosen = borrow(heap, 4 * rows, borrowed);
  const wanted = borrow(heap, 4 * rows, borrowed);
  const biasAt = bias === undefined ? 0 : borrow(heap, 4 * cols, borrowed);
  const a = args.a.colStride === 1 ? place(heap, args.a, 1, rows, k, borrowed) : copied(engine, args, borrowed);
  const right = packed === undefined ? place(heap, b, 1, k, cols, borrowed) : packedInPlace(packed, k);
  heap.ints.set(targets.subarray(0, rows), wanted / 4);
  if (bias !== undefined) heap.floats.set(bias.subarray(0, cols), biasAt / 4);
  const isPacked = packed === undefined ? 0 : 1;
  runRanges(engine, "productLosses", count, 1, rows * cols * k, (from, some): Job => {
    const first = from * STRETCH;
    const n = Math.min(cols, (from + some) * STRETCH) - first;
    return [
      ...[rows, k, a.address, a.row, right.address + first * right.column, right.row, right.column, isPacked],
      ...[n, first, STRETCH, biasAt === 0 ? 0 : biasAt + 4 * first, wanted, pairs + 16 * rows * from, chosen],
    ];
  });
  const found = new Float64Array(heap.memory.buffer, pairs, 2 * rows * count);
  const logits = heap.floats.subarray(chosen / 4, chosen / 4 + rows);
  for (let row = 0; row < rows; row++) {
    let max = -Infinity;
    // As the kernel compares: a NaN goes on.
    for (let i = row; i < rows * count; i += rows) if (!(found[2 * i]! <= max)) max = found[2 * i]!;
    let sum = 0;
    for (let i = row; i < rows * count; i += rows) sum += found[2 * i + 1]! * Math.exp(found[2 * i]! - max);
    output[row] = max === -Infinity ? Infinity : Math.log(sum) - (logits[row]! - max);
  }
}

/** Rows whose entries do not lie side by side, copied so that they do. */
function copied(
  engine: Engine,
  { rows, k, a }: ProductCrossEntropyArgs,
  borrowed: Borrowed[],
): { readonly address: number; readonly row: number } {
  const { heap } = engine;
  const address = borrow(heap, 4 * rows * k, borrowed);
  for (let i = 0, to = address / 4; i < rows; i++) {
    for (let p = 0; p < k; p++) heap.floats[to++] = a.data[a.offset + i * a.rowStride + p * a.colStride]!;
  }
  return { address, row: 4 * k };
}
