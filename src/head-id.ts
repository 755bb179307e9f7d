/** Which head: `{ layer: 1, head: 4 }`, printed `L1H4`. */
import { InputError, requireOptions } from "./errors.ts";

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
  requireOptions(id ?? null, "headLabel", "id");
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
  const match = /^L(\d+)H(\d+)$/.exec(String(label)) ?? /^(\d+)\.(\d+)$/.exec(label);
  if (match === null) {
    throw new InputError(`"${String(label)}" does not name a head; write it as L1H4 or 1.4.`, {
      operation: "parseHead",
      argument: "label",
      expected: "L1H4",
      actual: label,
    });
  }
  return { layer: Number(match[1]), head: Number(match[2]) };
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
  requireOptions(config ?? null, "allHeads", "config");
  return Array.from({ length: config.n_layers * config.n_heads }, (_, i) => ({
    layer: Math.floor(i / config.n_heads),
    head: i % config.n_heads,
  }));
}
