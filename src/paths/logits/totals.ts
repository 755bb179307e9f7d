/**
 * What all paths through each head add to a logit, by order, without enumerating them.
 *
 * A path of order $p$ through head $h$ of layer $l$ goes through $a$ heads before $h$ and $b$ after it,
 * $a + 1 + b = p$. Let $s_a$ be the sum of all paths of order $a$ in the stream before the layer. Let $g_b$ be the
 * linear functional on the stream after the layer that sums all continuations of order $b$ to the target. Passes
 * forwards and backwards over the layers give both; MLP outputs join $s_0$ after their layer. The total is
 * $\sum_{a + 1 + b = p} \langle g_b,\, A^h s_a W_{OV}^h \rangle$. That takes $L^2$ passes through a layer, where the
 * paths number $(1+H)^L$.
 */
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { addTo, dot } from "../../tensor/internal.ts";
import { frozenHeads } from "../frozen/frozen-heads.ts";
import type { FrozenHeads } from "../frozen/frozen-heads.ts";
import { flat } from "../frozen/frozen-layers.ts";
import { addMlp, directStream, frozenOf, requireNoPadding, throughFinalNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { readingsOfStream } from "./attribution.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { readAlong, readoutOf } from "../targets.ts";
import type { Readout, Targets } from "../targets.ts";

/**
 * What {@link pathTotals} explains.
 * @category Path expansion
 */
export interface PathTotalsOptions extends ProgressOptions {
  /** The logits to explain; those of the correct next tokens by default. */
  readonly targets?: Targets | undefined;
}

/**
 * Totals over paths, means over positions and prompts, in logits.
 * @category Path expansion
 */
export interface PathTotals {
  /** `[order]`: what all paths through exactly that many heads add to the target's logit. */
  readonly byOrder: Tensor<"order">;
  /** `[order, layer, head]`: what the paths of each order that go through a head add; 0 for order 0. */
  readonly byHead: Tensor<"order layer head">;
  /**
   * `[layer, head]`: the same over all orders: what is gone, but for biases, when the head is removed with patterns
   * held.
   */
  readonly throughHead: Tensor<"layer head">;
}

/**
 * What the paths of every order, and those of every order through each head, add to the logit of a target, by default
 * the correct next token; patterns, norm scales and what MLPs write frozen, biases left aside. A path that begins in an
 * MLP's output counts the heads after it. Exact, for any number of layers: 12 layers of 12 heads have 2.3 · 10^13
 * paths, and cost some 150 passes through a layer (*A Mathematical Framework for Transformer Circuits*, "Path expansion
 * of logits").
 *
 * A path of order $p$ is counted by each of its $p$ heads: summed over heads, the totals of an order are $p$ times
 * `byOrder`.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `targets`, `signal`, `onProgress` (in passes through a layer).
 * @returns means over positions, float64, in logits.
 * @throws {@link InputError} for tokens the model cannot run or predict, or a target that is no output token;
 * {@link ShapeError} when targets do not fit the prompts.
 * @category Path expansion
 * @example
 * ```ts
 * import { pathTotals } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 300, 301, 302, 303, 304, 300, 301, 302, 303, 304];
 * const { byOrder, byHead, throughHead } = pathTotals(model, tokens);
 * console.log(String(byOrder), String(byHead));
 * // Tensor[order=3] float64 Tensor[order=3 layer=2 head=8] float64
 * console.log(Math.abs(throughHead.at(0, 5) - byHead.at(1, 0, 5) - byHead.at(2, 0, 5)) < 1e-9);
 * // true
 * ```
 */
export function pathTotals(model: Transformer, tokens: TokensLike, options?: PathTotalsOptions): PathTotals;
/** As above, of a run that was made before, edits and all. */
export function pathTotals(run: Run, options?: PathTotalsOptions): PathTotals;
export function pathTotals(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | PathTotalsOptions,
  given?: PathTotalsOptions,
): PathTotals {
  const operation = "pathTotals";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "targets signal onProgress");
  const { model } = frozen;
  requireNoPadding(frozen, operation);
  const { targets = "next" } = options;
  const readout = readoutOf(model, frozen.run.tokens, targets, operation);
  return totalsOf(frozen, readout, options);
}

