/** A metric of runs whose last stream is known where it differs from that of a base run: it unembeds what is read. */
import { kernels, matrix } from "../kernels/index.ts";
import type { MatrixView } from "../kernels/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { dataForResult, rawData, rightOperand, tensorOf, withWorkspace } from "../tensor/internal.ts";
import type { FloatArray, TakeArray } from "../tensor/internal.ts";
import { readPositions, RowMetric } from "./metric.ts";
import type { Metric } from "./metric.ts";
import type { BaseRun } from "./base-run.ts";
import { isZero } from "./bias.ts";
import { copyRows } from "./rows.ts";
import type { Rows } from "./partial-rows.ts";
import { columnsAt } from "./unembedding.ts";

/** Logits in one batch, at most, unless a metric looks at all prompts together. */
const MOST_LOGITS = 2 ** 24;

/** The values of a metric over a base run and its variants. */
export class Readout {
  /** Which positions of the last stream the metric reads, `[prompt, pos]`. */
  readonly reads: Uint8Array;
  /** The value of each prompt of the base run. */
  readonly base: Float64Array;
  readonly #run: BaseRun;
  readonly #metric: Metric;
  readonly #W_U: Tensor;
  /** Undefined where it is zero: most models have none, and a pass over the logits is a tenth of a loss. */
  readonly #bias: FloatArray | undefined;
  readonly #width: number;
  /** Of each prompt, the places `prompt · pos + position` of the logits that the metric gets, in its order. */
  readonly #places: readonly (readonly number[])[];
  readonly #logits: (FloatArray | undefined)[];
  /** The losses of the base run, where the metric is made of losses: of each prompt at the positions read. */
  #losses = new Float64Array(0);

  constructor(run: BaseRun, metric: Metric) {
    const { model, tokens } = run;
    const [prompts = 0, pos = 0] = tokens.shape;
    this.#run = run;
    this.#metric = metric;
    const W_U = model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
    const b_U = rawData(model.b_U) as FloatArray;
    const { tokens: read } = metric.reads;
    this.#W_U = read === "all" ? W_U : columnsAt(W_U, read);
    const bias = read === "all" ? b_U : Float32Array.from(read, (id) => b_U[id] as number);
    this.#bias = isZero(bias) ? undefined : bias;
    this.#width = bias.length;
    this.#places = Array.from({ length: prompts }, (_, b) =>
      readPositions(metric, b, pos).map((position) => b * pos + position),
    );
    this.#logits = new Array<FloatArray | undefined>(prompts);
    this.reads = new Uint8Array(prompts * pos);
    for (const place of this.#places.flat()) this.reads[place] = 1;
    this.base = this.values(undefined, 1);
  }

