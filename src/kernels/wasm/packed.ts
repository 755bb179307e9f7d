/** Packs the right operand of a product once for all products that use it. */
import type { MatrixView, PackedMatrix } from "../interface.ts";
import type { Engine } from "./engine.ts";
import { isInHeap, lend } from "./memory.ts";
import { inPlace } from "./place.ts";
import type { Placed } from "./place.ts";

/** Columns of a panel; see `packPanels` of assembly/matmul.ts. */
const PANEL = 8;

/**
 * A stack of matrices `[k, n]` that lies in the memory, packed beside itself; undefined where it does not, or too much
 * is packed already.
 */
export function pack(engine: Engine, b: MatrixView, batch: number, k: number, n: number): PackedMatrix | undefined {
  const { heap, kernels } = engine;
  if (!isInHeap(heap, b.data)) return undefined;
  const matrices = b.batchStride === 0 ? 1 : batch;
  const size = k * PANEL * Math.ceil(n / PANEL);
  const data = lend(heap, matrices * size, "packed");
  if (data === undefined) return undefined;
  const from = inPlace(b);
  for (let t = 0; t < matrices; t++) {
    kernels.packPanels(data.byteOffset + 4 * t * size, from.address + t * from.batch, from.row, from.column, k, n);
  }
  return { data, batchStride: matrices === 1 ? 0 : size };
}

/**
 * Where a packed operand lies: a panel is all of its depth, so that `column` is right from one multiple of 8 columns to
 * another.
 */
export function packedInPlace({ data, batchStride }: PackedMatrix, k: number): Placed {
  return { address: data.byteOffset, batch: 4 * batchStride, row: 0, column: 4 * k };
}
