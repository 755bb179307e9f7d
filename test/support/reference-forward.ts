/**
 * The forward pass of a transformer a second time: nested arrays, float64, one formula per loop, nothing shared
 * with the library but the weights and the configuration.
 */
import type { Transformer } from "../../src/model/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

export type Matrix = number[][];

export interface ReferenceRun {
  /** `[batch][pos][d_vocab_out]`. */
  readonly logits: Matrix[];
  /** `[layer][batch][head][query][key]`. */
  readonly patterns: Matrix[][][];
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
const plus = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x + (b[i] as number));

/** A function of values that never change, computed once for each. */
function once<K extends object, V>(of: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    const value = known.has(key) ? (known.get(key) as V) : of(key);
    known.set(key, value);
    return value;
  };
}
const nested = once((weight: Tensor) => weight.toNested());
const columnsOf = once((W: Matrix): Matrix => (W[0] as number[]).map((_, j) => W.map((row) => row[j] as number)));

/** `x W + b` for every row. */
function affine(x: Matrix, W: Matrix, b: readonly number[]): Matrix {
  const columns = columnsOf(W);
  return x.map((row) => columns.map((column, j) => dot(row, column) + (b[j] as number)));
}

function nestedOf(model: Transformer, name: string): unknown {
  const weight = model.weights.get(name);
  return weight === undefined ? undefined : nested(weight);
}

function normalize(model: Transformer, x: Matrix, name: string): Matrix {
  const { normalization_type, final_rms, eps } = model.config;
  const isRms = (name === "ln_final" && final_rms) || normalization_type?.startsWith("RMS") === true;
  if (normalization_type === null) return x;
  const weight = nestedOf(model, `${name}.w`) as number[] | undefined;
  const bias = nestedOf(model, `${name}.b`) as number[] | undefined;
  return x.map((row) => {
    const mean = isRms ? 0 : row.reduce((s, v) => s + v, 0) / row.length;
    const centred = row.map((v) => v - mean);
    const scale = Math.sqrt(dot(centred, centred) / row.length + eps);
    return centred.map((v, i) => (v / scale) * (weight?.[i] ?? 1) + (bias?.[i] ?? 0));
  });
}

function rotated(model: Transformer, x: Matrix): Matrix {
  const { rotary_dim, rotary_base, rotary_adjacent_pairs } = model.config;
  const dim = rotary_dim ?? 0;
  return x.map((row, position) => {
    const out = [...row];
    for (let i = 0; i < dim / 2; i++) {
      const angle = position / rotary_base ** ((2 * i) / dim);
      const [a, b] = rotary_adjacent_pairs ? [2 * i, 2 * i + 1] : [i, i + dim / 2];
      const [u, v] = [row[a] as number, row[b] as number];
      out[a] = u * Math.cos(angle) - v * Math.sin(angle);
      out[b] = u * Math.sin(angle) + v * Math.cos(angle);
    }
    return out;
  });
}

/** $\Phi(x) = \frac12 + \int_0^x \varphi$ by Simpson's rule; steps of 0.005 at most are off by less than $10^{-11} |x|$. */
function normalCdf(x: number): number {
  const n = 2 * Math.ceil(Math.abs(x) * 100);
  if (n === 0) return 0.5;
  const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < n; i++) sum += (i % 2 === 0 ? 2 : 4) * density((i * x) / n);
  return 0.5 + (sum * x) / (3 * n);
}

function activated(name: string, row: readonly number[]): number[] {
  if (name.startsWith("solu")) {
    const shares = softmaxRow(row);
    return row.map((x, i) => x * (shares[i] as number));
  }
  if (name === "relu") return row.map((x) => (x > 0 ? x : 0));
  if (name === "silu") return row.map((x) => x / (1 + Math.exp(-x)));
  if (name === "gelu") return row.map((x) => x * normalCdf(x));
  return row.map((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))));
}

