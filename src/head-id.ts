/** Which head: `{ layer: 1, head: 4 }`, printed `L1H4`. */
import { InputError, isPromise, requireObject } from "./errors.ts";

/**
 * A head's place in the model, both counted from 0.
 * @category Model
 */
export interface HeadId {
  readonly layer: number;
  readonly head: number;
}

/**
 * A head named by its place or by its label.
 * @category Model
 */
export type HeadRef = HeadId | `L${number}H${number}`;

/**
 * The label of a head, `L1H4`.
 * @category Model
 * @example
 * ```ts
 * import { headLabel } from "transformer-circuits";
 *
 * console.log(headLabel({ layer: 1, head: 4 }));
 * // L1H4
 * ```
 */
export function headLabel(id: HeadId): `L${number}H${number}` {
  requireObject(id, "id", "headLabel");
  return `L${id.layer}H${id.head}`;
}

/**
 * The place that a label names; `L1H4` and ARENA's `1.4` are read.
 *
 * @throws {@link InputError} when the text is neither.
 * @category Model
 * @example
 * ```ts
 * import { parseHead } from "transformer-circuits/model";
 *
 * console.log(parseHead("L1H4"), parseHead("1.4"));
 * // { layer: 1, head: 4 } { layer: 1, head: 4 }
 * ```
 */
export function parseHead(label: string): HeadId {
  return parsed(label, "parseHead", "label");
}

function parsed(label: string, operation: string, argument: string): HeadId {
  const match = /^L(\d+)H(\d+)$/.exec(String(label)) ?? /^(\d+)\.(\d+)$/.exec(label);
  if (match === null) throw noHead(label, operation, argument);
  return { layer: Number(match[1]), head: Number(match[2]) };
}

/** The place of a head that is named by its place or label; refuses what is neither. */
export function headIdOf(ref: HeadRef, operation: string, argument: string): HeadId {
  if (typeof ref === "string") return parsed(ref, operation, argument);
  const { layer, head } = Object(ref) as Partial<HeadId>;
  if (typeof layer === "number" && typeof head === "number") return { layer, head };
  throw noHead(ref, operation, argument);
}

function noHead(ref: unknown, operation: string, argument: string): InputError {
  const what =
    typeof ref === "object" && ref !== null ? "an object without layer and head" : JSON.stringify(String(ref));
  const mend = isPromise(ref) ? "write await before the call that gave it" : "write it as L1H4 or 1.4";
  return new InputError(`${what} does not name a head; ${mend}.`, {
    operation,
    argument,
    expected: "L1H4",
    actual: ref,
  });
}

/**
 * All heads of a model, layer by layer.
 * @category Model
 * @example
 * ```ts
 * import { allHeads, headLabel } from "transformer-circuits";
 *
 * console.log(allHeads({ n_layers: 2, n_heads: 2 }).map(headLabel).join(" "));
 * // L0H0 L0H1 L1H0 L1H1
 * ```
 */
export function allHeads(config: { readonly n_layers: number; readonly n_heads: number }): HeadId[] {
  requireObject(config, "config", "allHeads");
  return Array.from({ length: config.n_layers * config.n_heads }, (_, i) => ({
    layer: Math.floor(i / config.n_heads),
    head: i % config.n_heads,
  }));
}
