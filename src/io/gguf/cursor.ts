/** Reading the numbers, texts and lists of a GGUF header in order, from blocks of the file. */
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";

const BLOCK = 2 ** 20;

/** Bytes of a header at most: that of a model of 256,000 tokens is a tenth of it. */
export const MAX_HEADER_BYTES = 2 ** 27;

/** A place in a file that moves on as values are read. */
export class Cursor {
  /** The offset of the next byte. */
  at = 0;
  readonly #source: Source;
  readonly #end: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #from = 0;
  readonly #text = new TextDecoder("utf-8");

  constructor(fileSize: number, source: Source) {
    this.#end = Math.min(fileSize, MAX_HEADER_BYTES);
    this.#source = source;
  }

  /** Bytes that a header may still have. */
  get left(): number {
    return this.#end - this.at;
  }

  /** Whether so many bytes are at hand. */
  has(count: number): boolean {
    return this.at + count <= this.#from + this.#bytes.byteLength;
  }

  /** Reads on until so many bytes are at hand; names what they are where the file ends before. */
  *need(count: number, what: string): Reading<void> {
    if (this.has(count)) return;
    if (!(count <= this.left)) {
      throw fault(
        this.#source,
        `it ends at byte ${this.#end}, within ${what} at byte ${this.at}: it is cut short or damaged.`,
      );
    }
    this.#bytes = yield* take(this.at, Math.min(Math.max(count, BLOCK), this.left));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    this.#from = this.at;
  }

  /** A number that is at hand; 64 bits as a bigint where a double does not hold it. */
  number(kind: NumberKind): number | bigint {
    const at = this.at - this.#from;
    this.at += SIZES[kind];
    switch (kind) {
      case "u8":
        return this.#view.getUint8(at);
      case "i8":
        return this.#view.getInt8(at);
      case "u16":
        return this.#view.getUint16(at, true);
      case "i16":
        return this.#view.getInt16(at, true);
      case "u32":
        return this.#view.getUint32(at, true);
      case "i32":
        return this.#view.getInt32(at, true);
      case "f32":
        return this.#view.getFloat32(at, true);
      case "f64":
        return this.#view.getFloat64(at, true);
      case "u64":
        return plain(this.#view.getBigUint64(at, true));
      case "i64":
        return plain(this.#view.getBigInt64(at, true));
    }
  }

  *read(kind: NumberKind, what: string): Reading<number | bigint> {
    yield* this.need(SIZES[kind], what);
    return this.number(kind);
  }

  /** A number of things, each of which takes bytes of the header. */
  *count(what: string, least: number): Reading<number> {
    const count = yield* this.read("u64", what);
    if (typeof count === "number" && count * least <= this.left) return count;
    throw fault(this.#source, `${what} at byte ${this.at - 8} is ${count}, more than the rest of the file can hold.`);
  }

  /** A text with its length before it. */
  *text(what: string): Reading<string> {
    const length = yield* this.count(`the length of ${what}`, 1);
    if (!this.has(length)) yield* this.need(length, what);
    const at = this.at - this.#from;
    this.at += length;
    return this.#text.decode(this.#bytes.subarray(at, at + length));
  }
}

/** Numbers of a header. */
export type NumberKind = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64" | "u64" | "i64";

export const SIZES: Readonly<Record<NumberKind, number>> = {
  ...{ u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, f64: 8, u64: 8, i64: 8 },
};

const plain = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};
