/** The bytes of JSON, read one after the other: white space, strings and numbers. */
import { utf8Text } from "../bytes/bytes.ts";

/** Bytes of a string that are made text without a decoder. */
const SHORT = 1024;
/** Bytes that are checked at a time. */
const PIECE = 65_536;

/** Raises the caller's error from a text that says what is wrong and where. */
export type JsonFail = (message: string) => never;

/** Whether bytes are UTF-8. */
export function isUtf8(bytes: Uint8Array): boolean {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    // Copied piece by piece, for decoders refuse shared memory in browsers.
    for (let at = 0; at < bytes.length; at += PIECE) decoder.decode(bytes.slice(at, at + PIECE), { stream: true });
    decoder.decode();
    return true;
  } catch {
    return false;
  }
}

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A place in the bytes; each method reads on from there. */
export class JsonText {
  /** The next byte. */
  at = 0;
  readonly #bytes: Uint8Array;
  /** Raises the caller's error. */
  readonly fail: JsonFail;

  constructor(bytes: Uint8Array, fail: JsonFail) {
    this.#bytes = bytes;
    this.fail = fail;
  }

  #byte(at: number): number {
    return this.#bytes[at] ?? -1;
  }

  /** The next byte that is not white space, not consumed; -1 at the end. */
  next(): number {
    for (;;) {
      const c = this.#byte(this.at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return c;
      this.at++;
    }
  }

  /** How many characters lie before a byte. */
  character(at: number): number {
    return utf8Text(this.#bytes.subarray(0, at), { keepBOM: true })?.length ?? at;
  }

  expected(what: string): never {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#bytes.slice(this.at, this.at + 4));
    const found = this.at < this.#bytes.length ? JSON.stringify([...text][0]) : "the end";
    return this.fail(`expected ${what} at character ${this.character(this.at)} of the JSON, found ${found}`);
  }

  take(byte: number): void {
    if (this.next() !== byte) this.expected(`"${String.fromCharCode(byte)}"`);
    this.at++;
  }

  number(): number {
    const start = this.at;
    const first = this.#byte(start) === 0x2d ? start + 1 : start;
    let end = this.#digits(first);
    if (end === first) return this.expected("a value");
    if (this.#byte(first) === 0x30) end = first + 1;
    if (this.#byte(end) === 0x2e && this.#digits(end + 1) > end + 1) end = this.#digits(end + 1);
    if ((this.#byte(end) | 0x20) === 0x65) {
      const sign = this.#byte(end + 1);
      const power = sign === 0x2b || sign === 0x2d ? end + 2 : end + 1;
      if (this.#digits(power) > power) end = this.#digits(power);
    }
    this.at = end;
    return Number(this.ascii(start, end));
  }

  /** Where the digits from a byte on end. */
  #digits(at: number): number {
    let end = at;
    for (let c = this.#byte(end); c >= 0x30 && c <= 0x39; c = this.#byte(end)) end++;
    return end;
  }

  string(): string {
    if (this.next() !== QUOTE) this.expected("a string");
    const start = this.at++;
    let isPlain = true;
    for (;;) {
      const c = this.#byte(this.at);
      if (c === QUOTE) break;
      if (c < 0) this.fail(`the string at character ${this.character(start)} of the JSON does not end`);
      if (c < 0x20 || c > 0x7e || c === BACKSLASH) isPlain = false;
      this.at += c === BACKSLASH ? 2 : 1;
    }
    this.at++;
    if (isPlain) return this.ascii(start + 1, this.at - 1);
    try {
      return JSON.parse(utf8Text(this.#bytes.subarray(start, this.at)) ?? "") as string;
    } catch {
      return this.fail(
        `the string at character ${this.character(start)} of the JSON holds a bad escape or a control character`,
      );
    }
  }

  ascii(start: number, end: number): string {
    const bytes = this.#bytes.subarray(start, end);
    return bytes.length <= SHORT ? String.fromCharCode(...bytes) : (utf8Text(bytes) ?? "");
  }
}
