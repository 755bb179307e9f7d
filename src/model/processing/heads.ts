/**
 * Steps that attention allows: value biases move into output biases, key biases go, and each head's maps are replaced
 * by those of its singular value decomposition, as queries, keys and values are only names for the factors of $W_{QK}$
 * and $W_{OV}$ (A Mathematical Framework for Transformer Circuits, "Attention Heads as Information Movement").
 */
import { requireKind } from "../../errors.ts";
import { compose, linear, svdOf, transpose } from "../../linear/index.ts";
import { add, batchMatmul, concat, Tensor } from "../../tensor/index.ts";
import type { AttentionLayer } from "../attention.ts";
import { ofEachHead } from "../key-value-heads.ts";
import type { Transformer } from "../transformer.ts";
import { ungroupAttention } from "../ungroup.ts";
import { queryKeyValueNames } from "../weights.ts";
import { refused, Workbench } from "./weights.ts";

/** $b_O + \sum_h b_V^h W_O^h$, with $b_V$ set to 0. */
function moveValueBiases(bench: Workbench, { layer }: AttentionLayer): void {
  const at = `blocks.${layer}.attn` as const;
  const name = `${at}.${queryKeyValueNames(bench.config).b_V}`;
  const shared = bench.get(name) as Tensor<"head d_head">;
  const b_V = ofEachHead(shared, bench.config.n_heads);
  const W_O = bench.get(`${at}.W_O`) as Tensor<"head d_head d_model">;
  const [heads = 0, d_head = 0] = b_V.shape;
  const rows = Tensor.from("head row d_head", [heads, 1, d_head], b_V.data);
  const written = batchMatmul(rows, W_O);
  let b_O: Tensor = bench.get(`${at}.b_O`);
  for (let h = 0; h < heads; h++) b_O = add(b_O, written.select("head", h).select("row", 0) as never);
  bench.set(`${at}.b_O`, b_O);
  bench.set(name, Tensor.zeros("head d_head", shared.shape, "float64"));
}

/**
 * Moves value biases into output biases, $b_O \leftarrow b_O + \sum_h b_V^h W_O^h$ and $b_V \leftarrow 0$: the rows of
 * a pattern sum to 1, so what a head makes of its bias is the same at every position. Logits stay as they were, but for
 * rounding; what heads write no longer contains a constant.
 *
 * @category Weight processing
 * @example
 * ```ts
 * import { maxAbsDifference } from "transformer-circuits";
 * import { foldValueBiases } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const folded = foldValueBiases(model);
 * console.log(folded.weight("blocks.0.attn.b_V").data.every((x) => x === 0));
 * // true
 * console.log(maxAbsDifference(model.forward([0, 5, 6]), folded.forward([0, 5, 6])) < 1e-4);
 * // true
 * ```
 */
export function foldValueBiases(model: Transformer): Transformer {
  requireKind("model", model, "model", "foldValueBiases");
  const bench = new Workbench(model);
  for (const layer of model.layers) moveValueBiases(bench, layer);
  return bench.finish(model.config);
}

/**
 * Sets key biases to 0. What $b_K$ adds to a score depends on the query alone, so softmax does not see it: patterns and
 * logits stay as they were, but for rounding, and scores of one query move by one number.
 *
 * @throws {@link ConfigError} for rotary positions with a $b_K$ that is not 0: it is rotated with the keys, and what it
 * adds depends on the offset.
 * @category Weight processing
 * @example
 * ```ts
 * import { maxAbsDifference } from "transformer-circuits";
 * import { dropKeyBiases } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const dropped = dropKeyBiases(model);
 * console.log(maxAbsDifference(model.forward([0, 5, 6]), dropped.forward([0, 5, 6])) < 1e-4);
 * // true
 * ```
 */
export function dropKeyBiases(model: Transformer): Transformer {
  requireKind("model", model, "model", "dropKeyBiases");
  const { positional_embedding_type } = model.config;
  const bench = new Workbench(model);
  for (const { layer, stored } of model.layers) {
    const { b_K } = stored;
    if (positional_embedding_type === "rotary" && b_K.data.some((x) => x !== 0)) {
      throw refused(
        "dropKeyBiases",
        "positional_embedding_type",
        positional_embedding_type,
        `b_K of layer ${layer} is rotated with the keys, so that what it adds to a score depends on the offset.`,
      );
    }
    bench.set(
      `blocks.${layer}.attn.${queryKeyValueNames(model.config).b_K}`,
      Tensor.zeros("head d_head", b_K.shape, "float64"),
    );
  }
  return bench.finish(model.config);
}

/** Columns beyond the rank of a head are zero. */
function padded(t: Tensor, d_head: number): Tensor<"row d_head"> {
  const [rows = 0, rank = 0] = t.shape;
  const out = new Float64Array(rows * d_head);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < rank; c++) out[r * d_head + c] = t.data[r * rank + c] as number;
  }
  return Tensor.from("row d_head", [rows, d_head], out);
}

/** The columns of a matrix times numbers. */
function scaledColumns(t: Tensor, by: (component: number) => number): Tensor {
  const rank = t.shape[1] ?? 0;
  return Tensor.from(
    t.axes,
    t.shape,
    Float64Array.from(t.data, (x, i) => x * by(i % rank)),
  );
}

