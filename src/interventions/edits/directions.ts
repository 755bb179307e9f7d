/** Activations without what lies along some directions. */
import { AxisError, InputError, ShapeError } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData } from "../../tensor/internal.ts";
import type { LongAction } from "./action.ts";
import type { Replacement, Site } from "./activation.ts";

type Directions = Extract<LongAction, { projectOut: unknown }>["projectOut"];

/** What remains of each vector along the last axis without its projection onto the span of the directions. */
export function awayFrom(directions: Directions, site: Site): Replacement {
  const { value } = site;
  const width = value.shape.at(-1) ?? 0;
  const basis = orthonormal(vectorsOf(directions, site), width);
  const data = rawData(value);
  const rest = new Float64Array(width);
  let row = -1;
  return (i) => {
    const at = Math.floor(i / width);
    if (at !== row) {
      row = at;
      for (let j = 0; j < width; j++) rest[j] = data[at * width + j] as number;
      for (const direction of basis) subtractProjection(rest, direction);
    }
    return rest[i - at * width] as number;
  };
}

function vectorsOf(directions: Directions, { name, value }: Site): Float64Array[] {
  const axis = value.names.at(-1) ?? "";
  const width = value.shape.at(-1) ?? 0;
  const given = isList(directions) ? listsOf(directions) : rowsOf(directions, axis, name);
  for (const vector of given) {
    if (vector.length === width) continue;
    throw new ShapeError(`a direction has ${vector.length} coordinates, but ${axis} at "${name}" has ${width}.`, {
      operation: "edit",
      argument: "projectOut",
      expected: width,
      actual: vector.length,
    });
  }
  return given;
}

const isList = (directions: Directions): directions is readonly number[] | readonly (readonly number[])[] =>
  Array.isArray(directions);

const listsOf = (lists: readonly number[] | readonly (readonly number[])[]): Float64Array[] =>
  (typeof lists[0] === "number" ? [lists as readonly number[]] : (lists as readonly (readonly number[])[])).map(
    (list) => Float64Array.from(list),
  );

/** The rows of a tensor of one or two axes, of which the last is that of the coordinates. */
function rowsOf(t: Tensor, axis: string, name: string): Float64Array[] {
  if (t.rank > 2 || t.names.at(-1) !== axis) {
    throw new AxisError(
      `projectOut is ${describeTensor(t)}. Directions at "${name}" are [${axis}], or several [direction ${axis}]; rename or permute.`,
      { operation: "edit", argument: "projectOut", expected: axis, actual: t.axes },
    );
  }
  const width = t.shape.at(-1) ?? 0;
  const data = rawData(t);
  const count = t.rank === 1 ? 1 : (t.shape[0] ?? 0);
  return Array.from({ length: count }, (_, r) => Float64Array.from(data.subarray(r * width, (r + 1) * width)));
}

/** An orthonormal basis of the span; a direction that the earlier ones contain, up to rounding, adds nothing. */
function orthonormal(vectors: readonly Float64Array[], width: number): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const length = lengthOf(vector);
    if (!(length > 0 && length < Infinity)) {
      throw new InputError(`a direction has length ${length}. Give directions of finite numbers that are not all 0.`, {
        operation: "edit",
        argument: "projectOut",
        actual: length,
      });
    }
    const rest = vector.map((x) => x / length);
    // Once more removes what rounding left of the earlier ones.
    for (let pass = 0; pass < 2; pass++) for (const direction of basis) subtractProjection(rest, direction);
    const left = lengthOf(rest);
    if (left > width * 2 ** -24) basis.push(rest.map((x) => x / left));
  }
  return basis;
}

function subtractProjection(vector: Float64Array, direction: Float64Array): void {
  let product = 0;
  for (let j = 0; j < vector.length; j++) product += (vector[j] as number) * (direction[j] as number);
  for (let j = 0; j < vector.length; j++) (vector[j] as number) -= product * (direction[j] as number);
}

const lengthOf = (vector: Float64Array): number => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
