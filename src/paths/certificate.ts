/**
 * Certificates: how far terms that should sum to a model's logits are from doing so, and how far float arithmetic
 * allows.
 *
 * Terms are computed in float64 from the patterns and scales of a run. What separates their sum from the logits is the
 * rounding of that run, whose activations are stored as float32: each stored number is the exact result of one
 * operation on stored numbers, times $1 + \delta$ with $|\delta| \le u = 2^{-24}$, except products, whose sums of $k$
 * terms are float32 too and err by at most $\gamma_k \sum |a b|$,
 * $\gamma_k = (\min(k, 256) + \lceil k / 256 \rceil + 1)\,u$. The bound is that rounding, followed to the logits; it
 * never looks at the terms.
 *
 * With $\tilde x_l$ the stored stream and $x + L_l(x) + c_l$ the frozen layer in float64, the rounding of layer $l$ is
 * its defect $r_l = \tilde x_{l+1} - (\tilde x_l + L_l(\tilde x_l) + c_l)$. As frozen layers are affine, errors add up
 * linearly, $e_{l+1} = e_l + L_l(e_l) + r_l$, and the logits err by $\mathrm{n}(e_L) W_U$ and by the rounding of final
 * norm and unembedding.
 *
 * A defect counts as rounding only as far as rounding can reach; what exceeds that is cut off, so that a forward pass
 * that computes something else is not excused. To first order in $u$, with 2-norms over a position's vector and $\|W\|$
 * a bound on the largest singular value, rounding reaches ($\|W\|_F$ where sums err, for $|W|$ is no smaller than $W$)
 *
 * $$\begin{aligned}
 * \mu &= 4u\,\tfrac{\max|w|}{s}\|\tilde x\| + u\|\tilde n\| &&\text{norm: mean, difference, quotient, weights; bias}\\
 * \nu &= \|W_V\|\,\mu + \gamma_d \|\tilde n\| \|W_V\|_F + u(2\|\tilde v\| + \|b_V\|) &&\text{values: product, bias}\\
 * \zeta_i &= \textstyle\sum_j \tilde A_{ij}(\nu_j + \gamma_n \|\tilde v_j\|) + u\|\tilde z_i\| &&\text{weighted values}\\
 * \|r\| &\le \textstyle\sum_h \|W_O^h\|\,\zeta^h + \gamma_{Hk} \|\tilde z\| \|W_O\|_F + u(2\|\tilde o\| + \|b_O\| + \|\tilde x'\|) &&\text{output } \tilde o \text{: product, bias; stream } \tilde x'
 * \end{aligned}$$
 *
 * What an MLP writes is a term as it is stored, so it adds no more than the rounding of one more sum in the stream,
 * $u\|\tilde x + \tilde o\|$. A logit $\ell = \tilde n W_U^{(t)} + b_U$ errs by
 * $\|W_U^{(t)}\|\,\mu + u(2|\ell| + |b_U|)$ more, and by its sum of $d$ products: by what that is seen to err, no more
 * than $\gamma_d \|\tilde n\| \|W_U^{(t)}\|$, for paths; by that limit itself for attributions, which do not compute
 * all logits anew.
 */
import type { AttentionLayer, HookName } from "../model/index.ts";
import { add, astype, frobeniusNorm, map, matmul, subtract, Tensor } from "../tensor/index.ts";
import { rawData, maxAbs, rowNorms, sumRounding, U32 } from "../tensor/internal.ts";
import { layerOutput, layerTerm, layerWritten } from "./frozen/frozen-layers.ts";
import { addMlp, directStream, frozenNorm, throughFinalNorm, unembed } from "./frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen/frozen-run.ts";
import { readAlong } from "./targets.ts";
import type { Readout } from "./targets.ts";

/**
 * Whether terms sum to the logits of a model, as far as float arithmetic allows.
 * @category Path expansion
 */
export interface Certificate {
  /** The largest absolute difference between the sum of the terms and the model's logits, in logits. */
  readonly maxDeviation: number;
  /**
   * The largest difference that the rounding of the model's own float32 run explains, whatever the terms are, in
   * logits.
   */
  readonly bound: number;
  /** Whether `maxDeviation` is at most `bound`. */
  readonly withinBound: boolean;
  /** How many terms were summed, bias and remainder included. */
  readonly terms: number;
}

