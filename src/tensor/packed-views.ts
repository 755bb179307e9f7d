/**
 * Right operands that are used again and again, such as weights, kept in the layout that the kernels read. A product of
 * 8 to 32 rows with a 768 x 768 or 768 x 3072 matrix is 1.2 to 1.6 times as fast for it; one of 128 rows no faster than
 * timings tell.
 */
import { packForKernels } from "../kernels/index.ts";
import type { MatrixView, PackedMatrix } from "../kernels/index.ts";

/** Uses as a right operand after which it is packed: by then its numbers lie in the kernels' memory. */
const USES_BEFORE_PACKING = 2;
/** Views of one storage that are packed at most. */
const MOST_VIEWS = 16;

/** The packed views of one storage, whose numbers never change. */
export class PackedViews {
  readonly #kept = new Map<string, PackedMatrix>();
  #candidate = "";
  #uses = 0;

  /** A stack of `batch` right operands `[k, n]` packed, if it was used often enough, or undefined. */
  of(view: MatrixView, batch: number, k: number, n: number): PackedMatrix | undefined {
    const { offset, batchStride, rowStride, colStride } = view;
    const key = `${offset} ${batchStride} ${rowStride} ${colStride} ${batch} ${k} ${n}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    if (key !== this.#candidate) {
      this.#candidate = key;
      this.#uses = 0;
    }
    if (++this.#uses <= USES_BEFORE_PACKING || this.#kept.size === MOST_VIEWS) return undefined;
    const packed = packForKernels(view, batch, k, n);
    // No room: asked again only when much has been done.
    if (packed === undefined) this.#uses = -1000;
    else this.#kept.set(key, packed);
    return packed;
  }
}
