/**
 * A strict JSON reader for headers of binary files: objects have no prototype, so no key can reach one, and a key that
 * appears twice is refused, where `JSON.parse` keeps the last and so lets two readers see two different files. It reads
 * bytes where they lie, since their text may take four times as many, and what it makes is bounded: a megabyte of
 * brackets would be many of objects.
 */
import { JsonText, QUOTE } from "./json-text.ts";
import type { JsonFail } from "./json-text.ts";
import type { PlainValue } from "./plain.ts";

/** Objects and arrays may be nested this deep; a safetensors header needs three levels. */
const MAX_DEPTH = 16;
const LITERALS: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
const NON_FINITE: readonly (readonly [string, number])[] = [
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
];
/** How much of a kind a value may hold. */
export interface JsonBudget {
  /** Objects and arrays. */
  readonly containers: number;
  /** Values of any kind. */
  readonly values: number;
}

/** Takes the members of an object as they are read. */
export interface JsonMembers {
  /** Whether a key was added before. */
  has(key: string): boolean;
  add(key: string, value: PlainValue): void;
  /** What the value of a key may hold. */
  budgetOf(key: string): JsonBudget;
}

/** How {@link parseStrictJson} reads. */
export interface JsonDialect {
  /** Whether `NaN`, `Infinity` and `-Infinity` are numbers, as Python's `json` writes them. */
  readonly nonFinite?: boolean;
}

/** Reads one JSON value, which must fill the bytes but for white space; they are UTF-8. */
export function parseStrictJson(
  bytes: Uint8Array,
  budget: JsonBudget,
  fail: JsonFail,
  dialect: JsonDialect = {},
): PlainValue {
  const reader = new Reader(bytes, fail, dialect);
  const value = reader.value(budget, 0);
  reader.end();
  return value;
}

/**
 * Reads one JSON object, which must fill the bytes but for white space, a member at a time, so that no tree of all is
 * made.
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

/** Reads a value where an object should be, only to see whether it is JSON. */
const OTHER: JsonBudget = { containers: 1000, values: 10_000 };
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Values read one after the other, each within a budget. */
class Reader {
  readonly #text: JsonText;
  readonly #words: readonly (readonly [string, boolean | number | null])[];
  #containers = 0;
  #values = 0;

  constructor(bytes: Uint8Array, fail: JsonFail, { nonFinite = false }: JsonDialect = {}) {
    this.#text = new JsonText(bytes, fail);
    this.#words = nonFinite ? [...LITERALS, ...NON_FINITE] : LITERALS;
  }

  isAtObject(): boolean {
    return this.#text.next() === OPEN_OBJECT;
  }

  end(): void {
    if (this.#text.next() >= 0) this.#text.expected("the end");
  }

  value({ containers, values }: JsonBudget, depth: number): PlainValue {
    this.#containers = containers;
    this.#values = values;
    return this.#value(depth);
  }

  /** An object's members; `member` is called before each value with its key and the key's place. */
  members(member: (key: string, start: number) => void): void {
    this.#list(OPEN_OBJECT, CLOSE_OBJECT, () => {
      this.#text.next();
      const start = this.#text.at;
      const key = this.#text.string();
      this.#text.take(COLON);
      member(key, start);
    });
  }

  twice(key: string, start: number): never {
    return this.#text.fail(
      `the key ${JSON.stringify(key)} appears a second time at character ${this.#text.character(start)} of the JSON`,
    );
  }

  #value(depth: number): PlainValue {
    const c = this.#text.next();
    if (--this.#values < 0) this.#tooMany("values");
    if (depth > MAX_DEPTH) {
      this.#text.fail(
        `the JSON is nested deeper than ${MAX_DEPTH} levels at character ${this.#text.character(this.#text.at)}`,
      );
    }
    if (c === QUOTE) return this.#text.string();
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (--this.#containers < 0) this.#tooMany("objects");
      return c === OPEN_OBJECT ? this.#object(depth) : this.#array(depth);
    }
    for (const [word, value] of this.#words) {
      if (c !== word.charCodeAt(0) || this.#text.ascii(this.#text.at, this.#text.at + word.length) !== word) continue;
      this.#text.at += word.length;
      return value;
    }
    return this.#text.number();
  }

  #tooMany(what: string): never {
    return this.#text.fail(
      `the JSON holds more ${what} than a header of its size has, at character ${this.#text.character(this.#text.at)}`,
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
    this.#text.take(open);
    if (this.#text.next() !== close) {
      item();
      while (this.#text.next() === COMMA) {
        this.#text.at++;
        item();
      }
      if (this.#text.next() !== close) this.#text.expected(`"," or "${String.fromCharCode(close)}"`);
    }
    this.#text.at++;
  }
}
