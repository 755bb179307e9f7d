/** Jobs of head scores, and of the heads that are found by them. */
import { findHeads, headScores } from "../../heads/index.ts";
import type { HeadScores } from "../../heads/index.ts";
import { allHeads } from "../../model/index.ts";
import type { JobKind, JobTask } from "./kind.ts";
import { checkRepeated } from "./prompts.ts";

type ScoreName = Exclude<keyof HeadScores, "tokens" | "period" | "byQuery">;

/** The scores by the names of their columns. */
export const SCORES = {
  current: "current",
  previous: "previous",
  first: "first",
  duplicate: "duplicate",
  induction: "induction",
  induction_strict: "inductionStrict",
  prefix_matching: "prefixMatching",
} as const satisfies Readonly<Record<string, ScoreName>>;

async function scored(task: JobTask): Promise<HeadScores> {
  const { model } = await task.model();
  const { settings, seed, signal, onProgress } = task;
  return headScores(model, { ...settings, seed, signal, onProgress });
}

/** The scores of every head, a row a head. */
export const headScoresJob: JobKind = {
  columns: {
    layer: "whole",
    head: "whole",
    ...Object.fromEntries(Object.keys(SCORES).map((name) => [name, "number" as const])),
  },
  check: (settings) => checkRepeated(settings, "head-scores"),
  run: async (task) => {
    const scores = await scored(task);
    const [n_layers = 0, n_heads = 0] = scores.current.shape;
    return allHeads({ n_layers, n_heads }).map(({ layer, head }) => ({
      ...{ layer, head },
      ...Object.fromEntries(Object.entries(SCORES).map(([column, name]) => [column, scores[name].at(layer, head)])),
    }));
  },
};

/** The kinds of heads by the names of their columns. */
export const FOUND = {
  is_current_token: "currentToken",
  is_previous_token: "previousToken",
  is_first_token: "firstToken",
  is_duplicate_token: "duplicateToken",
  is_induction: "induction",
  is_prefix_matching: "prefixMatching",
} as const;

/** Of which kinds each head is found to be, a row a head. */
export const foundHeadsJob: JobKind = {
  columns: {
    layer: "whole",
    head: "whole",
    ...Object.fromEntries(Object.keys(FOUND).map((name) => [name, "boolean" as const])),
  },
  check: (settings) => checkRepeated(settings, "found-heads"),
  run: async (task) => {
    const scores = await scored(task);
    const found = findHeads(scores);
    const [n_layers = 0, n_heads = 0] = scores.current.shape;
    return allHeads({ n_layers, n_heads }).map(({ layer, head }) => ({
      ...{ layer, head },
      ...Object.fromEntries(
        Object.entries(FOUND).map(([column, kind]) => [
          column,
          found[kind].some((one) => one.layer === layer && one.head === head),
        ]),
      ),
    }));
  },
};
