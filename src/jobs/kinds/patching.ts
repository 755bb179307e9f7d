/** Jobs of activation and path patching. */
import { nameOf, requireObject } from "../../errors.ts";
import { pathPatching, sweep } from "../../interventions/index.ts";
import type { Sweep } from "../../interventions/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { refusePlan } from "./kind.ts";
import type { ColumnType, JobKind, JobTask, JobValue, OpenedModel, Settings } from "./kind.ts";
import { checkMetric, checkPrompts, isDrawn, metricOf, tokensOf } from "./prompts.ts";

type SweepArguments = Parameters<typeof sweep>;
type PathArguments = Parameters<typeof pathPatching>;

const MEASURED: Readonly<Record<string, ColumnType>> = {
  ...{ metric: "text", base: "number", other: "number", value: "number", change: "number", effect: "number" },
};

const isSeeded = ({ clean, corrupted, put }: Settings): boolean =>
  put === "resample" || isDrawn(clean) || isDrawn(corrupted);

/** Refuses prompts, a metric and a direction that are none. */
function checkMeasured({ clean, corrupted, metric, direction = "denoising" }: Settings): void {
  checkPrompts(clean, "clean");
  if (corrupted !== undefined) checkPrompts(corrupted, "corrupted");
  checkMetric(metric);
  requireChoice(direction as string, ["denoising", "noising"], "direction", "parseJobPlan");
}

/** What both functions of patching take: the model, prompts, and options by the names of the settings. */
interface Question {
  readonly opened: OpenedModel;
  readonly prompts: SweepArguments[1];
  readonly options: Readonly<Record<string, unknown>>;
}

async function questionOf({ settings, seed, model: open, signal, onProgress }: JobTask): Promise<Question> {
  const { clean, corrupted, metric, ...others } = settings;
  checkPrompts(clean, "clean");
  const opened = await open();
  const tokens = tokensOf(clean, opened, seed);
  const options = { ...others, metric: metricOf(metric, tokens, opened), seed, signal, onProgress };
  if (corrupted === undefined) return { opened, prompts: tokens, options };
  checkPrompts(corrupted, "corrupted");
  return { opened, prompts: { clean: tokens, corrupted: tokensOf(corrupted, opened, seed) }, options };
}

/** A row for each change. */
function rowsOfSweep(found: Sweep<string>): Record<string, JobValue>[] {
  const [values, change, effect] = [found.values.data, found.change().data, found.effect().data];
  const at = placesOf(found.values.names, found.labels);
  const [base, other] = [found.base, found.other ?? null];
  return Array.from(values, (value, i) => ({
    ...at(i),
    ...{ metric: found.metric, base, other, value, change: change[i] as number, effect: effect[i] as number },
  }));
}

/** A metric before and after each change, a row a change: all that `sweep` does, by the names of its options. */
export const patchingJob: JobKind = {
  columns: {
    ...{ hook: "text", layer: "whole", head: "whole", pos: "whole", query_pos: "whole", key_pos: "whole" },
    ...MEASURED,
  },
  isSeeded,
  check: (settings) => {
    const known = "at over clean corrupted metric put direction patterns layers heads positions keys";
    requireObject(settings, "patching", "parseJobPlan", known);
    const { at, over } = settings;
    if (typeof at !== "string" && !Array.isArray(at))
      throw refusePlan("at", 'at is missing. Name what is changed, as at: "z".', at);
    if (typeof over !== "string")
      throw refusePlan("over", 'over is missing. Give the axes of the result, as over: "layer head".', over);
    checkMeasured(settings);
  },
  run: async (task) => {
    const { opened, prompts, options } = await questionOf(task);
    return rowsOfSweep(sweep(opened.model, prompts, options as unknown as SweepArguments[2]));
  },
};

/**
 * A metric when receivers read another sender's output, a row a sender: all that `pathPatching` does, by the names of
 * its options.
 */
export const pathPatchingJob: JobKind = {
  columns: { layer: "whole", head: "whole", sender: "text", ...MEASURED },
  isSeeded,
  check: (settings) => {
    const known = "clean corrupted metric senders receivers through mlps direction put positions";
    requireObject(settings, "path-patching", "parseJobPlan", known);
    const { senders, through, mlps = "recomputed" } = settings;
    for (const [argument, list] of Object.entries({ senders, through })) {
      if (list === undefined || (Array.isArray(list) && list.length > 0)) continue;
      throw refusePlan(argument, `${argument} is ${nameOf(list)}; give a list, as ${argument}: ["L0H5"].`, list);
    }
    requireChoice(mlps as string, ["recomputed", "frozen"], "mlps", "parseJobPlan");
    checkMeasured({ direction: "noising", ...settings });
  },
  run: async (task) => {
    const { opened, prompts, options } = await questionOf(task);
    const found: unknown = pathPatching(opened.model, prompts, options as unknown as PathArguments[2]);
    return rowsOfSweep(found as Sweep<string>);
  },
};

/** What the entry of an index is of, by axis; the last axis counts fastest. */
function placesOf(
  names: readonly string[],
  labels: Readonly<Record<string, readonly (string | number)[]>>,
): (index: number) => Record<string, JobValue> {
  return (index) => {
    let rest = index;
    const found = [...names].reverse().map((name): [string, JobValue] => {
      const list = labels[name] ?? [];
      const label = list[rest % list.length] ?? null;
      rest = Math.floor(rest / list.length);
      return [name, label];
    });
    return Object.fromEntries(found);
  };
}
