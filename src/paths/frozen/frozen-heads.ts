/**
 * All heads of a frozen layer at once, on many streams at once: values $x\,C\,\mathrm{diag}(w) W_V / s$, weighted
 * values $z = A v$, their outputs $z W_O$, and the adjoint of each step. Results have the precision of the streams.
 *
 * Streams are flat, `[stream, batch, pos, d_model]`. Values have all heads side by side,
 * `[stream, batch, pos, head, d_head]`. So a path expansion is a few large products.
 */
import { multiplyStacks, stackOf, stackOfTensor, times, transposedStack } from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer } from "../../model/index.ts";
import { dataForResult, dtypeOf, rawData, reshaped } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { frozenNorm } from "./frozen-run.ts";
import type { FrozenRun } from "./frozen-run.ts";
import { foldedReader } from "../../model/internal.ts";

/** A layer whose patterns and scales are those of a run. */
export class FrozenHeads {
  readonly layer: AttentionLayer;
  readonly heads: number;
  readonly d_head: number;
  readonly d_model: number;
  readonly batch: number;
  readonly pos: number;
  readonly #pattern: Tensor;
  readonly #scale: ArrayLike<number> | undefined;

  constructor(frozen: FrozenRun, layer: number) {
    this.layer = frozen.model.layer(layer);
    const pattern: Tensor = frozen.run.cache.get(`blocks.${layer}.attn.hook_pattern`);
    [this.batch, this.heads, this.pos] = pattern.shape as [number, number, number];
    this.#pattern = pattern;
    this.#scale = frozenNorm(frozen, layer)?.scale.data;
    this.d_head = frozen.model.config.d_head;
    this.d_model = frozen.model.config.d_model;
  }

  /** Rows of one stream. */
  get rows(): number {
    return this.batch * this.pos;
  }

  /** Numbers in the values of one stream. */
  get width(): number {
    return this.heads * this.d_head;
  }

  /** The heads' values of some streams; $b_V$ and the norm's bias are not added. */
  values<T extends FloatArray>(streams: T): T {
    const rows = streams.length / this.d_model;
    const W_V = foldedReader(this.layer, "W_V", streams instanceof Float32Array);
    const out = like(streams, rows * this.width);
    const read = stackOf(streams, [1, rows, this.d_model]);
    multiplyStacks(read, stackOfTensor(W_V), this.#perHead(out, rows));
    this.#divideByScale(out, this.width);
    return out;
  }

  /** The adjoint of {@link FrozenHeads.values}: readings of values as readings of the stream, summed over heads. */
  valuesBack(readings: Float64Array): Float64Array {
    const rows = readings.length / this.width;
    const readers = stackOf(turned(foldedReader(this.layer, "W_V")), [1, this.width, this.d_model]);
    const { data } = times(stackOf(readings, [1, rows, this.width]), readers);
    this.#divideByScale(data, this.d_model);
    return data;
  }

  /** Weighted values $A v$; with `isBackward`, $A^\top v$. */
  attend<T extends FloatArray>(values: T, isBackward = false): T {
    const out = like(values, values.length);
    const streams = values.length / (this.rows * this.width);
    const { pos, heads } = this;
    const data = rawData(this.#pattern) as FloatArray;
    for (let s = 0; s < streams; s++) {
      for (let b = 0; b < this.batch; b++) {
        const start = (s * this.batch + b) * pos * this.width;
        const A = stackOf(data, [heads, pos, pos], { offset: b * heads * pos * pos });
        const into = this.#perHead(out, pos, start);
        multiplyStacks(isBackward ? transposedStack(A) : A, this.#perHead(values, pos, start), into);
      }
    }
    return out;
  }

  /** The output of weighted values, summed over heads; $b_O$ is not added. */
  write<T extends FloatArray>(z: T): T {
    const rows = z.length / this.width;
    const out = like(z, rows * this.d_model);
    multiplyStacks(stackOf(z, [1, rows, this.width]), this.#stackedWriters(), stackOf(out, [1, rows, this.d_model]));
    return out;
  }

  /** The output of each head for one stream's weighted values, `[head, batch, pos, d_model]`. */
  writeEach<T extends FloatArray>(z: T): T {
    const { heads, rows, d_model } = this;
    const out = like(z, heads * rows * d_model);
    multiplyStacks(this.#perHead(z, rows), stackOfTensor(this.layer.W_O), stackOf(out, [heads, rows, d_model]));
    return out;
  }

  /**
   * The adjoint of {@link FrozenHeads.write}: readings of the stream as readings of weighted values,
   * `[rows, head, d_head]`.
   */
  writeBack<T extends FloatArray>(readings: T): T {
    const rows = readings.length / this.d_model;
    const out = like(readings, rows * this.width);
    const read = stackOf(readings, [1, rows, this.d_model]);
    multiplyStacks(read, transposedStack(this.#stackedWriters()), stackOf(out, [1, rows, this.width]));
    return out;
  }

  /** Values of all heads side by side as one matrix per head. */
  #perHead(data: FloatArray, rows: number, offset = 0): Stack {
    return stackOf(data, [this.heads, rows, this.d_head], { offset, row: this.width, step: this.d_head });
  }

  /** `[head and d_head, d_model]`. */
  #stackedWriters(): Stack {
    return stackOfTensor(reshaped(this.layer.W_O, "head_and_d_head d_model", [this.width, this.d_model]));
  }

  #divideByScale(numbers: FloatArray, width: number): void {
    const scale = this.#scale;
    if (scale === undefined) return;
    const { rows } = this;
    for (let row = 0; row * width < numbers.length; row++) {
      divide(numbers, row * width, (row + 1) * width, scale[row % rows] as number);
    }
  }
}

function divide(numbers: FloatArray, from: number, end: number, by: number): void {
  for (let t = from; t < end; t++) numbers[t] = (numbers[t] as number) / by;
}

/** `[head, d_model, d_head]` as `[head and d_head, d_model]`. */
function turned(W: Tensor): FloatArray {
  const [heads = 0, d = 0, k = 0] = W.shape;
  const data = rawData(W) as FloatArray;
  const out = data instanceof Float64Array ? new Float64Array(data.length) : new Float32Array(data.length);
  for (let h = 0; h < heads; h++) {
    for (let e = 0; e < k; e++) copyColumn(out, (h * k + e) * d, data, h * d * k + e, k, d);
  }
  return out;
}

function copyColumn(to: FloatArray, start: number, from: FloatArray, at: number, step: number, count: number): void {
  for (let i = 0; i < count; i++) to[start + i] = from[at + i * step] as number;
}

/** An array of the same kind for a result, where kernels write it without a copy if they can. */
export function like<T extends FloatArray>(data: T, size: number): T {
  return dataForResult(dtypeOf(data), size) as T;
}

const kept = new WeakMap<FrozenRun, Map<number, FrozenHeads>>();

/** The heads of a layer of a frozen run. */
export function frozenHeads(frozen: FrozenRun, layer: number): FrozenHeads {
  const layers = kept.get(frozen) ?? new Map<number, FrozenHeads>();
  kept.set(frozen, layers);
  const known = layers.get(layer) ?? new FrozenHeads(frozen, layer);
  layers.set(layer, known);
  return known;
}
