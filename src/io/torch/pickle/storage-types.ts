/** The element types of PyTorch's storages and tensors by their names in a pickle. */
import { ITEM_SIZES } from "../../bytes/dtype.ts";
import type { SafetensorsDType } from "../../bytes/dtype.ts";

/** An element type. */
export interface StorageType {
  /** As PyTorch writes it. */
  readonly name: string;
  /** The type under which it is read; `undefined` for one that is not. */
  readonly dtype: SafetensorsDType | undefined;
  readonly itemSize: number;
}

/** Storages by what stands before `Storage`. */
const STORAGES: readonly (readonly [string, SafetensorsDType])[] = [
  ["Double", "F64"],
  ["Float", "F32"],
  ["Half", "F16"],
  ["BFloat16", "BF16"],
  ["Long", "I64"],
  ["Int", "I32"],
  ["Short", "I16"],
  ["Char", "I8"],
  ["Byte", "U8"],
  ["Bool", "BOOL"],
];

/** Storages of elements that are not read, with the bytes of each. */
const UNREAD: readonly (readonly [string, number])[] = [
  ["ComplexDouble", 16],
  ["ComplexFloat", 8],
  ["QInt8", 1],
  ["QUInt8", 1],
  ["QInt32", 4],
  ["QUInt4x2", 1],
  ["QUInt2x4", 1],
];

/** Types of tensors over storages of bytes, by what stands behind `torch.`. */
const TYPES: readonly (readonly [string, SafetensorsDType])[] = [
  ["float64", "F64"],
  ["float32", "F32"],
  ["float16", "F16"],
  ["bfloat16", "BF16"],
  ["int64", "I64"],
  ["int32", "I32"],
  ["int16", "I16"],
  ["int8", "I8"],
  ["uint64", "U64"],
  ["uint32", "U32"],
  ["uint16", "U16"],
  ["uint8", "U8"],
  ["bool", "BOOL"],
];

const typed = (name: string, dtype: SafetensorsDType): readonly [string, StorageType] => [
  name,
  { name, dtype, itemSize: ITEM_SIZES.get(dtype) ?? 1 },
];

const STORAGE_TYPES: ReadonlyMap<string, StorageType> = new Map([
  ...STORAGES.map(([name, dtype]) => typed(`torch.${name}Storage`, dtype)),
  ...UNREAD.map(([name, itemSize]) => {
    const full = `torch.${name}Storage`;
    return [full, { name: full, dtype: undefined, itemSize }] as const;
  }),
  ...["torch.storage.UntypedStorage", "torch.UntypedStorage"].map((name) => typed(name, "U8")),
]);

const TENSOR_TYPES: ReadonlyMap<string, StorageType> = new Map(
  TYPES.map(([name, dtype]) => typed(`torch.${name}`, dtype)),
);

/** The elements of a class of storages, such as `torch.FloatStorage`; `undefined` for any other class. */
export function storageType(name: string): StorageType | undefined {
  return STORAGE_TYPES.get(name);
}

/** The elements of a tensor over a storage of bytes, such as `torch.uint16`; any type that is not known is not read. */
export function tensorType(name: string): StorageType {
  return TENSOR_TYPES.get(name) ?? { name, dtype: undefined, itemSize: 1 };
}
