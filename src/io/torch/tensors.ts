/** From the value that a pickle holds to its tensors by dotted name, checked, and the plain values beside them. */
import { ITEM_SIZES } from "../bytes/dtype.ts";
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { Mapped } from "../bytes/mapped.ts";
import {
  PickleDict,
  PickleList,
  PickleTuple,
  ROW_MAJOR,
  StorageRef,
  TensorRef,
  describePickle,
} from "./pickle/values.ts";
import type { PickleValue } from "./pickle/values.ts";
import { plainObject } from "../json/plain.ts";
import type { PlainObject, PlainValue } from "../json/plain.ts";
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

/** What a PyTorch file holds. */
export interface TorchContents {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  readonly values: PlainObject;
}

const MAX_DEPTH = 64;
/** The name of a tensor that was saved alone. */
const ALONE = "tensor";

/** Takes a pickle's value apart; `pickleSize` bounds the work. */
export function contentsOf(value: PickleValue, pickleSize: number, source: Source): TorchContents {
  const walk = new Walk(pickleSize, source);
  const plain = walk.visit(value, "", 0);
  const values = value instanceof PickleDict && plain !== undefined ? (plain as PlainObject) : plainObject([]);
  return { tensors: new Mapped(walk.tensors, (ref, name) => checkedTensor(ref, name, source)), values };
}

/** One pass over the value. Shared containers are visited once for each of their names, within a budget. */
class Walk {
  /** Checked, and still as small as the pickle has them. */
  readonly tensors = new Map<string, TensorRef>();
  readonly #source: Source;
  readonly #open = new Set<PickleValue>();
  #visits: number;
  #characters: number;

  constructor(pickleSize: number, source: Source) {
    this.#source = source;
    this.#visits = 1000 + pickleSize;
    this.#characters = 65_536 + 16 * pickleSize;
  }

  /** The value as a plain one, without its tensors; `undefined` where nothing else is in it. */
  visit(value: PickleValue, name: string, depth: number): PlainValue | undefined {
    if (--this.#visits < 0 || (this.#characters -= name.length) < 0) {
      throw fault(
        this.#source,
        `its containers share their contents so often that they name more values than the file has bytes.`,
        name,
      );
    }
    if (value instanceof TensorRef) return this.#tensor(value, name === "" ? ALONE : name);
    if (value === null || typeof value !== "object") return value;
    if (value instanceof PickleDict) return this.#inside(value, name, depth, () => this.#dict(value, name, depth));
    if (value instanceof PickleList || value instanceof PickleTuple) {
      return this.#inside(value, name, depth, () => this.#list(value.items, name, depth));
    }
    throw fault(this.#source, `the pickle holds ${describePickle(value)} where a value should be.`, name);
  }

  #inside<T>(value: PickleValue, name: string, depth: number, visit: () => T): T {
    if (this.#open.has(value)) throw fault(this.#source, "the pickle holds a container that contains itself.", name);
    if (depth >= MAX_DEPTH) throw fault(this.#source, `the pickle is nested deeper than ${MAX_DEPTH} levels.`, name);
    this.#open.add(value);
    const result = visit();
    this.#open.delete(value);
    return result;
  }

  #dict({ items }: PickleDict, name: string, depth: number): PlainObject | undefined {
    const plain = new Map<string, PlainValue>();
    const written = new Set<string>();
    for (const [key, item] of items) {
      const text = String(key);
      if (typeof key !== "string") {
        if (items.has(text) || written.has(text)) {
          throw fault(this.#source, `two keys of a dict are both written ${quoted(text)}.`, name);
        }
        written.add(text);
      }
      const value = this.visit(item, name === "" ? text : `${name}.${text}`, depth + 1);
      if (value !== undefined) plain.set(text, value);
    }
    return plain.size === 0 && items.size > 0 ? undefined : plainObject(plain);
  }

  /** A tensor leaves null in the list, so that the rest keep their places. */
  #list(items: readonly PickleValue[], name: string, depth: number): PlainValue | undefined {
    const plain = items.map((item, i) => this.visit(item, name === "" ? String(i) : `${name}.${i}`, depth + 1));
    if (plain.length > 0 && plain.every((item) => item === undefined)) return undefined;
    return plain.map((item) => item ?? null);
  }

  #tensor(ref: TensorRef, name: string): undefined {
    if (this.tensors.has(name)) throw fault(this.#source, "two tensors have this name.", name);
    checkedTensor(ref, name, this.#source);
    this.tensors.set(name, ref);
    return undefined;
  }
}

function checkedTensor(ref: TensorRef, name: string, source: Source): TorchTensor {
  const { storage, offset, at } = ref;
  const wrong = (what: string): Error => fault(source, `${what}, at byte ${at} of the pickle.`, name);
  if (!(storage instanceof StorageRef)) throw wrong(`it is made of ${describePickle(storage)}, not of a storage`);
  const shape = sizes(ref.size);
  const strides = ref.stride === ROW_MAJOR ? shape && rowMajorStrides(shape) : sizes(ref.stride);
  if (!isSize(offset) || shape === undefined || strides === undefined || shape.length !== strides.length) {
    throw wrong("its offset, sizes and strides are not non-negative integers, a stride for each size");
  }
  if (shape.length > MAX_RANK) throw wrong(`it has ${shape.length} dimensions; at most ${MAX_RANK} can be read`);
  const byteLength = byteLengthOf(shape, ITEM_SIZES.get(storage.dtype) ?? 0);
  const shown = `shape [${shape.join(", ")}] with strides [${strides.join(", ")}]`;
  if (byteLength === undefined) throw wrong(`${shown} takes more than 2^53 bytes`);
  const isEmpty = byteLength === 0;
  const span = isEmpty ? 0 : shape.reduce((last, n, i) => last + (n - 1) * (strides[i] ?? 0), 1);
  if (!Number.isSafeInteger(offset + span) || offset + span > storage.numel) {
    throw wrong(`${shown} from element ${offset} reaches beyond the ${storage.numel} elements of its storage`);
  }
  let expected = 1;
  let isContiguous = true;
  for (let i = shape.length - 1; i >= 0; i--) {
    const n = shape[i] ?? 0;
    if (n !== 1 && strides[i] !== expected) isContiguous = false;
    expected *= n;
  }
  return {
    dtype: storage.dtype,
    shape,
    byteLength,
    storage,
    offset: storage.base + offset,
    strides,
    span,
    isContiguous: isContiguous || isEmpty,
  };
}

function rowMajorStrides(shape: readonly number[]): readonly number[] {
  const strides = [...shape];
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = expected;
    expected *= shape[i] ?? 0;
  }
  return strides;
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function sizes(items: readonly PickleValue[] | undefined): readonly number[] | undefined {
  return items?.every(isSize) === true ? items : undefined;
}
