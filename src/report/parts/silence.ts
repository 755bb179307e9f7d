/** What the model does without some of its heads: their outputs set to zero, everything after computed anew. */
import { inductionScores } from "../../heads/index.ts";
import { combineEdits, editAt, lossPerToken } from "../../model/index.ts";
import type { Edits, HeadId, HookName, Transformer } from "../../model/index.ts";
import { add, matmul, multiply, subtract, Tensor } from "../../tensor/index.ts";
import { secondCopyLoss } from "./loss.ts";

/** Edits that set the outputs of some heads to zero. */
export function silencing(model: Transformer, heads: readonly HeadId[]): Edits {
  const layers = [...new Set(heads.map((head) => head.layer))];
  return combineEdits(
    ...layers.map((layer) => {
      const silent = new Set(heads.filter((head) => head.layer === layer).map((head) => head.head));
      const keep = Tensor.from(
        "head",
        [model.config.n_heads],
        Array.from({ length: model.config.n_heads }, (_, head) => (silent.has(head) ? 0 : 1)),
      );
      return editAt(`blocks.${layer}.attn.hook_z`, (z) => multiply(z, keep));
    }),
  );
}

/** The mean loss on the second copy with some heads silenced; only the second copy is unembedded. */
export function silencedLoss(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  period: number,
  heads: readonly HeadId[],
): number {
  const pos = prompts[0]?.length ?? 0;
  const second = Array.from({ length: period }, (_, i) => pos - period + i);
  const { logits, tokens } = model.run(prompts, { cache: [], edits: silencing(model, heads), unembed: second });
  return secondCopy(lossPerToken(logits, tokens.slice("pos", pos - period)), period);
}

/**
 * {@link silencedLoss} for each head of the last layer by itself, from one run: nothing comes after them but the final
 * norm and the unembedding, which are computed anew for the second copy.
 */
export function silencedLastLayer(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  period: number,
  heads: readonly HeadId[],
): number[] {
  const layer = model.layer(model.config.n_layers - 1);
  const at = `blocks.${layer.layer}` as const;
  const kept = [`${at}.hook_resid_post`, `${at}.attn.hook_z`] as const;
  const { cache, tokens } = model.run(prompts, { cache: kept, unembed: "none" });
  const from = tokens.sizeOf("pos") - period;
  const resid = cache.get(`${at}.hook_resid_post`).slice("pos", from);
  const z = cache.get(`${at}.attn.hook_z`).slice("pos", from);
  const targets = tokens.slice("pos", from);
  return heads.map(({ head }) => {
    const written: Tensor<"batch pos d_model"> = matmul(z.select("head", head), layer.W_O.select("head", head));
    const without = subtract(resid, written);
    return secondCopy(lossPerToken(unembed(model, without), targets), period);
  });
}

function secondCopy(loss: Tensor<"batch pos">, period: number): number {
  return secondCopyLoss(
    Array.from({ length: loss.sizeOf("batch") }, (_, b) => Array.from(loss.select("batch", b).data)),
    period,
  );
}

function unembed(model: Transformer, resid: Tensor<"batch pos d_model">): Tensor<"batch pos d_vocab"> {
  const { ln_final } = model;
  const normalized = ln_final === undefined ? resid : ln_final.apply(resid);
  return add(matmul(normalized, model.weight("unembed.W_U") as Tensor<"d_model d_vocab">), model.b_U);
}

/** The strict induction score of every head of a layer with some heads silenced, `[layer][head]`. */
export function silencedInduction(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  period: number,
  bos: boolean,
  heads: readonly HeadId[],
): number[][] {
  const { cache } = model.run(prompts, {
    cache: (name: HookName) => name.endsWith("hook_pattern"),
    unembed: "none",
    edits: silencing(model, heads),
  });
  return model.layers.map(({ layer }) =>
    Array.from(
      inductionScores(cache.get(`blocks.${layer}.attn.hook_pattern`), { period, variant: "strict", bos }).data,
    ),
  );
}
