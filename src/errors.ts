/**
 * Error classes. Every error the library raises on purpose is a {@link CircuitsError}; its subclass says what kind of
 * thing was wrong, its fields say where. Texts read *operation: what is wrong; the operands; the likely fix*.
 * A text that begins `internal:` is a broken invariant of the library itself and worth a report.
 */
import { nearestNames } from "./nearest.ts";

/**
 * What a {@link CircuitsError} carries beside its text.
 * @category Errors
 */
export interface ErrorDetails {
  /** The function or reader that refused, as a user would call it: `matmul`, `loadTransformer`. */
  readonly operation: string;
  /** The argument, tensor name or field at fault. */
  readonly argument?: string;
  /** What would have been accepted. */
  readonly expected?: unknown;
  /** What was given. */
  readonly actual?: unknown;
}

/**
 * Base class of every error raised on purpose. Test `error.name` rather than `instanceof` where ESM and CJS copies of
 * the package may meet.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Tensor, matmul } from "transformer-circuits";
 *
 * try {
 *   const a: Tensor = Tensor.zeros("pos d_model", [5, 64]);
 *   const b: Tensor = Tensor.zeros("d_head d_model", [16, 64]);
 *   matmul(a, b);
 * } catch (error) {
 *   console.log((error as Error).name);
 *   // AxisError
 * }
 * ```
 */
export class CircuitsError extends Error {
  override readonly name: string = "CircuitsError";
  /** The function or reader that refused, as a user would call it. */
  readonly operation: string;
  /** The argument, tensor name or field at fault. */
  readonly argument: string | undefined;
  /** What would have been accepted. */
  readonly expected: unknown;
  /** What was given. Like `expected`, it is not enumerable where it is more than a few numbers or words. */
  readonly actual: unknown;

  constructor(message: string, details: ErrorDetails, options?: ErrorOptions) {
    super(`${details.operation}: ${message}`, options);
    this.operation = details.operation;
    this.argument = details.argument;
    this.expected = details.expected;
    this.actual = details.actual;
    // A console prints all that is in an error's fields, and Node does so for one that nobody caught without asking
    // values to show themselves: a field that is not short is there, and not in sight.
    for (const name of ["argument", "expected", "actual"] as const)
      Object.defineProperty(this, name, { enumerable: isShort(this[name]) });
  }
}

/** Whether a value is printed in a line or two: a number, a word, a few of them. */
function isShort(value: unknown): boolean {
  if (Array.isArray(value)) return value.length <= 20 && value.every((one) => !Array.isArray(one) && isShort(one));
  if (typeof value === "string") return value.length <= 200;
  return value === null || !["object", "function", "undefined"].includes(typeof value);
}

/**
 * Sizes disagree, or a size is not what the operation needs.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 *
 * try {
 *   Tensor.from("pos d_model", [2, 2], [1, 2, 3]);
 * } catch (error) {
 *   console.log(String(error));
 * }
 * // ShapeError: Tensor.from: axes "pos d_model" of shape [2, 2] hold 4 numbers but 3 were given.
 * ```
 */
export class ShapeError extends CircuitsError {
  override readonly name = "ShapeError";
}

/**
 * An axis or space is missing, unknown, repeated or not the one that the operation joins on.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Tensor, softmax } from "transformer-circuits";
 *
 * const scores: Tensor = Tensor.zeros("query_pos key_pos", [3, 3]);
 * try {
 *   softmax(scores, "key");
 * } catch (error) {
 *   console.log(String(error));
 * }
 * // AxisError: softmax: there is no axis "key" in [query_pos=3 key_pos=3]; it has axes "query_pos", "key_pos".
 * ```
 */
export class AxisError extends CircuitsError {
  override readonly name = "AxisError";
}

/**
 * A model's configuration is impossible, contradicts its weights, or asks for what the library does not support.
 *
 * @category Errors
 * @example
 * ```ts
 * import { parseConfig } from "transformer-circuits";
 * import { ConfigError } from "transformer-circuits/tensor";
 *
 * try {
 *   parseConfig({ d_model: 64.5 });
 * } catch (error) {
 *   if (error instanceof ConfigError) console.log(`${error.operation}: ${error.argument} must be ${error.expected}`);
 * }
 * // parseConfig: d_model must be an integer of at least 1
 * ```
 */
