/**
 * What a kernel implementation offers: flat typed arrays, offsets, strides and integers in; results written into a
 * buffer that the caller hands over. Everything above this folder is immutable; this is the only code that writes.
 *
 * Sums are float64 in the plain TypeScript implementations whatever the storage, so a result carries one rounding to
 * its storage type. The WebAssembly kernels sum float32 products in float32; float64 arrays they sum in float64.
 * Buffers of one call must not overlap, except that the row functions (softmax and friends) may work in place when
 * input and output start at the same offset of the same array.
 */
/**
 * Storage that the kernels read and write.
 * @inline
 */
export type FloatArray = Float32Array | Float64Array;

/** A batch of matrices inside a flat array. Strides count elements; 0 repeats, and swapping the two transposes. */
export interface MatrixView {
  readonly data: FloatArray;
  /** Index of entry `[0, 0, 0]`. */
  readonly offset: number;
  /** Step from one row to the next. */
  readonly rowStride: number;
  /** Step from one column to the next. */
  readonly colStride: number;
  /** Step from one matrix of the batch to the next; 0 uses one matrix for all. */
  readonly batchStride: number;
}

/** The right operand of products once more, in the order in which a kernel reads it; made by `packForKernels`. */
export interface PackedMatrix {
  readonly data: Float32Array;
  /** From one matrix of a stack to the next. */
  readonly batchStride: number;
}

/** `out[b] = a[b] · bᵦ[b]`, with `a` `[batch, m, k]`, `b` `[batch, k, n]`, `out` `[batch, m, n]`. */
export interface MatmulArgs {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly b: MatrixView;
  /** All of `b` packed, for a kernel that has packed it. */
  readonly packed?: PackedMatrix | undefined;
  readonly out: MatrixView;
  /** Add the product to what `out` holds; where its `batchStride` is 0 products are added one after the other. */
  readonly accumulate?: boolean;
}

/** `out[i] = a[i] + b[i mod period]`, for all entries of `out`, which may be `a`; `period` divides their number. */
export interface AddArgs {
  readonly period: number;
  readonly a: FloatArray;
  readonly b: FloatArray;
  readonly out: FloatArray;
}

/** `rows` contiguous rows of `cols` entries, from `input` to `output`. */
export interface SoftmaxArgs {
  readonly rows: number;
  readonly cols: number;
  readonly input: FloatArray;
  readonly inputOffset: number;
  readonly output: FloatArray;
  readonly outputOffset: number;
}

/**
 * Attention scores `[batch, queries, keys]`, contiguous. Query `i` sees key `j` when `j <= i + queryOffset`; every
 * other key gets probability 0 and its score is never read, so it may hold anything, NaN included.
 */
export interface CausalSoftmaxArgs {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly scores: FloatArray;
  readonly scoresOffset: number;
  readonly output: FloatArray;
  readonly outputOffset: number;
  /** Keys that precede query 0: 0 for a whole sequence. */
  readonly queryOffset: number;
}

/** One target per row of logits; `output[row]` is the loss in nats. */
export interface CrossEntropyArgs {
  readonly rows: number;
  readonly cols: number;
  readonly logits: FloatArray;
  readonly logitsOffset: number;
  readonly targets: Int32Array;
  readonly output: FloatArray;
}

/**
 * Logits `a b + bias` with one target per row, `a` `[rows, k]`, `b` `[k, cols]`; `output[row]` is the loss in nats.
 * The logits are never there as a whole.
 */
export interface ProductCrossEntropyArgs {
  readonly rows: number;
  readonly cols: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly b: MatrixView;
  /** All of `b` packed, for a kernel that has packed it. */
  readonly packed?: PackedMatrix | undefined;
  /** `[cols]`; none unless given. */
  readonly bias?: FloatArray | undefined;
  readonly targets: Int32Array;
  readonly output: FloatArray;
}

