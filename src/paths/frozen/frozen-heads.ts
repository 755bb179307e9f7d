/**
 * All heads of a frozen layer at once, on many streams at once, in the precision of the streams: values
 * $x\,C\,\mathrm{diag}(w) W_V / s$, weighted values $z = A v$ and what they write, $z W_O$; and the same steps
 * backwards. Streams are flat, `[stream, batch, pos, d_model]`; values have all heads side by side,
 * `[stream, batch, pos, head, d_head]`. Few large products: a path expansion is made of little else.
 */
import { allocateForResult, kernels } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import type { AttentionLayer } from "../../model/index.ts";
import { matrixView, rawData } from "../../tensor/internal.ts";
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

  /** What the heads' values read of some streams; $b_V$ and the norm's bias are not added. */
  values<T extends FloatArray>(streams: T): T {
    const rows = streams.length / this.d_model;
    const W_V = foldedReader(this.layer, "W_V", streams instanceof Float32Array);
    const out = like(streams, rows * this.width);
    kernels().matmul({
      batch: this.heads,
      m: rows,
      n: this.d_head,
      k: this.d_model,
      a: { data: streams, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: 0 },
      b: matrixView(W_V),
      out: this.#perHead(out, 0),
    });
    this.#divideByScale(out, this.width);
    return out;
  }

  /** The adjoint of {@link FrozenHeads.values}: readings of values as readings of the stream, summed over heads. */
  valuesBack(readings: Float64Array): Float64Array {
    const rows = readings.length / this.width;
    const out = new Float64Array(rows * this.d_model);
    kernels().matmul({
      batch: 1,
      m: rows,
      n: this.d_model,
      k: this.width,
      a: { data: readings, offset: 0, rowStride: this.width, colStride: 1, batchStride: 0 },
      b: {
        data: turned(foldedReader(this.layer, "W_V")),
        offset: 0,
        rowStride: this.d_model,
        colStride: 1,
        batchStride: 0,
      },
      out: { data: out, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: 0 },
    });
    this.#divideByScale(out, this.d_model);
    return out;
  }

  /** Weighted values $A v$; with `isBackward`, $A^\top v$. */
  attend<T extends FloatArray>(values: T, isBackward = false): T {
    const out = like(values, values.length);
    const streams = values.length / (this.rows * this.width);
    const { pos } = this;
    const data = rawData(this.#pattern) as FloatArray;
    for (let s = 0; s < streams; s++) {
      for (let b = 0; b < this.batch; b++) {
        const start = (s * this.batch + b) * pos * this.width;
        const A = {
          data,
          offset: b * this.heads * pos * pos,
          rowStride: pos,
          colStride: 1,
          batchStride: pos * pos,
        };
        kernels().matmul({
          batch: this.heads,
          m: pos,
          n: this.d_head,
          k: pos,
          a: isBackward ? transposed(A) : A,
          b: this.#perHead(values, start),
          out: this.#perHead(out, start),
        });
      }
    }
    return out;
  }

  /** What weighted values write to the stream, summed over heads; $b_O$ is not added. */
  write<T extends FloatArray>(z: T): T {
    const rows = z.length / this.width;
    const out = like(z, rows * this.d_model);
    kernels().matmul({
      batch: 1,
      m: rows,
      n: this.d_model,
      k: this.width,
      a: { data: z, offset: 0, rowStride: this.width, colStride: 1, batchStride: 0 },
      b: this.#stackedWriters(),
      out: { data: out, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: 0 },
    });
    return out;
  }

  /** What each head writes of one stream's weighted values, `[head, batch, pos, d_model]`. */
  writeEach<T extends FloatArray>(z: T): T {
    const out = like(z, this.heads * this.rows * this.d_model);
    kernels().matmul({
      batch: this.heads,
      m: this.rows,
      n: this.d_model,
      k: this.d_head,
      a: this.#perHead(z, 0),
      b: matrixView(this.layer.W_O),
      out: { data: out, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: this.rows * this.d_model },
    });
    return out;
  }

  /**
   * The adjoint of {@link FrozenHeads.write}: readings of the stream as readings of weighted values,
   * `[rows, head, d_head]`.
   */
  writeBack<T extends FloatArray>(readings: T): T {
    const rows = readings.length / this.d_model;
    const out = like(readings, rows * this.width);
    kernels().matmul({
      batch: 1,
      m: rows,
      n: this.width,
      k: this.d_model,
      a: { data: readings, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: 0 },
      b: transposed(this.#stackedWriters()),
      out: { data: out, offset: 0, rowStride: this.width, colStride: 1, batchStride: 0 },
    });
    return out;
  }

  /** Values of all heads side by side as one matrix per head. */
  #perHead(data: FloatArray, offset: number): MatrixView {
    return { data, offset, rowStride: this.width, colStride: 1, batchStride: this.d_head };
  }

  /** `[head and d_head, d_model]`. */
  #stackedWriters(): MatrixView {
    const { W_O } = this.layer;
    const view = matrixView(W_O);
    if (W_O.isContiguous) return { ...view, batchStride: 0 };
    return { data: W_O.data as FloatArray, offset: 0, rowStride: this.d_model, colStride: 1, batchStride: 0 };
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
  return (data instanceof Float64Array ? new Float64Array(size) : allocateForResult(size)) as T;
}

function transposed(view: MatrixView): MatrixView {
  return { ...view, rowStride: view.colStride, colStride: view.rowStride };
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
