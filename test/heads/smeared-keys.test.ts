/** Identities of single constructions: the bigram model whose loss is an entropy, and smeared keys. */
import { describe, expect, test } from "vitest";
import { inductionScores, smearedKeys } from "../../src/heads/index.ts";
import { InputError } from "../../src/errors.ts";
import { editAt, meanLoss } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";

describe("the zero-layer model", () => {
  test("with W_E = I and W_U = log p has the conditional entropy as its loss (P39, 1e-5 nats: float32 logits)", () => {
    for (const seed of [1, 2, 3]) {
      const V = 6;
      const random = new Random(seed);
      // A text whose tokens follow one another unevenly, and its own bigram frequencies.
      const text = [0];
      while (text.length < 400)
        text.push(random.uniform() < 0.6 ? ((text.at(-1) ?? 0) + 1) % V : Math.floor(random.uniform() * V));
      const counts = Array.from({ length: V }, () => new Array<number>(V).fill(0));
      for (const [i, b] of text.slice(1).entries())
        (counts[text[i] as number] as number[])[b] = (counts[text[i] as number]?.[b] ?? 0) + 1;
      let entropy = 0;
      const logs: number[] = [];
      for (const row of counts) {
        const total = row.reduce((a, b) => a + b, 0);
        for (const count of row) {
          // A pair that never comes has a logarithm of -80: e^-80 is nothing beside 1.
          logs.push(count === 0 ? -80 : Math.log(count / total));
          if (count > 0) entropy -= (count / (text.length - 1)) * Math.log(count / total);
        }
      }
      const plain = randomModel({ n_layers: 0, d_model: V, d_vocab: V, n_ctx: 400, position: "none" });
      const model = withWeights(plain, (name, W) => {
        if (name === "unembed.W_U") return Tensor.from(W.axes, W.shape, logs);
        if (name !== "embed.W_E") return W;
        return Tensor.from(
          W.axes,
          W.shape,
          Array.from({ length: V * V }, (_, t) => (t % (V + 1) === 0 ? 1 : 0)),
        );
      });
      const { logits, tokens } = model.run([text]);
      expect(entropy).toBeGreaterThan(0.5);
      expectClose([meanLoss(logits, tokens)], [entropy], { atol: 1e-5 });
    }
  });
});

describe("smeared keys (P41)", () => {
  const tokens = [
    [3, 1, 4, 1, 5, 9],
    [2, 6, 5, 3, 5, 8],
  ];

  test("α → ∞ is the plain head, α → −∞ keys shifted by one token, α = 0 the mean (1e-6: float32 keys)", () => {
    const keys = randomModel({ bias: true }).run(tokens).cache.get("blocks.0.attn.hook_k");
    const smeared = smearedKeys(keys, [40, -40, 0]);
    for (let b = 0; b < 2; b++) {
      for (let j = 0; j < 6; j++) {
        for (let e = 0; e < 4; e++) {
          const own = (h: number): number => keys.at(b, j, h, e);
          const before = (h: number): number => keys.at(b, Math.max(0, j - 1), h, e);
          expectClose(
            [smeared.at(b, j, 0, e), smeared.at(b, j, 1, e), smeared.at(b, j, 2, e)],
            [own(0), before(1), (own(2) + before(2)) / 2],
            { atol: 1e-6 },
          );
        }
      }
    }
    expect(smearedKeys(keys, [Infinity, Infinity, Infinity]).data).toEqual(keys.data);
  });

  test("one layer with shifted keys is an induction head: a head that matches tokens scores 1 (1e-6: e^-40 leaks)", () => {
    const V = 30;
    const plain = randomModel({
      n_layers: 1,
      n_heads: 1,
      d_model: V,
      d_head: V,
      d_vocab: V,
      n_ctx: 24,
      position: "none",
      config: { use_attn_scale: false },
    });
    const diagonal = (W: Tensor, gain: number): Tensor =>
      Tensor.from(
        W.axes,
        W.shape,
        Array.from({ length: V * V }, (_, t) => (t % (V + 1) === 0 ? gain : 0)),
      );
    const model: Transformer = withWeights(plain, (name, W) => {
      if (/W_(E|K|V|O)$/.test(name)) return diagonal(W, 1);
      return name.endsWith("W_Q") ? diagonal(W, 40) : W;
    });
    const r = [7, 3, 12, 25, 18, 9, 21, 4, 16, 11];
    const scoreOf = (alpha: number): number => {
      const edits = editAt("blocks.0.attn.hook_k", (k) => smearedKeys(k, [alpha]));
      const { cache } = model.run([[0, ...r, ...r]], { edits });
      return inductionScores(cache.get("blocks.0.attn.hook_pattern"), { period: 10, variant: "strict" }).at(0);
    };
    expect(Math.abs(scoreOf(-Infinity) - 1)).toBeLessThan(1e-6);
    expect(scoreOf(Infinity)).toBeLessThan(1e-6);
  });

  test("a number for every head", () => {
    const keys = randomModel().run(tokens).cache.get("blocks.0.attn.hook_k");
    expect(() => smearedKeys(keys, [1, 2])).toThrow(InputError);
    expect(() => smearedKeys(keys, [1, 2])).toThrow(
      "smearedKeys: alpha is [1, 2] but there are 3 heads; give a number for each.",
    );
    expect(() => smearedKeys(keys, 2 as unknown as number[])).toThrow(
      "smearedKeys: alpha is [2] but there are 3 heads",
    );
    expect(() => smearedKeys(keys, [1, NaN, 2])).toThrow("smearedKeys: alpha is [1, NaN, 2]");
  });
});
