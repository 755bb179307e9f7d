/** Storages of PyTorch files: how they are referred to, and tensors gathered from them. */
import { ITEM_SIZES } from "../bytes/dtype.ts";
import { rowMajor, swapped } from "../bytes/elements.ts";
import { storageType } from "./pickle/storage-types.ts";
import { PickleGlobal, PickleTuple, StorageRef } from "./pickle/values.ts";
import type { PickleValue } from "./pickle/values.ts";
import type { TorchTensor } from "./tensors.ts";

/**
 * The storage that a persistent id names: `("storage", class, key, device, elements)`, in the older layout with a view,
 * a part of the storage, or None behind it.
 *
 * @param last - a storage that is returned where it is the one.
 */
export function storageOf(id: PickleValue, fail: (message: string) => never, last?: StorageRef): StorageRef {
  const items = id instanceof PickleTuple ? id.items : [];
  const [kind, named, key, , numel, view = null] = items;
  const type = named instanceof PickleGlobal ? storageType(named.name) : undefined;
  if (kind !== "storage" || type === undefined || typeof key !== "string" || !isCount(numel)) {
    return fail("a persistent id is not that of a storage with its class, key, device and number of elements");
  }
  const total = numel;
  if (view === null) {
    const isLast = last?.key === key && last.type === type && last.numel === numel && last.total === total;
    return isLast && last.base === 0 ? last : new StorageRef(key, type, numel, 0, total);
  }
  const [, base, length] = view instanceof PickleTuple ? view.items : [];
  if (!isCount(base) || !isCount(length) || base + length > total) {
    return fail(`a view of a storage is not a part of its ${total} elements`);
  }
  return new StorageRef(key, type, length, base, total);
}

/** The class that a persistent id of the older layout names with its source text: `("module", class, file, source)`. */
export function classOf(id: PickleValue): PickleGlobal | undefined {
  const [kind, type] = id instanceof PickleTuple ? id.items : [];
  return kind === "module" && type instanceof PickleGlobal ? type : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= 2 ** 48;
}

/** Where in its storage a tensor lies, in bytes. */
export function bytesInStorage({ dtype, offset, span }: TorchTensor): { begin: number; length: number } {
  const itemSize = ITEM_SIZES.get(dtype) ?? 0;
  return { begin: offset * itemSize, length: span * itemSize };
}

/** A tensor's elements in row-major order, little-endian, from the bytes that it spans. */
export function gather(bytes: Uint8Array, tensor: TorchTensor, isBigEndian: boolean): Uint8Array {
  const itemSize = ITEM_SIZES.get(tensor.dtype) ?? 1;
  const elements = tensor.isContiguous ? bytes : rowMajor(bytes, tensor.shape, tensor.strides, itemSize);
  return isBigEndian && itemSize > 1 ? swapped(elements, itemSize) : elements;
}