/** What the MLP of a layer adds to a stream. */
function mlpOf(model: Transformer, layer: number, x: Matrix): Matrix {
  const weight = (name: string): never => nested(model.weight(`blocks.${layer}.mlp.${name}`)) as never;
  const pre = affine(normalize(model, x, `blocks.${layer}.ln2`), weight("W_in"), weight("b_in"));
  const { act_fn = "" } = model.config;
  let post = pre.map((row) => activated(act_fn, row));
  if (act_fn === "solu_ln") {
    const w = nestedOf(model, `blocks.${layer}.mlp.ln.w`) as number[] | undefined;
    const b = nestedOf(model, `blocks.${layer}.mlp.ln.b`) as number[] | undefined;
    post = post.map((row) => {
      const mean = row.reduce((s, v) => s + v, 0) / row.length;
      const scale = Math.sqrt(row.reduce((s, v) => s + (v - mean) ** 2, 0) / row.length + model.config.eps);
      return row.map((v, i) => ((v - mean) / scale) * (w?.[i] ?? 1) + (b?.[i] ?? 0));
    });
  }
  return affine(post, weight("W_out"), weight("b_out"));
}

function softmaxRow(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const exps = scores.map((s) => Math.exp(s - top));
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / total);
}

function patternOf(model: Transformer, layer: number, q: Matrix, k: Matrix): Matrix {
  const { d_head, use_attn_scale, attn_scale, scale_attn_by_inverse_layer_idx, attention_dir } = model.config;
  const isDefault = Math.abs(attn_scale - Math.sqrt(d_head)) < 1e-9;
  const scale =
    (use_attn_scale ? (isDefault ? Math.sqrt(d_head) : attn_scale) : 1) *
    (scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  return q.map((query, i) =>
    softmaxRow(k.map((key, j) => (attention_dir === "causal" && j > i ? -Infinity : dot(query, key) / scale))),
  );
}

function runPrompt(model: Transformer, ids: readonly number[]): { logits: Matrix; patterns: Matrix[][] } {
  const { n_layers, n_heads, positional_embedding_type } = model.config;
  const weight = (name: string): never => nested(model.weight(name)) as never;
  const W_E: Matrix = weight("embed.W_E");
  const W_pos = nestedOf(model, "pos_embed.W_pos") as Matrix | undefined;
  const at = (x: Matrix): Matrix => x.map((row, i) => plus(row, W_pos?.[i] as number[]));
  let x = ids.map((id) => W_E[id] as number[]);
  if (positional_embedding_type === "standard") x = at(x);
  const patterns: Matrix[][] = [];
  for (let layer = 0; layer < n_layers; layer++) {
    const name = `blocks.${layer}.attn`;
    const input = normalize(model, x, `blocks.${layer}.ln1`);
    const withPositions = positional_embedding_type === "shortformer" ? at(input) : input;
    let out = x.map((row) => plus(row, weight(`${name}.b_O`)));
    patterns.push([]);
    for (let h = 0; h < n_heads; h++) {
      const project = (side: string, from: Matrix): Matrix =>
        affine(
          from,
          (weight(`${name}.W_${side}`) as Matrix[])[h] as Matrix,
          (weight(`${name}.b_${side}`) as Matrix)[h] as number[],
        );
      let [q, k] = [project("Q", withPositions), project("K", withPositions)];
      if (positional_embedding_type === "rotary") [q, k] = [rotated(model, q), rotated(model, k)];
      const A = patternOf(model, layer, q, k);
      const values = columnsOf(project("V", input));
      const z = A.map((row) => values.map((column) => dot(row, column)));
      const W_O = (weight(`${name}.W_O`) as Matrix[])[h] as Matrix;
      const result = affine(
        z,
        W_O,
        (W_O[0] as number[]).map(() => 0),
      );
      out = out.map((row, i) => plus(row, result[i] as number[]));
      patterns[layer]?.push(A);
    }
    if (!model.config.attn_only) {
      const written = mlpOf(model, layer, model.config.parallel_attn_mlp === true ? x : out);
      out = out.map((row, i) => plus(row, written[i] as number[]));
    }
    x = out;
  }
  return { logits: affine(normalize(model, x, "ln_final"), weight("unembed.W_U"), weight("unembed.b_U")), patterns };
}

/** Runs prompts through a model in float64. */
export function referenceRun(model: Transformer, prompts: readonly (readonly number[])[]): ReferenceRun {
  const runs = prompts.map((ids) => runPrompt(model, ids));
  return {
    logits: runs.map(({ logits }) => logits),
    patterns: Array.from({ length: model.config.n_layers }, (_, layer) =>
      runs.map(({ patterns }) => patterns[layer] as Matrix[]),
    ),
  };
}
