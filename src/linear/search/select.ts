/** Selection of the largest numbers of a row. */

/** The largest entries of some rows, `width` of each, descending. */
export interface TopOfRows {
  readonly indices: Int32Array;
  readonly values: Float64Array;
  readonly width: number;
}

/**
 * Insertion into a sorted list: a later entry goes before an earlier one only when it is larger, so ties keep their
 * order.
 */
export function selectLargest(
  row: Float64Array,
  width: number,
  into: { readonly indices: Int32Array; readonly values: Float64Array },
  at: number,
): void {
  const { indices, values } = into;
  let filled = 0;
  for (let j = 0; j < row.length; j++) {
    const x = row[j] as number;
    if (filled === width && !(x > (values[at + width - 1] as number))) continue;
    const value = Number.isNaN(x) ? -Infinity : x;
    let place = filled < width ? filled++ : width - 1;
    for (; place > 0 && (values[at + place - 1] as number) < value; place--) {
      values[at + place] = values[at + place - 1] as number;
      indices[at + place] = indices[at + place - 1] as number;
    }
    values[at + place] = value;
    indices[at + place] = j;
  }
}
