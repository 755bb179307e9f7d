/**
 * Term importance: losses by order of paths, by subset of heads and by layer, against the paper's algorithm and the pattern-preserving
 * ablation done with edits. A second float32 run agrees to 5e-5, some hundred roundings of numbers near 5.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compositionImportance,
  firstOrderLoss,
  frozenAblationLoss,
  headTermImportance,
  layerTermImportance,
  logitsByOrder,
  lossByMaxOrder,
  pathExpansion,
  termImportance,
} from "../../../src/paths/index.ts";
import { InputError } from "../../../src/errors.ts";
import { combineEdits, editAt, meanLoss } from "../../../src/model/index.ts";
import type { Edits, HeadRef, PositionalEmbeddingType, Transformer } from "../../../src/model/index.ts";
import { add, concat, map, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { frozenPatterns } from "../frozen-patterns.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const second = { atol: 5e-5, rtol: 1e-5 };
const positions = fc.constantFrom<PositionalEmbeddingType>("standard", "shortformer", "rotary", "none");
const seeds = fc.integer({ min: 0, max: 1e6 });
const withoutNorm = fc.record({
  n_layers: fc.integer({ min: 1, max: 3 }),
  position: positions,
  bias: fc.boolean(),
  seed: seeds,
});

describe("orders of paths", () => {
  /** The paper's algorithm by hand: patterns forced, each layer adds what its heads computed in the run before. */
  function literally(model: Transformer): Tensor[] {
    const frozen = frozenPatterns(model, tokens);
    let saved = new Map<number, Tensor<"batch pos d_model">>();
    return Array.from({ length: model.config.n_layers + 1 }, () => {
      const outputs = new Map<number, Tensor<"batch pos d_model">>();
      const hold = Object.fromEntries(
        model.layers.map(({ layer }) => [
          `blocks.${layer}.hook_attn_out`,
          (out: Tensor<"batch pos d_model">): Tensor<"batch pos d_model"> => {
            outputs.set(layer, out);
            return saved.get(layer) ?? map(out, () => 0);
          },
        ]),
      );
      const { logits } = model.run(tokens, { cache: [], edits: { ...frozen, ...hold } });
      saved = outputs;
      return logits;
    });
  }

  test("cumulated, they are the runs of the paper's algorithm; the last is the model (P3)", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), positions, seeds, (n_layers, position, seed) => {
        const model = randomModel({ n_layers, position, seed });
        const byOrder = logitsByOrder(model, tokens);
        const { loss } = lossByMaxOrder(model, tokens);
        let sum: Tensor | undefined;
        for (const [order, logits] of literally(model).entries()) {
          const term: Tensor = byOrder.select("order", order);
          sum = sum === undefined ? term : add(sum, term);
          expectClose(sum.data, logits.data, second);
          const ids = Tensor.from("batch pos", [2, 6], tokens.flat(), "int32");
          expectClose([loss.at(order)], [meanLoss(logits as Tensor<"batch pos d_vocab">, ids)], { atol: 1e-5 });
        }
        expectClose(sum?.data ?? [], model.forward(tokens).data, second);
      }),
      runs(8, 12),
    );
  });

  test("gains sum to ln V less the model's loss, for every norm (P38; 1e-9 in float64, 1e-5 against the float32 loss)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const prompts = tokens.map((row) => row.map((id) => id % options.d_vocab));
        const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, prompts);
        const last = loss.at(options.n_layers);
        expect(uniformLoss).toBe(Math.log(options.d_vocab));
        expect(Math.abs([...marginalGain.data].reduce((a, b) => a + b, 0) - (uniformLoss - last))).toBeLessThan(1e-9);
        const { logits, tokens: ids } = model.run(prompts, { cache: [] });
        expectClose([last], [meanLoss(logits, ids)], { atol: 2e-5, rtol: 1e-5 });
      }),
      runs(9, 30),
    );
  });

  test("a model whose output tokens outnumber its input tokens is measured against all of them", () => {
    const model = randomModel({ config: { d_vocab_out: 40 } });
    expect(lossByMaxOrder(model, tokens).uniformLoss).toBe(Math.log(40));
    expect(logitsByOrder(model, tokens).shape).toEqual([3, 2, 6, 40]);
    expect(pathExpansion(model, tokens).certificate().withinBound).toBe(true);
  });

  test("progress and cancelling", () => {
    const model = randomModel({ n_layers: 3 });
    const seen: string[] = [];
    logitsByOrder(model, tokens, { onProgress: (done, total) => seen.push(`${done}/${total}`) });
    expect(seen).toEqual(["1/3", "2/3", "3/3"]);
    const stop = new AbortController();
    const onProgress = (): void => {
      stop.abort(new Error("enough"));
    };
    expect(() => lossByMaxOrder(model, tokens, { signal: stop.signal, onProgress })).toThrow("enough");
    expect(() => headTermImportance(model, tokens, { signal: stop.signal })).toThrow("enough");
  });

  test("prompts of one token have no loss", () => {
    const text = "a prompt of one token has no next token, so there is no loss. Give at least two tokens.";
    const model = randomModel();
    expect(() => lossByMaxOrder(model, [1])).toThrow(InputError);
    expect(() => lossByMaxOrder(model, [1])).toThrow(`lossByMaxOrder: ${text}`);
    expect(() => firstOrderLoss(model, [1], { layers: [] })).toThrow(`firstOrderLoss: ${text}`);
    expect(() => frozenAblationLoss(model, [1], { layers: [] })).toThrow(`frozenAblationLoss: ${text}`);
    expect(() => headTermImportance(model, [1])).toThrow(`headTermImportance: ${text}`);
    expect(() => layerTermImportance(model, [1])).toThrow(`layerTermImportance: ${text}`);
    expect(logitsByOrder(model, [1]).shape).toEqual([3, 1, 1, 17]);
  });
});

