/** Heads that figures point out: previous-token and induction heads. */
import { findHeads } from "../heads/index.ts";
import type { HeadId } from "../model/index.ts";
import type { FigureInput, FigureOptions } from "./input.ts";
import { canRepeat, measuredHeads } from "./prompts.ts";

/** Previous-token and induction heads on random repeated tokens; none where the model has no room for them. */
export function rolesOf(
  input: FigureInput,
  options: FigureOptions,
  operation: string,
): { readonly previousToken: readonly HeadId[]; readonly induction: readonly HeadId[] } {
  if (input.model.config.attention_dir !== "causal" || !canRepeat(input, operation))
    return { previousToken: [], induction: [] };
  const { previousToken, induction } = findHeads(measuredHeads(input, options.seed ?? 0, options));
  return { previousToken, induction };
}
