/** Flat storage of tensors: dtypes, allocation, strides, and copying a strided view into row-major order. */
import { InputError, ShapeError } from "../errors.ts";
import { allocate, allocateForResult } from "../kernels/index.ts";

/**
 * The element type of a tensor's storage.
 * @category Tensors
 */
export type DType = "float32" | "float64" | "int32";

/**
 * The flat storage of a tensor.
 * @category Tensors
 */
export type TensorData = Float32Array | Float64Array | Int32Array;

/**
 * Where a view's elements lie in its storage: element $(i_1, \dots, i_r)$ at `offset + Σ i_a · strides[a]`.
 * @category Tensors
 */
export interface Layout {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Zeroed storage of a dtype. */
export function allocateData(dtype: DType, size: number): TensorData {
  if (dtype === "float64") return new Float64Array(size);
  if (dtype === "int32") return new Int32Array(size);
  return allocate(size);
}

/** Storage of a dtype whose content is undefined: for results that are written whole. */
export function dataForResult(dtype: DType, size: number): TensorData {
  return dtype === "float32" ? allocateForResult(size) : allocateData(dtype, size);
}

/**
 * Numbers as int32: refuses NaN and what is out of range, and fractions unless they are to be dropped; a typed array
 * would wrap them.
 */
export function integersOf(data: ArrayLike<number>, operation: string, dropsFractions: boolean): Int32Array {
  const out = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number;
    out[i] = x;
    if (out[i] === x || (dropsFractions && out[i] === Math.trunc(x))) continue;
    throw new InputError(`${String(x)} at element ${i} is no int32 number.`, {
      operation,
      argument: "data",
      expected: "integers from -2^31 to 2^31 - 1",
      actual: x,
    });
  }
  return out;
}

/** The dtype of a storage. */
export function dtypeOf(data: TensorData): DType {
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "float32";
}

/** Row-major strides of a shape. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  // Written out where it matters: results of small operations are made in a microsecond.
  if (shape.length === 2) return [shape[1] ?? 1, 1];
  const strides = new Array<number>(shape.length).fill(1);
  for (let a = shape.length - 2; a >= 0; a--) strides[a] = (strides[a + 1] ?? 1) * (shape[a + 1] ?? 1);
  return strides;
}

/** The number of elements of a shape; refuses sizes that are not non-negative integers. */
export function sizeOfShape(shape: readonly number[], operation: string): number {
  let size = 1;
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 0) {
      throw new ShapeError(`[${shape.join(", ")}] is not a shape: ${n} is not a non-negative integer.`, {
        operation,
        argument: "shape",
        actual: shape,
      });
    }
    size *= n;
  }
  return size;
}

/**
 * The number of elements of a shape that storage is to be made for; refuses more than an array of 32-bit length holds.
 */
export function storableSize(shape: readonly number[], operation: string): number {
  const size = sizeOfShape(shape, operation);
  if (size < 2 ** 32) return size;
  throw new ShapeError(`a tensor of shape [${shape.join(", ")}] would hold ${size} numbers, more than 2^32 - 1.`, {
    operation,
    argument: "shape",
    expected: 2 ** 32 - 1,
    actual: shape,
  });
}

/** Copies a strided view into a contiguous row-major array. */
export function copyStrided(storage: TensorData, layout: Layout, out: TensorData): void {
  const { shape, strides, offset } = layout;
  const rank = shape.length;
  if (out.length === 0) return;
  if (rank === 0) {
    out[0] = storage[offset] as number;
    return;
  }
  const inner = shape[rank - 1] ?? 1;
  const innerStride = strides[rank - 1] ?? 1;
  const index = new Array<number>(rank).fill(0);
  let base = offset;
  for (let position = 0; position < out.length;) {
    for (let i = 0, at = base; i < inner; i++, at += innerStride) out[position++] = storage[at] as number;
    let a = rank - 2;
    for (; a >= 0; a--) {
      const next = (index[a] ?? 0) + 1;
      base += strides[a] ?? 0;
      if (next < (shape[a] ?? 1)) {
        index[a] = next;
        break;
      }
      base -= next * (strides[a] ?? 0);
      index[a] = 0;
    }
    if (a < 0) break;
  }
}
