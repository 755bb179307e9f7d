/** Rearranging the bytes of elements. */

/**
 * Elements in row-major order from strided ones.
 *
 * @param strides - elements from one index of a dimension to the next.
 */
export function rowMajor(
  bytes: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  itemSize: number,
): Uint8Array {
  const out = new Uint8Array(shape.reduce((n, size) => n * size, itemSize));
  const rank = shape.length;
  const inner = shape[rank - 1] ?? 1;
  const step = (strides[rank - 1] ?? 0) * itemSize;
  const index = new Array<number>(rank).fill(0);
  let from = 0;
  for (let to = 0; to < out.length;) {
    for (let i = 0, at = from; i < inner; i++, at += step) {
      for (let b = 0; b < itemSize; b++) out[to++] = bytes[at + b] as number;
    }
    for (let axis = rank - 2; axis >= 0; axis--) {
      const stride = (strides[axis] ?? 0) * itemSize;
      const next = (index[axis] ?? 0) + 1;
      from += stride;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        break;
      }
      from -= stride * next;
      index[axis] = 0;
    }
  }
  return out;
}

/** The bytes of each item in reverse, as a copy. */
export function swapped(bytes: Uint8Array, itemSize: number): Uint8Array {
  const out = new Uint8Array(bytes.byteLength);
  for (let at = 0; at < out.length; at += itemSize) {
    for (let b = 0; b < itemSize; b++) out[at + b] = bytes[at + itemSize - 1 - b] as number;
  }
  return out;
}
