/**
 * 8. Changing a run: without the previous-token heads, induction stops.
 *
 * Edits are arguments of one run; the model never changes and nothing has to be undone.
 *
 * prints:
 *   L1H4, untouched: 0.74
 *   L1H4 without L0H5 and L0H7: 0.00
 *   L1H4 without L0H0 and L0H1: 0.68
 */
import { inductionScores, repeatedTokens } from "transformer-circuits";
import { edit } from "transformer-circuits/interventions";
import type { ActivationEdit } from "transformer-circuits/interventions";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const length = 50;
const tokens = repeatedTokens(model.config, { length, batch: 4, seed: 0, bos: 0 });

const score = (edits: ActivationEdit[]): string => {
  const { cache } = model.run(tokens, { cache: ["blocks.1.attn.hook_pattern"], unembed: "none", edits });
  return inductionScores(cache.get("blocks.1.attn.hook_pattern"), { period: length, variant: "strict" })
    .at(4)
    .toFixed(2);
};
console.log("L1H4, untouched:", score([]));
console.log("L1H4 without L0H5 and L0H7:", score([edit(["L0H5", "L0H7"], "zero")]));
console.log("L1H4 without L0H0 and L0H1:", score([edit(["L0H0", "L0H1"], "zero")]));