export class ConfigError extends CircuitsError {
  override readonly name = "ConfigError";
}

/**
 * A file or byte array is not what it says it is.
 *
 * @category Errors
 * @example
 * ```ts
 * import { FormatError } from "transformer-circuits/tensor";
 * import { parseCheckpoint } from "transformer-circuits/io";
 *
 * try {
 *   parseCheckpoint(new Uint8Array(4));
 * } catch (error) {
 *   if (error instanceof FormatError) console.log(error.message.split(". ")[0]);
 * }
 * // parseCheckpoint: the checkpoint: its format is not known
 * ```
 */
export class FormatError extends CircuitsError {
  override readonly name = "FormatError";
}

/**
 * A value handed in cannot be used: a token id out of range, an empty or too long prompt, a head that the model does
 * not have, an unknown hook name, a number outside its range.
 *
 * @category Errors
 * @example
 * ```ts
 * import { parseHead } from "transformer-circuits/model";
 *
 * try {
 *   parseHead("head 4");
 * } catch (error) {
 *   console.log(String(error));
 * }
 * // InputError: parseHead: "head 4" does not name a head; write it as L1H4 or 1.4.
 * ```
 */
export class InputError extends CircuitsError {
  override readonly name = "InputError";
}

/**
 * What the work needs outside the program failed: a disk is full, a server is gone, a thread has ended. What was done
 * before is kept; the same call goes on with the rest when the cause is mended.
 *
 * @category Errors
 * @example
 * ```ts
 * import { ResourceError } from "transformer-circuits/tensor";
 *
 * const lost = new ResourceError("the disk is full.", { operation: "runJobs" });
 * console.log(String(lost));
 * // ResourceError: runJobs: the disk is full.
 * ```
 */
export class ResourceError extends CircuitsError {
  override readonly name = "ResourceError";
}

/** Raises an `internal:` error when an invariant of the library does not hold. */
export function invariant(condition: boolean, operation: string, message: string): asserts condition {
  if (!condition) {
    throw new CircuitsError(`internal: ${message}. This is a defect of transformer-circuits; please report it.`, {
      operation,
    });
  }
}

/**
 * A kind of argument, for {@link requireKind}: the member by which values are known, what texts call them, and how to
 * come by one. A member tells rather than `instanceof`, because an ESM and a CJS copy of the package can meet. A kind
 * stands beside its class.
 */
export interface Kind {
  readonly member: string;
  readonly what: string;
  readonly remedy: string;
  /** The name under which one lies in what is often given for it, as in a run or a model with its tokenizer. */
  readonly holder?: string;
}

/** Kinds by name: those of the language, and the two that functions of nearly all folders take. */
const KINDS = {
  list: { member: "length", what: "a list", remedy: "Write it in brackets" },
  function: { member: "call", what: "a function", remedy: "Write it as in (x) => 2 * x" },
  tensor: {
    member: "rawElements",
    what: "a Tensor",
    remedy: "Make one with Tensor.from or Tensor.fromNested",
    holder: "logits",
  },
  model: {
    member: "layers",
    what: "a Transformer",
    remedy: "Load one with loadTransformer, or make one with Transformer.fromWeights",
    holder: "model",
  },
} as const satisfies Record<string, Kind>;

/**
 * Refuses a value that is not of the kind that an argument must be. Before it come the options of the operation, which
 * may be left out, where the names that it knows are given: see {@link requireOptions}.
 */
export function requireKind(
  kind: Kind | keyof typeof KINDS,
  value: unknown,
  argument: string,
  operation: string,
  options?: unknown,
  known?: string,
): void {
  requireOptions(options, operation, known);
  const { member, what, remedy, holder }: Kind = typeof kind === "string" ? KINDS[kind] : kind;
  const type = kind === "function" ? "function" : "object";
  if (typeof value === type && value !== null && member in (value as object)) return;
  const isHolder = holder !== undefined && holds(value, holder, member);
  const mend = isPromise(value)
    ? "Write await before the call that gave it"
    : (mendOfClone(value) ?? (isHolder ? `Pass its ${holder}` : remedy));
  throw new InputError(`${argument} is ${nameOf(value)}, not ${what}. ${mend}.`, {
    operation,
    argument,
    expected: what,
    actual: value,
  });
}

