/**
 * The layout that `torch.save` wrote before 2020: five pickles (a magic number, the protocol, the machine, the value,
 * the keys of its storages), then for each storage its number of elements and their bytes.
 */
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { endOfPickle } from "./pickle/memo.ts";
import { unpickle } from "./pickle/pickle.ts";
import { PickleDict, PickleList, StorageRef, describePickle } from "./pickle/values.ts";
import type { PickleValue } from "./pickle/values.ts";
import { readAhead, take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { noSuchTensor } from "../checkpoint/tensor-file.ts";
import type { TensorStore } from "../checkpoint/tensor-file.ts";
import { bytesInStorage, classOf, gather, storageOf } from "./storage.ts";
import { contentsOf } from "./contents.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const PICKLES = 5;
const FIRST_WINDOW = 2 ** 20;

/** Raised inside where the pickles go on beyond the bytes read so far. */
class MoreBytes extends Error {}

interface Pickles {
  readonly value: PickleValue;
  readonly keys: readonly PickleValue[];
  readonly isBigEndian: boolean;
  /** By key; in place of each comes the offset at which its elements begin. */
  readonly storages: Map<string, StorageRef | number>;
  readonly end: number;
}

/** Opens the older layout. Pickles say no length, so that as much is read as turns out to be needed. */
export function* openTorchLegacy(fileSize: number, source: Source): Reading<TensorStore> {
  for (let window = FIRST_WINDOW; ; window *= 16) {
    const bytes = yield* take(0, Math.min(window, fileSize));
    let pickles: Pickles;
    try {
      pickles = readPickles(bytes, fileSize, source);
    } catch (error) {
      if (error instanceof MoreBytes) continue;
      throw error;
    }
    return yield* openStorages(pickles, fileSize, source);
  }
}

function readPickles(bytes: Uint8Array, fileSize: number, source: Source): Pickles {
  const storages = new Map<string, StorageRef | number>();
  const fail = (message: string, at: number): never => {
    throw fault(source, `byte ${at} of the pickle: ${message}.`);
  };
  const cut = (at: number): never => {
    if (bytes.byteLength < fileSize) throw new MoreBytes();
    return fail("the pickle is cut short", at);
  };
  let last: StorageRef | undefined;
  const persistent = (id: PickleValue, at: number): PickleValue => {
    const type = classOf(id);
    if (type !== undefined) return type;
    last = storageOf(id, (message) => fail(message, at), last);
    const storage = last;
    const known = storages.get(storage.key);
    if (known instanceof StorageRef && (known.type !== storage.type || known.total !== storage.total)) {
      fail(`storage ${quoted(storage.key)} is named with two classes or sizes`, at);
    }
    storages.set(storage.key, storage);
    return storage;
  };
  let end = 0;
  const next = (): PickleValue => {
    const read = unpickle(bytes, end, { fail, cut, persistent });
    end = read.end;
    return read.value;
  };
  // Where a pickle goes on beyond these bytes, nothing is made of its beginning.
  for (let pickle = 0, at: number | undefined = 0; pickle < PICKLES && bytes.byteLength < fileSize; pickle++) {
    at = endOfPickle(bytes, at);
    if (at === undefined) throw new MoreBytes();
  }
  if (next() !== MAGIC) throw fault(source, "this is a pickle but not a PyTorch file. Save it with torch.save.");
  if (next() !== PROTOCOL) throw fault(source, `this layout of PyTorch files is not known; ${PROTOCOL} is read.`);
  const machine = next();
  const order = machine instanceof PickleDict ? machine.items.get("little_endian") : undefined;
  if (typeof order !== "boolean") throw fault(source, "the file does not say in which order its bytes are.");
  const value = next();
  const keys = next();
  if (!(keys instanceof PickleList)) throw fault(source, "the file has no list of its storages.");
  return { value, keys: keys.items, isBigEndian: !order, storages, end };
}

function* openStorages(pickles: Pickles, fileSize: number, source: Source): Reading<TensorStore> {
  const { value, isBigEndian, storages: places, end } = pickles;
  yield* readAhead(placeStorages(pickles, fileSize, source), fileSize);
  const contents = contentsOf(value, end, source);
  const { tensors } = contents;
  for (const [name, storage] of contents.storages) {
    if (typeof places.get(storage.key) !== "number")
      throw fault(source, `its storage ${quoted(storage.key)} is not in the file.`, name);
  }
  return {
    format: "torch-legacy",
    fileSize,
    metadata: new Map(),
    values: contents.values,
    settings: contents.settings,
    unread: contents.unread,
    tensors,
    scratch: (name) => {
      const tensor = tensors.get(name);
      return tensor === undefined || (tensor.isContiguous && !isBigEndian) ? 0 : tensor.byteLength;
    },
    *load(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw noSuchTensor(source, name, tensors);
      const { begin, length } = bytesInStorage(tensor);
      return gather(yield* take(Number(places.get(tensor.storage.key)) + begin, length), tensor, isBigEndian);
    },
  };
}

/** Finds out where the elements of each storage begin. */
function* placeStorages(
  { keys, storages, isBigEndian, end }: Pickles,
  fileSize: number,
  source: Source,
): Reading<void> {
  let at = end;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (typeof key !== "string" || !(storage instanceof StorageRef)) {
      const shown = typeof key === "string" ? quoted(key) : describePickle(key);
      throw fault(source, `the list of storages names ${shown}, which is unknown or named before.`);
    }
    const length = storage.total * storage.type.itemSize;
    if (at + 8 + length > fileSize) {
      throw fault(
        source,
        `storage ${quoted(key)} should take ${length} bytes from offset ${at + 8} but the file ends at ${fileSize}. It is cut short.`,
      );
    }
    const header = yield* take(at, 8);
    const numel = new DataView(header.buffer, header.byteOffset, 8).getBigInt64(0, !isBigEndian);
    if (numel !== BigInt(storage.total)) {
      throw fault(
        source,
        `storage ${quoted(key)}, at offset ${at}, has ${numel} elements, not the ${storage.total} of the pickle.`,
      );
    }
    storages.set(key, at + 8);
    at += 8 + length;
  }
  if (at !== fileSize) throw fault(source, `bytes ${at} to ${fileSize}, at the end of the file, belong to no storage.`);
}
