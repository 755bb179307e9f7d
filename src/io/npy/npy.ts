/**
 * Reading arrays of NumPy: `.npy`, and `.npz` archives of them.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { ITEM_SIZES } from "../bytes/dtype.ts";
import { rowMajor, swapped } from "../bytes/elements.ts";
import { FORBIDDEN_KEY, fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { headerEnd, readNpyHeader } from "./header.ts";
import type { NpyHeader } from "./header.ts";
import { Mapped } from "../bytes/mapped.ts";
import { plainObject } from "../json/plain.ts";
import { readAhead, take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { noSuchTensor } from "../checkpoint/tensor-file.ts";
import type { TensorEntry, TensorStore } from "../checkpoint/tensor-file.ts";
import { readCheckedEntry, readEntryStart } from "../zip/zip.ts";
import type { ZipFile } from "../zip/zip.ts";
import type { ZipEntry } from "../zip/directory.ts";

/** The name of the array of a file that has one; the one that `numpy.savez` gives an array without a name. */
const ALONE = "arr_0";
const SUFFIX = ".npy";
/** Bytes of an archive's entry in which the header of its array ends. */
const HEADER_WINDOW = 4096;

/** Opens an `.npy` file. */
export function* openNpy(fileSize: number, source: Source): Reading<TensorStore> {
  const head = yield* take(0, Math.min(fileSize, 12));
  const header = readNpyHeader(yield* take(0, Math.min(fileSize, headerEnd(head, source))), fileSize, source);
  if ("what" in header) throw fault(source, header.refusal);
  const tensors = new Map([[ALONE, header]]);
  return {
    ...store("npy", fileSize, tensors),
    scratch: () => copied(header),
    *load(name) {
      if (name !== ALONE) throw noSuchTensor(source, name, tensors);
      return rearranged(yield* take(header.end, header.byteLength), header);
    },
  };
}

/** Opens an `.npz` archive whose directory is read. */
export function* openNpzArchive(zip: ZipFile, source: Source): Reading<TensorStore> {
  const { arrays, unread } = yield* readAhead(readHeaders(zip, source), zip.size);
  const tensors = new Mapped(arrays, ({ header }): TensorEntry => header);
  return {
    ...store("npz", zip.size, tensors, unread),
    scratch: (name) => {
      const array = arrays.get(name);
      if (array === undefined) return 0;
      return copied(array.header) + (array.entry.method === 0 ? 0 : array.entry.size);
    },
    *load(name) {
      const array = arrays.get(name);
      if (array === undefined) throw noSuchTensor(source, name, tensors);
      const bytes = yield* readCheckedEntry(zip, array.entry, source);
      return rearranged(bytes.subarray(array.header.end), array.header);
    },
  };
}

interface ArrayEntry {
  readonly entry: ZipEntry;
  readonly header: NpyHeader;
}

/** The header of each array, in the order in which they lie in the file. */
function* readHeaders(
  zip: ZipFile,
  source: Source,
): Reading<{ arrays: ReadonlyMap<string, ArrayEntry>; unread: ReadonlyMap<string, string> }> {
  const arrays = new Map<string, ArrayEntry>();
  const unread = new Map<string, string>();
  const buffer = { bytes: new Uint8Array(0) };
  for (const [path, entry] of zip.entries) {
    const name = path.slice(0, -SUFFIX.length);
    if (name === FORBIDDEN_KEY)
      throw fault(source, "an array may not have this name, which would change a prototype.", name);
    const header = readNpyHeader(yield* readEntryStart(entry, HEADER_WINDOW, buffer, source), entry.size, source, name);
    if ("what" in header) unread.set(name, header.what);
    else arrays.set(name, { entry, header });
  }
  return { arrays, unread };
}

function store(
  format: "npy" | "npz",
  fileSize: number,
  tensors: ReadonlyMap<string, TensorEntry>,
  unread: ReadonlyMap<string, string> = new Map(),
): Omit<TensorStore, "load" | "scratch"> {
  return { format, fileSize, metadata: new Map(), values: plainObject([]), unread, tensors };
}

/** Bytes of an array's elements where they are put into another order. */
function copied({ isBigEndian, isFortran, byteLength }: NpyHeader): number {
  return isBigEndian || isFortran ? byteLength : 0;
}

function rearranged(bytes: Uint8Array, { dtype, shape, isBigEndian, isFortran }: NpyHeader): Uint8Array {
  const itemSize = ITEM_SIZES.get(dtype) ?? 1;
  const little = isBigEndian && itemSize > 1 ? swapped(bytes, itemSize) : bytes;
  if (!isFortran || shape.length < 2) return little;
  let stride = 1;
  const strides = shape.map((n) => {
    stride *= n;
    return stride / n;
  });
  return bytes.byteLength === 0 ? little : rowMajor(little, shape, strides, itemSize);
}
