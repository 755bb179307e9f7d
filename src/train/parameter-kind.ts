/** What the weights of a model are, so that weight decay can tell them apart. */
import { InputError, nameOf } from "../errors.ts";

/**
 * What a weight is: `embedding` (W_E, W_pos), `attention` (W_Q, W_K, W_V, W_O), `mlp` (W_in, W_gate, W_out),
 * `unembedding` (W_U), `bias` (all b), `norm` (w and b of norms).
 * @category Training
 */
export type ParameterKind = "embedding" | "attention" | "mlp" | "unembedding" | "bias" | "norm";

const KINDS: readonly ParameterKind[] = ["embedding", "attention", "mlp", "unembedding", "bias", "norm"];

/**
 * What a weight is, by its TransformerLens 3.x name.
 *
 * @throws {@link InputError} for what is no name of a weight.
 * @category Training
 * @example
 * ```ts
 * import { parameterKind } from "transformer-circuits/train";
 *
 * console.log(parameterKind("blocks.0.attn.W_Q"), parameterKind("blocks.0.ln1.b"), parameterKind("unembed.b_U"));
 * // attention norm bias
 * ```
 */
export function parameterKind(name: string): ParameterKind {
  const last = /(?:^|\.)(_?[Wb]_\w+|[wb])$/.exec(name)?.[1];
  if (last === undefined) {
    throw new InputError(`${nameOf(name)} is no name of a weight, as blocks.0.attn.W_Q is.`, {
      operation: "parameterKind",
      argument: "name",
      expected: "a name of a weight",
      actual: name,
    });
  }
  if (last === "w" || last === "b") return "norm";
  if (/^_?b_/.test(last)) return "bias";
  if (last === "W_U") return "unembedding";
  if (last === "W_E" || last === "W_pos") return "embedding";
  return /^W_(in|out|gate)$/.test(last) ? "mlp" : "attention";
}

/**
 * Which weights decay: all, as in torch; `"matrices"`, all but biases and weights of norms, as GPT-2 was trained; or
 * those of some kinds.
 * @category Training
 */
export type Decays = "all" | "matrices" | readonly ParameterKind[];

/** Whether a weight decays. */
export function decaysAt(decays: Decays, name: string): boolean {
  if (decays === "all") return true;
  const kind = parameterKind(name);
  return decays === "matrices" ? kind !== "bias" && kind !== "norm" : decays.includes(kind);
}

/** Checked, and as what can be kept in a file. */
export function checkDecays(decays: unknown, operation: string): Decays {
  if (decays === "all" || decays === "matrices") return decays;
  const isKinds = Array.isArray(decays) && decays.every((kind) => (KINDS as readonly unknown[]).includes(kind));
  if (isKinds) return Object.freeze([...(decays as readonly ParameterKind[])]);
  throw new InputError(
    `decays is ${nameOf(decays)}. Write "all", "matrices", or a list of kinds: ${KINDS.map((kind) => `"${kind}"`).join(", ")}.`,
    { operation, argument: "decays", expected: ["all", "matrices", ...KINDS], actual: decays },
  );
}
