/** Bytes and JSON as callers hand them in. */
import { FormatError, InputError, isPromise } from "../../errors.ts";

/**
 * What readers take: a `Uint8Array` (a Node `Buffer` is one) or an `ArrayBuffer`, such as
 * `await response.arrayBuffer()`.
 * @category Files
 */
export type Bytes = Uint8Array | ArrayBuffer;

/** Whether a value is {@link Bytes}, from whichever realm it comes. */
export function isBytes(value: unknown): value is Bytes {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object Uint8Array]" || tag === "[object ArrayBuffer]";
}

/** The same bytes as a `Uint8Array`, without a copy. */
export function toBytes(value: Bytes, operation: string, argument: string): Uint8Array {
  if (!isBytes(value)) {
    throw new InputError(
      `${argument} must be a Uint8Array or an ArrayBuffer, not ${describeValue(value)}. Read the file first, as with await readFile(path) or await response.arrayBuffer().`,
      { operation, argument, expected: "Uint8Array | ArrayBuffer", actual: value },
    );
  }
  if (!ArrayBuffer.isView(value)) return new Uint8Array(value);
  // A plain Uint8Array even of a Buffer, whose slice() does not copy.
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** A value's kind and, where short, the value: for error texts. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string")
    return value.length > 40 ? `a string of length ${value.length}` : JSON.stringify(value);
  if (isPromise(value)) return "a Promise (write await before the call that gave it)";
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  if (typeof value === "function") return "a function";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : `a ${typeof value}`;
}

/**
 * JSON as an object that is already parsed, as text or as UTF-8 bytes.
 *
 * @param what - what it is, for the error text: `config.json`.
 */
export function toJson(value: unknown, operation: string, what: string): unknown {
  if (isPromise(value)) {
    throw new InputError(`${what} is ${describeValue(value)}.`, { operation, argument: what, actual: value });
  }
  if (typeof value !== "string" && !isBytes(value)) return value;
  const text = typeof value === "string" ? value : decodeUtf8(toBytes(value, operation, what), operation, what);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FormatError(
      `${what} is not JSON: ${(cause as Error).message}.`,
      { operation, argument: what },
      { cause },
    );
  }
}

function decodeUtf8(bytes: Uint8Array, operation: string, what: string): string {
  const text = utf8Text(bytes);
  if (text !== undefined) return text;
  throw new FormatError(`${what} is not UTF-8 text.`, { operation, argument: what });
}

/** Bytes of a text that is made without a decoder. */
const SHORT = 256;

/** A short text of ASCII characters, made without a view or a copy of the bytes; `undefined` for any other text. */
export function shortAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > SHORT) return undefined;
  const codes: number[] = [];
  for (let i = start; i < end; i++) {
    const code = bytes[i] ?? 0;
    if (code > 0x7e) return undefined;
    codes.push(code);
  }
  return String.fromCharCode(...codes);
}

/** UTF-8 bytes as text, `undefined` where they are none. A byte order mark is dropped unless it is asked for. */
export function utf8Text(bytes: Uint8Array, { keepBOM = false } = {}): string | undefined {
  const isShared = Object.prototype.toString.call(bytes.buffer) === "[object SharedArrayBuffer]";
  try {
    // TextDecoder refuses shared memory in browsers.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: keepBOM }).decode(isShared ? bytes.slice() : bytes);
  } catch {
    return undefined;
  }
}
