/**
 * The gain of every layer and head on each prompt, in nats, from both ends: added to the direct path, and removed from
 * everything else. Term importance takes means and spreads of these.
 */
import type { AttentionHead } from "../../model/index.ts";
import { add } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import { finalConstants, layerOutput, layerTerm } from "../frozen/frozen-layers.ts";
import {
  addFinalEdits,
  addMlp,
  directStream,
  headlessStream,
  headTerm,
  throughFinalNorm,
  throughFrozenNorm,
} from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { lossesOfStream, promptLogits, promptLoss } from "../logits/orders.ts";

/** Nats, one number a prompt. */
export type PerPrompt = Float64Array;

/** Which heads take part. */
export type HeadPredicate = (layer: number, head: number) => boolean;

/** The loss of each prompt when the unembedding reads a path stream beside the bias. */
export function lossesOfPaths(frozen: FrozenRun, stream: Stream, bias: Stream): PerPrompt {
  return lossesOfStream(frozen, add(throughFinalNorm(frozen, stream), bias));
}

/** The stream after a layer of the affine model, over all heads or those that `keep` picks. */
function throughLayer(frozen: FrozenRun, layer: number, x: Stream, keep?: HeadPredicate): Stream {
  const kept = keep === undefined ? undefined : (head: number): boolean => keep(layer, head);
  return addMlp(frozen, layer, add(x, layerOutput(frozen, layer, x, kept)));
}

/** The losses of the affine model from a layer on, over all heads or those that `keep` picks. */
export function lossesFrom(frozen: FrozenRun, first: number, from: Stream, keep?: HeadPredicate): PerPrompt {
  const { layers, ln_final } = frozen.model;
  const end = layers.slice(first).reduce((x, { layer }) => throughLayer(frozen, layer, x, keep), from);
  const linear = throughFinalNorm(frozen, end);
  return lossesOfStream(frozen, addFinalEdits(frozen, ln_final === undefined ? linear : ln_final.addBias(linear)));
}

export function meanOfPrompts(perPrompt: PerPrompt): number {
  return perPrompt.reduce((sum, loss) => sum + loss, 0) / perPrompt.length;
}

export function minus(a: PerPrompt, b: PerPrompt): PerPrompt {
  return a.map((x, i) => x - (b[i] as number));
}

/**
 * The single-head paths of each layer: what they add to the direct path alone, and to the direct path with those of all
 * other layers. The unembedding is linear, so each layer's paths go through it once: their logits are added to those of
 * the direct path and taken off those of all.
 *
 * @returns the losses of the direct path, and of it with all single-head paths.
 */
export function layerGains(
  frozen: FrozenRun,
  take: (layer: number, alone: PerPrompt, last: PerPrompt) => void,
): { readonly direct: PerPrompt; readonly firstOrder: PerPrompt } {
  const { model, run } = frozen;
  const terms = model.layers.map(({ layer }) =>
    throughFinalNorm(frozen, layerTerm(frozen, layer, headlessStream(frozen, layer))),
  );
  const start = throughFinalNorm(frozen, headlessStream(frozen, model.config.n_layers));
  const directPath = add(start, finalConstants(frozen));
  const all = terms.reduce((sum, term) => add(sum, term), directPath);
  const batch = run.tokens.sizeOf("batch");
  const perPrompt = (): PerPrompt => new Float64Array(batch);
  const [direct, firstOrder] = [perPrompt(), perPrompt()];
  const losses = terms.map(() => ({ alone: perPrompt(), without: perPrompt() }));
  for (let prompt = 0; prompt < batch; prompt++) {
    const logitsOf = (stream: Stream): FloatArray => rawData(promptLogits(frozen, stream, prompt)) as FloatArray;
    const withBias = (stream: Stream): FloatArray =>
      rawData(add(promptLogits(frozen, stream, prompt), model.b_U)) as FloatArray;
    const [least, most] = [withBias(directPath), withBias(all)];
    direct[prompt] = promptLoss(frozen, prompt, least);
    firstOrder[prompt] = promptLoss(frozen, prompt, most);
    const changed = new Float64Array(least.length);
    const lossWith = (logits: FloatArray, sign: number, own: FloatArray): number => {
      for (let i = 0; i < changed.length; i++) changed[i] = (logits[i] as number) + sign * (own[i] as number);
      return promptLoss(frozen, prompt, changed);
    };
    for (const [layer, term] of terms.entries()) {
      const own = logitsOf(term);
      const { alone, without } = losses[layer] as (typeof losses)[number];
      alone[prompt] = lossWith(least, 1, own);
      without[prompt] = lossWith(most, -1, own);
    }
  }
  for (const [layer, { alone, without }] of losses.entries())
    take(layer, minus(direct, alone), minus(without, firstOrder));
  return { direct, firstOrder };
}

/**
 * Each head: what its own path adds to the direct path, and what the model loses with all paths through it.
 *
 * @returns the losses of the direct path, and of the model.
 */
export function headGains(
  frozen: FrozenRun,
  take: (head: AttentionHead, added: PerPrompt, removed: PerPrompt) => void,
): { readonly direct: PerPrompt; readonly full: PerPrompt } {
  const { layers, config } = frozen.model;
  const [start, bias] = [headlessStream(frozen, config.n_layers), finalConstants(frozen)];
  const direct = lossesOfPaths(frozen, start, bias);
  let stream = directStream(frozen);
  const full = lossesFrom(frozen, 0, stream);
  for (const { layer, heads } of layers) {
    const normalized = throughFrozenNorm(frozen, layer, headlessStream(frozen, layer));
    for (const one of heads) {
      const single = lossesOfPaths(frozen, add(start, headTerm(frozen, layer, one.head, normalized)), bias);
      const without = lossesFrom(frozen, layer, stream, (l, h) => l !== layer || h !== one.head);
      take(one, minus(direct, single), minus(without, full));
    }
    stream = throughLayer(frozen, layer, stream);
  }
  return { direct, full };
}
