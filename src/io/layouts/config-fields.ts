/** The fields of another library's configuration, read with errors that name them. */
import { ConfigError } from "../../errors.ts";
import type { ModelConfig } from "../../model/index.ts";
import { namesOf, requireAgreement, requireKnownFields, unknownFields } from "../../model/internal.ts";
import type { ConfigDialect, Property } from "../../model/internal.ts";
import type { Source } from "../bytes/fault.ts";
import { describeValue } from "../bytes/bytes.ts";
import { isFields } from "../json/plain.ts";

/** Activation functions as Hugging Face names them, by TransformerLens's name. */
const ACTIVATIONS: ReadonlyMap<string, string> = new Map([
  ["gelu", "gelu"],
  ["gelu_new", "gelu_new"],
  ["gelu_fast", "gelu_fast"],
  ["gelu_pytorch_tanh", "gelu_pytorch_tanh"],
  ["relu", "relu"],
  ["silu", "silu"],
  ["swish", "silu"],
]);

/** A configuration, which must be an object; its absence is another text than its being something else. */
export function configObject(
  json: unknown,
  source: Source,
  layout: string,
  unsaid: string,
): Readonly<Record<string, unknown>> {
  if (isFields(json)) return json;
  const what =
    json === undefined
      ? ", but there is none. Pass the content of config.json, or put the file beside the weights."
      : `; the one given is ${describeValue(json)}. Pass the content of config.json.`;
  throw new ConfigError(
    `${source.name}: ${layout} needs its configuration, as the tensors do not say ${unsaid}${what}`,
    { operation: source.operation, argument: "config", expected: "object", actual: json },
  );
}

/** Says which fields are passed over unknown. */
export function noteUnknown(fields: Readonly<Record<string, unknown>>, dialect: ConfigDialect): string[] {
  const unknown = unknownFields(fields, dialect);
  return unknown.length === 0
    ? []
    : [`Fields of the configuration that are not known are passed over: ${unknown.join(", ")}.`];
}

export class ConfigFields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #source: Source;
  readonly #dialect: ConfigDialect | undefined;

  /** Fields of a library, refused where they ask for what is not computed, or some of them without a dialect. */
  constructor(json: unknown, source: Source, layout: string, dialect?: ConfigDialect) {
    this.#fields = configObject(json, source, layout, "how many heads there are");
    this.#source = source;
    this.#dialect = dialect;
    if (dialect !== undefined) requireKnownFields(this.#fields, dialect, source.operation);
  }

  /** Compares what is said twice with the model; returns what there is to say. */
  settle(config: ModelConfig): string[] {
    if (this.#dialect === undefined) return [];
    requireAgreement(this.#fields, this.#dialect, config, this.#source.operation);
    return noteUnknown(this.#fields, this.#dialect);
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? (this.#fields[name] ?? undefined) : undefined;
  }

  /** Whether a field is there, null or not. */
  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  /**
   * The architecture, the first where none is named. Refused are others whose tensors have like names: GPT-J begins as
   * GPT-2 does.
   */
  requireTypes<const T extends string>(types: readonly [T, ...T[]]): T {
    const given = this.get("model_type") ?? types[0];
    const found = types.find((type) => type === given);
    if (found === undefined) throw this.wrong("model_type", "this architecture is not supported.", types.join(", "));
    return found;
  }

  /** The names of a property, the first that is given first. */
  #name(property: Property): string {
    const names = this.#dialect === undefined ? [property] : namesOf(property, this.#dialect);
    return names.find((name) => this.get(name) !== undefined) ?? names[0] ?? property;
  }

  size(property: Property, fallback?: number): number {
    return this.sizeAt(this.#name(property), fallback);
  }

  sizeAt(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
      throw this.wrong(name, "it is a size.", "an integer of at least 1");
    }
    return value;
  }

  /** A number of things, which may be none. */
  countAt(name: string, fallback: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.wrong(name, "it is a number of things.", "an integer of at least 0");
    }
    return value;
  }

  number(property: Property, fallback: number): number {
    return this.numberAt(this.#name(property), fallback);
  }

  numberAt(name: string, fallback: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.wrong(name, "it is a number.", "a number");
    return value;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== "boolean") throw this.wrong(name, "it is a switch.", "true or false");
    return value;
  }

  activation(fallback: string): string {
    const name = this.#name("act_fn");
    const value = this.get(name) ?? fallback;
    const known = typeof value === "string" ? ACTIVATIONS.get(value) : undefined;
    if (known === undefined) {
      throw this.wrong(name, "this activation function is not supported.", [...ACTIVATIONS.keys()].join(", "));
    }
    return known;
  }

  /** The width of a head, where heads share the stream's width evenly. */
  headWidth(d_model: number, n_heads: number): number {
    if (d_model % n_heads !== 0) {
      throw this.wrong(this.#name("n_heads"), `heads share ${d_model} coordinates evenly.`, `a divisor of ${d_model}`);
    }
    return d_model / n_heads;
  }

  /** The error for a field that is missing, impossible, or asks for what is not supported. */
  wrong(name: string, why: string, expected: string): ConfigError {
    const actual = this.get(name);
    const shown = actual === undefined ? "is missing" : `is ${JSON.stringify(actual)}`;
    return new ConfigError(`the configuration's "${name}" ${shown}: ${why} Expected ${expected}.`, {
      operation: this.#source.operation,
      argument: name,
      expected,
      actual,
    });
  }
}
