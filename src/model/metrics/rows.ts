/**
 * Rows of logits as the metrics read them: where, their sums, and what a derivative writes into them.
 *
 * With $p = \mathrm{softmax}(x)$: $\partial \ln p_a / \partial x_j = [j = a] - p_j$; a cross entropy is minus that, and
 * $\partial D_{KL}(r \| p) / \partial x_j = p_j - r_j$. `metric.ts` says what a metric is.
 */
import { kernels } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import { lossesOfRows } from "../loss.ts";
import type { LogitRows, MetricReads } from "../metric.ts";

/**
 * Where a metric reads: a position of every prompt, or one for each; negative ones count from the end.
 * @inline
 */
export type Pos = number | readonly number[];

/** What a metric at one position of each prompt reads. */
export function readsAt(pos: Pos | undefined, lists: readonly (readonly number[])[] | "all"): MetricReads {
  const positions = typeof pos === "number" ? [[pos]] : (pos?.map((p) => [p]) ?? [[-1]]);
  const tokens = lists === "all" ? "all" : [...new Set(lists.flat())].sort((a, b) => a - b);
  return { positions, tokens };
}

/** $\ln \sum_j e^{x_j}$ of a row. */
export function logSumExp(rows: LogitRows, start: number): number {
  const output = new Float64Array(1);
  lossesOfRows({ rows: 1, cols: rows.width, logits: rows.data, start, targets: new Int32Array(1), output });
  return (output[0] as number) + (rows.data[start] as number);
}

/** Writes the softmax of each row. */
export function writeSoftmax({ data, starts, width }: LogitRows, out: FloatArray): void {
  for (let r = 0; r < starts.length;) {
    const first = r;
    const start = starts[first] as number;
    while (r < starts.length && starts[r] === start + (r - first) * width) r++;
    const place = { input: data, inputOffset: start, output: out, outputOffset: start };
    kernels().softmax({ rows: r - first, cols: width, ...place });
  }
}

export function scaleRow(out: FloatArray, start: number, width: number, factor: number): void {
  for (let j = start; j < start + width; j++) out[j] = (out[j] as number) * factor;
}

export function addTo(out: FloatArray, at: number, amount: number): void {
  out[at] = (out[at] as number) + amount;
}

/** The loss of one target in each row. */
export function rowLosses({ data, starts, width, column }: LogitRows, tokens: readonly number[]): Float64Array {
  const targets = Int32Array.from(tokens, column);
  const out = new Float64Array(starts.length);
  for (let r = 0; r < starts.length;) {
    const first = r;
    const start = starts[first] as number;
    while (r < starts.length && starts[r] === start + (r - first) * width) r++;
    const some = { targets: targets.subarray(first, r), output: out.subarray(first, r) };
    lossesOfRows({ rows: r - first, cols: width, logits: data, start, ...some });
  }
  return out;
}