/** Whether a value is what an asynchronous function gave, which was not waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value;
}

/** What to do where a tensor or figure came through `structuredClone`, `postMessage` or a browser's database. */
export function mendOfClone(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return undefined;
  const has = (names: string): boolean => names.split(" ").every((name) => name in value);
  if (has("axes strides home"))
    return "It is a tensor's copy by structuredClone, which leaves the numbers behind: send t.toJSON() and read it with Tensor.fromJSON";
  if (has("kind width height label"))
    return "It is a figure's copy by structuredClone, which leaves the drawing behind: send its html, or the data and draw it there";
  return undefined;
}

/** Whether a value is what often is given for one of a kind: a model with its tokenizer, a run. */
function holds(value: unknown, holder: string, member: string): boolean {
  if (typeof value !== "object" || value === null) return false;
  const held = (value as Readonly<Record<string, unknown>>)[holder];
  return typeof held === "object" && held !== null && member in held;
}

/** {@link requireKind} of a list and of all that is in it. */
export function requireKinds(
  kind: Kind | keyof typeof KINDS,
  values: unknown,
  argument: string,
  operation: string,
  options?: unknown,
  known?: string,
): void {
  requireKind("list", values, argument, operation, options, known);
  const list = values as ArrayLike<unknown>;
  for (let i = 0; i < list.length; i++) requireKind(kind, list[i], `${argument}[${i}]`, operation);
}

/**
 * Refuses options that are not an object of names, or of which one is not among the names that the operation knows, as
 * in `"k seed"`.
 */
export function requireOptions(options: unknown, operation: string, known?: string): void {
  if (options === undefined) return;
  requireObject(options, "options", operation, known);
}

/** Refuses a value that is not an object of names, or that has a name which is not among those known. */
export function requireObject(value: unknown, argument: string, operation: string, known?: string): void {
  const names = known?.split(" ");
  if (typeof value !== "object" || value === null || Array.isArray(value) || isPromise(value)) {
    const mend = isPromise(value) ? " Write await before the call that gave it." : "";
    const example = names === undefined || names.includes("k") ? "k: 5" : `${names[0]}: …`;
    throw new InputError(
      `${argument} is ${nameOf(value ?? null)}, not an object of named values, as in { ${example} }.${mend}`,
      { operation, argument, expected: "an object", actual: value },
    );
  }
  if (names === undefined) return;
  for (const [name, given] of Object.entries(value)) {
    // One that is undefined is as if it were left out.
    if (given === undefined || names.includes(name)) continue;
    const [near] = nearestNames(name, names, 1);
    const mend = near === undefined ? `The options are ${names.join(", ")}.` : `Did you mean ${near}?`;
    throw new InputError(`there is no option ${JSON.stringify(name)}. ${mend}`, {
      operation,
      argument: name,
      expected: names,
      actual: name,
    });
  }
}

/** Refuses what is no number at all, which a typed array would make NaN or 0 of. */
export function requireNumbers(data: readonly unknown[], operation: string, argument = "data"): void {
  const at = data.findIndex((x) => typeof x !== "number");
  if (at < 0) return;
  throw new InputError(
    `element ${at} of ${argument} is ${String(data[at])}, of type ${typeof data[at]}, not a number.`,
    {
      operation,
      argument,
      expected: "numbers",
      actual: data[at],
    },
  );
}

/** Refuses a longest order that is not a non-negative integer. */
export function requireOrderBound(maxOrder: number, operation: string): void {
  if (Number.isSafeInteger(maxOrder) && maxOrder >= 0) return;
  throw new InputError(`maxOrder is ${maxOrder}; give a whole number of at least 0.`, {
    operation,
    argument: "maxOrder",
    expected: "a non-negative integer",
    actual: maxOrder,
  });
}

/** What a value is, in few words. */
export function nameOf(value: unknown): string {
  if (isPromise(value)) return "a Promise";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n, a BigInt`;
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value !== "object" || value === null) return String(value);
  const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name;
  return name === "Object" || typeof name !== "string" ? "an object" : `of class ${name}`;
}
