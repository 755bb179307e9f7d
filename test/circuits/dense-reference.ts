/** Plain matrices as nested arrays and the obvious loops: what the factored computations are compared with. */
import type { AttentionHead, Transformer } from "../../src/model/index.ts";
import { Random } from "../../src/tensor/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

export type Matrix = readonly (readonly number[])[];

/** A rank-2 tensor as a matrix. */
export function matrix(t: Tensor): Matrix {
  return t.toNested() as number[][];
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

export function mul(...matrices: readonly Matrix[]): Matrix {
  return matrices.reduce((a, b) => {
    const columns = t(b);
    return a.map((row) => columns.map((column) => dot(row, column)));
  });
}

export function t(a: Matrix): Matrix {
  return Array.from({ length: a[0]?.length ?? 0 }, (_, j) => a.map((row) => row[j] as number));
}

export function plus(a: Matrix, b: Matrix): Matrix {
  return a.map((row, i) => row.map((x, j) => x + (b[i]?.[j] as number)));
}

export function fro(a: Matrix): number {
  return Math.sqrt(a.reduce((sum, row) => sum + dot(row, row), 0));
}

export function trace(a: Matrix): number {
  return a.reduce((s, row, i) => s + (row[i] as number), 0);
}

export interface HeadMatrices {
  readonly W_Q: Matrix;
  readonly W_K: Matrix;
  readonly W_V: Matrix;
  readonly W_O: Matrix;
  readonly QK: Matrix;
  readonly OV: Matrix;
}

/** The weights of a head as they are stored, and its two products. */
export function headMatrices(model: Transformer, { layer, head }: Pick<AttentionHead, "layer" | "head">): HeadMatrices {
  const weight = (name: string): Matrix => matrix(model.weight(`blocks.${layer}.attn.${name}`).select("head", head));
  const [W_Q, W_K, W_V, W_O] = [weight("W_Q"), weight("W_K"), weight("W_V"), weight("W_O")];
  return { W_Q, W_K, W_V, W_O, QK: mul(W_Q, t(W_K)), OV: mul(W_V, W_O) };
}

/** $W_E$ and $W_U$ as they are stored. */
export function embeddings(model: Transformer): { readonly W_E: Matrix; readonly W_U: Matrix } {
  return { W_E: matrix(model.weight("embed.W_E")), W_U: matrix(model.weight("unembed.W_U")) };
}

/** An orthogonal matrix, by Gram-Schmidt (twice) on a normal one. */
export function randomOrthogonal(n: number, seed: number): Matrix {
  const random = new Random(seed);
  const rows: number[][] = [];
  while (rows.length < n) {
    let v = Array.from({ length: n }, () => random.normal());
    for (let pass = 0; pass < 2; pass++) {
      for (const u of rows) {
        const along = dot(u, v);
        v = v.map((x, i) => x - along * (u[i] as number));
      }
    }
    const norm = Math.hypot(...v);
    rows.push(v.map((x) => x / norm));
  }
  return rows;
}

/** A matrix with singular values from 0.5 to 2, and its inverse. */
export function randomInvertible(n: number, seed: number): { readonly matrix: Matrix; readonly inverse: Matrix } {
  const [u, v] = [randomOrthogonal(n, seed), randomOrthogonal(n, seed + 1)];
  const random = new Random(seed + 2);
  const values = Array.from({ length: n }, () => 2 ** (2 * random.uniform() - 1));
  const stretched = (rows: Matrix, power: number): Matrix =>
    rows.map((row, i) => row.map((x) => x * (values[i] as number) ** power));
  return { matrix: mul(t(u), stretched(v, 1)), inverse: mul(t(v), stretched(u, -1)) };
}

/** The definition: three norms of dense products. */
export function compositionByDefinition(
  model: Transformer,
  writer: { layer: number; head: number },
  reader: { layer: number; head: number },
): number[] {
  const { OV } = headMatrices(model, writer);
  const later = headMatrices(model, reader);
  const score = (X: Matrix): number => {
    const scale = fro(OV) * fro(X);
    return scale === 0 ? 0 : fro(mul(OV, X)) / scale;
  };
  return [score(later.QK), score(t(later.QK)), score(later.OV)];
}

/** The dense circuits of L0H0, the QK one divided by the scale. */
export function circuitsOfFirst(model: Transformer): { readonly S: Matrix; readonly OV: Matrix } {
  const { W_E, W_U } = embeddings(model);
  const { QK, OV } = headMatrices(model, { layer: 0, head: 0 });
  const { attn_scale } = model.config;
  return { S: mul(W_E, QK, t(W_E)).map((row) => row.map((x) => x / attn_scale)), OV: mul(W_E, OV, W_U) };
}
