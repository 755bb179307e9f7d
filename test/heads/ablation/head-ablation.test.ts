import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ablatedLosses, headAblation, offsetAblatedLosses } from "../../../src/heads/index.ts";
import { frozenAblationLoss } from "../../../src/paths/index.ts";
import { combineEdits, editAt, lossPerToken } from "../../../src/model/index.ts";
import { Tensor, map, meanAll } from "../../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";

type Z = Tensor<"batch pos head d_head">;

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)(
  "%s: rises of the loss are TransformerLens's",
  (name) => {
    const golden = loadGolden(name);
    const tokens = golden.tokens("repeated_tokens");
    // BOS + r + r with 11 tokens in r: the stored means are over all 11 predictions of the second copy.
    const from = ((tokens[0]?.length ?? 0) - 1) / 2;
    it.each(["zero", "mean"] as const)("%s ablation (float32 losses on both sides, 2e-5)", (value) => {
      const { rise } = headAblation(golden.model, tokens, { value, from });
      expectClose(rise, golden.expected(`ablation.${value}_delta_loss`), { atol: 2e-5 });
    });
  },
);

it("headAblation takes out the heads asked for alone, one after the other", () => {
  const model = randomModel({ n_layers: 3, bias: true });
  const tokens = [1, 5, 3, 5, 2];
  const all = headAblation(model, tokens).rise;
  const order: string[] = [];
  const { rise } = headAblation(model, tokens, {
    heads: ["L2H1", { layer: 0, head: 2 }],
    onLosses: ({ layer, head }) => order.push(`L${layer}H${head}`),
  });
  expect(order).toEqual(["L2H1", "L0H2"]);
  expect([rise.at(2, 1), rise.at(0, 2)]).toEqual([all.at(2, 1), all.at(0, 2)]);
  expect([...rise.data].filter((x) => Number.isFinite(x))).toHaveLength(2);
  expect(() => headAblation(model, tokens, { heads: ["L9H0"] })).toThrow("there is no head L9H0");
});

describe("ablatedLosses", () => {
  it("P37: without a head is with its values zeroed, or its outputs", () => {
    const model = randomModel({ norm: "LN", bias: true });
    const zeroed = withWeights(model, (name, W) => {
      if (name !== "blocks.0.attn.W_O") return W;
      const data = W.data.slice();
      data.fill(0, W.size / 3, (2 * W.size) / 3);
      return Tensor.from(W.axes, W.shape, data);
    });
    const tokens = [1, 5, 3, 5, 2];
    const run = zeroed.run(tokens);
    expectClose(ablatedLosses(model, tokens, ["L0H1"]), lossPerToken(run.logits, run.tokens), { atol: 1e-6 });
  });

  it("with patterns kept and no norms is the frozen ablation: all paths through the head gone (P6)", () => {
    const model = randomModel({ n_layers: 3, bias: true });
    const tokens = [
      [1, 5, 3, 5, 2],
      [2, 2, 7, 1, 9],
    ];
    for (const heads of [["L0H1"], ["L1H0", "L2H2"]] as const) {
      const kept = meanAll(ablatedLosses(model, tokens, heads, { patterns: "kept" }));
      expect(Math.abs(kept - frozenAblationLoss(model, tokens, { heads }))).toBeLessThan(2e-6);
      const anew = meanAll(ablatedLosses(model, tokens, heads));
      expect(Math.abs(anew - kept)).toBeGreaterThan(1e-4);
    }
  });

  it("changes nothing for no heads, or a head that gives nothing", () => {
    const model = plantedModel({ d_vocab: 8, n_ctx: 8 });
    const silent = withWeights(model, (name, W) => (name === "blocks.1.attn.W_O" ? map(W, () => 0) : W));
    const { logits, tokens } = silent.run([0, 3, 4, 3]);
    const clean = lossPerToken(logits, tokens);
    expectClose(ablatedLosses(silent, [0, 3, 4, 3], []), clean, { atol: 0 });
    expectClose(ablatedLosses(silent, [0, 3, 4, 3], ["L1H0"]), clean, { atol: 1e-6 });
  });

  it("mean over all: a head that always gives the same is not missed", () => {
    // Only biases: v = b_V everywhere, whatever is read.
    const model = withWeights(randomModel({ bias: true }), (name, W) =>
      name === "blocks.0.attn.W_V" ? map(W, () => 0) : W,
    );
    const clean = ablatedLosses(model, [1, 2, 3, 4], []);
    expectClose(ablatedLosses(model, [1, 2, 3, 4], ["L0H0", "L0H1", "L0H2"], { value: "meanOverAll" }), clean, {
      atol: 1e-5,
    });
    expect(meanAll(ablatedLosses(model, [1, 2, 3, 4], ["L0H0"])) === meanAll(clean)).toBe(false);
  });

  it.each([
    [() => ablatedLosses(randomModel(), [1], []), "ablatedLosses: a prompt of one token has no next token to predict."],
    [
      () => ablatedLosses(randomModel(), [1, 2], ["L0H0"], { value: "mean" }),
      "ablatedLosses: the mean over one prompt is that prompt itself, so nothing would change.",
    ],
    [
      () => headAblation(randomModel(), [1, 2], { from: 1 }),
      "headAblation: from is 1, but there are 1 predictions, counted from 0.",
    ],
    [
      () => ablatedLosses(randomModel(), [1, 2], [], { value: "nothing" as "zero" }),
      'ablatedLosses: value is "nothing"; the choices are zero, mean, meanOverAll.',
    ],
    [
      () => ablatedLosses(randomModel(), [1, 2], [], { patterns: "old" as "kept" }),
      'ablatedLosses: patterns is "old"; the choices are recomputed, kept.',
    ],
  ])("refuses %s", (call, message) => {
    expect(call).toThrow(message);
  });
});

