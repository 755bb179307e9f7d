/** An activation at which an edit acts, and the elements of it that are selected. */
import type { HookName, ModelConfig } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rowMajorStrides } from "../../tensor/internal.ts";
import { indicesOf } from "./indices.ts";
import { requireSome } from "./selection.ts";
import type { Part } from "./selection.ts";

/** An activation at which an edit acts, and what is selected of it. */
export interface Site {
  readonly name: HookName;
  readonly value: Tensor;
  /** The indices selected of each axis, in ascending order; undefined where all are. */
  readonly picks: readonly (readonly number[] | undefined)[];
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
  const strides = rowMajorStrides(value.shape);
  const lists = picks.map((pick, a) => pick ?? Array.from({ length: value.shape[a] ?? 0 }, (_, i) => i));
  const last = value.rank - 1;
  const isOfPairs = value.names[last] === "key_pos";
  let count = 0;
  const walk = (a: number, start: number, query: number): void => {
    const list = lists[a] ?? [];
    const stride = strides[a] ?? 1;
    if (a < last) {
      for (const i of list) walk(a + 1, start + i * stride, i);
      return;
    }
    for (const i of list) {
      if (isOfPairs && ((!seesLater && i > query) || offsets?.has(query - i) === false)) continue;
      visit(start + i);
      count++;
    }
  };
  walk(0, 0, 0);
  return count;
}
