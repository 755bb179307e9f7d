/** Jobs that take each head out by itself. */
import { requireObject } from "../../errors.ts";
import { headAblation } from "../../heads/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { requireWhole } from "./kind.ts";
import type { JobKind } from "./kind.ts";
import { checkPrompts, isDrawn, tokensOf } from "./prompts.ts";

/** The mean loss of the model, and by how much it rises without each head, a row a head. */
export const ablationJob: JobKind = {
  columns: { layer: "whole", head: "whole", clean: "number", rise: "number" },
  isSeeded: ({ prompts }) => isDrawn(prompts),
  check: (settings) => {
    requireObject(settings, "ablation", "parseJobPlan", "prompts value patterns from");
    const { prompts, value = "zero", patterns = "recomputed", from } = settings;
    checkPrompts(prompts, "prompts");
    requireChoice(value as string, ["zero", "mean", "meanOverAll"], "value", "parseJobPlan");
    requireChoice(patterns as string, ["recomputed", "kept"], "patterns", "parseJobPlan");
    requireWhole(from, 0, "from");
  },
  run: async ({ settings, seed, model: open, signal, onProgress }) => {
    const { prompts, ...options } = settings;
    checkPrompts(prompts, "prompts");
    const opened = await open();
    const { model } = opened;
    const tokens = tokensOf(prompts, opened, seed);
    const { rise, clean } = headAblation(model, tokens, { ...options, signal, onProgress });
    return model.heads.map(({ layer, head }) => ({ layer, head, clean, rise: rise.at(layer, head) }));
  },
};
