/** The number that each action puts in the place of each element of an activation. */
import { AxisError, InputError, ShapeError } from "../../errors.ts";
import type { HookName } from "../../model/index.ts";
import { Random } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData } from "../../tensor/internal.ts";
import { longForm } from "./action.ts";
import type { Action, LongAction, RunSource } from "./action.ts";
import type { Replacement, Site } from "./activation.ts";
import { awayFrom } from "./directions.ts";
import { meanOf, promptsTaken, spreads } from "./statistics.ts";
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
  if ("copyFrom" in long) return copied(long.copyFrom, site);
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

/** The activation of a run at the place of an edit. */
function activationOf(source: RunSource, name: HookName): Tensor {
  if (typeof source !== "string") return source.cache.get(name);
  throw new InputError(
    `the edit at "${name}" needs the run "${source}", which was not supplied. Supply it: withRuns(edits, { ${source}: run }).`,
    { operation: OPERATION, argument: source, expected: "a run" },
  );
}

/** Refuses an activation of another run that does not fit, other than in its number of prompts. */
function requireAlike(theirs: Tensor, { name, value }: Site, anyPos: boolean): void {
  const differs = theirs.names.some((axis, a) => {
    if (axis === "batch" || (anyPos && axis === "pos")) return false;
    return theirs.shape[a] !== value.shape[a];
  });
  if (!differs) return;
  throw new ShapeError(
    `at "${name}" the other run has ${describeTensor(theirs)}, this one ${describeTensor(value)}. Give a run of prompts as long as these, or { set: … } a part of its activation.`,
    { operation: OPERATION, argument: name, expected: value.shape, actual: theirs.shape },
  );
}

function copied(source: RunSource, site: Site): Replacement {
  const theirs = activationOf(source, site.name);
  requireAlike(theirs, site, false);
  const batch = site.value.sizeOf("batch");
  const theirBatch = theirs.sizeOf("batch");
  const data = rawData(theirs);
  if (theirBatch === batch) return (i) => data[i] as number;
  if (theirBatch === 1) return (i) => data[i % data.length] as number;
  throw new ShapeError(
    `at "${site.name}" the other run has ${theirBatch} prompts, this one ${batch}. Give a run of as many, or of one.`,
    { operation: OPERATION, argument: site.name, expected: batch, actual: theirBatch },
  );
}

function resampled({ resample, from }: Extract<LongAction, { resample: unknown }>, site: Site): Replacement {
  const theirs = from === undefined ? site.value : activationOf(from, site.name);
  requireAlike(theirs, site, false);
  const whose = promptsTaken(resample, site.value.sizeOf("batch"), theirs.sizeOf("batch"), from === undefined);
  const data = rawData(theirs);
  const each = theirs.size / theirs.sizeOf("batch");
  return (i) => data[(whose[Math.floor(i / each)] as number) * each + (i % each)] as number;
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
  const samples = of === undefined ? [value] : sources.map((source) => activationOf(source, name));
  for (const sample of samples) requireAlike(sample, site, overPos);
  const count = samples.reduce((sum, sample) => sum + sample.sizeOf("batch") * (overPos ? sample.sizeOf("pos") : 1), 0);
  if (of === undefined && count === 1) {
    throw new InputError(
      `the mean over one prompt is that prompt itself, so nothing would change. Give several prompts, mean: "batch pos", or reference runs: of.`,
      { operation: OPERATION, argument: "mean", expected: "at least 2 prompts", actual: 1 },
    );
  }
  const means = meanOf(samples, overPos);
  return (i) => means[i % means.length] as number;
}

/** Noise at each element: what is drawn depends on the seed, the hook and the element, not on what is selected. */
function noisy(
  { noise, relative = false, seed = 0 }: Extract<LongAction, { noise: unknown }>,
  { name, value }: Site,
): Replacement {
  const random = new Random((seed ^ hashOf(name)) >>> 0);
  const draws = Float64Array.from({ length: value.size }, () => random.normal());
  if (!relative) return (i, x) => x + noise * (draws[i] as number);
  const spread = spreads(value);
  return (i, x) => x + noise * spread(i) * (draws[i] as number);
}

/** FNV-1a of a name. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
