/**
 * The sum of all paths of each order, without enumerating them.
 *
 * Let $s_p$ be the sum of the paths through $p$ heads so far. A layer is linear, so the sum goes through it as one
 * stream: $s_p$ becomes $s_p + \sum_h A^h s_{p-1} W_{OV}^h$. $L$ layers cost at most $L(L+1)/2$ passes through a layer,
 * where the paths number $(1+H)^L$. MLP outputs join $s_0$ after their layer. Where only the sum of the longer paths is
 * asked for, those of $m$ heads or more are one stream, $s_m$ becoming $s_m + \sum_h A^h (s_m + s_{m-1}) W_{OV}^h$:
 * $m L$ passes.
 */
import { add } from "../../tensor/index.ts";
import { frozenHeads } from "./frozen-heads.ts";
import { constantValues, layerTerm, toStream } from "./frozen-layers.ts";
import { addMlp, directStream } from "./frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen-run.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * What the paths of order 0 to `n_layers` write to the residual stream, each order summed, float64, before the final
 * norm; with `withBiases`, paths that begin in biases of layers too; with `before`, of the layers before that one
 * alone; with `most`, at least 1, those of so many heads or more as one last stream.
 */
export function streamsByOrder(
  frozen: FrozenRun,
  options: ProgressOptions & { readonly withBiases?: boolean; readonly before?: number; readonly most?: number } = {},
): Stream[] {
  const layers = frozen.model.layers.slice(0, options.before);
  const sums: Stream[] = [directStream(frozen)];
  const steps = new Steps(options, layers.length);
  for (const { layer } of layers) {
    advanceOrders(frozen, layer, sums, options.most);
    if (options.withBiases === true) addBiases(frozen, layer, sums);
    steps.advance();
  }
  return sums;
}

/**
 * Takes the sums of the paths of each order through one more layer, those of `most` heads or more as one; what its MLP
 * wrote joins those of no head.
 */
export function advanceOrders(frozen: FrozenRun, layer: number, sums: Stream[], most = Infinity): void {
  for (let order = Math.min(sums.length, most); order >= 1; order--) {
    const before = sums[order];
    const shorter = sums[order - 1] as Stream;
    const term = layerTerm(frozen, layer, order === most && before !== undefined ? add(before, shorter) : shorter);
    sums[order] = before === undefined ? term : add(before, term);
  }
  sums[0] = addMlp(frozen, layer, sums[0] as Stream);
}

/** $b_O$ joins the direct path; $b_V$ and the norm's bias go through one head. */
function addBiases(frozen: FrozenRun, layer: number, sums: Stream[]): void {
  const heads = frozenHeads(frozen, layer);
  const values = new Float64Array(heads.rows * heads.width);
  const constants = constantValues(heads);
  for (let row = 0; row < heads.rows; row++) values.set(constants, row * heads.width);
  sums[0] = add(sums[0] as Stream, heads.layer.b_O);
  sums[1] = add(sums[1] as Stream, toStream(frozen, heads.write(heads.attend(values))));
}
