/** Numbers that an edit brings along, at the elements where they belong. */
import { AxisError, ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, placing, rawData } from "../../tensor/internal.ts";
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

/** Numbers in row-major order over some axes of the activation. */
function along(
  axes: readonly number[],
  sizes: readonly number[],
  data: ArrayLike<number>,
  { name, value, picks }: Site,
  argument: string,
): Replacement {
  const place = placing(value.shape, picks, axes, sizes);
  if (typeof place === "function") return (i) => data[place(i)] as number;
  const [size, a] = [sizes[place.misfit], axes[place.misfit] ?? 0];
  const n = value.shape[a];
  const selected = picks[a] === undefined || picks[a].length === n ? "" : `, of which ${picks[a].length} are selected`;
  throw new ShapeError(
    `${argument} has ${size} along ${value.names[a]}, but "${name}" has ${n}${selected}. Give as many as there are or as are selected.`,
    { operation: "edit", argument, expected: picks[a]?.length ?? n, actual: size },
  );
}