/** Unit roundoff of float64. */
export const U64 = 2 ** -53;

/** A number for each position of each prompt. */
export type PerPosition = Float64Array;

const norm = (vector: Tensor): number => rowNorms(vector)[0] ?? 0;

/**
 * A bound on the largest singular value of a matrix, at most $k^{1/16}$ times it for the smaller side $k$:
 * $\sigma_1^8 \le \|G^4\|_F$ for the Gram matrix $G$ of that side.
 */
export function spectralBound(matrix: Tensor): number {
  const W = astype(matrix, "float64");
  const square = (G: Tensor): Tensor => matmul(G, Tensor.from("column next", G.shape, G.data)).rename("next", "column");
  const G: Tensor = matmul(W.permute("d_head d_model"), W.permute("d_model d_head").rename("d_head", "column"));
  return frobeniusNorm(square(square(G))) ** (1 / 8);
}

/** The norms of an activation, with those that it had before an edit: both were rounded. */
function normsAt({ run, trace }: FrozenRun, hook: HookName): PerPosition {
  const own = rowNorms(run.cache.get(hook));
  const before = trace?.before.get(hook);
  if (before === undefined) return own;
  const earlier = rowNorms(before);
  return own.map((size, row) => size + (earlier[row] as number));
}

/** The error that the rounding of a norm brings. */
export function normRounding(frozen: FrozenRun, layer: number, stream: Stream): PerPosition {
  const found = frozenNorm(frozen, layer);
  if (found === undefined) return new Float64Array(stream.size / stream.sizeOf("d_model"));
  const isFinal = layer === frozen.model.config.n_layers;
  const name = isFinal ? "ln_final.hook_normalized" : (`blocks.${layer}.ln1.hook_normalized` as const);
  const gain = found.norm.w === undefined ? 1 : maxAbs(found.norm.w.data);
  // hook_normalized lies before the weights of an RMSNorm.
  const after = found.norm.kind === "RMS" ? gain : 1;
  const written = normsAt(frozen, name);
  const scale = found.scale.data;
  return rowNorms(stream).map(
    (size, i) => U32 * ((4 * gain * size) / (scale[i] as number) + after * (written[i] as number)),
  );
}

/**
 * The norm of what a layer, or with `layer = n_layers` the unembedding, reads: of the stream after its norm, weights
 * and bias included.
 */
function readNorms(frozen: FrozenRun, layer: number): PerPosition {
  const found = frozenNorm(frozen, layer);
  const isFinal = layer === frozen.model.config.n_layers;
  if (found === undefined) {
    return isFinal ? rowNorms(lastStream(frozen)) : normsAt(frozen, `blocks.${layer}.hook_resid_pre`);
  }
  const { w, b } = found.norm;
  const gain = w === undefined ? 1 : maxAbs(w.data);
  const shift = b === undefined ? 0 : norm(b);
  const name = isFinal ? "ln_final.hook_normalized" : (`blocks.${layer}.ln1.hook_normalized` as const);
  return normsAt(frozen, name).map((size) => gain * size + shift);
}

/** The error of normalised stream, values and weighted values by rounding, once it is written to the stream. */
function headRounding(frozen: FrozenRun, layer: AttentionLayer, normalized: PerPosition): PerPosition {
  const at = `blocks.${layer.layer}.attn` as const;
  const A = frozen.run.cache.get(`${at}.hook_pattern`);
  const [v, z] = [normsAt(frozen, `${at}.hook_v`), normsAt(frozen, `${at}.hook_z`)];
  const [batch = 0, heads = 0, queries = 0, keys = 0] = A.shape;
  const groups = layer.stored.W_V.sizeOf("head");
  const pattern = rawData(A);
  const read = readNorms(frozen, layer.layer);
  const [ofRead, ofWeighted] = [sumRounding(frozen.model.config.d_model), sumRounding(keys)];
  const out = new Float64Array(normalized.length);
  for (let h = 0; h < heads; h++) {
    const bias = norm(layer.b_V.select("head", h));
    const ofV = spectralBound(layer.W_V.select("head", h));
    const ofO = spectralBound(layer.W_O.select("head", h));
    const ofSums = ofRead * frobeniusNorm(layer.W_V.select("head", h));
    const values = normalized.map((mu, row) => {
      const size = v[row * groups + layer.head(h).keyValueHead] as number;
      return ofV * mu + ofSums * (read[row] as number) + U32 * (2 * size + bias) + ofWeighted * size;
    });
    for (let row = 0; row < batch * queries; row++) {
      const b = Math.floor(row / queries);
      const start = ((b * heads + h) * queries + (row % queries)) * keys;
      let zeta = U32 * (z[row * heads + h] as number);
      for (let j = 0; j < keys; j++) zeta += (pattern[start + j] as number) * (values[b * keys + j] as number);
      out[row] = (out[row] as number) + ofO * zeta;
    }
  }
  return out;
}

