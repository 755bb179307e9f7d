/** An activation at which an edit acts, and the elements of it that are selected. */
import type { HookName, ModelConfig, PaddingMask } from "../../model/index.ts";
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
  /** What was said of the axes to select these. */
  readonly asked: Part["picks"];
  /** The offsets of query and key that are selected; undefined where all are. */
  readonly offsets: ReadonlySet<number> | undefined;
  /** Which positions of the run are padding; undefined where none is. */
  readonly mask: PaddingMask | undefined;
}

/** Whether an activation is of pairs of query and key: scores or a pattern. */
export const isOfPairs = (value: Tensor): boolean => value.names.at(-1) === "key_pos";

/** From the place of an element in row-major order, and the element, to what takes its place. */
export type Replacement = (i: number, x: number) => number;

/** The part of an activation that is selected, now that its sizes are known. */
export function siteOf(part: Part, value: Tensor, config: ModelConfig, mask?: PaddingMask): Site {
  const { hook: name, picks, offset } = part;
  const resolved = value.names.map((axis, a) => {
    const spec = picks.get(axis);
    if (spec === undefined) return undefined;
    const n = value.shape[a] ?? 0;
    const among = `the ${n} along ${axis} at "${name}" in this run`;
    const counted = { field: axis, low: 0, high: n, isFromEnd: true, among };
    return requireSome(indicesOf(spec, counted, "edit"), axis, name, "edit");
  });
  const site = { name, value, picks: resolved, asked: picks, mask };
  if (offset === undefined) return { ...site, offsets: undefined };
  const n = value.sizeOf("key_pos");
  const low = config.attention_dir === "causal" ? 0 : 1 - n;
  const among =
    `the offsets of ${n} positions at "${name}"` + (low === 0 ? ", where no position looks at later ones" : "");
  const offsets = indicesOf(offset, { field: "offset", low, high: n, isFromEnd: false, among }, "edit");
  return { ...site, offsets: new Set(requireSome(offsets, "offset", name, "edit")) };
}

/**
 * Calls with the place of each element selected, in row-major order.
 *
 * @param seesLater - whether scores and patterns of a key after its query count; those of padding never do where the
 * site has a mask.
 * @returns how many there were.
 */
export function eachSelected(
  { value, picks, offsets, mask }: Site,
  seesLater: boolean,
  visit: (i: number) => void,
): number {
  const arePairs = isOfPairs(value);
  const hidden = arePairs ? mask : undefined;
  const each = value.size / value.sizeOf("batch");
  let count = 0;
  eachPicked(value.shape, picks, (i, key, query) => {
    if (arePairs && ((!seesLater && key > query) || offsets?.has(query - key) === false)) return;
    if (hidden?.visible[Math.floor(i / each) * hidden.pos + key] === 0) return;
    visit(i);
    count++;
  });
  return count;
}
