/**
 * One part of a `tokenizer.json`, its fields checked as they are read, so that whatever is refused is refused by name.
 */
import { FormatError } from "../../../errors.ts";
import { describeValue } from "../../bytes/bytes.ts";
import { isFields } from "../../json/plain.ts";

/** The fields of one part and what error texts call it. */
export class Part {
  readonly name: string;
  readonly operation: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: unknown, name: string, operation: string) {
    if (!isFields(fields)) throw refuse(`${name} is ${describeValue(fields)}, not an object.`, operation, fields);
    this.name = name;
    this.operation = operation;
    this.#fields = fields;
  }

  /** An error that names the part. */
  fault(message: string, actual?: unknown): FormatError {
    return refuse(`${this.name}: ${message}`, this.operation, actual);
  }

  get(field: string): unknown {
    return this.#fields[field];
  }

  /** The part by its type, from a table of those that are read. */
  build<T>(table: Readonly<Record<string, (part: Part) => T>>): T {
    const type = this.#fields["type"];
    const known = Object.keys(table);
    const make = typeof type === "string" && known.includes(type) ? table[type] : undefined;
    if (make === undefined)
      throw this.fault(`the type ${describeValue(type)} is not read; those read are ${known.join(", ")}.`, type);
    return make(new Part(this.#fields, `${this.name} ${String(type)}`, this.operation));
  }

  /** The parts of a sequence. */
  parts(field: string): Part[] {
    const list = this.#fields[field];
    if (!Array.isArray(list)) throw this.fault(`"${field}" is ${describeValue(list)}, not a list.`, list);
    return list.map((fields, i) => new Part(fields, `${this.name}[${i}]`, this.operation));
  }

  text(field: string, fallback?: string): string {
    return this.#read(field, "a text", (value) => typeof value === "string", fallback);
  }

  /** A text that may be absent or null. */
  optionalText(field: string): string | undefined {
    return (this.#fields[field] ?? undefined) === undefined ? undefined : this.text(field);
  }

  character(field: string): string {
    return this.#read(field, "one character", (value) => typeof value === "string" && [...value].length === 1);
  }

  flag(field: string, fallback?: boolean): boolean {
    return this.#read(field, "true or false", (value) => typeof value === "boolean", fallback);
  }

  count(field: string, fallback?: number): number {
    const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
    return this.#read(field, "a whole number", isCount, fallback);
  }

  oneOf<T extends string>(field: string, values: readonly T[], fallback?: T): T {
    return this.#read(field, `one of ${values.join(", ")}`, (value) => values.includes(value as T), fallback);
  }

  #read<T>(field: string, what: string, test: (value: unknown) => boolean, fallback?: T): T {
    const value = this.#fields[field] ?? fallback;
    if (!test(value)) throw this.fault(`"${field}" is ${describeValue(value)}, not ${what}.`, value);
    return value as T;
  }
}

function refuse(message: string, operation: string, actual: unknown): FormatError {
  return new FormatError(`tokenizer.json: ${message}`, { operation, argument: "tokenizer.json", actual });
}

/** The ids of a word; `refuse` is called with what has no token, where there is none for the unknown. */
export type Model = (word: string, refuse: (text: string) => never) => readonly number[];