/** The error by rounding of a layer's output, of its MLP's, and of their addition to the stream. */
function writeRounding(frozen: FrozenRun, layer: AttentionLayer): PerPosition {
  const at = `blocks.${layer.layer}` as const;
  const { cache } = frozen.run;
  const bias = norm(layer.b_O);
  const attn_out = cache.get(`${at}.hook_attn_out`);
  const next = normsAt(frozen, `${at}.hook_resid_post`);
  const z = cache.get(`${at}.attn.hook_z`);
  const heads = z.sizeOf("head");
  const ofSums = sumRounding(heads * z.sizeOf("d_head")) * frobeniusNorm(layer.W_O);
  const perHead = normsAt(frozen, `${at}.attn.hook_z`);
  const weighted = (row: number): number => Math.hypot(...perHead.subarray(row * heads, (row + 1) * heads));
  const middle = layer.mlp === undefined ? undefined : rowNorms(add(cache.get(`${at}.hook_resid_pre`), attn_out));
  const mid = cache.has(`${at}.hook_resid_mid`) ? normsAt(frozen, `${at}.hook_resid_mid`) : undefined;
  const results = resultRounding(frozen, layer.layer, heads);
  return normsAt(frozen, `${at}.hook_attn_out`).map(
    (size, i) =>
      U32 * (2 * size + bias + (next[i] as number) + (middle?.[i] ?? 0) + (mid?.[i] ?? 0)) +
      ofSums * weighted(i) +
      (results?.[i] ?? 0),
  );
}

/** The error by rounding of heads' results and their sum, where an edit of them made the run form them. */
function resultRounding(frozen: FrozenRun, layer: number, heads: number): PerPosition | undefined {
  const hook = `blocks.${layer}.attn.hook_result` as const;
  if (frozen.trace?.waits.has(hook) !== true || !frozen.run.cache.has(hook)) return undefined;
  const sizes = normsAt(frozen, hook);
  return Float64Array.from({ length: sizes.length / heads }, (_, row) => {
    let sum = 0;
    for (let h = 0; h < heads; h++) sum += sizes[row * heads + h] as number;
    return U32 * (heads + 1) * sum;
  });
}

/** The stored stream after the last layer. */
function lastStream(frozen: FrozenRun): Stream {
  const { model, run } = frozen;
  const { n_layers } = model.config;
  // A model without layers caches no stream; its one rounding is that of the sum of the embeddings.
  if (n_layers === 0) return astype(map(directStream(frozen), Math.fround), "float64");
  return run.cache.get(`blocks.${n_layers - 1}.hook_resid_post`);
}

/** The stored stream before a layer, or with `layer = n_layers` after the last. */
function storedStream(frozen: FrozenRun, layer: number): Stream {
  const { n_layers } = frozen.model.config;
  return layer === n_layers ? lastStream(frozen) : frozen.run.cache.get(`blocks.${layer}.hook_resid_pre`);
}

/** The error by rounding of the sum of the embeddings. */
function firstRounding(frozen: FrozenRun): PerPosition {
  const hasLayers = frozen.model.config.n_layers > 0;
  const sizes = hasLayers ? normsAt(frozen, "blocks.0.hook_resid_pre") : rowNorms(lastStream(frozen));
  return sizes.map((size) => U32 * size);
}

