/**
 * What a pickle may hold. No name of the file is looked up, so nothing in it can run: a function or class is its name,
 * and a call or an object the name with what was given to it.
 */
import type { StorageType } from "./storage-types.ts";

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
  | PickleBinary
  | PickleGlobal
  | PickleObject
  | StorageRef
  | TensorRef;

/** A Python tuple or `torch.Size`. */
export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A Python list or set. */
export class PickleList {
  #items: PickleValue[] = [];

  get items(): readonly PickleValue[] {
    return this.#items;
  }

  /** Puts more items at the end; the first ones, which may be all, are kept as they are handed over. */
  append(items: PickleValue[]): void {
    if (this.#items.length === 0) this.#items = items;
    else for (const item of items) this.#items.push(item);
  }
}

/** A key of a dict. */
export type PickleKey = string | number | bigint | boolean | null;

/** A Python dict or `OrderedDict`. */
export class PickleDict {
  /** Made with the first item: a million empty dicts are a megabyte of pickle. */
  #items: Map<PickleKey, PickleValue> | undefined;
  /** How many items have keys that are no text, number or tuple of these; they are not kept. */
  others = 0;

  get items(): ReadonlyMap<PickleKey, PickleValue> {
    return this.#items ?? NO_ITEMS;
  }

  set(key: PickleKey, value: PickleValue): void {
    this.#items ??= new Map();
    this.#items.set(key, value);
  }
}

const NO_ITEMS: ReadonlyMap<PickleKey, PickleValue> = new Map();

/** Python's bytes, as they lie in the file or as the text whose characters they are: neither is copied. */
export class PickleBinary {
  readonly content: Uint8Array | string;

  constructor(content: Uint8Array | string) {
    this.content = content;
  }

  /** A short piece as bytes; `undefined` where it has another length, or is no Latin-1 text. */
  bytes(length: number): Uint8Array | undefined {
    if (this.content.length !== length) return undefined;
    if (typeof this.content !== "string") return this.content;
    const codes = Array.from(this.content, (c) => c.charCodeAt(0));
    return codes.every((code) => code < 256) ? Uint8Array.from(codes) : undefined;
  }
}

/** A function or class by its name, which is all that is known of it. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A call or an object that is not made: the name of the function or class, and what the pickle gives it. */
export class PickleObject {
  readonly callee: PickleGlobal | PickleObject;
  readonly args: PickleValue;
  /** What it is told to remember. */
  state: PickleValue | undefined;
  /** Items it is given as a kind of dict or list. */
  contents: PickleDict | PickleList | undefined;

  constructor(callee: PickleGlobal | PickleObject, args: PickleValue) {
    this.callee = callee;
    this.args = args;
  }

  /** The function or class. */
  get name(): string {
    return this.callee instanceof PickleGlobal ? this.callee.name : "what a call returns";
  }

  /** Its attributes, where it has them as objects do: in a dict or in slots. */
  get attributes(): PickleDict | undefined {
    if (this.state instanceof PickleDict) return this.state;
    const [dict, slots, ...rest] = this.state instanceof PickleTuple ? this.state.items : [];
    const hasDict = dict instanceof PickleDict && dict.items.size > 0;
    return rest.length === 0 && slots instanceof PickleDict && !hasDict ? slots : undefined;
  }
}

/**
 * A storage by its key: `numel` elements of its own, from element `base` of the storage that the file has under that
 * key.
 */
export class StorageRef {
  readonly key: string;
  readonly type: StorageType;
  readonly numel: number;
  readonly base: number;
  /** Elements that the file should have under the key. */
  readonly total: number;

  constructor(key: string, type: StorageType, numel: number, base: number, total: number) {
    this.key = key;
    this.type = type;
    this.numel = numel;
    this.base = base;
    this.total = total;
  }

  /** The same bytes as elements of another type. */
  as(type: StorageType): StorageRef {
    const of = (n: number): number => Math.floor((n * this.type.itemSize) / type.itemSize);
    return new StorageRef(this.key, type, of(this.numel), of(this.base), of(this.total));
  }
}

/**
 * Strides that follow from the sizes, as nearly all do: a hundred thousand tensors are read without a list for each.
 */
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

/** What a value is, for error texts. */
export function describePickle(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof PickleTuple) return "a tuple";
  if (value instanceof PickleList) return "a list";
  if (value instanceof PickleDict) return "a dict";
  if (value instanceof PickleBinary) return "bytes";
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof PickleObject) return `an object of ${value.name}`;
  if (value instanceof StorageRef) return "a storage";
  if (value instanceof TensorRef) return "a tensor";
  if (typeof value === "string") return "a string";
  return typeof value === "boolean" ? "a bool" : "a number";
}
