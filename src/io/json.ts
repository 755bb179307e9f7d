/**
 * A strict JSON reader for headers of binary files: objects have no prototype, so no key can reach one, and a key that appears
 * twice is refused, where `JSON.parse` keeps the last and so lets two readers see two different files. It reads bytes where they lie,
 * since their text may take four times as many, and what it makes is bounded: a megabyte of brackets would be many of objects.
 */
import { utf8Text } from "./bytes.ts";
import type { PlainValue } from "./plain.ts";

/** Objects and arrays may be nested this deep; a safetensors header needs three levels. */
const MAX_DEPTH = 16;
const LITERALS: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
/** Bytes of a string that are made text without a decoder. */
const SHORT = 1024;
/** Bytes that are checked at a time. */
const PIECE = 65_536;

/** How much of a kind a value may hold. */
export interface JsonBudget {
  /** Objects and arrays. */
  readonly containers: number;
  /** Values of any kind. */
  readonly values: number;
}

/** What takes the members of an object as they are read. */
export interface JsonMembers {
  /** Whether a key was added before. */
  has(key: string): boolean;
  add(key: string, value: PlainValue): void;
  /** What the value of a key may hold. */
  budgetOf(key: string): JsonBudget;
}

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

/** Reads one JSON value, which must fill the bytes but for white space; they are UTF-8. */
export function parseStrictJson(bytes: Uint8Array, budget: JsonBudget, fail: JsonFail): PlainValue {
  const reader = new Reader(bytes, fail);
  const value = reader.value(budget, 0);
  reader.end();
  return value;
}

/**
 * Reads one JSON object, which must fill the bytes but for white space, a member at a time, so that no tree of all is made.
 *
 * @returns false where they hold something else than an object.
 */
export function eachMember(bytes: Uint8Array, members: JsonMembers, fail: JsonFail): boolean {
  const reader = new Reader(bytes, fail);
  if (!reader.isAtObject()) {
    reader.value(OTHER, 0);
    reader.end();
    return false;
  }
  reader.members((key, start) => {
    if (members.has(key)) reader.twice(key, start);
    members.add(key, reader.value(members.budgetOf(key), 1));
  });
  reader.end();
  return true;
}

