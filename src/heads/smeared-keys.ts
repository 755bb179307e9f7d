/**
 * Smeared keys (*In-context Learning and Induction Heads*, "Argument 2"): keys that carry the token before them by
 * construction.
 */
import { InputError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { requireAxes } from "../tensor/internal.ts";

/**
 * Keys mixed with those of the position before, head by head:
 * $k_j \leftarrow \sigma(\alpha_h) k_j + (1 - \sigma(\alpha_h)) k_{j-1}$, the first key left as it is. With
 * $\alpha \to \infty$ the plain head, with $\alpha \to -\infty$ keys of the token before: then one layer can do what
 * otherwise takes an induction head and a previous-token head. Meant as an edit of `attn.hook_k`.
 *
 * @param keys - `[batch, pos, head, d_head]`.
 * @param alpha - one number for every head; infinities are allowed.
 * @throws {@link InputError} when there is not one number for each head.
 * @category Attention scores
 * @example
 * ```ts
 * import { editAt, inductionScores, repeatedTokens } from "transformer-circuits";
 * import { smearedKeys } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const alpha = model.layer(0).heads.map(({ head }) => (head === 1 ? -Infinity : Infinity));
 * const edits = editAt("blocks.0.attn.hook_k", (k) => smearedKeys(k, alpha));
 * const tokens = repeatedTokens(model.config, { length: 40, batch: 2, seed: 1, bos: 0 });
 * const scoreOf = (changed: boolean): number => {
 *   const { cache } = model.run(tokens, changed ? { edits } : {});
 *   return inductionScores(cache.get("blocks.0.attn.hook_pattern"), { period: 40 }).at(1);
 * };
 * // L0H1 looks for its own token; with keys of the token before, that makes it an induction head.
 * console.log(scoreOf(false) < 0.1, scoreOf(true) > 5 * scoreOf(false));
 * // true true
 * ```
 */
export function smearedKeys(
  keys: Tensor<"batch pos head d_head">,
  alpha: readonly number[],
): Tensor<"batch pos head d_head"> {
  requireAxes(keys, "batch pos head d_head", "keys", "smearedKeys");
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = keys.shape;
  const given: unknown = alpha;
  if (!Array.isArray(given) || given.length !== heads || given.some((a) => typeof a !== "number" || Number.isNaN(a))) {
    throw new InputError(
      `alpha is [${Array.isArray(given) ? given.join(", ") : String(given)}] but there are ${heads} heads; give a number for each.`,
      {
        operation: "smearedKeys",
        argument: "alpha",
        expected: heads,
        actual: given,
      },
    );
  }
  const shares = alpha.map((a) => 1 / (1 + Math.exp(-a)));
  const from = keys.data;
  const out = from.slice();
  const row = heads * d_head;
  for (let b = 0; b < batch; b++) {
    for (let t = row; t < pos * row; t++) {
      const at = b * pos * row + t;
      const share = shares[Math.floor((t % row) / d_head)] as number;
      out[at] = share * (from[at] as number) + (1 - share) * (from[at - row] as number);
    }
  }
  return Tensor.from("batch pos head d_head", keys.shape, out);
}
