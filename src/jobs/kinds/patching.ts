/** Jobs of activation patching. */
import { requireObject } from "../../errors.ts";
import { sweep } from "../../interventions/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { refusePlan } from "./kind.ts";
import type { JobKind, JobValue } from "./kind.ts";
import { checkMetric, checkPrompts, isDrawn, metricOf, tokensOf } from "./prompts.ts";

type SweepArguments = Parameters<typeof sweep>;

const KNOWN = "at over clean corrupted metric put direction patterns layers heads positions keys";

/** A metric before and after each change, a row a change: all that `sweep` does, by the names of its options. */
export const patchingJob: JobKind = {
  columns: {
    ...{ hook: "text", layer: "whole", head: "whole", pos: "whole", query_pos: "whole", key_pos: "whole" },
    ...{ metric: "text", base: "number", other: "number", value: "number", change: "number", effect: "number" },
  },
  isSeeded: ({ clean, corrupted, put }) => put === "resample" || isDrawn(clean) || isDrawn(corrupted),
  check: (settings) => {
    requireObject(settings, "patching", "parseJobPlan", KNOWN);
    const { at, over, clean, corrupted, metric, direction = "denoising" } = settings;
    if (typeof at !== "string" && !Array.isArray(at))
      throw refusePlan("at", 'at is missing. Name what is changed, as at: "z".', at);
    if (typeof over !== "string")
      throw refusePlan("over", 'over is missing. Give the axes of the result, as over: "layer head".', over);
    checkPrompts(clean, "clean");
    if (corrupted !== undefined) checkPrompts(corrupted, "corrupted");
    checkMetric(metric);
    requireChoice(direction as string, ["denoising", "noising"], "direction", "parseJobPlan");
  },
  run: async ({ settings, seed, model: open, signal }) => {
    const { clean, corrupted, metric, ...options } = settings;
    checkPrompts(clean, "clean");
    const opened = await open();
    const tokens = tokensOf(clean, opened, seed);
    const read = { ...options, metric: metricOf(metric, tokens, opened), seed, signal };
    const found = sweep(opened.model, promptsOf(tokens, corrupted), read as unknown as SweepArguments[2]);
    const [values, change, effect] = [found.values.data, found.change().data, found.effect().data];
    const at = placesOf(found.values.names, found.labels);
    const [base, other] = [found.base, found.other ?? null];
    return Array.from(values, (value, i) => ({
      ...at(i),
      ...{ metric: found.metric, base, other, value, change: change[i] as number, effect: effect[i] as number },
    }));

    function promptsOf(ids: number[][], others: unknown): SweepArguments[1] {
      if (others === undefined) return ids;
      checkPrompts(others, "corrupted");
      return { clean: ids, corrupted: tokensOf(others, opened, seed) };
    }
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
