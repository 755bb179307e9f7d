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
import { inductionScores, multiply, repeatedTokens, Tensor } from "transformer-circuits";
import type { Edits } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const length = 50;
const tokens = repeatedTokens(model.config, { length, batch: 4, seed: 0, bos: 0 });

/** Sets z of some heads of layer 0 to zero. */
const withoutHeads = (heads: readonly number[]): Edits => {
  const keep = Array.from({ length: model.config.n_heads }, (_, head) => (heads.includes(head) ? 0 : 1));
  return { "blocks.0.attn.hook_z": (z) => multiply(z, Tensor.from("head", [keep.length], keep)) };
};

const score = (edits: Edits): string => {
  const { cache } = model.run(tokens, { cache: ["blocks.1.attn.hook_pattern"], edits });
  return inductionScores(cache.get("blocks.1.attn.hook_pattern"), { period: length, variant: "strict" })
    .at(4)
    .toFixed(2);
};
console.log("L1H4, untouched:", score({}));
console.log("L1H4 without L0H5 and L0H7:", score(withoutHeads([5, 7])));
console.log("L1H4 without L0H0 and L0H1:", score(withoutHeads([0, 1])));
