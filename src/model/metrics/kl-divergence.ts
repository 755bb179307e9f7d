/** How far predictions are from those of another run, $D_{KL}(p_{ref} \| p)$. */
import { requireKind, requireOptions, ShapeError } from "../../errors.ts";
import { kernels } from "../../kernels/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { paddingMask } from "../attention-mask.ts";
import type { AttentionMask } from "../attention-mask.ts";
import { RowMetric, selectLogits } from "../metric.ts";
import type { LogitRows, Metric, MetricReads } from "../metric.ts";
import { logSumExp, readsAt, writeSoftmax } from "./rows.ts";

/**
 * How far predictions are from those of another run, $D_{KL}(p_{ref} \| p) = \sum_j r_j \ln (r_j / p_j)$ in nats, the
 * mean over positions.
 *
 * @param reference - the logits of the other run, `[batch, pos, d_vocab]`.
 * @param options - `pos`, one position of every prompt or one for each; all unless given. `attentionMask`, as for a
 * run: the mean is over positions of text.
 * @throws {@link AxisError} when the reference has other axes; {@link ShapeError} when logits are of other sizes.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { klDivergence } from "transformer-circuits/model";
 *
 * const reference = Tensor.fromNested("batch pos d_vocab", [[[Math.log(3), 0]]]);
 * const logits = Tensor.fromNested("batch pos d_vocab", [[[0, 0]]]);
 * const nats = 0.75 * Math.log(0.75 / 0.5) + 0.25 * Math.log(0.25 / 0.5);
 * console.log(klDivergence(reference).values(logits)[0]?.toFixed(4), nats.toFixed(4));
 * // 0.1308 0.1308
 * ```
 */
export function klDivergence(
  reference: Tensor<"batch pos d_vocab">,
  options: {
    readonly pos?: number | readonly number[] | undefined;
    readonly attentionMask?: AttentionMask | undefined;
  } = {},
): Metric {
  const operation = "klDivergence";
  requireOptions(options, operation, "pos attentionMask");
  requireKind("tensor", reference, "reference", operation);
  requireAxes(reference, "batch pos d_vocab", "reference", operation);
  const { pos } = options;
  const reads: MetricReads = pos === undefined ? { positions: "all", tokens: "all" } : readsAt(pos, "all");
  const [batch = 0, , width = 0] = reference.shape;
  const own = new RowMetric(operation, reads, { value: () => 0, writeGradient: () => undefined });
  // A copy: storage in the kernels' memory is not to be kept.
  const selected = Float32Array.from(rawData(selectLogits(own, reference)));
  const rowsEach = selected.length / Math.max(1, batch * width);
  const ofAll = Tensor.zeros("batch pos", reference.shape.slice(0, 2));
  const padding = pos === undefined ? paddingMask(options.attentionMask, ofAll, operation) : undefined;
  const text = Array.from({ length: batch }, (_, prompt) =>
    Array.from({ length: rowsEach }, (_, r) => r).filter((r) => padding?.visible[prompt * rowsEach + r] !== 0),
  );
  const place = { input: selected, inputOffset: 0, outputOffset: 0 };
  const shares = new Float32Array(selected.length);
  kernels().softmax({ rows: batch * rowsEach, cols: width, ...place, output: shares });
  const check = (rows: LogitRows): void => {
    if (rows.width === width && rows.starts.length === rowsEach) return;
    throw new ShapeError(
      `the reference is ${describeTensor(reference)}, but the logits have ${rows.starts.length} positions read and d_vocab=${rows.width}.`,
      { operation, argument: "logits", expected: reference.shape, actual: [rows.starts.length, rows.width] },
    );
  };
  return new RowMetric("KL divergence", reads, {
    prompts: batch,
    ...(padding && { needs: (prompt: number) => text[prompt] ?? [] }),
    value(rows, prompt) {
      check(rows);
      const counted = text[prompt] as number[];
      let sum = 0;
      for (const r of counted) {
        const start = rows.starts[r] as number;
        const from = (prompt * rowsEach + r) * width;
        const other: LogitRows = { data: selected, starts: [from], width, column: (id) => id };
        sum += logSumExp(rows, start) - logSumExp(other, from);
        for (let j = 0; j < width; j++) {
          const share = shares[from + j] as number;
          // What has no probability adds nothing, be its logit -Infinity.
          if (share > 0) sum += share * ((selected[from + j] as number) - (rows.data[start + j] as number));
        }
      }
      return sum / counted.length;
    },
    writeGradient(rows, prompt, out, factor) {
      check(rows);
      writeSoftmax(rows, out);
      for (const [r, start] of rows.starts.entries()) {
        const isCounted = padding?.visible[prompt * rowsEach + r] !== 0;
        const each = isCounted ? factor / (text[prompt] as number[]).length : 0;
        const from = (prompt * rowsEach + r) * width;
        for (let j = 0; j < width; j++) {
          out[start + j] = each * ((out[start + j] as number) - (shares[from + j] as number));
        }
      }
    },
  });
}
