import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { ungroupAttention } from "../../../src/model/index.ts";
import type { HeadId, Transformer } from "../../../src/model/index.ts";
import { compositionOnText, scoreExpansion } from "../../../src/paths/index.ts";
import type { TextComposition } from "../../../src/paths/index.ts";
import { add, mean, subtract } from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { matrix, mul, t } from "../../circuits/dense-reference.ts";
import type { Matrix } from "../../circuits/dense-reference.ts";
import { expectClose } from "../../support/golden.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import { stretched } from "../../support/reparametrise.ts";

const kinds = ["Q", "K", "V"] as const;
const tokens = [
  [0, 1, 1, 0, 1],
  [1, 0, 1, 1, 0],
];

/** Root of the mean over queries of the variance over the keys that each sees, of a prompt's scores in a term. */
function alongRows(scores: Tensor<"batch query_pos key_pos">): number {
  const [batch = 0, pos = 0] = scores.shape;
  let sum = 0;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < pos; i++) {
      const seen = Array.from({ length: i + 1 }, (_, j) => scores.at(b, i, j));
      const middle = seen.reduce((a, x) => a + x, 0) / seen.length;
      sum += seen.reduce((a, x) => a + (x - middle) ** 2, 0) / seen.length;
    }
  }
  return Math.sqrt(sum / (batch * pos));
}

/** The size of K by the expansion of the reader's scores: all queries, the writer's keys. */
function keysByExpansion(model: Transformer, writer: string, reader: HeadId): number {
  const expansion = scoreExpansion(model, tokens, reader);
  const parts = expansion.labels.map((query) => expansion.scores({ query, key: writer }));
  return alongRows(parts.reduce((a, b) => add(a, b)));
}

/** And that of Q: the writer's queries less their mean over all positions, all keys. */
function queriesByExpansion(model: Transformer, writer: string, reader: HeadId): number {
  const expansion = scoreExpansion(model, tokens, reader);
  const at = expansion.labels.indexOf(writer);
  const part = expansion.queries.select("component", at);
  const centred = subtract(part, mean(mean(part, "batch"), "pos"));
  const keys = expansion.keys;
  let total = keys.select("component", 0);
  for (let c = 1; c < expansion.labels.length; c++) total = add(total, keys.select("component", c));
  const [batch = 0, pos = 0, d = 0] = centred.shape;
  let sum = 0;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < pos; i++) {
      const row = Array.from({ length: i + 1 }, (_, j) =>
        Array.from({ length: d }, (__, e) => centred.at(b, i, e) * total.at(b, j, e)).reduce((x, y) => x + y, 0),
      );
      const middle = row.reduce((x, y) => x + y, 0) / row.length;
      sum += row.reduce((x, y) => x + (y - middle) ** 2, 0) / row.length;
    }
  }
  return Math.sqrt(sum / (batch * pos)) / expansion.attnScale;
}

/** The size of V without norms: the variance of logits, less their mean over the vocabulary, through both heads. */
function valuesByHand(model: Transformer, writer: HeadId, reader: HeadId): number {
  const { cache } = model.run(tokens, { cache: "all" });
  const z = cache.get(`blocks.${writer.layer}.attn.hook_z`).select("head", writer.head);
  const pattern = cache.get(`blocks.${reader.layer}.attn.hook_pattern`).select("head", reader.head);
  const weight = (name: string, { layer, head }: HeadId): Matrix =>
    matrix(model.weight(`blocks.${layer}.attn.${name}`).select("head", head));
  const W_U = matrix(model.weight("unembed.W_U"));
  const map = mul(weight("W_O", writer), weight("W_V", reader), weight("W_O", reader), W_U);
  const rows = tokens.flatMap((_, b) => mul(matrix(pattern.select("batch", b)), matrix(z.select("batch", b)), map));
  const centred = rows.map((row) => row.map((x) => x - row.reduce((a, y) => a + y, 0) / row.length));
  const columns = t(centred).map((column) => {
    const middle = column.reduce((a, x) => a + x, 0) / column.length;
    return column.reduce((a, x) => a + (x - middle) ** 2, 0) / column.length;
  });
  return Math.sqrt(columns.reduce((a, x) => a + x, 0) / columns.length);
}

const pairsOf = (model: Transformer): [HeadId & { label: string }, HeadId][] =>
  model.heads.flatMap((writer) =>
    model.heads.filter(({ layer }) => layer > writer.layer).map((reader): [typeof writer, HeadId] => [writer, reader]),
  );

