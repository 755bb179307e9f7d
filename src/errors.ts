/**
 * Error classes. Every error the library raises on purpose is a {@link CircuitsError}; its subclass says what kind of
 * thing was wrong, its fields say where. Texts read *operation: what is wrong; the operands; the likely fix*.
 * A text that begins `internal:` is a broken invariant of the library itself and worth a report.
 */

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
 * Base class of every error raised on purpose. Test `error.name` rather than `instanceof` where ESM and CJS copies of the
 * package may meet.
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
  /** What was given. */
  readonly actual: unknown;

  constructor(message: string, details: ErrorDetails, options?: ErrorOptions) {
    super(`${details.operation}: ${message}`, options);
    this.operation = details.operation;
    this.argument = details.argument;
    this.expected = details.expected;
    this.actual = details.actual;
  }
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
 * import { ConfigError, parseConfig } from "transformer-circuits";
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
 * import { FormatError, readSafetensors } from "transformer-circuits";
 *
 * try {
 *   readSafetensors(new Uint8Array(4));
 * } catch (error) {
 *   if (error instanceof FormatError) console.log(error.message.split(". ").at(-1));
 * }
 * // It is empty or cut short.
 * ```
 */
export class FormatError extends CircuitsError {
  override readonly name = "FormatError";
}

/**
 * A value handed in cannot be used: a token id out of range, an empty or too long prompt, a head that the model does not
 * have, an unknown hook name, a number outside its range.
 *
 * @category Errors
 * @example
 * ```ts
 * import { parseHead } from "transformer-circuits";
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

/** Raises an `internal:` error when an invariant of the library does not hold. */
export function invariant(condition: boolean, operation: string, message: string): asserts condition {
  if (!condition) {
    throw new CircuitsError(`internal: ${message}. This is a defect of transformer-circuits; please report it.`, {
      operation,
    });
  }
}