/** A defect, cut to the length that rounding reaches at each position: rows of the last axis. */
export function asRounding<A extends string>(defect: Tensor<A>, reach: PerPosition): Tensor<A> {
  const width = defect.shape[defect.rank - 1] ?? 1;
  const share = rowNorms(defect).map((size, i) => (size > (reach[i] as number) ? (reach[i] as number) / size : 1));
  const data = defect.data;
  return Tensor.from(
    defect.axes,
    defect.shape,
    Float64Array.from(
      { length: defect.size },
      (_, i) => (data[i] as number) * (share[Math.floor(i / width)] as number),
    ),
  );
}

/**
 * The rounding of the whole run in the residual stream before a layer, by default at the end: every layer's, carried on
 * by the frozen layers after it.
 */
export function streamError(frozen: FrozenRun, end = frozen.model.config.n_layers): Stream {
  const { model } = frozen;
  const direct = directStream(frozen);
  const streamBefore = (layer: number): Stream => storedStream(frozen, layer);
  const first = astype(streamBefore(0), "float64");
  let error = asRounding(subtract(first, direct), firstRounding(frozen));
  for (const layer of model.layers.slice(0, end)) {
    const before = astype(streamBefore(layer.layer), "float64");
    const after = astype(streamBefore(layer.layer + 1), "float64");
    const computed = addMlp(frozen, layer.layer, add(before, layerOutput(frozen, layer.layer, before)));
    const defect = subtract(after, computed);
    const written = writeRounding(frozen, layer);
    const reach = headRounding(frozen, layer, normRounding(frozen, layer.layer, before)).map(
      (r, i) => r + (written[i] as number),
    );
    error = add(add(error, layerTerm(frozen, layer.layer, error)), asRounding(defect, reach));
  }
  return error;
}

/** The largest 2-norm of a column of `W_U`. */
function largestColumn(frozen: FrozenRun): number {
  const W_U = frozen.model.weight("unembed.W_U");
  const data = rawData(W_U);
  const cols = W_U.shape[1] ?? 0;
  const squares = new Float64Array(cols);
  for (let i = 0; i < data.length; i++) squares[i % cols] = (squares[i % cols] as number) + (data[i] as number) ** 2;
  return Math.sqrt(maxAbs(squares));
}

/**
 * What the rounding of final norm, unembedding and the terms themselves reaches, in logits, but for the sums of the
 * unembedding.
 */
function endRounding(frozen: FrozenRun, column: number, terms: FloatTerms): number {
  const { model, run } = frozen;
  const local = normRounding(frozen, model.config.n_layers, lastStream(frozen));
  const ofTerms = U64 * terms.operations * terms.norms;
  return column * (maxAbs(local) + ofTerms) + U32 * (2 * maxAbs(rawData(run.logits)) + maxAbs(model.b_U.data));
}

/** The observed error of one prompt's sums in the unembedding, at most the bound of such sums. */
function seenUnembedding(frozen: FrozenRun, column: number, b: number): number {
  const { model, run } = frozen;
  const { n_layers, d_model } = model.config;
  const one = <A extends string>(t: Tensor<A>): Tensor<A> => (t as Tensor).slice("batch", b, b + 1) as Tensor<A>;
  const stored = one(run.cache.get("unembed.hook_in"));
  const exact = add(unembed(model, astype(stored, "float64")), model.b_U).data;
  const logits = rawData(one(run.logits));
  const perPosition = logits.length / stored.sizeOf("pos");
  const limit = readNorms(frozen, n_layers)
    .subarray(b * stored.sizeOf("pos"))
    .map((size) => sumRounding(d_model) * size * column);
  let seen = 0;
  for (let i = 0; i < logits.length; i++) {
    const error = Math.abs((logits[i] as number) - (exact[i] as number));
    seen = Math.max(seen, Math.min(error, limit[Math.floor(i / perPosition)] as number));
  }
  return seen;
}

/** The float64 arithmetic that terms went through. */
export interface FloatTerms {
  /** Operations in a row. */
  readonly operations: number;
  /** The sum of the norms of the terms at a position, at its largest. */
  readonly norms: number;
}

