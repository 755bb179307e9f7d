/** What the model does without some of its heads: their outputs set to zero, everything after computed anew. */
import { inductionScores } from "../../heads/index.ts";
import { combineEdits, editAt, lossPerToken, Transformer } from "../../model/index.ts";
import type { Edits, HeadId, HookName } from "../../model/index.ts";
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

const trunks = new WeakMap<Transformer, Transformer>();

/** The model with an unembedding to one token: its attention and streams at the price of the layers alone. */
export function trunkOf(model: Transformer): Transformer {
  let trunk = trunks.get(model);
  if (trunk === undefined) {
    const weights = new Map(model.weights);
    weights.set("unembed.W_U", Tensor.zeros("d_model d_vocab", [model.config.d_model, 1]));
    weights.set("unembed.b_U", Tensor.zeros("d_vocab", [1]));
    trunk = Transformer.fromWeights({ ...model.config, d_vocab_out: 1 }, weights);
    trunks.set(model, trunk);
  }
  return trunk;
}

/** The mean loss on the second copy with some heads silenced; only the second copy is unembedded. */
export function silencedLoss(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  period: number,
  heads: readonly HeadId[],
): number {
  const last = `blocks.${model.config.n_layers - 1}.hook_resid_post` as const;
  const { cache, tokens } = trunkOf(model).run(prompts, { cache: [last], edits: silencing(model, heads) });
  const from = tokens.sizeOf("pos") - period;
  const resid = cache.get(last).slice("pos", from);
  return secondCopy(lossPerToken(unembed(model, resid), tokens.slice("pos", from)), period);
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
  const { cache, tokens } = trunkOf(model).run(prompts, { cache: [`${at}.hook_resid_post`, `${at}.attn.hook_z`] });
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
  const { cache } = trunkOf(model).run(prompts, {
    cache: (name: HookName) => name.endsWith("hook_pattern"),
    edits: silencing(model, heads),
  });
  return model.layers.map(({ layer }) =>
    Array.from(
      inductionScores(cache.get(`blocks.${layer}.attn.hook_pattern`), { period, variant: "strict", bos }).data,
    ),
  );
}
