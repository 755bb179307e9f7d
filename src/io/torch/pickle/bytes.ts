/** The bytes of a pickle, read one after the other: opcodes, numbers, strings and bytes. */
import { shortAscii } from "../../bytes/bytes.ts";
import { quoted } from "../../bytes/fault.ts";
import { PickleBinary } from "./values.ts";
import type { PickleValue } from "./values.ts";

/** How a pickle is read. */
export interface PickleOptions {
  /** Raises the caller's error from what is wrong and the byte where it is. */
  readonly fail: (message: string, at: number) => never;
  /** Raises what shall be raised where the bytes end before the pickle does. */
  readonly cut: (at: number) => never;
  /** What a persistent id stands for: a storage. */
  readonly persistent?: (id: PickleValue, at: number) => PickleValue;
}

/** Bytes of an integer; the longest that torch writes has 10. */
const MAX_INTEGER = 64;
const MAX_LINE = 256;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A place in the bytes; each method reads on from there. */
export class PickleBytes {
  /** The next byte. */
  at: number;
  /** The opcode being read, for error texts. */
  op: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: PickleOptions;

  constructor(bytes: Uint8Array, start: number, options: PickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
    this.at = start;
    this.op = start;
  }

  opcode(): number {
    this.op = this.at;
    return this.u8();
  }

  fail(message: string): never {
    return this.#options.fail(message, this.op);
  }

  /** The place of the next `length` bytes, which are passed over. */
  next(length: number): number {
    const at = this.at;
    if (at + length > this.#bytes.byteLength) this.#options.cut(this.op);
    this.at = at + length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.next(1));
  }

  i32(): number {
    return this.#view.getInt32(this.next(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.next(4), true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.next(8), true));
  }

  text(length: number): string {
    const at = this.next(length);
    return this.#textAt(at, length) ?? this.fail("a string is not UTF-8 text");
  }

  /** A string of Python 2, which may be text or bytes. */
  textOrBinary(length: number): string | PickleBinary {
    const at = this.next(length);
    return this.#textAt(at, length) ?? new PickleBinary(this.#bytes.subarray(at, at + length));
  }

  binary(length: number): PickleBinary {
    const at = this.next(length);
    return new PickleBinary(this.#bytes.subarray(at, at + length));
  }

  #textAt(at: number, length: number): string | undefined {
    const short = shortAscii(this.#bytes, at, at + length);
    if (short !== undefined) return short;
    try {
      return utf8.decode(this.#bytes.slice(at, at + length));
    } catch {
      return undefined;
    }
  }

  /** A line, without its end. */
  line(): string {
    const start = this.at;
    const end = this.#bytes.subarray(start, start + MAX_LINE).indexOf(0x0a);
    if (end < 0) {
      if (start + MAX_LINE > this.#bytes.byteLength) this.#options.cut(this.op);
      this.fail(`a line is longer than ${MAX_LINE} bytes`);
    }
    const line = this.text(end);
    this.at++;
    return line;
  }

  u16(): number {
    return this.#view.getUint16(this.next(2), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.next(8), false);
  }

  /** A little-endian integer in two's complement. */
  long(length: number): number | bigint {
    if (length > MAX_INTEGER)
      this.fail(`an integer of ${length} bytes is longer than the ${MAX_INTEGER} that are read`);
    const at = this.next(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i));
    return narrow(BigInt.asIntN(8 * length, value));
  }

  /** An integer in decimal digits, as protocols 0 and 1 write it; `00` and `01` are bools. */
  decimal(): number | bigint | boolean {
    const line = this.line();
    if (line === "00" || line === "01") return line === "01";
    if (!/^-?[0-9]{1,150}L?$/.test(line)) this.fail(`${quoted(line)} is not an integer`);
    return narrow(BigInt(line.replace("L", "")));
  }
}

/** The number, string, bytes, bool or None of an opcode that stands for one; `undefined` for every other. */
export function readScalar(code: number, bytes: PickleBytes): PickleValue | undefined {
  switch (code) {
    case 0x4e: // NONE
      return null;
    case 0x88: // NEWTRUE
      return true;
    case 0x89: // NEWFALSE
      return false;
    case 0x4b: // BININT1
      return bytes.u8();
    case 0x4d: // BININT2
      return bytes.u16();
    case 0x4a: // BININT
      return bytes.i32();
    case 0x8a: // LONG1
      return bytes.long(bytes.u8());
    case 0x8b: // LONG4
      return bytes.long(bytes.u32());
    case 0x49: // INT
    case 0x4c: // LONG
      return bytes.decimal();
    case 0x47: // BINFLOAT
      return bytes.f64();
    case 0x58: // BINUNICODE
      return bytes.text(bytes.u32());
    case 0x54: // BINSTRING
      return bytes.textOrBinary(bytes.u32());
    case 0x8c: // SHORT_BINUNICODE
      return bytes.text(bytes.u8());
    case 0x55: // SHORT_BINSTRING
      return bytes.textOrBinary(bytes.u8());
    case 0x8d: // BINUNICODE8
      return bytes.text(bytes.u64());
    case 0x43: // SHORT_BINBYTES
      return bytes.binary(bytes.u8());
    case 0x42: // BINBYTES
      return bytes.binary(bytes.u32());
    case 0x8e: // BINBYTES8
    case 0x96: // BYTEARRAY8
      return bytes.binary(bytes.u64());
    default:
      return undefined;
  }
}

function narrow(value: bigint): number | bigint {
  return value > -(2n ** 53n) && value < 2n ** 53n ? Number(value) : value;
}

/** Opcodes that are known and refused. */
export const REFUSED: ReadonlyMap<number, string> = new Map([
  ...[0x82, 0x83, 0x84].map((code) => [code, "names an extension, which is not read"] as const),
  ...[0x97, 0x98].map((code) => [code, "stands for bytes outside the pickle, which are not read"] as const),
  ...[0x53, 0x56, 0x46, 0x50, 0x67, 0x70, 0x64, 0x6c].map(
    (code) => [code, "is of protocol 0, which torch does not write"] as const,
  ),
]);
