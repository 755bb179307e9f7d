/**
 * What a pickle may hold, and the only names that it may call on. There is nothing else: no name of the file is looked up, so
 * nothing in it can run.
 */
import type { SafetensorsDType } from "../../bytes/dtype.ts";

/** A value of a pickle. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | StorageType
  | StorageRef
  | TensorRef;

/** A Python tuple or `torch.Size`. */
export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A Python list. */
export class PickleList {
  readonly items: PickleValue[] = [];
}

/** A key of a dict. */
export type PickleKey = string | number | bigint | boolean | null;

/** A Python dict or `OrderedDict`. */
export class PickleDict {
  /** Made with the first item: a million empty dicts are a megabyte of pickle. */
  #items: Map<PickleKey, PickleValue> | undefined;

  get items(): ReadonlyMap<PickleKey, PickleValue> {
    return this.#items ?? NO_ITEMS;
  }

  set(key: PickleKey, value: PickleValue): void {
    this.#items ??= new Map();
    this.#items.set(key, value);
  }
}

const NO_ITEMS: ReadonlyMap<PickleKey, PickleValue> = new Map();

/** One of the few functions and classes that a pickle may name. */
export class PickleGlobal {
  readonly name: GlobalName;

  constructor(name: GlobalName) {
    this.name = name;
  }
}

/** A class of storages, such as `torch.FloatStorage`. */
export class StorageType {
  readonly dtype: SafetensorsDType;

  constructor(dtype: SafetensorsDType) {
    this.dtype = dtype;
  }
}

/** A storage by its key: `numel` elements of its own, from element `base` of the storage that the file has under that key. */
export class StorageRef {
  readonly key: string;
  readonly dtype: SafetensorsDType;
  readonly numel: number;
  readonly base: number;
  /** Elements that the file should have under the key. */
  readonly total: number;

  constructor(key: string, dtype: SafetensorsDType, numel: number, base: number, total: number) {
    this.key = key;
    this.dtype = dtype;
    this.numel = numel;
    this.base = base;
    this.total = total;
  }
}

/** Strides that follow from the sizes, as nearly all do: a hundred thousand tensors are read without a list for each. */
export const ROW_MAJOR = "row-major";

function isRowMajor(sizes: readonly PickleValue[] | undefined, strides: readonly PickleValue[] | undefined): boolean {
  if (sizes === undefined || sizes.length !== strides?.length) return false;
  let expected = 1;
  for (let i = sizes.length - 1; i >= 0; i--) {
    const n = sizes[i];
    if (strides[i] !== expected || typeof n !== "number") return false;
    expected *= n;
  }
  return true;
}

/** A tensor as the pickle describes it, unchecked. */
export class TensorRef {
  readonly storage: PickleValue | undefined;
  readonly offset: PickleValue | undefined;
  /** The items of its tuples of sizes and strides; `undefined` where they are something else. */
  readonly size: readonly PickleValue[] | undefined;
  readonly stride: readonly PickleValue[] | typeof ROW_MAJOR | undefined;
  /** Where in the pickle it is made. */
  readonly at: number;

  /** @param last - a tensor whose list of sizes is taken over where it is the same. */
  constructor([storage, offset, size, stride]: readonly PickleValue[], at: number, last?: TensorRef) {
    this.storage = storage;
    this.offset = offset;
    const sizes = size instanceof PickleTuple ? size.items : undefined;
    const isLast = sizes?.length === last?.size?.length && sizes?.every((n, i) => n === last?.size?.[i]);
    this.size = isLast === true ? last?.size : sizes;
    const strides = stride instanceof PickleTuple ? stride.items : undefined;
    this.stride = isRowMajor(this.size, strides) ? ROW_MAJOR : strides;
    this.at = at;
  }
}

export type GlobalName =
  | "collections.OrderedDict"
  | "torch.Size"
  | "torch.device"
  | "torch._utils._rebuild_tensor"
  | "torch._utils._rebuild_tensor_v2"
  | "torch._utils._rebuild_parameter";

const GLOBALS: readonly GlobalName[] = [
  "collections.OrderedDict",
  "torch.Size",
  "torch.device",
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter",
];

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

const ALLOWED: ReadonlyMap<string, PickleGlobal | StorageType> = new Map<string, PickleGlobal | StorageType>([
  ...GLOBALS.map((name) => [name, new PickleGlobal(name)] as const),
  ...STORAGES.map(([name, dtype]) => [`torch.${name}Storage`, new StorageType(dtype)] as const),
]);

/** The function or class of a name, or `undefined` for every name that is not on the list. */
export function allowedGlobal(module: string, name: string): PickleGlobal | StorageType | undefined {
  return ALLOWED.get(`${module}.${name}`);
}

/** What a value is, for error texts. */
export function describePickle(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof PickleTuple) return "a tuple";
  if (value instanceof PickleList) return "a list";
  if (value instanceof PickleDict) return "a dict";
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof StorageType) return "a class of storages";
  if (value instanceof StorageRef) return "a storage";
  if (value instanceof TensorRef) return "a tensor";
  if (typeof value === "string") return "a string";
  return typeof value === "boolean" ? "a bool" : "a number";
}