const all = (found: TextComposition): number[] =>
  kinds.flatMap((kind) =>
    (["share", "size", "chance", "zScores"] as const).flatMap((field) => [...found[kind][field].data]),
  );

describe("compositionOnText", () => {
  // A rotary key's constant differs along a row; parts are less their mean before they are rotated.
  it("is what the score expansion has of the writer, differences along rows, over kinds of model (5e-5 of the scores)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, d_vocab: Math.max(2, options.d_vocab) });
        const { K, Q } = compositionOnText(model, tokens);
        for (const [writer, reader] of pairsOf(model)) {
          const at = [writer.layer, writer.head, reader.layer, reader.head] as const;
          const scale = Math.max(1, alongRows(scoreExpansion(model, tokens, reader).total()));
          if (options.position === "rotary") continue;
          expectClose([K.size.at(...at)], [keysByExpansion(model, writer.label, reader)], { atol: 5e-5 * scale });
          expectClose([Q.size.at(...at)], [queriesByExpansion(model, writer.label, reader)], { atol: 5e-5 * scale });
        }
      }),
      runs(821, 30),
    );
  });

  it("has of values what reaches the logits through both patterns, without norms (1e-5)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, norm: null });
        const { V } = compositionOnText(model, tokens);
        for (const [writer, reader] of pairsOf(model)) {
          const expected = valuesByHand(model, writer, reader);
          expectClose([V.size.at(writer.layer, writer.head, reader.layer, reader.head)], [expected], {
            atol: 1e-5,
            rtol: 1e-4,
          });
        }
      }),
      runs(822, 15),
    );
  });

  it("is the same in any coordinates of the stream (P17; float32 runs, 2e-5)", () => {
    const model = randomModel({ n_layers: 3, dtype: "float64", d_vocab: 19, position: "standard", seed: 2 });
    const [found, other] = [model, stretched(model, 9)].map((one) => compositionOnText(one, tokens));
    for (const kind of kinds)
      for (const field of ["share", "size"] as const)
        expectClose(other?.[kind][field].data ?? [], found?.[kind][field].data ?? [], { atol: 2e-5 });
  });

  it("gives shares whose squares sum to at most 1 over the writers of a reader", () => {
    const model = randomModel({ n_layers: 3, norm: "LN", bias: true, mlp: "gelu", position: "standard", seed: 4 });
    const found = compositionOnText(model, tokens);
    for (const kind of kinds) {
      for (const reader of model.heads.filter(({ layer }) => layer > 0)) {
        const squares = pairsOf(model)
          .filter(([, r]) => r.layer === reader.layer && r.head === reader.head)
          .map(([w]) => found[kind].share.at(w.layer, w.head, reader.layer, reader.head) ** 2);
        const sum = squares.reduce((a, b) => a + b, 0);
        expect(sum).toBeGreaterThan(0);
        expect(sum).toBeLessThan(1 + 1e-9);
      }
    }
  });

  it("gives shared keys and values the scores of the model that has them written out (1e-6), also rotary", () => {
    const model = randomModel({
      n_heads: 4,
      norm: "RMS",
      position: "rotary",
      config: { n_key_value_heads: 2 },
      seed: 3,
    });
    expectClose(all(compositionOnText(model, tokens)), all(compositionOnText(ungroupAttention(model), tokens)), {
      atol: 1e-6,
      rtol: 1e-4,
    });
  });

  it("sees no keys beyond a window, scores readers alone, and stays finite on one token and without layers", () => {
    const local = { use_local_attn: true, window_size: 1, attn_types: ["global", "local"] };
    const model = randomModel({ position: "standard", config: local });
    // Each query sees its own position alone: nothing differs along a row.
    expect([...compositionOnText(model, tokens).K.size.data].every((x) => Math.abs(x) < 1e-9)).toBe(true);
    const deep = randomModel({ n_layers: 3, seed: 8 });
    const [some, whole] = [compositionOnText(deep, tokens, { readers: ["L2H1"] }), compositionOnText(deep, tokens)];
    expect(some.K.size.at(1, 2, 2, 1)).toBe(whole.K.size.at(1, 2, 2, 1));
    expect(some.K.size.at(1, 2, 2, 0)).toBe(0);
    expect(all(compositionOnText(deep, [[1]])).every(Number.isFinite)).toBe(true);
    expect(all(compositionOnText(randomModel({ n_layers: 0 }), tokens))).toEqual([]);
    expect(() => compositionOnText(deep, tokens, { readers: ["L3H0"] })).toThrow(InputError);
  });
});
