/** Activations of runs with padding: where their text lies, and what is taken of one run for another. */
import { AxisError, InputError, invariant, ShapeError } from "../../errors.ts";
import type { PaddingMask } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { indicesOf, rawData } from "../../tensor/internal.ts";
import { textsOf } from "../drawn-prompts.ts";
import { isOfPairs } from "./activation.ts";
import type { Replacement, Site } from "./activation.ts";

/** An activation of a run, and what of the run is padding; undefined where nothing is. */
export interface Sample {
  readonly value: Tensor;
  readonly mask: PaddingMask | undefined;
}

/** How many positions a run has. */
export const lengthOf = (value: Tensor): number => value.sizeOf(isOfPairs(value) ? "key_pos" : "pos");

/** Whether an element is of text; of scores and patterns, whether both the query and the key are. */
export function textOf({ value, mask }: Sample): (i: number) => boolean {
  if (mask === undefined) return () => true;
  const { visible, pos } = mask;
  const each = value.size / mask.batch;
  const width = each / pos;
  const isText = (b: number, p: number): boolean => visible[b * pos + p] === 1;
  if (!isOfPairs(value)) return (i) => isText(Math.floor(i / each), Math.floor((i % each) / width));
  return (i) => {
    const b = Math.floor(i / each);
    return isText(b, i % pos) && isText(b, Math.floor(i / pos) % pos);
  };
}

/** The error for what would be put where there is text. */
export function paddingThere({ name, value }: Site, i: number, where: string): InputError {
  const each = value.size / value.sizeOf("batch");
  const p = isOfPairs(value) ? i % lengthOf(value) : Math.floor(((i % each) / each) * lengthOf(value));
  return new InputError(
    `at "${name}" position ${p} of prompt ${Math.floor(i / each)} is text, but padding ${where}. Select other positions, or give runs whose text lies there.`,
    { operation: "edit", argument: name, expected: "activations of text", actual: p },
  );
}

/**
 * What another run has, prompt by prompt.
 *
 * @param prompts - of which of its prompts each takes.
 * @param positions - at which of its positions what is put at each is taken; -1 where nothing is. The same unless
 * given.
 */
export function taken(site: Site, theirs: Sample, prompts: readonly number[], positions?: Int32Array): Replacement {
  const data = rawData(theirs.value);
  const [own, each] = [site.value, theirs.value].map((t) => t.size / t.sizeOf("batch")) as [number, number];
  const width = own / lengthOf(site.value);
  const place = (i: number): number => {
    const start = (prompts[Math.floor(i / own)] as number) * each;
    if (positions === undefined) return start + (i % own);
    return start + (positions[Math.floor((i % own) / width)] as number) * width + (i % width);
  };
  if (site.mask === undefined && theirs.mask === undefined) return (i) => data[place(i)] as number;
  if (isOfPairs(site.value)) return takenOfPairs(site, theirs, prompts);
  const [isText, isTheirs] = [textOf(site), textOf(theirs)];
  return (i) => {
    const from = place(i);
    if (isText(i) && !isTheirs(from)) throw paddingThere(site, i, "in the run that it is taken from");
    return data[from] as number;
  };
}

/** Scores and patterns of prompts whose text lies at the same positions. */
function takenOfPairs(site: Site, theirs: Sample, prompts: readonly number[]): Replacement {
  const [texts, others] = [site, theirs].map(({ value, mask }) =>
    textsOf(mask, value.sizeOf("batch"), lengthOf(value)),
  ) as [string[], string[]];
  const data = rawData(theirs.value);
  const each = site.value.size / site.value.sizeOf("batch");
  return (i) => {
    const b = Math.floor(i / each);
    const from = prompts[b] as number;
    if (texts[b] === others[from]) return data[from * each + (i % each)] as number;
    throw new InputError(
      `at "${site.name}" the text of prompt ${b} lies at other positions in the run that it is taken from, where queries see other keys. Give prompts that are padded alike.`,
      { operation: "edit", argument: site.name, expected: texts[b], actual: others[from] },
    );
  };
}

/** At which position of another run what is put at each position is taken, in the order in which both are listed. */
export function positionsTaken(pos: number | readonly number[], theirs: Tensor, site: Site): Int32Array {
  const { name, value, picks, asked } = site;
  if (isOfPairs(value)) {
    throw new AxisError(
      `"${name}" is [${value.axes}]: its queries see as many keys as their own run has. Leave pos out, or { set: … } a part of the other run's activation.`,
      { operation: "edit", argument: "pos", expected: "an activation along pos", actual: value.axes },
    );
  }
  const at = (list: readonly number[], high: number, among: string): number[] =>
    list.map((p) => indicesOf(p, { field: "pos", low: 0, high, isFromEnd: true, among }, "edit")[0] as number);
  const listed = asked.get("pos");
  const n = value.sizeOf("pos");
  const selected = picks[value.names.indexOf("pos")] ?? Array.from({ length: n }, (_, p) => p);
  const isListed = Array.isArray(listed) && listed.every((p) => typeof p === "number");
  const into = isListed ? at(listed, n, `the ${n} positions of this run`) : selected;
  const length = theirs.sizeOf("pos");
  const from = at(typeof pos === "number" ? [pos] : pos, length, `the ${length} positions of the run that is copied`);
  if (into.length !== from.length || new Set(into).size !== into.length) {
    throw new ShapeError(
      `${from.length} positions of the other run are to be copied to the ${into.length} selected at "${name}". Select as many, each once.`,
      { operation: "edit", argument: "pos", expected: into.length, actual: from.length },
    );
  }
  const positions = new Int32Array(n).fill(-1);
  for (const [i, p] of into.entries()) positions[p] = from[i] as number;
  invariant(
    selected.every((p) => positions[p] !== -1),
    "edit",
    "a position selected has none to be copied from",
  );
  return positions;
}
