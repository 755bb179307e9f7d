/**
 * Reading ZIP archives, as `torch.save` and `numpy.savez` write them: entries stored or deflated, ZIP64. Sizes are
 * taken from the directory at the end of the file and checked against the file before anything is allocated. Format:
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import { Inflate, inflateSync } from "fflate";
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { allowance, take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { readDirectory } from "./directory.ts";
import type { ZipEntry } from "./directory.ts";

/** The most bytes that one byte of deflated data can become. */
const MAX_RATIO = 1032;
const LOCAL_HEADER = 0x04034b50;

/** An open archive. */
export interface ZipFile {
  readonly size: number;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

/** Reads and checks the directory of an archive. */
export function* openZip(size: number, source: Source): Reading<ZipFile> {
  return { size, entries: yield* readDirectory(size, source) };
}

/** Where the bytes of an entry begin in the file. */
export function* entryStart(entry: ZipEntry, source: Source): Reading<number> {
  const bytes = yield* take(entry.headerOffset, 30);
  const header = new DataView(bytes.buffer, bytes.byteOffset, 30);
  const start = entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (
    header.getUint32(0, true) !== LOCAL_HEADER ||
    header.getUint16(8, true) !== entry.method ||
    header.getUint16(26, true) !== entry.nameLength
  ) {
    throw fault(source, `entry ${quoted(entry.name)}: the header at offset ${entry.headerOffset} is not its own.`);
  }
  if (start + entry.compressedSize > entry.limit) {
    throw fault(
      source,
      `entry ${quoted(entry.name)}: its ${entry.compressedSize} bytes from offset ${start} reach beyond offset ${entry.limit}, where something else begins.`,
    );
  }
  return start;
}

/** The bytes of an entry, inflated where it is deflated. */
export function* readEntry(zip: ZipFile, entry: ZipEntry, source: Source): Reading<Uint8Array> {
  const start = yield* entryStart(entry, source);
  const bytes = yield* take(start, entry.compressedSize);
  return entry.method === 0 ? bytes : inflate(bytes, entry, zip.size, source);
}

/** Entries up to this size that are read whole are inflated into one buffer, one after the other. */
const BUFFER = 2 ** 20;

/**
 * The beginning of an entry: at least `length` bytes of it, where it has as many and does not shrink to nearly nothing.
 *
 * @param buffer - one for all entries of an archive, empty at first: each overwrites what the last one left in it.
 */
export function* readEntryStart(
  entry: ZipEntry,
  length: number,
  buffer: { bytes: Uint8Array },
  source: Source,
): Reading<Uint8Array> {
  const start = yield* entryStart(entry, source);
  const bytes = yield* take(start, Math.min(length, entry.compressedSize));
  if (entry.method === 0) return bytes;
  if (bytes.byteLength === entry.compressedSize && entry.size < BUFFER) {
    if (buffer.bytes.byteLength <= entry.size) buffer.bytes = new Uint8Array(Math.max(65_536, 2 * entry.size));
    return inflateInto(bytes, buffer.bytes.subarray(0, entry.size + 1), entry, source);
  }
  const parts: Uint8Array[] = [];
  try {
    new Inflate((part) => parts.push(part)).push(bytes);
  } catch (cause) {
    throw notDeflated(entry, cause as Error, source);
  }
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

function notDeflated({ name, compressedSize }: ZipEntry, cause: Error, source: Source): Error {
  return fault(source, `entry ${quoted(name)}: ${compressedSize} deflated bytes are not valid: ${cause.message}.`);
}

/** {@link readEntry} for archives that keep their checksums; those of PyTorch may not. */
export function* readCheckedEntry(zip: ZipFile, entry: ZipEntry, source: Source): Reading<Uint8Array> {
  const bytes = yield* readEntry(zip, entry, source);
  if (crc32(bytes) === entry.crc32) return bytes;
  throw fault(source, `entry ${quoted(entry.name)}: its bytes are not those of which its checksum was taken.`);
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 0 ? c >>> 1 : (c >>> 1) ^ 0xedb88320;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = -1;
  for (let i = 0; i < bytes.length; i++) c = (c >>> 8) ^ (CRC[(c ^ (bytes[i] as number)) & 0xff] as number);
  return ~c >>> 0;
}

function inflate(bytes: Uint8Array, entry: ZipEntry, fileSize: number, source: Source): Uint8Array {
  const { name, size, compressedSize } = entry;
  const what = `entry ${quoted(name)}: ${compressedSize} deflated bytes`;
  if (size > MAX_RATIO * compressedSize) {
    throw fault(source, `${what} cannot become the ${size} that its directory says.`, undefined, size, compressedSize);
  }
  if (size > allowance(fileSize)) {
    throw fault(
      source,
      `${what} should become ${size}, far more than a file of ${fileSize} bytes can mean. This may be a zip bomb; if not, store the entry without compression.`,
      undefined,
      allowance(fileSize),
      size,
    );
  }
  // One byte more than announced, so that an entry that goes on is seen.
  const inflated = inflateInto(bytes, new Uint8Array(size + 1), entry, source);
  if (inflated.byteLength !== size) {
    const found = inflated.byteLength > size ? "more" : String(inflated.byteLength);
    throw fault(source, `${what} become ${found}, not the ${size} that its directory says.`);
  }
  return inflated;
}

function inflateInto(bytes: Uint8Array, out: Uint8Array, entry: ZipEntry, source: Source): Uint8Array {
  try {
    return inflateSync(bytes, { out });
  } catch (cause) {
    throw notDeflated(entry, cause as Error, source);
  }
}