  /** The values of some variants, `[variant, prompt]`, from the rows of their last stream. */
  values(rows: Rows | undefined, variants: number): Float64Array {
    if (this.#metric instanceof RowMetric && this.#metric.isOfLosses) {
      return this.#valuesOfLosses(this.#metric, rows, variants);
    }
    const prompts = this.#places.length;
    const each = (this.#places[0]?.length ?? 0) * this.#width;
    const entries = variants * prompts;
    const most = this.#metric.together === true ? prompts : Math.max(1, Math.floor(MOST_LOGITS / Math.max(1, each)));
    const out = new Float64Array(entries);
    for (let first = 0; first < entries; first += most) {
      const count = Math.min(most, entries - first);
      this.#withArrays((take) => {
        const data = this.#logitsOf(rows, first, count, take);
        const shape = [count, this.#places[0]?.length ?? 0, this.#width];
        const logits = tensorOf("batch pos d_vocab", shape, data);
        const of = Array.from({ length: count }, (_, entry) => (first + entry) % prompts);
        out.set(this.#metric.values(logits, { prompts: of, selected: true }), first);
      });
    }
    return out;
  }

  /** {@link values} of a metric that is made of losses: without logits, and with one product for all variants. */
  #valuesOfLosses(metric: RowMetric, rows: Rows | undefined, variants: number): Float64Array {
    const prompts = this.#places.length;
    const targets = this.#places.map((_, b) => metric.lossTargets(b, prompts, this.#width));
    const each = this.#places[0]?.length ?? 0;
    const out = new Float64Array(variants * prompts);
    const losses = new Float64Array(variants * prompts * each);
    const { sources, entries } = this.#rowsOf(rows, 0, out.length, (entry, b, r) => {
      losses[entry] = this.#losses[b * each + r] as number;
    });
    const found = new Float64Array(sources.length);
    withWorkspace((take) => {
      const wanted = Int32Array.from(entries, (entry) => {
        const run = Math.floor(entry / each);
        return targets[run % prompts]?.[entry - run * each] as number;
      });
      this.#lossesOf(this.#streamOf(rows), sources, wanted, found, take);
    });
    for (const [i, entry] of entries.entries()) losses[entry] = found[i] as number;
    if (rows === undefined) this.#losses = losses;
    for (let run = 0; run < out.length; run++) {
      out[run] = metric.lossValue(losses.subarray(run * each, (run + 1) * each), run % prompts);
    }
    return out;
  }

  /** Arrays that go back when the values are known, unless a user's function sees them and may keep them. */
  #withArrays(run: (take: TakeArray) => void): void {
    if (this.#metric instanceof RowMetric) withWorkspace(run);
    else run((kind, length) => dataForResult(kind, length) as FloatArray);
  }

  /**
   * The rows of the last stream that the metric reads of some runs, and which of all that it reads each is. The others,
   * where a run does not differ, are handed on: with their prompt, and which of its positions read they are.
   */
  #rowsOf(
    rows: Rows | undefined,
    first: number,
    count: number,
    onUnchanged: (entry: number, prompt: number, read: number) => void,
  ): { readonly sources: readonly number[]; readonly entries: readonly number[] } {
    const prompts = this.#places.length;
    const pos = this.reads.length / prompts;
    const sources: number[] = [];
    const entries: number[] = [];
    let entry = 0;
    for (let run = first; run < first + count; run++) {
      const b = run % prompts;
      for (const [r, place] of (this.#places[b] as readonly number[]).entries()) {
        const row = rows === undefined ? place : rows.at((run - b) * pos + place);
        if (row < 0) onUnchanged(entry, b, r);
        else {
          entries.push(entry);
          sources.push(row);
        }
        entry++;
      }
    }
    return { sources, entries };
  }

  /** The last stream of some runs, or of the base run. */
  #streamOf(rows: Rows | undefined): FloatArray {
    const { n_layers } = this.#run.model.config;
    return rows?.data ?? (rawData(this.#run.cache.get(`blocks.${n_layers - 1}.hook_resid_post`)) as FloatArray);
  }

  /** The logits that the metric reads of some runs, `[run, position read, token read]`. */
  #logitsOf(rows: Rows | undefined, first: number, count: number, take: TakeArray): FloatArray {
    const width = this.#width;
    const unchanged: (readonly [number, number, number])[] = [];
    const found = this.#rowsOf(rows, first, count, (...one) => void unchanged.push(one));
    const { sources, entries: targets } = found;
    const entry = sources.length + unchanged.length;
    const stream = this.#streamOf(rows);
    const isWhole = unchanged.length === 0;
    const out = take("float32", entry * width);
    const computed = isWhole ? out : take("float32", targets.length * width);
    this.#unembed(stream, sources, computed, take);
    if (isWhole) return out;
    for (const [from, to] of targets.entries()) {
      out.set(computed.subarray(from * width, (from + 1) * width), to * width);
    }
    for (const [to, b, r] of unchanged) {
      out.set(this.#baseLogits(b).subarray(r * width, (r + 1) * width), to * width);
    }
    return out;
  }

  /** The logits of a prompt of the base run; kept, as variants share them. */
  #baseLogits(prompt: number): FloatArray {
    const found = this.#logits[prompt] ?? withWorkspace((take) => this.#logitsOf(undefined, prompt, 1, take).slice());
    this.#logits[prompt] = found;
    return found;
  }

  /** Rows of a last stream through the final norm. */
  #normalized(stream: FloatArray, sources: readonly number[], take: TakeArray): MatrixView {
    const { d_model } = this.#run.model.config;
    const x = take("float32", sources.length * d_model);
    copyRows(stream, sources, d_model, x);
    const rows = tensorOf("batch pos d_model", [1, sources.length, d_model], x);
    return matrix(rawData(this.#run.model.ln_final?.apply(rows) ?? rows) as FloatArray, d_model);
  }

  /** The loss of one token in each row of logits. */
  #lossesOf(
    stream: FloatArray,
    sources: readonly number[],
    targets: Int32Array,
    output: Float64Array,
    take: TakeArray,
  ): void {
    const rows = sources.length;
    if (rows === 0) return;
    const operands = { a: this.#normalized(stream, sources, take), ...rightOperand(this.#W_U, rows) };
    const sizes = { rows, cols: this.#width, k: this.#run.model.config.d_model };
    kernels().productCrossEntropy({ ...sizes, ...operands, bias: this.#bias, targets, output });
  }

  /** Rows of a last stream through the final norm and the columns of $W_U$ that are read. */
  #unembed(stream: FloatArray, sources: readonly number[], out: FloatArray, take: TakeArray): void {
    const { d_model } = this.#run.model.config;
    const count = sources.length;
    const width = this.#width;
    if (count === 0 || width === 0) return;
    const a = this.#normalized(stream, sources, take);
    const operands = { a, ...rightOperand(this.#W_U, count), out: matrix(out, width) };
    kernels().matmul({ batch: 1, m: count, n: width, k: d_model, ...operands });
    const bias = this.#bias;
    if (bias === undefined) return;
    for (let start = 0; start < out.length; start += width) {
      for (let j = 0; j < width; j++) out[start + j] = (out[start + j] as number) + (bias[j] as number);
    }
  }
}
