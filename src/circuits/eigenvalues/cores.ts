/**
 * The d_head x d_head cores of all heads of a layer, from which spectra are read.
 *
 * A circuit $W_E W_V W_O W_U$ has, zeros aside, the eigenvalues of the cyclic product $W_O (W_U W_E) W_V$
 * ($\lambda(AB) = \lambda(BA)$). The middle $W_U W_E$, `[d_model, d_model]`, is the same for all heads: it is computed
 * once per model, and every head then costs a product through it and one small eigenvalue problem.
 */
import { ConfigError } from "../../errors.ts";
import { eigenvaluesOfStack } from "../../linalg/index.ts";
import {
  gramOverMany,
  LARGE,
  multiplyStacks,
  stackOf,
  stackOfTensor,
  times,
  timesOverMany,
  transposedStack,
} from "../../linear/internal.ts";
import type { Stack } from "../../linear/internal.ts";
import type { AttentionLayer, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { dataForResult } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
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

const unembedThenEmbed = new WeakMap<Transformer, Float64Array>();
const embeddingGrams = new WeakMap<Transformer, Float64Array>();
const unembeddingGrams = new WeakMap<Transformer, Float64Array>();

/** $W_U W_E$, `[d_model, d_model]`, float64; computed once for a model. */
export function unembedEmbed(model: Transformer, operation: string): Float64Array {
  const { d_vocab, d_vocab_out } = model.config;
  if (d_vocab !== d_vocab_out) {
    throw new ConfigError(
      `the full OV circuit has eigenvalues only where input and output tokens are the same; this model has d_vocab=${d_vocab} and d_vocab_out=${d_vocab_out}. Use bareOVSpectrum.`,
      { operation, argument: "model", expected: d_vocab, actual: d_vocab_out },
    );
  }
  return remembered(unembedThenEmbed, model, () =>
    timesOverMany(stackOfTensor(model.weight("unembed.W_U")), stackOfTensor(model.weight("embed.W_E"))),
  );
}

/** $W_E^\top W_E$, `[d_model, d_model]`, float64; computed once for a model. */
export function embeddingGram(model: Transformer): Float64Array {
  return remembered(embeddingGrams, model, () =>
    gramOverMany(transposedStack(stackOfTensor(model.weight("embed.W_E")))),
  );
}

/** $W_U W_U^\top$, `[d_model, d_model]`, float64; computed once for a model. */
export function unembeddingGram(model: Transformer): Float64Array {
  return remembered(unembeddingGrams, model, () => gramOverMany(stackOfTensor(model.weight("unembed.W_U"))));
}

/** The cores $W_O M W_V$ of a layer, of the OV circuits when $M = W_U W_E$; without $M$, those of $W_{OV}$. */
export function ovCores(M: Float64Array | undefined): LayerCores {
  return (layer) => cyclic(stackOfTensor(layer.W_O), M, stackOfTensor(layer.W_V));
}

/**
 * The cores $W_K^\top M W_Q$ of a layer, of the QK circuits when $M = W_E^\top W_E$; without $M$, those of $W_{QK}$.
 */
export function qkCores(M: Float64Array | undefined): LayerCores {
  return (layer) => cyclic(transposedStack(stackOfTensor(layer.W_K)), M, stackOfTensor(layer.W_Q));
}

/** `a b` of two square row-major matrices, the first transposed if asked. */
export function squareProduct(n: number, a: Float64Array, b: Float64Array, flipA = false): Float64Array {
  const left = stackOf(a, [1, n, n]);
  return timesOverMany(flipA ? transposedStack(left) : left, stackOf(b, [1, n, n]));
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

export function remembered(
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
  const core = left.rows <= d ? times(middle, right) : times(right, middle);
  return { size: core.rows, data: core.data };
}

/** `left M` for each head; in float32 where `left` is and heads are many. */
function throughMiddle(left: Stack, M: Float64Array): Stack {
  const { count, rows, cols: d } = left;
  const isSingle = left.view.data instanceof Float32Array && count * rows * d * d >= LARGE;
  if (!isSingle) return times(left, stackOf(M, [1, d, d]));
  const into = stackOf(dataForResult("float32", count * rows * d) as FloatArray, [count, rows, d]);
  return multiplyStacks(left, stackOf(roundedOnce(M), [1, d, d]), into);
}

const rounded = new WeakMap<Float64Array, Float32Array>();

/** A square matrix in float32, kept for the heads of the other layers. */
function roundedOnce(M: Float64Array): Float32Array {
  const known = rounded.get(M) ?? Float32Array.from(M);
  rounded.set(M, known);
  return known;
}
