/** Means over the rotations of rotary positions, at all offsets together. */
import { dense, matmulDense } from "../../../linalg/index.ts";
import type { DenseMatrix } from "../../../linalg/index.ts";
import { rotationMatrix } from "../../../model/index.ts";
import type { ModelConfig } from "../../../model/index.ts";
import { rawData } from "../../../tensor/internal.ts";

/** Offsets that rotary scores are means over. */
const OFFSETS = 256;

/** The rotations of a model. */
export class Rotations {
  readonly #count: number;
  /** $R_o$ of each offset, one under another, and $R_o^\top$. */
  readonly #stacked: DenseMatrix;
  readonly #turned: DenseMatrix;
  /** The mean of all $R_o$. */
  readonly mean: DenseMatrix;

  constructor(config: ModelConfig) {
    const { d_head: k, n_ctx } = config;
    const count = Math.min(OFFSETS, n_ctx);
    const [stacked, turned, mean] = [count * k * k, count * k * k, k * k].map((size) => new Float64Array(size)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let o = 0; o < count; o++) {
      const R = rawData(rotationMatrix(config, o));
      for (let t = 0; t < k * k; t++) {
        const [i, j] = [Math.floor(t / k), t % k];
        stacked[o * k * k + t] = R[t] as number;
        turned[o * k * k + j * k + i] = R[t] as number;
        mean[t] = (mean[t] as number) + (R[t] as number) / count;
      }
    }
    this.#count = count;
    this.#stacked = dense(count * k, k, stacked);
    this.#turned = dense(count * k, k, turned);
    this.mean = dense(k, k, mean);
  }

  /** The mean over offsets of $R_o^\top F R_o$, a form of queries; of keys of $R_o F R_o^\top$. */
  meanOf(form: DenseMatrix, side: "query" | "key"): DenseMatrix {
    const [left, right] = side === "query" ? [this.#turned, this.#stacked] : [this.#stacked, this.#turned];
    const { data } = matmulDense(left, form);
    // what stands one under another, side by side: the second product then sums over offsets
    const [k, count] = [form.rows, this.#count];
    const beside = new Float64Array(data.length);
    for (let o = 0; o < count; o++) {
      for (let i = 0; i < k; i++) {
        const from = (o * k + i) * k;
        for (let j = 0; j < k; j++) beside[(i * count + o) * k + j] = (data[from + j] as number) / count;
      }
    }
    return matmulDense(dense(k, count * k, beside), right);
  }
}

/** The rotations of a model that has some. */
export function rotationsOf(config: ModelConfig): Rotations | undefined {
  return config.positional_embedding_type === "rotary" ? new Rotations(config) : undefined;
}
