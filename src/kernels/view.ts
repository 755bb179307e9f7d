/** Matrices where their numbers lie in flat storage. */
import type { FloatArray, MatrixView } from "./interface.ts";

/** Row-major matrices of so many columns; `batchStride` from one to the next, 0 for one that serves all. */
export function matrix(data: FloatArray, cols: number, batchStride = 0, offset = 0): MatrixView {
  return { data, offset, rowStride: cols, colStride: 1, batchStride };
}

/** The transpose of each matrix, without a copy. */
export function transposed(view: MatrixView): MatrixView {
  return { ...view, rowStride: view.colStride, colStride: view.rowStride };
}