/** How far, by rounding, the logits of a run may be from the sum of its paths. */
export function pathErrorBound(frozen: FrozenRun, terms: FloatTerms): number {
  const error = throughFinalNorm(frozen, streamError(frozen));
  const column = largestColumn(frozen);
  let [carried, seen] = [0, 0];
  for (let b = 0; b < error.sizeOf("batch"); b++) {
    carried = Math.max(carried, maxAbs(unembed(frozen.model, error.slice("batch", b, b + 1)).data));
    seen = Math.max(seen, seenUnembedding(frozen, column, b));
  }
  return withFloat64(frozen, carried) + seen + endRounding(frozen, column, terms);
}

/**
 * What rounding carries on, with the float64 of terms that an edit takes away before they are read: a norm that divides
 * what is left of them by a small scale enlarges both. A float64 operation errs by $2^{-29}$ of what a float32 one may;
 * some 500 of them in a row make $2^{-20}$.
 */
function withFloat64({ edits }: FrozenRun, carried: number): number {
  return edits === undefined ? carried : carried * (1 + 2 ** -20);
}

/** The observed error of the sums that give the targets' logits, at most the bound of such sums. */
function seenAtTargets(frozen: FrozenRun, readout: Readout, column: number): number {
  const { model, run } = frozen;
  const exact = readAlong(readout, run.cache.get("unembed.hook_in"));
  const sizes = readNorms(frozen, model.config.n_layers);
  const pos = run.tokens.sizeOf("pos");
  let seen = 0;
  for (const [row, logit] of readout.logitsOf(run.logits).entries()) {
    const error = Math.abs(logit - (exact[row] as number) - (readout.constants[row] as number));
    const at = Math.floor(row / readout.positions) * pos + (row % readout.positions);
    seen = Math.max(
      seen,
      Math.min(error, readout.sides * sumRounding(model.config.d_model) * (sizes[at] as number) * column),
    );
  }
  return seen;
}

/**
 * The rounding of what was written to the stream of a run, and of its sums, in the stream before a layer, by default at
 * the end.
 */
export function writtenError(frozen: FrozenRun, end = frozen.model.config.n_layers): Stream {
  const { model } = frozen;
  let stored = directStream(frozen);
  let error: Stream | undefined;
  const take = (computed: Stream, next: Stream, reach: PerPosition): void => {
    stored = astype(next, "float64");
    const rounding = asRounding(subtract(stored, computed), reach);
    error = error === undefined ? rounding : add(error, rounding);
  };
  take(stored, storedStream(frozen, 0), firstRounding(frozen));
  for (const layer of model.layers.slice(0, end)) {
    const written = addMlp(frozen, layer.layer, add(stored, layerWritten(frozen, layer.layer)), "written");
    take(written, storedStream(frozen, layer.layer + 1), writeRounding(frozen, layer));
  }
  return error ?? subtract(stored, stored);
}

/**
 * How far, by rounding, the targets' logits of a run may be from the sum of what its embeddings, heads and biases
 * wrote.
 */
export function writtenErrorBound(frozen: FrozenRun, readout: Readout, terms: FloatTerms): number {
  const column = largestColumn(frozen);
  const carried = maxAbs(readAlong(readout, throughFinalNorm(frozen, writtenError(frozen))));
  const ofEnd = readout.sides * endRounding(frozen, column, terms);
  return withFloat64(frozen, carried) + seenAtTargets(frozen, readout, column) + ofEnd;
}

/** The sum of the norms of terms at each position, at its largest: what their float64 rounding is proportional to. */
export class NormSum {
  #sums: Float64Array | undefined;

  /** Counts one term. */
  add(term: Stream): void {
    const norms = rowNorms(term);
    this.#sums = this.#sums?.map((s, i) => s + (norms[i] as number)) ?? norms;
  }

  get largest(): number {
    return maxAbs(this.#sums ?? []);
  }
}

/** The float64 operations in a row that a path through every layer goes through, and the sum over terms. */
export function operationsOf({ model, run }: FrozenRun, terms: number): number {
  const { d_model, d_head, n_layers } = model.config;
  return terms + d_model + n_layers * (2 * d_model + d_head + run.tokens.sizeOf("pos"));
}
