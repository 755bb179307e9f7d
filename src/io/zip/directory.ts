/** The directory of a ZIP archive, at the end of the file. */
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";

/** One file in an archive. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes that the name takes. */
  readonly nameLength: number;
  /** 0 stored, 8 deflated. */
  readonly method: 0 | 8;
  readonly size: number;
  readonly compressedSize: number;
  readonly crc32: number;
  /** Where its own header lies, before its bytes. */
  readonly headerOffset: number;
  /** Where the next entry, or the directory, begins. */
  readonly limit: number;
}

const END = 0x06054b50;
const END_SIZE = 22;
const END_64 = 0x06064b50;
const END_64_SIZE = 56;
const LOCATOR_64 = 0x07064b50;
const LOCATOR_64_SIZE = 20;
const CENTRAL = 0x02014b50;
const CENTRAL_SIZE = 46;
const LOCAL_SIZE = 30;
const MAX_COMMENT = 0xffff;
const MAX_ENTRIES = 250_000;

interface Directory {
  readonly count: number;
  /** Whether the count is a ZIP64 record's; that of others is the last 16 bits of it. */
  readonly is64: boolean;
  readonly offset: number;
  readonly size: number;
}

/** Reads the directory; names are unique, and entries lie within the file, one after the other. */
export function* readDirectory(fileSize: number, source: Source): Reading<ReadonlyMap<string, ZipEntry>> {
  const directory = yield* findDirectory(fileSize, source);
  const most = Math.floor(directory.size / CENTRAL_SIZE);
  if (directory.count > Math.min(MAX_ENTRIES, most)) {
    throw fault(
      source,
      `the ZIP directory says that it has ${directory.count} entries in ${directory.size} bytes; at most ${MAX_ENTRIES} are read, of at least ${CENTRAL_SIZE} bytes each.`,
    );
  }
  const bytes = yield* take(directory.offset, directory.size);
  const entries = readEntries(bytes, directory, source);
  entries.sort((a, b) => a.headerOffset - b.headerOffset);
  const named = new Map<string, ZipEntry>();
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Placed;
    const limit = entries[i + 1]?.headerOffset ?? directory.offset;
    if (entry.headerOffset + LOCAL_SIZE + entry.nameLength + entry.compressedSize > limit) {
      throw fault(
        source,
        `entry ${quoted(entry.name)}: its ${entry.compressedSize} bytes, with a header at offset ${entry.headerOffset}, reach beyond offset ${limit}, where something else begins.`,
      );
    }
    if (named.has(entry.name)) throw fault(source, `two entries of the ZIP archive are called ${quoted(entry.name)}.`);
    entry.limit = limit;
    named.set(entry.name, entry);
  }
  return named;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit size or offset; one beyond 2^53 is beyond every file. */
function uint64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function* findDirectory(fileSize: number, source: Source): Reading<Directory> {
  const tailStart = Math.max(0, fileSize - END_SIZE - MAX_COMMENT);
  const tail = viewOf(yield* take(tailStart, fileSize - tailStart));
  let end = tail.byteLength - END_SIZE;
  while (end >= 0 && !isEnd(tail, end)) end--;
  if (end < 0) {
    throw fault(
      source,
      "the file begins as a ZIP archive but the archive's directory is not at its end. It is cut short.",
    );
  }
  const at = tailStart + end;
  const count = tail.getUint16(end + 10, true);
  const size = tail.getUint32(end + 12, true);
  const offset = tail.getUint32(end + 16, true);
  if (tail.getUint16(end + 4, true) !== tail.getUint16(end + 6, true)) {
    throw fault(source, "the ZIP archive is one of several parts, which are not read.");
  }
  const is64 = count === 0xffff || size === 0xffffffff || offset === 0xffffffff;
  const directory = is64 ? yield* readEnd64(at, source) : { count, is64, size, offset };
  if (directory.offset + directory.size > at) {
    throw fault(
      source,
      `the ZIP directory should take ${directory.size} bytes from offset ${directory.offset}, but it must end before offset ${at}.`,
    );
  }
  return directory;
}

function isEnd(tail: DataView, at: number): boolean {
  return tail.getUint32(at, true) === END && at + END_SIZE + tail.getUint16(at + 20, true) === tail.byteLength;
}