describe("going on from a head's layer gives the losses of a whole run with edits, to the bit", () => {
  const some = fc.record({
    options: fc.oneof(modelOptions, mlpModelOptions).filter(({ n_layers }) => n_layers > 0),
    value: fc.constantFrom("zero", "mean", "meanOverAll"),
    patterns: fc.constantFrom("recomputed", "kept"),
    direction: fc.constantFrom("causal", "bidirectional"),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
    seed: fc.nat(1000),
  });

  /** z with heads replaced, number by number. */
  function without(z: Z, heads: readonly number[], value: string): Z {
    const [batch = 0, pos = 0, , d_head = 0] = z.shape;
    const nested = z.toNested() as number[][][][];
    const read = z.toNested() as number[][][][];
    for (const h of heads) {
      for (let e = 0; e < d_head; e++) {
        const at = (b: number, p: number): number => read[b]?.[p]?.[h]?.[e] as number;
        for (let b = 0; b < batch; b++) {
          for (let p = 0; p < pos; p++) {
            let [sum, count] = [0, 0];
            for (let c = 0; c < batch; c++) {
              for (let q = 0; q < pos; q++) {
                if (value === "zero" || (value === "mean" && q !== p)) continue;
                [sum, count] = [sum + at(c, q), count + 1];
              }
            }
            (nested[b]?.[p]?.[h] as number[])[e] = count === 0 ? 0 : sum / count;
          }
        }
      }
    }
    return Tensor.fromNested("batch pos head d_head", nested, z.dtype);
  }

  it("over norms, positions, MLPs, directions, values and patterns (seeded)", () => {
    fc.assert(
      fc.property(some, ({ options, value, patterns, direction, picks, seed }) => {
        const model = randomModel({ ...options, config: { attention_dir: direction } });
        const tokens = [0, 1, 2].map((b) => [0, 1, 2, 3, 4].map((i) => (seed * (b + 3) + 7 * i * i) % options.d_vocab));
        const all = model.heads;
        const heads = [...new Set(picks.map((pick) => all[pick % all.length] as (typeof all)[number]))];
        const { cache } = model.run(tokens);
        const edits = model.layers.flatMap(({ layer }) => {
          const pattern = `blocks.${layer}.attn.hook_pattern` as const;
          const own = heads.filter((head) => head.layer === layer).map(({ head }) => head);
          return [
            ...(patterns === "kept" ? [editAt(pattern, () => cache.get(pattern))] : []),
            editAt(`blocks.${layer}.attn.hook_z`, (z) => (own.length === 0 ? z : without(z, own, value))),
          ];
        });
        const run = model.run(tokens, { cache: [], edits: combineEdits(...edits) });
        const losses = ablatedLosses(model, tokens, heads, { value, patterns });
        expect(losses.toNested()).toEqual(lossPerToken(run.logits, run.tokens).toNested());
      }),
      runs(37, 120),
    );
  });

  it("one head at a time, and only some offsets", () => {
    for (const position of ["standard", "shortformer", "rotary", "none"] as const) {
      const model = randomModel({ n_layers: 3, norm: "LN", bias: true, position });
      const tokens = [
        [1, 5, 3, 5, 2],
        [2, 2, 7, 1, 9],
      ];
      headAblation(model, tokens, {
        onLosses: ({ layer, head }, losses) => {
          const edits = editAt(`blocks.${layer}.attn.hook_z`, (z) => without(z, [head], "zero"));
          const run = model.run(tokens, { cache: [], edits });
          expect(losses.toNested()).toEqual(lossPerToken(run.logits, run.tokens).toNested());
        },
      });
      // With every offset kept the head gives what it gave, summed in another order.
      const all = offsetAblatedLosses(model, tokens, "L1H1", { keep: [0, 1, 2, 3, 4] });
      expectClose(all, ablatedLosses(model, tokens, []), { atol: 1e-6 });
    }
  });
});

