/** Heads that figures point out: previous-token and induction heads. */
import { findHeads, headScores } from "../heads/index.ts";
import type { HeadId } from "../model/index.ts";
import { bosOf } from "./input.ts";
import type { FigureInput, FigureOptions } from "./input.ts";

/** The longest repeated sequence on which roles are looked for. */
const PERIOD = 50;

/** Previous-token and induction heads on random repeated tokens; none where the model has no room for them. */
export function rolesOf(
  input: FigureInput,
  options: FigureOptions,
  operation: string,
): { readonly previousToken: readonly HeadId[]; readonly induction: readonly HeadId[] } {
  const { config } = input.model;
  const bos = bosOf(input, operation) ?? null;
  const length = Math.min(PERIOD, Math.floor((config.n_ctx - 1) / 2), config.d_vocab - 1);
  if (config.attention_dir !== "causal" || length < 4) return { previousToken: [], induction: [] };
  const { signal, onProgress } = options;
  const prompts = { signal, onProgress, length, batch: 2, seed: options.seed ?? 0, bos };
  const { previousToken, induction } = findHeads(headScores(input.model, { ...prompts }));
  return { previousToken, induction };
}
