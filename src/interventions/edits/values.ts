/** Numbers that an edit brings along, at the elements where they belong. */
import { AxisError, ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, rowMajorStrides } from "../../tensor/internal.ts";
import type { Values } from "./action.ts";
import type { Replacement, Site } from "./activation.ts";

/**
 * The number that belongs to each element: the one number, that at its place along the last axis, or that at its places
 * along the axes of a tensor.
 */
export function numbersAt(values: Values, site: Site, argument: string): Replacement {
  if (typeof values === "number") return () => values;
  if (isList(values)) return along([site.value.rank - 1], [values.length], values, site, argument);
  const axes = values.names.map((axis) => {
    const a = site.value.names.indexOf(axis);
    if (a >= 0) return a;
    throw new AxisError(
      `${argument} is ${describeTensor(values)}, with an axis "${axis}" that "${site.name}" lacks; there are ${site.value.names.join(", ")}. Rename it.`,
      { operation: "edit", argument, expected: site.value.names, actual: values.names },
    );
  });
  return along(axes, values.shape, rawData(values), site, argument);
}

const isList = (values: readonly number[] | Tensor): values is readonly number[] => Array.isArray(values);

/** Numbers in row-major order over some axes of the activation, each as long as it or as what is selected of it. */
function along(
  axes: readonly number[],
  sizes: readonly number[],
  data: ArrayLike<number>,
  { name, value, picks }: Site,
  argument: string,
): Replacement {
  const strides = rowMajorStrides(value.shape);
  const ownStrides = rowMajorStrides(sizes);
  const ways = axes.map((a, own) => {
    const n = value.shape[a] ?? 0;
    const size = sizes[own] ?? 0;
    const picked = picks[a];
    const ranks = new Int32Array(n);
    if (picked?.length === size && size !== n) for (const [rank, index] of picked.entries()) ranks[index] = rank;
    else if (size === n) for (let i = 0; i < n; i++) ranks[i] = i;
    else {
      const selected = picked === undefined || picked.length === n ? "" : `, of which ${picked.length} are selected`;
      throw new ShapeError(
        `${argument} has ${size} along ${value.names[a]}, but "${name}" has ${n}${selected}. Give as many as there are or as are selected.`,
        { operation: "edit", argument, expected: picked === undefined ? n : [picked.length, n], actual: size },
      );
    }
    return { stride: strides[a] ?? 1, n, own: ownStrides[own] ?? 1, ranks };
  });
  return (i) => {
    let at = 0;
    for (const { stride, n, own, ranks } of ways) at += (ranks[Math.floor(i / stride) % n] as number) * own;
    return data[at] as number;
  };
}