describe("subsets of heads", () => {
  const zeroResults = (model: Transformer, heads: readonly HeadRef[]): Edits => {
    const out = new Set(heads.map((ref) => model.head(ref).label as string));
    return combineEdits(
      ...model.layers.map(({ layer }) =>
        editAt(`blocks.${layer}.attn.hook_result`, (result) =>
          concat(
            "head",
            Array.from({ length: result.sizeOf("head") }, (_, h) => {
              const one = result.slice("head", h, h + 1);
              return out.has(`L${layer}H${h}`) ? map(one, () => 0) : one;
            }),
          ),
        ),
      ),
    );
  };

  test("removing heads with patterns frozen is the pattern-preserving ablation of a run (P6, 2e-5 nats)", () => {
    fc.assert(
      fc.property(withoutNorm, fc.subarray([0, 1, 2], { minLength: 1 }), (options, heads) => {
        const model = randomModel(options);
        const subset = heads.map((head) => ({ layer: options.n_layers - 1 - (head % options.n_layers), head }));
        const edits = { ...frozenPatterns(model, tokens), ...zeroResults(model, subset) };
        const { logits, tokens: ids } = model.run(tokens, { cache: [], edits });
        expectClose([frozenAblationLoss(model, tokens, { heads: subset })], [meanLoss(logits, ids)], { atol: 2e-5 });
      }),
      runs(10, 20),
    );
  });

  test("and the logits less every path through the head, where nothing else begins in a bias (P6, 1e-9 of float64 losses)", () => {
    for (const norm of [null, "LNPre", "RMS"] as const) {
      const model = randomModel({ norm, position: "standard", n_layers: 3, n_heads: 2 });
      const expansion = pathExpansion(model, tokens);
      const without = expansion.terms.filter(({ path }) => !path.some(({ layer, head }) => layer === 1 && head === 0));
      const logits = [...without, expansion.bias].map((term) => expansion.logits(term)).reduce((a, b) => add(a, b));
      const loss = meanLoss(logits, expansion.tokens);
      expectClose([frozenAblationLoss(model, tokens, { heads: ["L1H0"] })], [loss], { atol: 1e-6 });
    }
  });

  test("first-order losses are those of the sums of terms; nothing, one head, a layer, everything (1e-6: meanLoss is float32)", () => {
    const model = randomModel({ norm: "LN", position: "rotary", bias: true, n_layers: 2 });
    const expansion = pathExpansion(model, tokens);
    const lossOf = (labels: readonly string[]): number => {
      const kept = expansion.all.filter(
        ({ label }) => label === "direct" || label === "bias" || labels.includes(label),
      );
      return meanLoss(
        kept.map((term) => expansion.logits(term)).reduce((a, b) => add(a, b)),
        expansion.tokens,
      );
    };
    const cases: [Parameters<typeof firstOrderLoss>[2], string[]][] = [
      [{ heads: [] }, []],
      [{ heads: ["L1H2"] }, ["L1H2"]],
      [{ layers: [0] }, ["L0H0", "L0H1", "L0H2"]],
      [{ layers: [1], heads: ["L0H1"] }, ["L0H1", "L1H0", "L1H1", "L1H2"]],
    ];
    for (const [subset, labels] of cases)
      expectClose([firstOrderLoss(model, tokens, subset)], [lossOf(labels)], { atol: 1e-6 });
    const { loss } = lossByMaxOrder(model, tokens);
    expectClose(
      [firstOrderLoss(model, tokens, { layers: [] }), firstOrderLoss(model, tokens, { layers: [0, 1] })],
      [loss.at(0), loss.at(1)],
      { atol: 1e-12 },
    );
  });

  test("headTermImportance: both ends of every head, as the losses of subsets have it (1e-12)", () => {
    const model = randomModel({ norm: "RMS", position: "standard", bias: true });
    const importance = headTermImportance(model, tokens);
    const { loss } = lossByMaxOrder(model, tokens);
    expectClose([importance.directLoss, importance.fullLoss], [loss.at(0), loss.at(2)], { atol: 1e-12 });
    for (const { layer, head, label } of model.heads) {
      const added = importance.directLoss - firstOrderLoss(model, tokens, { heads: [label] });
      const removed = frozenAblationLoss(model, tokens, { heads: [label] }) - importance.fullLoss;
      expectClose(
        [importance.addedToDirect.at(layer, head), importance.removedFromFull.at(layer, head)],
        [added, removed],
        { atol: 1e-12 },
      );
    }
    expect(frozenAblationLoss(model, tokens, { heads: [] })).toBeCloseTo(importance.fullLoss, 12);
  });

  test("layerTermImportance: gains over the direct path, and over it with the other layers (1e-12)", () => {
    const model = randomModel({ n_layers: 3, bias: true });
    const { addedToDirect, addedToOthers, directLoss, firstOrderLoss: all } = layerTermImportance(model, tokens);
    const lossOf = (layers: number[]): number => firstOrderLoss(model, tokens, { layers });
    expectClose([directLoss, all], [lossOf([]), lossOf([0, 1, 2])], { atol: 1e-12 });
    expectClose(
      addedToDirect.data,
      [0, 1, 2].map((l) => directLoss - lossOf([l])),
      { atol: 1e-12 },
    );
    expectClose(
      addedToOthers.data,
      [
        [1, 2],
        [0, 2],
        [0, 1],
      ].map((l) => lossOf(l) - all),
      { atol: 1e-12 },
    );
  });

  test("what is not there is refused", () => {
    const model = randomModel();
    expect(() => firstOrderLoss(model, tokens, {})).toThrow(
      'firstOrderLoss: no heads are named. Pass { heads: ["L1H4"] } or { layers: [1] }; an empty list is none of them.',
    );
    expect(() => frozenAblationLoss(model, tokens, { heads: ["L2H0"] })).toThrow("there is no head L2H0");
    expect(() => firstOrderLoss(model, tokens, { layers: [2] })).toThrow("there is no layer 2");
  });
});