/** What is read where an object should be, only to see whether it is JSON. */
const OTHER: JsonBudget = { containers: 1000, values: 10_000 };
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** A place in the bytes; each method reads on from there. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #fail: JsonFail;
  #at = 0;
  #containers = 0;
  #values = 0;

  constructor(bytes: Uint8Array, fail: JsonFail) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  isAtObject(): boolean {
    return this.#next() === OPEN_OBJECT;
  }

  end(): void {
    if (this.#next() >= 0) this.#expected("the end");
  }

  value({ containers, values }: JsonBudget, depth: number): PlainValue {
    this.#containers = containers;
    this.#values = values;
    return this.#value(depth);
  }

  /** An object's members; `member` is called before each value with its key and the key's place. */
  members(member: (key: string, start: number) => void): void {
    this.#list(OPEN_OBJECT, CLOSE_OBJECT, () => {
      this.#next();
      const start = this.#at;
      const key = this.#string();
      this.#take(COLON);
      member(key, start);
    });
  }

  twice(key: string, start: number): never {
    return this.#fail(
      `the key ${JSON.stringify(key)} appears a second time at character ${this.#character(start)} of the JSON`,
    );
  }

  #byte(at: number): number {
    return this.#bytes[at] ?? -1;
  }

  /** The next byte that is not white space, not consumed; -1 at the end. */
  #next(): number {
    for (;;) {
      const c = this.#byte(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return c;
      this.#at++;
    }
  }

  /** How many characters lie before a byte. */
  #character(at: number): number {
    return utf8Text(this.#bytes.subarray(0, at), { keepBOM: true })?.length ?? at;
  }

  #expected(what: string): never {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#bytes.slice(this.#at, this.#at + 4));
    const found = this.#at < this.#bytes.length ? JSON.stringify([...text][0]) : "the end";
    return this.#fail(`expected ${what} at character ${this.#character(this.#at)} of the JSON, found ${found}`);
  }

  #take(byte: number): void {
    if (this.#next() !== byte) this.#expected(`"${String.fromCharCode(byte)}"`);
    this.#at++;
  }

  #value(depth: number): PlainValue {
    const c = this.#next();
    if (--this.#values < 0) this.#tooMany("values");
    if (depth > MAX_DEPTH) {
      this.#fail(`the JSON is nested deeper than ${MAX_DEPTH} levels at character ${this.#character(this.#at)}`);
    }
    if (c === QUOTE) return this.#string();
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (--this.#containers < 0) this.#tooMany("objects");
      return c === OPEN_OBJECT ? this.#object(depth) : this.#array(depth);
    }
    for (const [word, value] of LITERALS) {
      if (c !== word.charCodeAt(0) || this.#ascii(this.#at, this.#at + word.length) !== word) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  #number(): number {
    const start = this.#at;
    const first = this.#byte(start) === 0x2d ? start + 1 : start;
    let end = this.#digits(first);
    if (end === first) return this.#expected("a value");
    if (this.#byte(first) === 0x30) end = first + 1;
    if (this.#byte(end) === 0x2e && this.#digits(end + 1) > end + 1) end = this.#digits(end + 1);
    if ((this.#byte(end) | 0x20) === 0x65) {
      const sign = this.#byte(end + 1);
      const power = sign === 0x2b || sign === 0x2d ? end + 2 : end + 1;
      if (this.#digits(power) > power) end = this.#digits(power);
    }
    this.#at = end;
    return Number(this.#ascii(start, end));
  }

  /** Where the digits from a byte on end. */
  #digits(at: number): number {
    let end = at;
    for (let c = this.#byte(end); c >= 0x30 && c <= 0x39; c = this.#byte(end)) end++;
    return end;
  }

  #tooMany(what: string): never {
    return this.#fail(
      `the JSON holds more ${what} than a header of its size has, at character ${this.#character(this.#at)}`,
    );
  }

  #object(depth: number): PlainValue {
    const object = Object.create(null) as Record<string, PlainValue>;
    this.members((key, start) => {
      if (key in object) this.twice(key, start);
      object[key] = this.#value(depth + 1);
    });
    return object;
  }

  #array(depth: number): readonly PlainValue[] {
    const items: PlainValue[] = [];
    this.#list(OPEN_ARRAY, CLOSE_ARRAY, () => items.push(this.#value(depth + 1)));
    return items;
  }

  /** Brackets around items with commas between them. */
  #list(open: number, close: number, item: () => void): void {
    this.#take(open);
    if (this.#next() !== close) {
      item();
      while (this.#next() === COMMA) {
        this.#at++;
        item();
      }
      if (this.#next() !== close) this.#expected(`"," or "${String.fromCharCode(close)}"`);
    }
    this.#at++;
  }

  #string(): string {
    if (this.#next() !== QUOTE) this.#expected("a string");
    const start = this.#at++;
    let isPlain = true;
    for (;;) {
      const c = this.#byte(this.#at);
      if (c === QUOTE) break;
      if (c < 0) this.#fail(`the string at character ${this.#character(start)} of the JSON does not end`);
      if (c < 0x20 || c > 0x7e || c === BACKSLASH) isPlain = false;
      this.#at += c === BACKSLASH ? 2 : 1;
    }
    this.#at++;
    if (isPlain) return this.#ascii(start + 1, this.#at - 1);
    try {
      return JSON.parse(utf8Text(this.#bytes.subarray(start, this.#at)) ?? "") as string;
    } catch {
      return this.#fail(
        `the string at character ${this.#character(start)} of the JSON holds a bad escape or a control character`,
      );
    }
  }

  #ascii(start: number, end: number): string {
    const bytes = this.#bytes.subarray(start, end);
    return bytes.length <= SHORT ? String.fromCharCode(...bytes) : (utf8Text(bytes) ?? "");
  }
}
