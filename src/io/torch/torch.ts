/**
 * Reading PyTorch files: what `torch.save` writes, the ZIP archive and the older layout. Nothing in them runs; see
 * pickle.ts. Format: torch/serialization.py of PyTorch.
 */
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { unpickle } from "./pickle/pickle.ts";
import { take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { noSuchTensor } from "../checkpoint/tensor-file.ts";
import type { TensorStore } from "../checkpoint/tensor-file.ts";
import type { StorageRef } from "./pickle/values.ts";
import { bytesInStorage, gather, storageOf } from "./storage.ts";
import { contentsOf } from "./contents.ts";
import type { TorchTensor } from "./tensors.ts";
import { entryStart, readEntry } from "../zip/zip.ts";
import type { ZipFile } from "../zip/zip.ts";
import type { ZipEntry } from "../zip/directory.ts";

const PICKLE = /^(?:(.*)\/)?data\.pkl$/s;

/** The folder inside the archive that holds `data.pkl`; `undefined` where there is none. */
export function torchRoot(zip: ZipFile): string | undefined {
  for (const name of zip.entries.keys()) {
    const match = PICKLE.exec(name);
    if (match !== null) return match[1] === undefined ? "" : `${match[1]}/`;
  }
  return undefined;
}

/** Opens the archive that `torch.save` writes, its directory read and {@link torchRoot} found. */
export function* openTorchArchive(zip: ZipFile, root: string, source: Source): Reading<TensorStore> {
  const entry = zip.entries.get(`${root}data.pkl`) as ZipEntry;
  if (zip.entries.has(`${root}constants.pkl`)) {
    throw fault(
      source,
      "it is TorchScript, a program, which is not read. Save the model's state_dict() with torch.save.",
    );
  }
  const isBigEndian = yield* readByteOrder(zip, root, source);
  const pickle = yield* readEntry(zip, entry, source);
  const fail = (message: string, at: number): never => {
    throw fault(source, `byte ${at} of ${entry.name}: ${message}.`);
  };
  let last: StorageRef | undefined;
  const { value, end } = unpickle(pickle, 0, {
    fail,
    cut: (at) => fail("the pickle is cut short", at),
    persistent: (id, at) => (last = storageOf(id, (message) => fail(message, at), last)),
  });
  if (end !== pickle.byteLength) fail("something follows the pickle", end);
  const contents = contentsOf(value, pickle.byteLength, source);
  const { tensors } = contents;
  for (const [name, storage] of contents.storages) dataEntry(zip, root, name, { storage }, source);
  return {
    format: "torch",
    fileSize: zip.size,
    metadata: new Map(),
    values: contents.values,
    settings: contents.settings,
    unread: contents.unread,
    tensors,
    scratch: (name) => {
      const tensor = tensors.get(name);
      if (tensor === undefined) return 0;
      const data = dataEntry(zip, root, name, tensor, source);
      if (data.method === 0 && tensor.isContiguous && !isBigEndian) return 0;
      return (data.method === 0 ? 0 : data.size) + tensor.byteLength;
    },
    *load(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw noSuchTensor(source, name, tensors);
      const stored = yield* readStorage(zip, dataEntry(zip, root, name, tensor, source), tensor, source);
      return gather(stored, tensor, isBigEndian);
    },
  };
}

function* readByteOrder(zip: ZipFile, root: string, source: Source): Reading<boolean> {
  const entry = zip.entries.get(`${root}byteorder`);
  if (entry === undefined) return false;
  const order = entry.size > 16 ? "" : String.fromCharCode(...(yield* readEntry(zip, entry, source)));
  if (order === "little" || order === "big") return order === "big";
  throw fault(source, `entry ${quoted(entry.name)} says neither "little" nor "big".`);
}

function dataEntry(
  zip: ZipFile,
  root: string,
  name: string,
  { storage }: Pick<TorchTensor, "storage">,
  source: Source,
): ZipEntry {
  const path = `${root}data/${storage.key}`;
  const entry = zip.entries.get(path);
  if (entry === undefined) throw fault(source, `its storage ${quoted(path)} is not in the archive.`, name);
  const needed = storage.total * storage.type.itemSize;
  if (entry.size < needed) {
    throw fault(
      source,
      `its storage ${quoted(path)} has ${entry.size} bytes, but ${storage.total} elements of ${storage.type.dtype} take ${needed}.`,
      name,
      needed,
      entry.size,
    );
  }
  return entry;
}

/** The bytes that a tensor spans; of a stored entry nothing else is read. */
function* readStorage(zip: ZipFile, entry: ZipEntry, tensor: TorchTensor, source: Source): Reading<Uint8Array> {
  const { begin, length } = bytesInStorage(tensor);
  if (entry.method === 0) return yield* take((yield* entryStart(entry, source)) + begin, length);
  return (yield* readEntry(zip, entry, source)).subarray(begin, begin + length);
}