describe("tokens that the model cannot predict", () => {
  const model = randomModel({ d_vocab: 17, config: { d_vocab_out: 5 } });
  test.each([
    [
      "lossByMaxOrder",
      () =>
        lossByMaxOrder(model, [
          [0, 1],
          [2, 9],
        ]),
    ],
    [
      "firstOrderLoss",
      () =>
        firstOrderLoss(
          model,
          [
            [0, 1],
            [2, 9],
          ],
          { layers: [0] },
        ),
    ],
    [
      "frozenAblationLoss",
      () =>
        frozenAblationLoss(
          model,
          [
            [0, 1],
            [2, 9],
          ],
          { layers: [0] },
        ),
    ],
    [
      "headTermImportance",
      () =>
        headTermImportance(model, [
          [0, 1],
          [2, 9],
        ]),
    ],
    [
      "layerTermImportance",
      () =>
        layerTermImportance(model, [
          [0, 1],
          [2, 9],
        ]),
    ],
    [
      "compositionImportance",
      () =>
        compositionImportance(model, [
          [0, 1],
          [2, 9],
        ]),
    ],
    [
      "termImportance",
      () =>
        termImportance(model, [
          [0, 1],
          [2, 9],
        ]),
    ],
  ])("%s refuses them", (operation, call) => {
    expect(call).toThrow(InputError);
    expect(call).toThrow(
      `${operation}: token 9 at position 1 of prompt 1 is not an output token, so there is no loss of predicting it; this model has d_vocab_out=5.`,
    );
  });

  test("the last token read, which nothing predicts, may be any", () => {
    expect(lossByMaxOrder(model, [9, 3]).loss.size).toBe(3);
  });
});
