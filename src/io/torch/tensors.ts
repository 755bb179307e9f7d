/** Tensors over storages, checked against these. */
import { rowMajorStrides } from "../../tensor/internal.ts";
import { ITEM_SIZES } from "../bytes/dtype.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { ROW_MAJOR, StorageRef, describePickle } from "./pickle/values.ts";
import type { PickleValue, TensorRef } from "./pickle/values.ts";
import { MAX_RANK, byteLengthOf } from "../checkpoint/tensor-file.ts";
import type { TensorEntry } from "../checkpoint/tensor-file.ts";

/** A tensor over a storage. */
export interface TorchTensor extends TensorEntry {
  readonly storage: StorageRef;
  /** Elements of the whole storage before the tensor's first. */
  readonly offset: number;
  /** Elements from one index of a dimension to the next. */
  readonly strides: readonly number[];
  /** Elements of the storage from the first that the tensor has to the last, both included. */
  readonly span: number;
  /** Whether these are its elements in their order. */
  readonly isContiguous: boolean;
}

/** The element type of a tensor that is not read, such as `torch.float8_e4m3fn`; `undefined` for every other. */
export function unreadType({ storage }: TensorRef): string | undefined {
  return storage instanceof StorageRef && storage.type.dtype === undefined ? storage.type.name : undefined;
}

/** A tensor as the pickle describes it, with every claim checked. */
export function checkedTensor(ref: TensorRef, name: string, source: Source): TorchTensor {
  const { storage, offset, at } = ref;
  const wrong = (what: string): Error => fault(source, `${what}, at byte ${at} of the pickle.`, name);
  const dtype = storage instanceof StorageRef ? storage.type.dtype : undefined;
  if (!(storage instanceof StorageRef) || dtype === undefined) {
    throw wrong(`it is made of ${describePickle(storage)}, not of a storage`);
  }
  const shape = sizes(ref.size);
  const strides = ref.stride === ROW_MAJOR ? shape && rowMajorStrides(shape) : sizes(ref.stride);
  if (!isSize(offset) || shape === undefined || strides === undefined || shape.length !== strides.length) {
    throw wrong("its offset, sizes and strides are not non-negative integers, a stride for each size");
  }
  if (shape.length > MAX_RANK) throw wrong(`it has ${shape.length} dimensions; at most ${MAX_RANK} can be read`);
  const byteLength = byteLengthOf(shape, ITEM_SIZES.get(dtype) ?? 0);
  const shown = (): string => `shape [${shape.join(", ")}] with strides [${strides.join(", ")}]`;
  if (byteLength === undefined) throw wrong(`${shown()} takes more than 2^53 bytes`);
  const isEmpty = byteLength === 0;
  const span = isEmpty ? 0 : shape.reduce((last, n, i) => last + (n - 1) * (strides[i] ?? 0), 1);
  if (!Number.isSafeInteger(offset + span) || offset + span > storage.numel) {
    throw wrong(`${shown()} from element ${offset} reaches beyond the ${storage.numel} elements of its storage`);
  }
  let expected = 1;
  let isContiguous = true;
  for (let i = shape.length - 1; i >= 0; i--) {
    const n = shape[i] ?? 0;
    if (n !== 1 && strides[i] !== expected) isContiguous = false;
    expected *= n;
  }
  return {
    dtype,
    shape,
    byteLength,
    storage,
    offset: storage.base + offset,
    strides,
    span,
    isContiguous: isContiguous || isEmpty,
  };
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function sizes(items: readonly PickleValue[] | undefined): readonly number[] | undefined {
  return items?.every(isSize) === true ? items : undefined;
}
