/**
 * What senders write beyond their ablated outputs, $y_s - a_s$: of all positions, and apart of those that are read, the
 * last layer's.
 */
import { dataForResult } from "../../../tensor/internal.ts";
import type { EdgeWeights } from "./edge-weights.ts";
import type { SenderOutputs } from "./sender-outputs.ts";

/** The differences of all senders, on some positions. */
interface Differences {
  readonly data: Float32Array;
  /** Numbers of one sender. */
  readonly size: number;
  /** The first position. */
  readonly from: number;
}

/** Differences at the places and in the coordinates of a mask alone: of all positions, and of those that are read. */
export type MaskedDifferences = readonly [Float32Array, Float32Array];

/** What the differences are of. */
interface Senders {
  readonly clean: SenderOutputs;
  readonly ablated: SenderOutputs | undefined;
  readonly senders: number;
  readonly batch: number;
  readonly pos: number;
  readonly width: number;
  /** The first position that is read. */
  readonly from: number;
}

const fresh = (length: number): Float32Array => dataForResult("float32", length) as Float32Array;

/** The differences of a run, which begin as those of the clean one. */
export class SenderDifferences {
  readonly #of: Senders;
  readonly #all: Differences;
  readonly #tail: Differences;
  /** Senders whose differences are not those of the clean run. */
  readonly #changed = new Set<number>();

  constructor(of: Senders) {
    const { clean, senders, batch, pos, width, from } = of;
    this.#of = of;
    this.#all = { data: fresh(clean.length), size: batch * pos * width, from: 0 };
    const kept = batch * (pos - from) * width;
    this.#tail = from === 0 ? this.#all : { data: fresh(senders * kept), size: kept, from };
    for (let sender = 0; sender < senders; sender++) this.#reset(sender);
  }

  /** Those of all positions, or of those that are read. */
  at(onTail: boolean): Differences {
    return onTail ? this.#tail : this.#all;
  }

  /** Whether any of the first senders writes something else than in the clean run. */
  isAnyChanged(senders: number): boolean {
    return [...this.#changed].some((sender) => sender < senders);
  }

  /** Sets all back to the clean run. */
  restore(): void {
    for (const sender of this.#changed) this.#reset(sender);
    this.#changed.clear();
  }

  #reset(sender: number): void {
    const { clean, ablated } = this.#of;
    const { data, size } = this.#all;
    const start = sender * size;
    data.set(clean.subarray(start, start + size), start);
    if (ablated !== undefined)
      for (let i = start; i < start + size; i++) data[i] = (data[i] as number) - (ablated[i] as number);
    this.#copyTail(sender);
  }

  #copyTail(sender: number): void {
    if (this.#tail === this.#all) return;
    const { data, size } = this.#all;
    this.#tail.data.set(this.tailOf(data.subarray(sender * size, (sender + 1) * size)), sender * this.#tail.size);
  }

  /** The positions that are read of numbers of all positions. */
  tailOf(data: Float32Array): Float32Array {
    const { batch, pos, width, from } = this.#of;
    const [whole, kept] = [pos * width, (pos - from) * width];
    const out = fresh(batch * kept);
    for (let p = 0; p < batch; p++) out.set(data.subarray((p + 1) * whole - kept, (p + 1) * whole), p * kept);
    return out;
  }

  /** Takes what a sender wrote as its own in this run. */
  write(
    sender: number,
    written: Float32Array,
    onTail: boolean,
    weights: EdgeWeights,
    masked: MaskedDifferences | undefined,
  ): void {
    const [all, tail] = [this.#all, this.#tail];
    this.#changed.add(sender);
    const into = this.at(onTail);
    const start = sender * into.size;
    const { ablated, batch, pos, width: d } = this.#of;
    if (ablated === undefined) into.data.set(written, start);
    else {
      const [length, skipped] = [(pos - into.from) * d, into.from * d];
      for (let b = 0, i = 0; b < batch; b++) {
        let from = sender * all.size + b * pos * d + skipped;
        for (const end = i + length; i < end; i++)
          into.data[start + i] = (written[i] as number) - (ablated[from++] as number);
      }
    }
    if (!onTail) this.#copyTail(sender);
    if (masked === undefined || !weights.isPartial(sender)) return;
    if (!onTail || tail === all) this.#copyMasked(sender, weights, all, masked[0]);
    this.#copyMasked(sender, weights, tail, masked[1]);
  }

  /** Those of senders that are kept in part, at their positions and in their coordinates alone. */
  masked(weights: EdgeWeights): MaskedDifferences {
    const masked = (of: Differences): Float32Array => {
      const out = fresh(of.data.length).fill(0);
      for (const sender of weights.partial) this.#copyMasked(sender, weights, of, out);
      return out;
    };
    return [masked(this.#all), masked(this.#tail)];
  }

  #copyMasked(sender: number, weights: EdgeWeights, { data, size, from }: Differences, out: Float32Array): void {
    const at = weights.positionsOf(sender);
    const neurons = weights.neuronsOf(sender);
    const { batch, pos, width: d } = this.#of;
    const length = pos - from;
    for (let row = 0; row < batch * length; row++) {
      const start = sender * size + row * d;
      const isKept = at === undefined || at[from + (row % length)] === 1;
      if (!isKept) out.fill(0, start, start + d);
      else if (neurons === undefined) out.set(data.subarray(start, start + d), start);
      else for (let i = 0; i < d; i++) out[start + i] = neurons[i] === 1 ? (data[start + i] as number) : 0;
    }
  }
}
