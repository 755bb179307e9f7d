/**
 * Readers that do not care where bytes come from. A reader is a generator: it yields the range of bytes that it needs
 * next and is handed those bytes. {@link readNow} runs one over bytes in memory, {@link readFrom} over anything with
 * random access, so that each format is written once.
 */
import { CircuitsError, InputError } from "../../errors.ts";
import { describeValue, isBytes, toBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import type { Source } from "./fault.ts";

/** Bytes `begin` to `end`, `end` not included. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

/** A reader of a `T`. */
export type Reading<T> = Generator<ByteRange, T, Uint8Array>;

/**
 * Random access to the bytes of a file, wherever it lies: on a disk, behind a URL, in a database.
 * @category Files
 */
export interface ByteSource {
  /** The length of the file in bytes. */
  readonly size: number;
  /** The bytes from `begin` up to `end`, which is not included: exactly `end - begin` of them. */
  read(begin: number, end: number): Promise<Uint8Array>;
  /** Lets go of the file. */
  close?(): Promise<void>;
}

/**
 * What is used of a browser's `Blob` or `File`.
 * @category Files
 */
export interface BlobLike {
  /** The length in bytes. */
  readonly size: number;
  /** A part of it, not read yet. */
  slice(
    begin: number,
    end: number,
  ): {
    /** Its bytes, read now. */
    arrayBuffer(): Promise<ArrayBuffer>;
  };
}

/**
 * A file as readers take it: its bytes, a `Blob` or `File`, or random access to it. Of the latter two only what is
 * asked for is read.
 * @category Files
 */
export type FileInput = Bytes | BlobLike | ByteSource;

/** A range of bytes, given by its length. */
export function* take(begin: number, length: number): Reading<Uint8Array> {
  return length === 0 ? new Uint8Array(0) : yield { begin, end: begin + length };
}

/** Bytes between ranges that are still read one after the other, how many of them make a row, and the largest block. */
const NEAR = 4096;
const ROW = 3;
const BLOCK = 2 ** 16;

/**
 * A reader of many small ranges that mostly follow each other, read in blocks: where some in a row did, ever more is
 * read ahead; for one that lies elsewhere nothing is. What the reader is handed are views of a block.
 *
 * @param fileSize - beyond which nothing can be read ahead.
 */
export function* readAhead<T>(reading: Reading<T>, fileSize: number): Reading<T> {
  let block: Uint8Array = new Uint8Array(0);
  let from = 0;
  let row = 0;
  let step = reading.next();
  while (step.done !== true) {
    const { begin, end } = step.value;
    const to = from + block.byteLength;
    if (begin < from || end > to) {
      row = begin >= from && begin <= to + NEAR ? row + 1 : 0;
      const ahead = row < ROW ? 0 : Math.min(BLOCK, 2 ** (row + 7), fileSize - begin);
      from = begin;
      block = yield* take(begin, Math.max(end - begin, ahead));
    }
    step = reading.next(block.subarray(begin - from, end - from));
  }
  return step.value;
}

/** Runs a reader over bytes in memory; what it is handed are views. */
export function readNow<T>(bytes: Uint8Array, reading: Reading<T>): T {
  let step = reading.next();
  while (step.done !== true) step = reading.next(bytes.subarray(step.value.begin, step.value.end));
  return step.value;
}

/** Runs a reader over random access. */
export async function readFrom<T>(
  input: ByteSource,
  reading: Reading<T>,
  source: Source,
  signal: AbortSignal | undefined,
): Promise<T> {
  let step = reading.next();
  while (step.done !== true) {
    signal?.throwIfAborted();
    const { begin, end } = step.value;
    const bytes = await readRange(input, begin, end, source, signal);
    step = reading.next(bytes);
  }
  return step.value;
}

async function readRange(
  input: ByteSource,
  begin: number,
  end: number,
  source: Source,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const cannot = (why: string, cause?: unknown): InputError =>
    new InputError(
      `cannot read bytes ${begin} to ${end} of ${source.name}: ${why}.`,
      { operation: source.operation, argument: source.name },
      cause === undefined ? {} : { cause },
    );
  let bytes: Uint8Array;
  try {
    bytes = await input.read(begin, end);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof CircuitsError) throw cause;
    throw cannot(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (bytes.byteLength !== end - begin) {
    throw cannot(
      `${bytes.byteLength} bytes came instead of ${end - begin}. The file may have changed while it was read`,
    );
  }
  return bytes;
}

/** Random access to any {@link FileInput}. */
export function toByteSource(input: FileInput, operation: string): ByteSource {
  if (isBytes(input)) {
    const bytes = toBytes(input, operation, "file");
    return { size: bytes.byteLength, read: (begin, end) => Promise.resolve(bytes.subarray(begin, end)) };
  }
  const has = (method: string): boolean =>
    typeof input === "object" && input !== null && typeof Reflect.get(input, method) === "function";
  const size: unknown = has("read") || has("slice") ? input.size : undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0 || Array.isArray(input)) {
    throw new InputError(
      `a file must be a Uint8Array, an ArrayBuffer, a Blob or an object with size and read(begin, end), not ${describeValue(input)}.`,
      { operation, argument: "file", expected: "Uint8Array | ArrayBuffer | Blob | ByteSource", actual: input },
    );
  }
  if (has("read")) return input as ByteSource;
  const blob = input as BlobLike;
  return {
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
  };
}

/**
 * Bytes that reading one tensor may allocate beyond those that the file stores for it: what is inflated, gathered from
 * strides and decoded. A small file that says it holds gigabytes is refused.
 */
export function allowance(fileSize: number): number {
  return 3 * fileSize + 48 * 2 ** 20;
}
