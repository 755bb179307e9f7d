/**
 * A strict JSON reader for headers of binary files: objects become `Map`s, so no key can reach a prototype, and a key that
 * appears twice is refused, where `JSON.parse` keeps the last and so lets two readers see two different files.
 */

/** What {@link parseStrictJson} returns. */
export type StrictJson = string | number | boolean | null | readonly StrictJson[] | ReadonlyMap<string, StrictJson>;

/** Objects and arrays may be nested this deep; a safetensors header needs three levels. */
const MAX_DEPTH = 16;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/**
 * Reads one JSON value, which must fill the text but for white space.
 *
 * @param fail - raises the caller's error from a text that says what is wrong and where.
 */
export function parseStrictJson(text: string, fail: (message: string) => never): StrictJson {
  return new Reader(text, fail).whole();
}

/** A place in a text; each method reads on from there. */
class Reader {
  readonly #text: string;
  readonly #fail: (message: string) => never;
  #at = 0;
  /** Objects, and values of any kind, that may still come: a tensor's entry takes 51 characters for 1 and 8 of them. */
  #objects: number;
  #values: number;

  constructor(text: string, fail: (message: string) => never) {
    this.#text = text;
    this.#fail = fail;
    this.#objects = 1000 + text.length / 32;
    this.#values = 10_000 + text.length / 5;
  }

  whole(): StrictJson {
    const value = this.#value(0);
    if (this.#next() !== "") this.#expected("the end");
    return value;
  }

  /** The next character that is not white space, not consumed; empty at the end. */
  #next(): string {
    while (this.#at < this.#text.length && " \t\n\r".includes(this.#text.charAt(this.#at))) this.#at++;
    return this.#text.charAt(this.#at);
  }

  #expected(what: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.charAt(this.#at)) : "the end";
    return this.#fail(`expected ${what} at character ${this.#at} of the JSON, found ${found}`);
  }

  #take(character: string): void {
    if (this.#next() !== character) this.#expected(`"${character}"`);
    this.#at++;
  }

  #value(depth: number): StrictJson {
    const c = this.#next();
    if (--this.#values < 0)
      this.#fail(`the JSON holds more values than a header of its size has, at character ${this.#at}`);
    if (depth > MAX_DEPTH) this.#fail(`the JSON is nested deeper than ${MAX_DEPTH} levels at character ${this.#at}`);
    if (c === "{") return this.#object(depth);
    if (c === "[") return this.#array(depth);
    if (c === '"') return this.#string();
    for (const [word, value] of LITERALS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#expected("a value");
    this.#at += match[0].length;
    return Number(match[0]);
  }

  #object(depth: number): ReadonlyMap<string, StrictJson> {
    const members = new Map<string, StrictJson>();
    if (--this.#objects < 0)
      this.#fail(`the JSON holds more objects than a header of its size has, at character ${this.#at}`);
    this.#list("{", "}", () => {
      this.#next();
      const start = this.#at;
      const key = this.#string();
      if (members.has(key)) {
        this.#fail(`the key ${JSON.stringify(key)} appears a second time at character ${start} of the JSON`);
      }
      this.#take(":");
      members.set(key, this.#value(depth + 1));
    });
    return members;
  }

  #array(depth: number): readonly StrictJson[] {
    const items: StrictJson[] = [];
    this.#list("[", "]", () => items.push(this.#value(depth + 1)));
    return items;
  }

  /** Brackets around items with commas between them. */
  #list(open: string, close: string, item: () => void): void {
    this.#take(open);
    if (this.#next() !== close) {
      item();
      while (this.#next() === ",") {
        this.#at++;
        item();
      }
      if (this.#next() !== close) this.#expected(`"," or "${close}"`);
    }
    this.#at++;
  }

  #string(): string {
    if (this.#next() !== '"') this.#expected("a string");
    const start = this.#at++;
    for (let c = this.#text.charAt(this.#at); c !== '"'; c = this.#text.charAt(this.#at)) {
      if (c === "") this.#fail(`the string at character ${start} of the JSON does not end`);
      this.#at += c === "\\" ? 2 : 1;
    }
    this.#at++;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      return this.#fail(`the string at character ${start} of the JSON holds a bad escape or a control character`);
    }
  }
}
