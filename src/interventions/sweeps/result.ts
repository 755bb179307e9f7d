/** What a sweep found. */
import type { Join } from "../../axes.ts";
import { requireCount } from "../../model/internal.ts";
import { numberJSON, Shown } from "../../show/index.ts";
import type { Rows, Showing } from "../../show/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";

/** What a {@link Sweep} is made of. @inline */
interface SweepParts<A extends string> {
  readonly what: string;
  readonly metric: string;
  readonly values: Tensor<A>;
  readonly perPrompt: Tensor<Join<A, "batch">>;
  readonly labels: Readonly<Record<string, readonly (string | number)[]>>;
  readonly base: number;
  readonly other: number | undefined;
}

/** Changes that a display lists. */
const SHOWN = 20;

/**
 * A metric after each of many changes of a run, with what it was before any.
 *
 * @category Interventions
 * @example
 * ```ts
 * import { logitDifference } from "transformer-circuits/model";
 * import { sweep } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * // [7, 9] again after [7, 9]; then after [8, 9], where nothing says what follows 7.
 * const prompts = { clean: [0, 5, 7, 9, 6, 7], corrupted: [0, 5, 8, 9, 6, 7] };
 * const metric = logitDifference({ answer: 9, wrong: 6 });
 * const found = sweep(model, prompts, { at: "resid_pre", over: "layer pos", metric });
 * console.log(found.effect().at(0, 2).toFixed(2), found.labels["pos"]?.length);
 * // 1.00 6
 * ```
 */
export class Sweep<A extends string = string> extends Shown {
  /** What was changed, and how, in words. */
  readonly what: string;
  /** What was measured, in a word or two. */
  readonly metric: string;
  /** The metric after each change, the mean over prompts, float64. */
  readonly values: Tensor<A>;
  /** The metric of each prompt after each change, the axis `batch` last. */
  readonly perPrompt: Tensor<Join<A, "batch">>;
  /** What the entries along each axis are of: layers, heads, positions, hooks. */
  readonly labels: Readonly<Record<string, readonly (string | number)[]>>;
  /** The metric of the run that was changed, before any change. */
  readonly base: number;
  /** The metric of the run that activations came from; undefined where there was none, or of other prompts. */
  readonly other: number | undefined;

  /** @internal */
  constructor(parts: SweepParts<A>) {
    super();
    this.what = parts.what;
    this.metric = parts.metric;
    this.values = parts.values;
    this.perPrompt = parts.perPrompt;
    this.labels = parts.labels;
    this.base = parts.base;
    this.other = parts.other;
    Object.freeze(this);
  }

  /** By how much each change moves the metric: {@link Sweep.values} less {@link Sweep.base}. */
  change(): Tensor<A> {
    return this.#map((x) => x - this.base);
  }

  /**
   * How far each change takes the metric from the run that is changed to the one that activations came from: 0 where it
   * does nothing, 1 where it does all. NaN where both runs agree, or there is no other.
   */
  effect(): Tensor<A> {
    const { base, other = NaN } = this;
    return this.#map((x) => (other === base ? NaN : (x - base) / (other - base)));
  }

  #map(f: (x: number) => number): Tensor<A> {
    return Tensor.from(this.values.axes, this.values.shape, Float64Array.from(rawData(this.values), f));
  }

  /**
   * The changes that move the metric most, up or down, the largest first.
   *
   * @param count - how many.
   * @returns for each its place by axis, the metric after it, and the change.
   * @throws {@link InputError} when the count is not a positive whole number.
   */
  largest(count = 5): {
    readonly at: Readonly<Record<string, string | number>>;
    readonly value: number;
    readonly change: number;
  }[] {
    requireCount(count, "count", "largest");
    const data = rawData(this.values) as Float64Array;
    const size = (i: number): number => Math.abs((data[i] as number) - this.base);
    const order = [...data.keys()].sort((a, b) => size(b) - size(a) || a - b).slice(0, count);
    return order.map((i) => ({ at: this.#at(i), value: data[i] as number, change: (data[i] as number) - this.base }));
  }

  #at(index: number): Record<string, string | number> {
    const { names, shape } = this.values;
    const out: [string, string | number][] = [];
    let rest = index;
    for (let a = names.length - 1; a >= 0; a--) {
      const [name, n] = [names[a] as string, shape[a] as number];
      out.unshift([name, this.labels[name]?.[rest % n] ?? rest % n]);
      rest = Math.floor(rest / n);
    }
    return Object.fromEntries(out);
  }

  /** Its axes, what was changed and measured, and from where to where. */
  override toString(): string {
    const axes = this.values.names.map((name, a) => `${name}=${this.values.shape[a]}`).join(" ");
    const towards = this.other === undefined ? "" : ` (there ${this.other.toFixed(2)})`;
    return `Sweep[${axes}] of ${this.metric}, ${this.what}, from ${this.base.toFixed(2)}${towards}`;
  }

  /** Numbers and labels; NaN and infinities as texts, as {@link Tensor.toJSON} writes them. */
  override toJSON(): Record<string, unknown> {
    const { what, metric, labels, base, other } = this;
    const ends = { base: numberJSON(base), other: other === undefined ? null : numberJSON(other) };
    return { type: "Sweep", what, metric, labels, ...ends, values: this.values.toJSON() };
  }

  /** @internal */
  override showing(): Showing {
    const columns = [...this.values.names, this.metric, "change"];
    const rows = (): Rows["rows"] =>
      this.largest(SHOWN).map(({ at, value, change }) => [...Object.values(at), value, change]);
    const title = this.toString();
    const indices = this.values.rank;
    return { title, parts: () => [{ kind: "rows", columns, rows: rows(), indices, total: this.values.size }] };
  }
}
