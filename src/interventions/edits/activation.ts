/** An activation at which an edit acts, and the elements of it that are selected. */
import type { HookName, ModelConfig } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { eachPicked, indicesOf } from "../../tensor/internal.ts";
import type { Picks } from "../../tensor/internal.ts";
import { requireSome } from "./selection.ts";
import type { Part } from "./selection.ts";

/** An activation at which an edit acts, and what is selected of it. */
export interface Site {
  readonly name: HookName;
  readonly value: Tensor;
  /** The indices selected of each axis. */
  readonly picks: Picks;
  /** The offsets of query and key that are selected; undefined where all are. */
  readonly offsets: ReadonlySet<number> | undefined;
}

/** From the place of an element in row-major order, and the element, to what takes its place. */
export type Replacement = (i: number, x: number) => number;

/** The part of an activation that is selected, now that its sizes are known. */
export function siteOf({ hook: name, picks, offset }: Part, value: Tensor, config: ModelConfig): Site {
  const resolved = value.names.map((axis, a) => {
    const spec = picks.get(axis);
    if (spec === undefined) return undefined;
    const n = value.shape[a] ?? 0;
    const among = `the ${n} along ${axis} at "${name}" in this run`;
    const counted = { field: axis, low: 0, high: n, isFromEnd: true, among };
    return requireSome(indicesOf(spec, counted, "edit"), axis, name, "edit");
  });
  if (offset === undefined) return { name, value, picks: resolved, offsets: undefined };
  const n = value.sizeOf("key_pos");
  const low = config.attention_dir === "causal" ? 0 : 1 - n;
  const among =
    `the offsets of ${n} positions at "${name}"` + (low === 0 ? ", where no position looks at later ones" : "");
  const offsets = indicesOf(offset, { field: "offset", low, high: n, isFromEnd: false, among }, "edit");
  return { name, value, picks: resolved, offsets: new Set(requireSome(offsets, "offset", name, "edit")) };
}

/**
 * Calls with the place of each element selected, in row-major order.
 *
 * @param seesLater - whether scores and patterns of a key after its query count.
 * @returns how many there were.
 */
export function eachSelected({ value, picks, offsets }: Site, seesLater: boolean, visit: (i: number) => void): number {
  const isOfPairs = value.names.at(-1) === "key_pos";
  let count = 0;
  eachPicked(value.shape, picks, (i, key, query) => {
    if (isOfPairs && ((!seesLater && key > query) || offsets?.has(query - key) === false)) return;
    visit(i);
    count++;
  });
  return count;
}
