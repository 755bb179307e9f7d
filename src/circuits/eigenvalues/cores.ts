/**
 * The d_head x d_head cores of all heads of a layer, from which spectra are read.
 *
 * A circuit $W_E W_V W_O W_U$ has, zeros aside, the eigenvalues of the cyclic product $W_O (W_U W_E) W_V$
 * ($\lambda(AB) = \lambda(BA)$). The middle $W_U W_E$, `[d_model, d_model]`, is the same for all heads: it is computed
 * once per model, and every head then costs a product through it and one small eigenvalue problem.
 */
import { ConfigError } from "../../errors.ts";
import { allocateForResult, kernels, weightKernels, withWorkspace } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import { eigenvaluesOfStack } from "../../linalg/index.ts";
import type { AttentionLayer, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { matrixView } from "../../tensor/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Eigenvalues of a circuit of every head, with their positivity.
 * @category Circuits
 */
export interface Spectrum {
  readonly eigenvalues: {
    /** `[layer, head, eigenvalue]`: real parts, float64, by descending modulus. */
    readonly re: Tensor<"layer head eigenvalue">;
    /** `[layer, head, eigenvalue]`: imaginary parts; conjugate pairs side by side. */
    readonly im: Tensor<"layer head eigenvalue">;
  };
  /** `[layer, head]`: $\sum \lambda / \sum |\lambda|$, from −1 to 1; 0 where all eigenvalues are 0. */
  readonly score: Tensor<"layer head">;
  /** `[layer, head]`: the trace of the circuit, which is $\sum \lambda$ but computed without the eigenvalues. */
  readonly trace: Tensor<"layer head">;
}

/** The cores of a layer's heads, `[head, n, n]`. */
export type LayerCores = (layer: AttentionLayer) => { readonly size: number; readonly data: Float64Array };

/** A stack of matrices as the kernels take it, `[count, rows, cols]`. */
export interface Stack {
  readonly view: MatrixView;
  readonly count: number;
  readonly rows: number;
  readonly cols: number;
}

const unembedThenEmbed = new WeakMap<Transformer, Float64Array>();
const embeddingGrams = new WeakMap<Transformer, Float64Array>();
const unembeddingGrams = new WeakMap<Transformer, Float64Array>();

/** $W_U W_E$, `[d_model, d_model]`, float64; computed once for a model. */
export function unembedEmbed(model: Transformer, operation: string): Float64Array {
  const { d_vocab, d_vocab_out, d_model } = model.config;
  if (d_vocab !== d_vocab_out) {
    throw new ConfigError(
      `the full OV circuit has eigenvalues only where input and output tokens are the same; this model has d_vocab=${d_vocab} and d_vocab_out=${d_vocab_out}. Use bareOVSpectrum.`,
      { operation, argument: "model", expected: d_vocab, actual: d_vocab_out },
    );
  }
  return remembered(unembedThenEmbed, model, () => {
    const W_U = matrixView(model.weight("unembed.W_U"));
    return square(d_model, d_vocab, W_U, matrixView(model.weight("embed.W_E")));
  });
}

/** $W_E^\top W_E$, `[d_model, d_model]`, float64; computed once for a model. */
export function embeddingGram(model: Transformer): Float64Array {
  const { d_vocab, d_model } = model.config;
  return remembered(embeddingGrams, model, () => {
    return gram(d_model, d_vocab, transposed(matrixView(model.weight("embed.W_E"))));
  });
}

/** $W_U W_U^\top$, `[d_model, d_model]`, float64; computed once for a model. */
export function unembeddingGram(model: Transformer): Float64Array {
  const { d_vocab_out, d_model } = model.config;
  return remembered(unembeddingGrams, model, () => {
    return gram(d_model, d_vocab_out, matrixView(model.weight("unembed.W_U")));
  });
}

/** The cores $W_O M W_V$ of a layer, of the OV circuits when $M = W_U W_E$; without $M$, those of $W_{OV}$. */
export function ovCores(M: Float64Array | undefined): LayerCores {
  return (layer) => cyclic(stackOf(layer.W_O), M, stackOf(layer.W_V));
}

/**
 * The cores $W_K^\top M W_Q$ of a layer, of the QK circuits when $M = W_E^\top W_E$; without $M$, those of $W_{QK}$.
 */
export function qkCores(M: Float64Array | undefined): LayerCores {
  return (layer) => cyclic(transposedStack(stackOf(layer.W_K)), M, stackOf(layer.W_Q));
}

/** `a b` of two square row-major matrices, the first transposed if asked. */
export function squareProduct(n: number, a: Float64Array, b: Float64Array, flipA = false): Float64Array {
  const left = rowMajor(a, n, 0);
  return square(n, n, flipA ? transposed(left) : left, rowMajor(b, n, 0));
}

/** Eigenvalues, scores and traces of the cores of all layers. */
export function spectrumOf(model: Transformer, coresOf: LayerCores, options: ProgressOptions = {}): Spectrum {
  const { n_layers, n_heads, d_model, d_head } = model.config;
  const size = Math.min(d_model, d_head);
  const count = n_layers * n_heads;
  const [re, im] = [new Float64Array(count * size), new Float64Array(count * size)];
  const [score, trace] = [new Float64Array(count), new Float64Array(count)];
  const steps = new Steps(options, count);
  for (const layer of model.layers) {
    const cores = coresOf(layer);
    const first = layer.layer * n_heads;
    const values = eigenvaluesOfStack(cores.data, n_heads, size);
    re.set(values.re, first * size);
    im.set(values.im, first * size);
    for (let h = 0; h < n_heads; h++) {
      const [from, to] = [h * size, (h + 1) * size];
      score[first + h] = positivityOf(values.re.subarray(from, to), values.im.subarray(from, to));
      trace[first + h] = traceOfCore(cores.data, h * size * size, size);
      steps.advance();
    }
  }
  const perHead = (data: Float64Array): Tensor<"layer head"> => Tensor.from("layer head", [n_layers, n_heads], data);
  const shape = [n_layers, n_heads, size];
  return {
    eigenvalues: {
      re: Tensor.from("layer head eigenvalue", shape, re),
      im: Tensor.from("layer head eigenvalue", shape, im),
    },
    score: perHead(score),
    trace: perHead(trace),
  };
}

/**
 * $\sum \lambda / \sum |\lambda|$, 0 where the denominator is. It never leaves [−1, 1], not even by rounding: each
 * $|\lambda|$ is at least the absolute real part, and adding in the same order keeps the order of the sums.
 */
export function positivityOf(re: ArrayLike<number>, im: ArrayLike<number>): number {
  let sum = 0;
  let moduli = 0;
  for (let i = 0; i < re.length; i++) {
    const [x, y] = [re[i] as number, im[i] as number];
    sum += x;
    const square = x * x + y * y;
    // Math.hypot is slow, and needed only where squares overflow or lose digits.
    const modulus = square > 1e-280 && square < 1e280 ? Math.sqrt(square) : Math.hypot(x, y);
    moduli += y === 0 ? Math.abs(x) : Math.max(Math.abs(x), modulus);
  }
  return moduli === 0 ? 0 : sum / moduli;
}

function traceOfCore(data: Float64Array, start: number, n: number): number {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += data[start + i * (n + 1)] as number;
  return trace;
}

function remembered(
  store: WeakMap<Transformer, Float64Array>,
  model: Transformer,
  compute: () => Float64Array,
): Float64Array {
  const known = store.get(model);
  if (known !== undefined) return known;
  const computed = compute();
  store.set(model, computed);
  return computed;
}

/**
 * `left M right` for each head, `[d_head, d_model] M [d_model, d_head]`; `right left M` where d_model is the smaller
 * size.
 */
export function cyclic(left: Stack, M: Float64Array | undefined, right: Stack): ReturnType<LayerCores> {
  const d = left.cols;
  const middle = M === undefined ? left : throughMiddle(left, M);
  const core = left.rows <= d ? stackProduct(middle, right) : stackProduct(right, middle);
  return { size: core.rows, data: core.data };
}

/** `left M` for each head; in float32 where `left` is and heads are many. */
function throughMiddle(left: Stack, M: Float64Array): Stack {
  const d = left.cols;
  const square: Omit<Stack, "view"> = { count: left.count, rows: d, cols: d };
  const isSingle = left.view.data instanceof Float32Array && left.count * left.rows * d * d >= LARGE;
  if (!isSingle) return stackProduct(left, { ...square, view: rowMajor(M, d, 0) });
  const [m, count] = [left.rows, left.count];
  const view = rowMajor(allocateForResult(count * m * d), d, m * d);
  const b = rowMajor(roundedOnce(M), d, 0);
  kernels().matmul({ batch: count, m, n: d, k: d, a: left.view, b, out: view });
  return { view, count, rows: m, cols: d };
}

const rounded = new WeakMap<Float64Array, Float32Array>();

/** A square matrix in float32, kept for the heads of the other layers. */
function roundedOnce(M: Float64Array): Float32Array {
  const known = rounded.get(M) ?? Float32Array.from(M);
  rounded.set(M, known);
  return known;
}

/** A tensor `[head, rows, cols]` as a stack. */
export function stackOf(W: Tensor): Stack {
  const [count = 0, rows = 0, cols = 0] = W.shape;
  return { view: matrixView(W), count, rows, cols };
}

function transposedStack({ view, count, rows, cols }: Stack): Stack {
  return { view: transposed(view), count, rows: cols, cols: rows };
}

function stackProduct(a: Stack, b: Stack): Stack & { readonly data: Float64Array } {
  const [m, n] = [a.rows, b.cols];
  const data = new Float64Array(a.count * m * n);
  const view = rowMajor(data, n, m * n);
  kernels().matmul({ batch: a.count, m, n, k: a.cols, a: a.view, b: b.view, out: view });
  return { view, count: a.count, rows: m, cols: n, data };
}

/** Multiply-adds from which on float32 operands are multiplied in float32. */
const LARGE = 2 ** 28;
/** Terms of a sum that are added in float32 at most, before they join float64 sums. */
const SPAN = 4096;

/**
 * `a b` with sizes n x k and k x n, float64. Of float32 matrices with a vocabulary between them it is a float64 sum of
 * float32 products, each over 4,096 tokens at most.
 */
function square(n: number, k: number, a: MatrixView, b: MatrixView): Float64Array {
  const out = new Float64Array(n * n);
  const isSingle = a.data instanceof Float32Array && b.data instanceof Float32Array && n * n * k >= LARGE;
  if (isSingle) weightKernels().deepProduct({ m: n, n, k, a, b, out });
  else kernels().matmul({ batch: 1, m: n, n, k, a, b, out: rowMajor(out, n, 0) });
  return out;
}

/** `a aᵀ` of a matrix n x k, summed as in {@link square}. */
function gram(n: number, k: number, a: MatrixView): Float64Array {
  const data = new Float64Array(n * n);
  const multiply = (from: number, depth: number, out: MatrixView): void =>
    weightKernels().gram({ batch: 1, m: n, k: depth, a: { ...a, offset: a.offset + from * a.colStride }, out });
  if (!(a.data instanceof Float32Array && n * n * k >= LARGE)) {
    multiply(0, k, rowMajor(data, n, 0));
    return data;
  }
  withWorkspace((take) => {
    const part = take("float32", n * n);
    for (let from = 0; from < k; from += SPAN) {
      multiply(from, Math.min(SPAN, k - from), rowMajor(part, n, 0));
      addTo(data, part);
    }
  });
  return data;
}

function addTo(sums: Float64Array, terms: FloatArray): void {
  for (let t = 0; t < sums.length; t++) sums[t] = (sums[t] as number) + (terms[t] as number);
}

function rowMajor(data: FloatArray, cols: number, batchStride: number): MatrixView {
  return { data, offset: 0, rowStride: cols, colStride: 1, batchStride };
}

function transposed(view: MatrixView): MatrixView {
  return { ...view, rowStride: view.colStride, colStride: view.rowStride };
}
