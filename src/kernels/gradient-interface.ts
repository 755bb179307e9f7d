/**
 * Kernels of backward passes, in a module of their own, so that a bundle that never goes back does not include them. As
 * those of the other kernels, sums are float64 in the reference; here long sums, those over rows, are float64 of
 * float32 sums of at most {@link PART_ROWS} rows.
 */
import type { AttentionArgs, FloatArray, HeadVectorsView, KernelName } from "./interface.ts";

/** Rows whose sums are taken by themselves, whoever takes them: so the number of threads changes no bit. */
export const PART_ROWS = 512;

/** Gradients of {@link AttentionArgs}'s result over a whole sequence by queries, keys and values. */
export interface AttentionGradientArgs extends Pick<
  AttentionArgs,
  "batch" | "heads" | "width" | "q" | "k" | "v" | "scale" | "isCausal"
> {
  /** Positions of queries and of keys. */
  readonly positions: number;
  /** The gradient by the result. */
  readonly gradient: HeadVectorsView;
  readonly byQ: HeadVectorsView;
  readonly byK: HeadVectorsView;
  readonly byV: HeadVectorsView;
}

/** Rows side by side in a flat array. */
export interface Rows {
  readonly data: FloatArray;
  /** Index of the first entry; 0 unless given. */
  readonly offset?: number;
  /** Step from one row to the next; the row's length unless given. */
  readonly stride?: number;
}

/**
 * Gradients of `x W + b`, `x` `[rows, inner]`, `W` `[inner, outer]` contiguous, of that by the result, `[rows, outer]`.
 * Only those are computed that have a place to go.
 */
export interface LinearGradientArgs {
  readonly rows: number;
  readonly inner: number;
  readonly outer: number;
  readonly x: Rows;
  readonly W: FloatArray;
  readonly gradient: Rows;
  /** `[inner, outer]`. */
  readonly byW?: FloatArray | undefined;
  /** `[outer]`. */
  readonly byB?: FloatArray | undefined;
  readonly byX?: Rows | undefined;
  /** Add to what `byX` holds. */
  readonly accumulate?: boolean;
}

/**
 * Losses of one target in each row of contiguous logits, in nats, and over the logits their gradients times a weight of
 * each row.
 */
export interface LossGradientArgs {
  readonly rows: number;
  readonly cols: number;
  readonly logits: FloatArray;
  readonly targets: Int32Array;
  readonly weights: Float32Array;
  /** `[rows]`. */
  readonly losses: Float64Array;
}

/** Gradients of a norm's output `n w + b` over contiguous rows, by what it read, by `w` and by `b`. */
export interface NormGradientArgs {
  readonly rows: number;
  readonly cols: number;
  /** Whether the norm takes the mean away. */
  readonly center: boolean;
  readonly gradient: FloatArray;
  /** The rows `n` as the norm made them, and the divisor of each. */
  readonly normalized: FloatArray;
  readonly scale: FloatArray;
  readonly w?: FloatArray | undefined;
  readonly out: FloatArray;
  /** Add to what `out` holds. */
  readonly accumulate: boolean;
  readonly byW?: FloatArray | undefined;
  readonly byB?: FloatArray | undefined;
}

/**
 * `out[places[i]] += from[i]` for rows of `cols` numbers, one after the other: the backward pass of an embedding.
 */
export interface AddRowsAtArgs {
  readonly rows: number;
  readonly cols: number;
  readonly from: FloatArray;
  /** `[rows]`. */
  readonly places: Int32Array;
  readonly out: FloatArray;
}

/** One implementation of the kernels of backward passes. */
export interface GradientKernels {
  readonly name: KernelName;
  readonly attention: (args: AttentionGradientArgs) => void;
  readonly linear: (args: LinearGradientArgs) => void;
  readonly loss: (args: LossGradientArgs) => void;
  readonly norm: (args: NormGradientArgs) => void;
  readonly addRowsAt: (args: AddRowsAtArgs) => void;
}
