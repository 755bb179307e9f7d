/** The number that each action puts in the place of each element of an activation. */
import { AxisError, InputError, ShapeError } from "../../errors.ts";
import type { HookName } from "../../model/index.ts";
import { maskOf } from "../../model/internal.ts";
import { Random } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor } from "../../tensor/internal.ts";
import { longForm } from "./action.ts";
import type { Action, LongAction, RunSource } from "./action.ts";
import { textsOf } from "../drawn-prompts.ts";
import { isOfPairs } from "./activation.ts";
import type { Replacement, Site } from "./activation.ts";
import { awayFrom } from "./directions.ts";
import { meanOf, promptsTaken, spreads } from "./statistics.ts";
import { lengthOf, paddingThere, positionsTaken, taken, textOf } from "./text.ts";
import type { Sample } from "./text.ts";
import { numbersAt } from "./values.ts";

const OPERATION = "edit";

/** What an action puts in place of the elements of an activation. Sums run in float64. */
export function replacement(action: Action, site: Site): Replacement {
  const long = longForm(action);
  if (site.value.dtype === "int32") requireForTokens(long, site);
  if ("set" in long) return numbersAt(long.set, site, "set");
  if ("scale" in long) return (_, x) => x * long.scale;
  if ("add" in long) {
    const { add, times = 1 } = long;
    const numbers = numbersAt(add, site, "add");
    return (i, x) => x + times * numbers(i, x);
  }
  if ("mean" in long) return meanAt(long, site);
  if ("resample" in long) return resampled(long, site);
  if ("copyFrom" in long) return copied(long, site);
  if ("projectOut" in long) return awayFrom(long.projectOut, site);
  return noisy(long, site);
}

function requireForTokens(action: LongAction, { name }: Site): void {
  if (["set", "resample", "copyFrom"].some((key) => key in action)) return;
  throw new InputError(
    `{ ${Object.keys(action)[0]} } makes no tokens; at "${name}" are set, resample, copyFrom and functions.`,
    { operation: OPERATION, argument: "do" },
  );
}

/** The activation of a run at the place of an edit, and what of it is padding. */
function sourceOf(source: RunSource, name: HookName): Sample {
  if (typeof source !== "string") return { value: source.cache.get(name), mask: maskOf(source) };
  throw new InputError(
    `the edit at "${name}" needs the run "${source}", which was not supplied. Supply it: withRuns(edits, { ${source}: run }).`,
    { operation: OPERATION, argument: source, expected: "a run" },
  );
}

/** Refuses an activation of another run that does not fit, other than in its number of prompts. */
function requireAlike(
  theirs: Tensor,
  { name, value }: Site,
  { anyPos, also = "" }: { readonly anyPos: boolean; readonly also?: string },
): void {
  const differs = theirs.names.some((axis, a) => {
    if (axis === "batch" || (anyPos && axis === "pos")) return false;
    return theirs.shape[a] !== value.shape[a];
  });
  if (!differs) return;
  throw new ShapeError(
    `at "${name}" the other run has ${describeTensor(theirs)}, this one ${describeTensor(value)}. Give a run of prompts as long as these${also}, or { set: … } a part of its activation.`,
    { operation: OPERATION, argument: name, expected: value.shape, actual: theirs.shape },
  );
}

function copied({ copyFrom, pos }: Extract<LongAction, { copyFrom: unknown }>, site: Site): Replacement {
  const { name, value } = site;
  const theirs = sourceOf(copyFrom, name);
  const positions = pos === undefined ? undefined : positionsTaken(pos, theirs.value, site);
  const also = isOfPairs(value) ? "" : ", say which of its positions, { copyFrom: run, pos: … }";
  requireAlike(theirs.value, site, { anyPos: pos !== undefined, also });
  const batch = value.sizeOf("batch");
  const theirBatch = theirs.value.sizeOf("batch");
  if (theirBatch !== batch && theirBatch !== 1) {
    throw new ShapeError(
      `at "${name}" the other run has ${theirBatch} prompts, this one ${batch}. Give a run of as many, or of one.`,
      { operation: OPERATION, argument: name, expected: batch, actual: theirBatch },
    );
  }
  const prompts = Array.from({ length: batch }, (_, b) => (theirBatch === 1 ? 0 : b));
  return taken(site, theirs, prompts, positions);
}

function resampled({ resample, from }: Extract<LongAction, { resample: unknown }>, site: Site): Replacement {
  const theirs = from === undefined ? site : sourceOf(from, site.name);
  requireAlike(theirs.value, site, { anyPos: false });
  return taken(site, theirs, promptsTaken(resample, site, theirs, from === undefined));
}

function meanAt({ mean, of }: Extract<LongAction, { mean: unknown }>, site: Site): Replacement {
  const { name, value } = site;
  const overPos = mean === "batch pos";
  if (overPos && !value.names.includes("pos")) {
    throw new AxisError(
      `"${name}" is [${value.axes}]: what is attended to from one position is not what is from another. Average over the batch, or give a function.`,
      { operation: OPERATION, argument: "mean", expected: "batch", actual: mean },
    );
  }
  const sources = (Array.isArray(of) ? of : [of]) as readonly RunSource[];
  const samples: readonly Sample[] = of === undefined ? [site] : sources.map((source) => sourceOf(source, name));
  for (const sample of samples) requireAlike(sample.value, site, { anyPos: overPos });
  if (isOfPairs(value)) requireSamePadding([site, ...samples], name);
  const { means, counts } = meanOf(samples, overPos);
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  if (of === undefined && most <= 1) {
    throw new InputError(
      `the mean over one prompt is that prompt itself, so nothing would change. Give several prompts, mean: "batch pos", or reference runs: of.`,
      { operation: OPERATION, argument: "mean", expected: "at least 2 prompts", actual: most },
    );
  }
  const isText = textOf(site);
  return (i) => {
    if (counts[i % means.length] === 0 && isText(i)) throw paddingThere(site, i, "in all prompts that the mean is of");
    return means[i % means.length] as number;
  };
}

/** Patterns and scores of prompts whose padding lies elsewhere look at padding of one another. */
function requireSamePadding(samples: readonly Sample[], name: HookName): void {
  const kinds = new Set(samples.flatMap(({ value, mask }) => textsOf(mask, value.sizeOf("batch"), lengthOf(value))));
  if (kinds.size <= 1) return;
  throw new InputError(
    `the prompts have padding at different positions, so that a mean at "${name}" would look at padding of some. Give prompts that are padded alike, or a function.`,
    { operation: OPERATION, argument: "mean", expected: "the same attention mask for all prompts", actual: kinds.size },
  );
}

/** Noise at each element: what is drawn depends on the seed, the hook and the element, not on what is selected. */
function noisy(
  { noise, relative = false, seed = 0 }: Extract<LongAction, { noise: unknown }>,
  site: Site,
): Replacement {
  const { name, value } = site;
  const random = new Random((seed ^ hashOf(name)) >>> 0);
  const draws = Float64Array.from({ length: value.size }, () => random.normal());
  if (!relative) return (i, x) => x + noise * (draws[i] as number);
  const spread = spreads(site);
  return (i, x) => x + noise * spread(i) * (draws[i] as number);
}

/** FNV-1a of a name. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
