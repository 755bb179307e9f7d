/** What every sender of a graph writes to the stream in a run, and what it would write if it were ablated. */
import { matmul } from "../../../tensor/index.ts";
import type { Tensor } from "../../../tensor/index.ts";
import { dataForResult, rawData, reshaped } from "../../../tensor/internal.ts";
import type { ActivationCache, HookName, Transformer } from "../../../model/index.ts";
import type { CircuitGraph } from "../circuits/index.ts";

/**
 * `[sender, batch · pos · d_model]`, senders as the graph counts them: the embedding of tokens, $z_h W_O^h$ without
 * $b_O$, what an MLP adds with $b_{out}$. Positions and $b_O$ belong to no sender; they always stay.
 */
export type SenderOutputs = Float32Array;

/** The activations that {@link senderOutputs} is made of. */
export function isSenderHook(name: HookName): boolean {
  return name === "hook_embed" || /\.(attn\.hook_z|hook_mlp_out)$/.test(name);
}

/** What the senders wrote in a run. A graph's MLPs that the model does not have write nothing. */
export function senderOutputs(model: Transformer, graph: CircuitGraph, cache: ActivationCache): SenderOutputs {
  const embed = cache.get("hook_embed");
  const size = embed.size;
  const senders = graph.nodes.length - 1;
  const out = dataForResult("float32", senders * size) as Float32Array;
  out.set(rawData(embed), 0);
  let sender = 1;
  for (const { layer, W_O, heads } of model.inFloat32.layers) {
    const z = cache.get(`blocks.${layer}.attn.hook_z`);
    for (const { head } of heads) {
      const own = reshaped(z.select("head", head), "row d_head", [
        (z.shape[0] ?? 0) * (z.shape[1] ?? 0),
        z.shape[3] ?? 0,
      ]);
      out.set(rawData(matmul(own as Tensor, W_O.select("head", head))), sender++ * size);
    }
    if (graph.config.attn_only) continue;
    const hasMlp = model.config.act_fn !== undefined;
    if (hasMlp) out.set(rawData(cache.get(`blocks.${layer}.hook_mlp_out`)), sender * size);
    else out.fill(0, sender * size, (sender + 1) * size);
    sender++;
  }
  return out;
}

/**
 * Adds up what senders wrote over prompts, in float64.
 *
 * @param visible - of each prompt which positions are text; all where it is undefined.
 * @param sum - `[sender, pos · d_model]`.
 */
export function addPrompts(
  outputs: SenderOutputs,
  senders: number,
  visible: readonly (Uint8Array | undefined)[],
  sum: Float64Array,
): void {
  const size = sum.length / senders;
  for (let sender = 0; sender < senders; sender++) {
    for (const [b, text] of visible.entries()) {
      const from = (sender * visible.length + b) * size;
      const width = size / (text?.length ?? 1);
      for (let i = 0; i < size; i++) {
        if (text?.[Math.floor(i / width)] === 0) continue;
        (sum[sender * size + i] as number) += outputs[from + i] as number;
      }
    }
  }
}

/** What senders write on one prompt, for each of so many. */
export function repeated(outputs: SenderOutputs, senders: number, into: number): SenderOutputs {
  const size = outputs.length / senders;
  const out = dataForResult("float32", senders * into * size) as Float32Array;
  for (let sender = 0; sender < senders; sender++) {
    const own = outputs.subarray(sender * size, (sender + 1) * size);
    for (let b = 0; b < into; b++) out.set(own, (sender * into + b) * size);
  }
  return out;
}
