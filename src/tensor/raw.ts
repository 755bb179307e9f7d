/**
 * Tensors as the rest of the library uses them: their numbers where they lie, in the kernels' memory too, and new
 * tensors without checks and copies. An array over that memory may outlive its block, so it is read within one task and
 * never handed on.
 */
import type { MatrixView, PackedMatrix } from "../kernels/index.ts";
import { Home } from "./home.ts";
import { rowMajorStrides } from "./storage.ts";
import type { Layout, TensorData } from "./storage.ts";
import { Tensor } from "./tensor.ts";

/** What these functions reach into. */
interface Internals {
  readonly home: Home;
  rawElements(): TensorData;
}

type MakeTensor = new <A extends string>(
  axes: A,
  home: Home,
  layout: Layout,
  operation: string,
  names?: readonly string[],
) => Tensor<A>;

const inside = (t: Tensor): Internals => t as unknown as Internals;

function make<A extends string>(
  axes: A,
  home: Home,
  layout: Layout,
  operation: string,
  names?: readonly string[],
): Tensor<A> {
  return new (Tensor as unknown as MakeTensor)(axes, home, layout, operation, names);
}

/**
 * The storage itself, which may lie in the kernels' memory: for this library alone, within one task, and only to read.
 */
export function rawStorage(t: Tensor): TensorData {
  return inside(t).home.raw;
}

/** As {@link Tensor.data}, but not copied out of the kernels' memory; the same cautions as for {@link rawStorage}. */
export function rawData(t: Tensor): TensorData {
  return inside(t).rawElements();
}

/** As {@link rawStorage}, moved into the kernels' memory where that is worth it. */
export function kernelStorage(t: Tensor): TensorData {
  return inside(t).home.forKernels();
}

/** As {@link rawData}, moved into the kernels' memory where that is worth it. */
export function kernelData(t: Tensor): TensorData {
  if (!t.isContiguous) return rawData(t);
  const storage = kernelStorage(t);
  return storage.length === t.size ? storage : storage.subarray(t.offset, t.offset + t.size);
}

/**
 * A view of the storage of a tensor, `batch` matrices `[k, n]`, packed for products of which it is the right operand;
 * undefined until it was used some times.
 */
export function packedView(t: Tensor, view: MatrixView, batch: number, k: number, n: number): PackedMatrix | undefined {
  return inside(t).home.packedViews.of(view, batch, k, n);
}

/** Moves the numbers of a tensor into the kernels' memory, as those of weights, which are used again and again. */
export function moveToKernels(t: Tensor): void {
  inside(t).home.move("weight");
}

/** A tensor of a result in row-major order, as many numbers as the sizes say. */
export function tensorOf<A extends string>(axes: A, shape: readonly number[], data: TensorData): Tensor<A> {
  return make(axes, new Home(data), { shape, strides: rowMajorStrides(shape), offset: 0 }, "result");
}

/** {@link tensorOf} of axes that other tensors have, by name. */
export function tensorOfNames<A extends string>(
  names: readonly string[],
  shape: readonly number[],
  data: TensorData,
): Tensor<A> {
  const axes = (names.length === 2 ? `${names[0]} ${names[1]}` : names.join(" ")) as A;
  const layout = { shape, strides: rowMajorStrides(shape), offset: 0 };
  // Names that are in use are well formed; whether one appears twice is seen here where that takes one look, and costs
  // no search for the axes.
  const isKnown = names.length === 2 && names[0] !== names[1];
  return make(axes, new Home(data), layout, "result", isKnown ? names : undefined);
}

/** Another view of the storage of a tensor, without a copy. */
export function viewOf<A extends string>(t: Tensor, axes: A, layout: Layout): Tensor<A> {
  return make(axes, inside(t).home, layout, "view");
}

/** The same numbers under other axes and sizes, in row-major order; a view where they lie so. */
export function reshaped<A extends string>(t: Tensor, axes: A, shape: readonly number[]): Tensor<A> {
  if (!t.isContiguous) return Tensor.from(axes, shape, rawData(t));
  return viewOf(t, axes, { shape, strides: rowMajorStrides(shape), offset: t.offset });
}