describe("headAblation", () => {
  it("hands over each head's losses, reports in heads and stops when aborted", () => {
    const model = randomModel();
    const seen: string[] = [];
    const means: number[] = [];
    const { rise, clean } = headAblation(model, [1, 2, 3], {
      onLosses: ({ layer, head }, losses) => {
        seen.push(`L${layer}H${head}`);
        means.push(meanAll(losses));
      },
    });
    expectClose(
      rise.data,
      means.map((loss) => loss - clean),
      { atol: 1e-12 },
    );
    expect(seen).toEqual(["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]);
    const abort = new AbortController();
    expect(() =>
      headAblation(model, [1, 2, 3], {
        signal: abort.signal,
        onProgress: () => {
          abort.abort(new Error("enough"));
        },
      }),
    ).toThrow("enough");
  });
});

describe("offsetAblatedLosses", () => {
  const model = plantedModel({ d_vocab: 10, n_ctx: 13 });
  const half = (seed: number): number[] => [1, 2, 3, 4, 5, 6].map((i) => ((i + seed) % 9) + 1);
  const prompts = [0, 3, 5].map((seed) => [0, ...half(seed), ...half(seed)]);
  const clean = ablatedLosses(model, prompts, []);

  it("keeping every offset changes nothing; the previous-token head needs offset 1 and no other", () => {
    const all = Array.from({ length: 13 }, (_, i) => i);
    expectClose(offsetAblatedLosses(model, prompts, "L0H0", { keep: all }), clean, { atol: 1e-6 });
    expectClose(offsetAblatedLosses(model, prompts, "L0H0", { keep: [1] }), clean, { atol: 1e-5 });
    const without = all.filter((offset) => offset !== 1);
    expect(meanAll(offsetAblatedLosses(model, prompts, "L0H0", { keep: without }))).toBeGreaterThan(meanAll(clean) + 1);
  });

  it("keeping none is what the mean of values gives, the pattern as it was", () => {
    // The mean over prompts of equal prompts is the prompt itself.
    const same = [prompts[0] as number[], prompts[0] as number[]];
    expectClose(offsetAblatedLosses(model, same, "L1H0", { keep: [] }), ablatedLosses(model, same, []), { atol: 1e-6 });
  });

  it("refuses a single prompt, and offsets that are no whole numbers", () => {
    expect(() => offsetAblatedLosses(model, [0, 1, 2], "L0H0", { keep: [1] })).toThrow(
      "offsetAblatedLosses: the tokens are 1 prompt of 3; values are replaced by their mean over prompts",
    );
    expect(() => offsetAblatedLosses(model, prompts, "L0H0", { keep: [0.5] })).toThrow(
      "offsetAblatedLosses: offset 0.5 is no whole number of positions from key to query.",
    );
  });
});