function totalsOf(frozen: FrozenRun, readout: Readout, options: ProgressOptions): PathTotals {
  const { n_layers, n_heads } = frozen.model.config;
  const steps = new Steps(options, 2 * n_layers);
  const mean = 1 / (frozen.run.tokens.sizeOf("batch") * readout.positions);
  const direct = directStream(frozen);
  const streams: Float64Array[] = [flat(direct)];
  const weighted: Float64Array[][] = [];
  for (const { layer } of frozen.model.layers) {
    weighted.push(forwards(frozenHeads(frozen, layer), streams));
    streams[0] = flat(addMlp(frozen, layer, asStream(direct, streams[0] as Float64Array)));
    steps.advance();
  }
  const byOrder = streams.map((stream) => {
    const end = throughFinalNorm(frozen, asStream(direct, stream));
    return mean * sumOf(readAlong(readout, end));
  });
  const byHead = new Float64Array((n_layers + 1) * n_layers * n_heads);
  const readings: Float64Array[] = [wholeReading(frozen, readout)];
  for (let layer = n_layers - 1; layer >= 0; layer--) {
    const heads = frozenHeads(frozen, layer);
    const back = heads.writeBack(joined(readings));
    for (const [a, z] of (weighted[layer] ?? []).entries()) {
      for (const [b, reading] of parts(back, readings.length).entries()) {
        const at = ((a + 1 + b) * n_layers + layer) * n_heads;
        addHeadProducts(heads, z, reading, mean, byHead.subarray(at, at + n_heads));
      }
    }
    backwards(heads, back, readings);
    steps.advance();
  }
  const total = Float64Array.from({ length: n_layers * n_heads }, (_, h) => {
    let sum = 0;
    for (let order = 0; order <= n_layers; order++) sum += byHead[order * n_layers * n_heads + h] as number;
    return sum;
  });
  return {
    byOrder: Tensor.from("order", [n_layers + 1], Float64Array.from(byOrder)),
    byHead: Tensor.from("order layer head", [n_layers + 1, n_layers, n_heads], byHead),
    throughHead: Tensor.from("layer head", [n_layers, n_heads], total),
  };
}

/**
 * Takes the sums of paths of each order through a layer, all orders in one product, and returns the weighted values of
 * each.
 */
function forwards(heads: FrozenHeads, streams: Float64Array[]): Float64Array[] {
  const weighted = heads.attend(heads.values(joined(streams)));
  const orders = streams.length;
  accumulate(streams, parts(heads.write(weighted), orders));
  return parts(weighted, orders);
}

/** Takes the readings after a layer, given as readings of weighted values, to readings before it. */
function backwards(heads: FrozenHeads, back: Float64Array, readings: Float64Array[]): void {
  accumulate(readings, parts(heads.valuesBack(heads.attend(back, true)), readings.length));
}

/** Terms of order $p$ join the sums of order $p + 1$. */
function accumulate(sums: Float64Array[], terms: readonly Float64Array[]): void {
  for (const [order, term] of terms.entries()) {
    const sum = sums[order + 1];
    if (sum === undefined) sums[order + 1] = term;
    else addTo(sum, term);
  }
}

/** Arrays of one size, one after another. */
function joined(arrays: readonly Float64Array[]): Float64Array {
  const size = arrays[0]?.length ?? 0;
  const out = new Float64Array(arrays.length * size);
  for (const [i, array] of arrays.entries()) out.set(array, i * size);
  return out;
}

/** What {@link joined} put together. */
function parts(all: Float64Array, count: number): Float64Array[] {
  const size = all.length / count;
  return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size));
}

/** The target's reading of the raw stream at every position; 0 at positions that have none. */
function wholeReading(frozen: FrozenRun, readout: Readout): Float64Array {
  const u = readingsOfStream(frozen, readout);
  const [batch = 0, pos = 0] = frozen.run.tokens.shape;
  const width = readout.positions * frozen.model.config.d_model;
  const out = new Float64Array(batch * pos * frozen.model.config.d_model);
  for (let b = 0; b < batch; b++) {
    out.set(flat(u).subarray(b * width, (b + 1) * width), b * pos * frozen.model.config.d_model);
  }
  return out;
}

function addHeadProducts(
  { heads, width, d_head }: FrozenHeads,
  z: Float64Array,
  reading: Float64Array,
  scale: number,
  into: Float64Array,
): void {
  for (let start = 0; start < z.length; start += width) {
    for (let h = 0; h < heads; h++) {
      const from = start + h * d_head;
      into[h] = (into[h] as number) + scale * dot(z, from, reading, from, d_head);
    }
  }
}

function asStream(like: Stream, data: Float64Array): Stream {
  return Tensor.from("batch pos d_model", like.shape, data);
}

function sumOf(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0);
}