/**
 * The core of LayerNorm (`center: true`) and RMSNorm (`center: false`):
 * `scale = sqrt(mean((x - mean?)²) + eps)` and `output = (x - mean?) / scale`.
 */
export interface NormArgs {
  readonly rows: number;
  readonly cols: number;
  readonly input: FloatArray;
  readonly inputOffset: number;
  readonly eps: number;
  readonly center: boolean;
  readonly output: FloatArray;
  readonly outputOffset: number;
  /** `[rows]`, the divisor of each row. */
  readonly scale: FloatArray;
  readonly scaleOffset: number;
}

/** Heads' vectors inside a flat array, entries of a vector side by side. Strides count elements; 0 repeats. */
export interface HeadVectorsView {
  readonly data: FloatArray;
  /** Index of the first entry of the first vector of the first head. */
  readonly offset: number;
  /** Step from one prompt to the next. */
  readonly batchStride: number;
  /** Step from one head to the next. */
  readonly headStride: number;
  /** Step from one position to the next. */
  readonly rowStride: number;
}

/**
 * Attention without its pattern: `out[i] = Σ_j softmax_j(q[i] · k[j] / scale) v[j]`, for every head of every prompt.
 * Query `i` sees key `j` when `j <= i + queryOffset`, or always where `isCausal` is false; a query that sees nothing
 * gets 0.
 */
export interface AttentionArgs {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** Entries of queries and keys. */
  readonly width: number;
  /** Entries of values and of the result. */
  readonly valueWidth: number;
  readonly q: HeadVectorsView;
  readonly k: HeadVectorsView;
  readonly v: HeadVectorsView;
  readonly out: HeadVectorsView;
  /** What scores are divided by before the softmax, a float32; above 0. */
  readonly scale: number;
  readonly isCausal: boolean;
  /** Keys that precede query 0: 0 for a whole sequence. */
  readonly queryOffset: number;
}

/**
 * What neurons compute: ReLU, SiLU $x / (1 + e^{-x})$, the tanh form of GELU, the same with its constant rounded to
 * 0.7978845608, and GELU itself.
 */
export type ActivationKind = "relu" | "silu" | "tanhGelu" | "roundedTanhGelu" | "gelu";

/** `output[i] = f(input[i])` for all entries of `output`, computed in float64. */
export interface ActivateArgs {
  readonly kind: ActivationKind;
  readonly input: FloatArray;
  readonly output: FloatArray;
}

/** One implementation of every kernel for tensors; those for weights are {@link WeightKernels}. */
export interface Kernels {
  readonly name: KernelName;
  /** Matrix product over a batch. */
  matmul(args: MatmulArgs): void;
  /**
   * Softmax of each row, its maximum subtracted first. `-Infinity` is probability 0; a row of nothing but `-Infinity`
   * is all 0 (TransformerLens replaces the NaN of a fully masked row by 0); a `+Infinity` or NaN makes its row NaN.
   */
  softmax(args: SoftmaxArgs): void;
  /** {@link Kernels.softmax} over the keys each query may see. */
  causalSoftmax(args: CausalSoftmaxArgs): void;
  /** Logarithm of {@link Kernels.softmax}: a row of nothing but `-Infinity` stays `-Infinity`. */
  logSoftmax(args: SoftmaxArgs): void;
  /** Minus the log-probability of each row's target, in nats. */
  crossEntropy(args: CrossEntropyArgs): void;
  /** {@link Kernels.crossEntropy} of the rows of a product. */
  productCrossEntropy(args: ProductCrossEntropyArgs): void;
  /** Centre (LayerNorm) and divide by the root mean square. */
  normalize(args: NormArgs): void;
  /** Sums of numbers side by side. */
  add(args: AddArgs): void;
  /** A function of each number. */
  activate(args: ActivateArgs): void;
  /** Scores, softmax and weighted values, without keeping scores or pattern. */
  attention(args: AttentionArgs): void;
}

/**
 * The implementations that exist, slowest first.
 * @category Kernels
 */
export type KernelName = "reference" | "blocked" | "simd";