/** A map with its bias as one row more: what a stream with a constant 1 is multiplied with. */
function withBias(bench: Workbench, at: string, kind: string, head: number): Tensor<"row d_head"> {
  const W = bench.get(`${at}.W_${kind}`).select("head", head);
  const b = bench.get(`${at}.b_${kind}`).select("head", head);
  const [rows = 0, d_head = 0] = W.shape;
  return concat("row", [
    Tensor.from("row d_head", [rows, d_head], W.data),
    Tensor.from("row d_head", [1, d_head], b.data),
  ]);
}

/** $W_Q = U\sqrt S$ and $W_K = V\sqrt S$ of one head, biases included. */
function refactorQK(
  bench: Workbench,
  at: string,
  head: number,
  d_head: number,
): [Q: Tensor<"row d_head">, K: Tensor<"row d_head">] {
  const Q = linear("row", "d_head", withBias(bench, at, "Q", head));
  const K = linear("row", "d_head*", withBias(bench, at, "K", head));
  const { U, S, V } = svdOf(compose(Q, transpose(K)));
  const root = (i: number): number => Math.sqrt(S.at(i));
  return [padded(scaledColumns(U, root), d_head), padded(scaledColumns(V, root), d_head)];
}

/** $W_V = U S$ and $W_O = V^\top$ of one head. */
function refactorOV(
  bench: Workbench,
  at: string,
  head: number,
  d_head: number,
): [V: Tensor<"row d_head">, O: Tensor<"row d_head">] {
  const W_V = linear("d_model", "d_head", bench.get(`${at}.W_V`).select("head", head) as Tensor<"d_model d_head">);
  const W_O = linear("d_head", "d_model", bench.get(`${at}.W_O`).select("head", head) as Tensor<"d_head d_model">);
  const { U, S, V } = svdOf(compose(W_V, W_O));
  return [
    padded(
      scaledColumns(U, (i) => S.at(i)),
      d_head,
    ),
    padded(V, d_head),
  ];
}

/**
 * Replaces the maps of every head by those of its singular value decompositions: $W_{OV} = U S V^\top$ gives
 * $W_V = U S$ and $W_O = V^\top$, so that what a head writes is as long as its weighted values; $W_{QK} = U S V^\top$,
 * with the biases as one more row of each side, gives $W_Q = U\sqrt{S}$ and $W_K = V\sqrt{S}$. Components come by size;
 * their signs are arbitrary. Value biases are folded first. Logits and circuits stay as they were, but for rounding
 * (TransformerLens, `refactor_factored_attn_matrices`).
 *
 * Where heads share keys and values each gets its own first ({@link ungroupAttention}), as each chooses coordinates.
 *
 * @throws {@link ConfigError} for rotary positions: queries and keys are rotated coordinate by coordinate, so their
 * coordinates may not be mixed.
 * @category Weight processing
 * @example
 * ```ts
 * import { maxAbsDifference } from "transformer-circuits";
 * import { frobeniusNormOf } from "transformer-circuits/linear";
 * import { refactorHeads } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const refactored = refactorHeads(model);
 * console.log(maxAbsDifference(model.forward([0, 5, 6]), refactored.forward([0, 5, 6])) < 1e-4);
 * // true
 * const squaredNorm = frobeniusNormOf(refactored.head("L1H4").W_O) ** 2;
 * console.log(squaredNorm.toFixed(4), model.config.d_head);
 * // 16.0000 16
 * ```
 */
export function refactorHeads(model: Transformer): Transformer {
  requireKind("model", model, "model", "refactorHeads");
  return refactored(ungroupAttention(model));
}

function refactored(model: Transformer): Transformer {
  const { positional_embedding_type, d_head, d_model } = model.config;
  if (positional_embedding_type === "rotary") {
    throw refused(
      "refactorHeads",
      "positional_embedding_type",
      positional_embedding_type,
      "rotary positions turn queries and keys coordinate by coordinate, so their coordinates may not be mixed: W_QK depends on the offset.",
    );
  }
  const bench = new Workbench(model);
  for (const layer of model.layers) {
    const at = `blocks.${layer.layer}.attn`;
    moveValueBiases(bench, layer);
    const stacks: Record<string, Tensor[]> = { W_Q: [], W_K: [], b_Q: [], b_K: [], W_V: [], W_O: [] };
    const put = (name: string, part: Tensor): unknown => stacks[name]?.push(part);
    for (const { head } of layer.heads) {
      const [Q, K] = refactorQK(bench, at, head, d_head);
      for (const [kind, both] of [
        ["Q", Q],
        ["K", K],
      ] as const) {
        put(`W_${kind}`, both.slice("row", 0, d_model));
        put(`b_${kind}`, both.slice("row", d_model, d_model + 1));
      }
      const [V, O] = refactorOV(bench, at, head, d_head);
      put("W_V", V);
      put("W_O", O.permute("d_head row"));
    }
    const n = layer.heads.length;
    const shapes: Record<string, readonly [axes: string, shape: readonly number[]]> = {
      W: ["head d_model d_head", [n, d_model, d_head]],
      W_O: ["head d_head d_model", [n, d_head, d_model]],
      b: ["head d_head", [n, d_head]],
    };
    for (const [name, parts] of Object.entries(stacks)) {
      const [axes, shape] = shapes[name] ?? shapes[name.charAt(0)] ?? ["", []];
      const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
      let start = 0;
      for (const part of parts) {
        data.set(part.data, start);
        start += part.size;
      }
      bench.set(`${at}.${name}`, Tensor.from(axes, shape, data));
    }
  }
  return bench.finish(model.config);
}
