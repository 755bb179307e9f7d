/**
 * The sum of all paths of each order without enumerating them.
 *
 * With $s_p$ the sum of the paths through $p$ heads so far, a layer takes $s_p$ to $s_p + \sum_h A^h s_{p-1} W_{OV}^h$: as the layer
 * is linear, the sum over paths goes through it as one stream. $L$ layers cost at most $L(L+1)/2$ passes through a layer, where
 * the paths number $(1+H)^L$. What an MLP writes joins $s_0$ after its layer.
 */
import { add } from "../tensor/index.ts";
import { addMlp, directStream, layerTerm } from "./frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen-run.ts";
import { Steps } from "./progress.ts";
import type { ProgressOptions } from "./progress.ts";

/** What the paths of order 0 to `n_layers` write to the residual stream, each order summed, float64, before the final norm. */
export function streamsByOrder(frozen: FrozenRun, options: ProgressOptions = {}): Stream[] {
  const { layers } = frozen.model;
  const sums: Stream[] = [directStream(frozen)];
  const steps = new Steps(options, layers.length);
  for (const { layer } of layers) {
    for (let order = Math.min(layer + 1, layers.length); order >= 1; order--) {
      const term = layerTerm(frozen, layer, sums[order - 1] as Stream);
      const before = sums[order];
      sums[order] = before === undefined ? term : add(before, term);
    }
    sums[0] = addMlp(frozen, layer, sums[0] as Stream);
    steps.advance();
  }
  return sums;
}