function* readEnd64(end: number, source: Source): Reading<Directory> {
  const broken = (): Error => fault(source, `the ZIP64 record before offset ${end} is missing or damaged.`);
  if (end < LOCATOR_64_SIZE) throw broken();
  const locator = viewOf(yield* take(end - LOCATOR_64_SIZE, LOCATOR_64_SIZE));
  if (locator.getUint32(0, true) !== LOCATOR_64) throw broken();
  const at = uint64(locator, 8);
  if (at + END_64_SIZE > end - LOCATOR_64_SIZE) throw broken();
  const record = viewOf(yield* take(at, END_64_SIZE));
  if (record.getUint32(0, true) !== END_64) throw broken();
  return { count: uint64(record, 32), is64: true, size: uint64(record, 40), offset: uint64(record, 48) };
}

/** An entry whose limit is set once all entries are known. */
type Placed = Omit<ZipEntry, "limit"> & { limit: number };

function readEntries(bytes: Uint8Array, { count, is64, offset, size }: Directory, source: Source): Placed[] {
  const view = viewOf(bytes);
  const entries: Placed[] = [];
  let at = 0;
  for (let i = 0; i < count || (at < size && i < MAX_ENTRIES); i++) {
    if (at + CENTRAL_SIZE > size || view.getUint32(at, true) !== CENTRAL) {
      throw fault(source, `entry ${i} of the ZIP directory, at offset ${offset + at}, is missing or damaged.`);
    }
    const length =
      CENTRAL_SIZE + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (at + length > size) {
      throw fault(source, `entry ${i} of the ZIP directory, at offset ${offset + at}, reaches beyond its end.`);
    }
    entries.push(readEntry(bytes.subarray(at, at + length), i, offset + at, source));
    at += length;
  }
  if (at !== size || (is64 ? entries.length : entries.length % 0x10000) !== count) {
    throw fault(
      source,
      `the ZIP directory says that it has ${count} entries, but its ${size} bytes from offset ${offset} hold ${at === size ? entries.length : "more"}.`,
    );
  }
  return entries;
}

function readEntry(bytes: Uint8Array, index: number, offset: number, source: Source): Placed {
  const view = viewOf(bytes);
  const nameLength = view.getUint16(28, true);
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.slice(CENTRAL_SIZE, CENTRAL_SIZE + nameLength),
    );
  } catch {
    throw fault(source, `the name of entry ${index} of the ZIP directory, at offset ${offset}, is not UTF-8 text.`);
  }
  const wrong = (what: string): Error => fault(source, `entry ${quoted(name)}: ${what}.`);
  const flags = view.getUint16(8, true);
  if ((flags & 0x2041) !== 0) throw wrong("it is encrypted, which is not read");
  const method = view.getUint16(10, true);
  if (method !== 0 && method !== 8) {
    throw wrong(`it is compressed by method ${method}; only stored (0) and deflated (8) entries are read`);
  }
  const { size, compressedSize, headerOffset } = sizesOf(view, nameLength, wrong);
  if (method === 0 && size !== compressedSize) {
    throw wrong(`it is stored, yet its sizes ${compressedSize} and ${size} differ`);
  }
  return { name, nameLength, method, size, compressedSize, crc32: view.getUint32(16, true), headerOffset, limit: 0 };
}

/** The sizes and the offset of an entry, of which those that do not fit 32 bits stand in its ZIP64 field. */
function sizesOf(
  view: DataView,
  nameLength: number,
  wrong: (what: string) => Error,
): { size: number; compressedSize: number; headerOffset: number } {
  const values = [view.getUint32(24, true), view.getUint32(20, true), view.getUint32(42, true)];
  const field = values.includes(0xffffffff) ? field64(view, nameLength) : undefined;
  let at = 0;
  const [size = 0, compressedSize = 0, headerOffset = 0] = values.map((value) => {
    if (value !== 0xffffffff || field === undefined) return value;
    if (at + 8 > field.byteLength) throw wrong("its ZIP64 field is cut short");
    at += 8;
    return uint64(field, at - 8);
  });
  return { size, compressedSize, headerOffset };
}

function field64(view: DataView, nameLength: number): DataView | undefined {
  const end = CENTRAL_SIZE + nameLength + view.getUint16(30, true);
  for (let at = CENTRAL_SIZE + nameLength; at + 4 <= end;) {
    const length = view.getUint16(at + 2, true);
    if (at + 4 + length > end) return undefined;
    if (view.getUint16(at, true) === 1) return new DataView(view.buffer, view.byteOffset + at + 4, length);
    at += 4 + length;
  }
  return undefined;
}
