/**
 * Models with MLPs: what an MLP writes is a source of paths, held fixed like patterns and scales. Expansions, attributions and term
 * importance stay exact; losses without heads are compared with runs whose patterns, scales and MLP outputs are forced by edits.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accumulatedResid,
  decomposeResid,
  firstOrderLoss,
  frozenAblationLoss,
  headTermImportance,
  layerTermImportance,
  logitAttribution,
  logitsByOrder,
  lossByMaxOrder,
  pathExpansion,
} from "../../src/paths/index.ts";
import type { PathTerm } from "../../src/paths/index.ts";
import { ConfigError, InputError } from "../../src/errors.ts";
import { combineEdits, editAt, meanLoss } from "../../src/model/index.ts";
import type { Edits, HookName, Transformer } from "../../src/model/index.ts";
import { add, map, matmul, sum, Tensor } from "../../src/tensor/index.ts";
import { expectClose, loadGolden, mlpCases } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { mlpModelOptions, runs } from "../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));
const sequential = randomModel({ n_layers: 3, n_heads: 2, norm: "LN", position: "standard", bias: true, mlp: "gelu" });
const parallel = randomModel({
  n_layers: 2,
  norm: "LN",
  position: "rotary",
  bias: true,
  mlp: "solu_ln",
  parallel: true,
});

describe("path expansion", () => {
  test("every model: the terms sum to the logits within the bound, MLPs beginning Σ (1 + H)^(L−l−1) paths", () => {
    fc.assert(
      fc.property(mlpModelOptions, (options) => {
        const model = randomModel(options);
        const { n_heads: H, n_layers: L } = options;
        const expansion = pathExpansion(model, prompts(options.d_vocab));
        const { maxDeviation, bound, withinBound, terms } = expansion.certificate();
        expect(maxDeviation).toBeLessThanOrEqual(bound);
        const ofMlps = Array.from({ length: L }, (_, l) => (1 + H) ** (L - l - 1)).reduce((a, b) => a + b, 0);
        expect({ withinBound, terms }).toEqual({ withinBound: true, terms: (1 + H) ** L + ofMlps + 1 });
        const scale = Math.max(1, ...expansion.all.map(({ resid }) => Math.max(...[...resid.data].map(Math.abs))));
        expect(bound).toBeLessThan(1e-4 * scale * options.d_model);
      }),
      runs(61, 80),
    );
  });

  test.each(mlpCases)(
    "%s: certified below 1e-4 logits, and not without one MLP term or with one off by a thousandth",
    (name) => {
      const golden = loadGolden(name);
      const expansion = pathExpansion(golden.model, golden.tokens());
      const certificate = expansion.certificate();
      expect(certificate.withinBound).toBe(true);
      expect(certificate.bound).toBeLessThan(1e-4);
      expect(certificate.maxDeviation).toBeGreaterThan(1e-8);
      expect(expansion.certificate(expansion.all.filter(({ label }) => label !== "1_mlp_out")).withinBound).toBe(false);
      const nudged = expansion.all.map((term): PathTerm => {
        if (term.label !== "0_mlp_out") return term;
        const { label, kind, source, path, order, resid } = term;
        return { label, kind, source, path, order, resid: map(resid, (x) => x + 1e-3) };
      });
      expect(expansion.certificate(nudged).withinBound).toBe(false);
    },
  );

  const expansion = pathExpansion(sequential, tokens);

  test("terms are the sources first, then order by order, and say where they begin", () => {
    expect(expansion.labels.slice(0, 4)).toEqual(["direct", "0_mlp_out", "1_mlp_out", "2_mlp_out"]);
    expect(expansion.select({ source: "1_mlp_out" }).map(({ label }) => label)).toEqual([
      "1_mlp_out",
      "1_mlp_out→L2H0",
      "1_mlp_out→L2H1",
    ]);
    expect(expansion.select({ source: "0_mlp_out", order: 2, last: "L2H1" }).map(({ label }) => label)).toEqual([
      "0_mlp_out→L1H0→L2H1",
      "0_mlp_out→L1H1→L2H1",
    ]);
  });

  test("formulas name the MLP as a source", () => {
    const [, path] = expansion.select({ source: "1_mlp_out" });
    expect(expansion.formula("text", path)).toBe("ln_final(A[L2H0] ln_2(MLP[1]) W_OV[L2H0]) W_U");
    expect(expansion.formula("latex", path)).toBe(
      "\\mathrm{ln}_{final}\\left(A^{2.0} \\mathrm{ln}_{2}\\left(\\mathrm{MLP}^{1}\\right) W_{OV}^{2.0}\\right) W_U",
    );
  });

  test("the paths of an order sum to logitsByOrder, in the order of 1e-5 of float32 logits", () => {
    const byOrder = logitsByOrder(sequential, tokens);
    for (let order = 0; order <= 3; order++) {
      const terms = [...expansion.select({ order }), ...(order === 0 ? [expansion.bias] : [])];
      const logits = terms.map((term) => expansion.logits(term) as Tensor).reduce((a, b) => add(a, b));
      expectClose(logits.data, byOrder.select("order", order).data, { atol: 1e-5, rtol: 1e-5 });
    }
  });

  test("with maxOrder, the remainder holds the longer paths, certified", () => {
    const short = pathExpansion(sequential, tokens, { maxOrder: 1 });
    expect(short.certificate()).toMatchObject({ withinBound: true, complete: false });
    const longer = [...expansion.select({ order: 2 }), ...expansion.select({ order: 3 })].map(({ resid }) => resid);
    expectClose((short.remainder as PathTerm).resid.data, longer.reduce((a, b) => add(a, b)).data, { atol: 1e-10 });
  });

  test("splitPositions splits the embedding alone", () => {
    const split = pathExpansion(sequential, tokens, { splitPositions: true });
    expect(split.labels.slice(0, 5)).toEqual(["embed", "pos_embed", "0_mlp_out", "1_mlp_out", "2_mlp_out"]);
    expect(split.certificate().withinBound).toBe(true);
  });

  test("the count of paths that is refused includes those of MLPs", () => {
    // 1 + 6 + 12 + 8 from the embedding, 9 + 3 + 1 from the MLPs.
    expect(() => pathExpansion(sequential, tokens, { maxTerms: 39 })).toThrow(InputError);
    expect(() => pathExpansion(sequential, tokens, { maxTerms: 39 })).toThrow("there are 40 paths of at most 3 heads");
    expect(pathExpansion(sequential, tokens, { maxTerms: 40 }).terms.length).toBe(40);
  });
});

/** Edits that hold patterns, norm scales and MLP outputs as a run had them. */
function frozen(model: Transformer): Edits {
  const held = /hook_pattern$|ln(1|_final)\.hook_scale$|hook_mlp_out$/;
  const { cache } = model.run(tokens);
  const names = cache.names().filter((name) => held.test(name));
  return combineEdits(...names.map((name) => editAt(name, () => cache.get(name) as never)));
}

function silence(heads: readonly { layer: number; head: number }[]): Edits {
  return combineEdits(
    ...heads.map(({ layer, head }) =>
      editAt(`blocks.${layer}.attn.hook_z`, (z) => {
        const d_head = z.sizeOf("d_head");
        const n_heads = z.sizeOf("head");
        const data = z.data.map((x, i) => (Math.floor(i / d_head) % n_heads === head ? 0 : x));
        return Tensor.from(z.axes, z.shape, data);
      }),
    ),
  );
}

describe.each([
  ["after the attention", sequential],
  ["beside the attention", parallel],
] as const)("term importance with MLPs %s", (_, model) => {
  const { n_layers, n_heads } = model.config;
  const full = model.run(tokens);

  test("the last loss by order is the model's, and gains sum to ln V less it (within 1e-5 nats)", () => {
    const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, tokens);
    expect(loss.at(n_layers)).toBeCloseTo(meanLoss(full.logits, full.tokens), 5);
    expect(sum(marginalGain, "order").item()).toBeCloseTo(uniformLoss - loss.at(n_layers), 9);
  });

  test("losses without a head are those of a run with everything else forced (within 1e-5 nats)", () => {
    const { removedFromFull, fullLoss } = headTermImportance(model, tokens);
    for (const { layer, head } of model.heads) {
      const run = model.run(tokens, { edits: combineEdits(frozen(model), silence([{ layer, head }])), cache: [] });
      const loss = meanLoss(run.logits, run.tokens);
      expect(frozenAblationLoss(model, tokens, { heads: [{ layer, head }] })).toBeCloseTo(loss, 5);
      expect(removedFromFull.at(layer, head)).toBeCloseTo(loss - fullLoss, 5);
    }
  });

  test("the loss of no head is that of a run without any, biases sent through them aside", () => {
    const { loss } = lossByMaxOrder(model, tokens);
    expect(headTermImportance(model, tokens).directLoss).toBeCloseTo(loss.at(0), 9);
    expect(firstOrderLoss(model, tokens, { heads: [] })).toBeCloseTo(loss.at(0), 9);
    expect(layerTermImportance(model, tokens).firstOrderLoss).toBeCloseTo(loss.at(1), 9);
  });

  test("adding a head to the direct path gains what its first-order path gains", () => {
    const { addedToDirect, directLoss } = headTermImportance(model, tokens);
    for (const { layer, head } of model.heads) {
      const alone = firstOrderLoss(model, tokens, { heads: [{ layer, head }] });
      expect(addedToDirect.at(layer, head)).toBeCloseTo(directLoss - alone, 9);
    }
    expect(n_heads).toBeGreaterThan(1);
  });
});

describe("attribution", () => {
  test("every model: components sum to the logits within the bound, by head and by layer", () => {
    fc.assert(
      fc.property(mlpModelOptions, fc.constantFrom("head" as const, "layer" as const), (options, by) => {
        const model = randomModel(options);
        const { certificate, labels } = logitAttribution(model, prompts(options.d_vocab), { by });
        expect(certificate.maxDeviation).toBeLessThanOrEqual(certificate.bound);
        const entersStream = options.position === "standard";
        const perLayer = by === "head" ? options.n_heads : 1;
        expect(labels.length).toBe(2 + (entersStream ? 1 : 0) + options.n_layers * (perLayer + 1));
      }),
      runs(62, 60),
    );
  });

  test("labels are TransformerLens's", () => {
    expect(logitAttribution(parallel, tokens, { by: "layer" }).labels).toEqual([
      "embed",
      "0_attn_out",
      "0_mlp_out",
      "1_attn_out",
      "1_mlp_out",
      "bias",
    ]);
    expect(logitAttribution(sequential, tokens).labels.slice(-5)).toEqual([
      "L2H1",
      "0_mlp_out",
      "1_mlp_out",
      "2_mlp_out",
      "bias",
    ]);
  });

  test("an MLP's attribution is its output through the frozen final norm along the target's column, by hand", () => {
    const { labels, attribution } = logitAttribution(sequential, tokens);
    const { cache } = sequential.run(tokens);
    const written = cache.get("blocks.1.hook_mlp_out").select("batch", 1).select("pos", 2).data;
    const scale = cache.get("ln_final.hook_scale").at(1, 2, 0);
    const w = sequential.weight("ln_final.w").data;
    const column = sequential.weight("unembed.W_U").select("d_vocab", tokens[1]?.[3] ?? 0).data;
    const mean = [...written].reduce((a, b) => a + b, 0) / written.length;
    const byHand = [...written].reduce(
      (s, x, i) => s + ((x - mean) / scale) * (w[i] as number) * (column[i] as number),
      0,
    );
    expect(attribution.at(labels.indexOf("1_mlp_out"), 1, 2)).toBeCloseTo(byHand, 6);
  });
});

describe("the stream taken apart", () => {
  const models: [string, Transformer][] = [
    ["after", sequential],
    ["beside", parallel],
  ];

  test.each(models)(
    "MLPs %s the attention: components sum to what layers, MLPs and the unembedding read",
    (_, model) => {
      const run = model.run(tokens);
      const total = (options: Parameters<typeof decomposeResid>[2]): Tensor =>
        sum(decomposeResid(model, run, options).components, "component");
      const close = { atol: 2e-5, rtol: 1e-5 };
      for (const by of ["head", "layer"] as const) {
        expectClose(total({ by, applyNorm: "full" }), run.cache.get("unembed.hook_in") as Tensor, close);
        for (const { layer } of model.layers) {
          expectClose(total({ by, layer }), run.cache.get(`blocks.${layer}.hook_resid_pre`) as Tensor, close);
          expectClose(
            total({ by, layer, mlpInput: true }),
            run.cache.get(`blocks.${layer}.hook_mlp_in`) as Tensor,
            close,
          );
        }
      }
    },
  );

  test.each(models)(
    "MLPs %s the attention: pre-activations are the sum of what each component gives to neurons",
    (_, model) => {
      const run = model.run(tokens);
      for (const { layer } of model.layers) {
        const { components } = decomposeResid(model, run, { by: "head", layer, mlpInput: true, applyNorm: "full" });
        const W_in = model.weight(`blocks.${layer}.mlp.W_in`) as Tensor<"d_model d_mlp">;
        const pre = add(sum(matmul(components, W_in), "component"), model.weight(`blocks.${layer}.mlp.b_in`) as never);
        expectClose(pre as Tensor, run.cache.get(`blocks.${layer}.mlp.hook_pre`) as Tensor, { atol: 2e-5, rtol: 1e-5 });
      }
    },
  );

  test("the middles of the stream are cut in where asked for", () => {
    const run = sequential.run(tokens);
    const { labels, components } = accumulatedResid(sequential, run, { includeMid: true });
    expect(labels).toEqual(["0_pre", "0_mid", "1_pre", "1_mid", "2_pre", "2_mid", "final_post"]);
    const name: HookName = "blocks.1.hook_resid_mid";
    expect(components.select("component", 3).toNested()).toEqual(run.cache.get(name).toNested());
  });

  test("what a model does not have is refused by name", () => {
    const attention = randomModel();
    const refused: [() => unknown, string][] = [
      [
        () => decomposeResid(attention, attention.run(tokens), { layer: 1, mlpInput: true }),
        "decomposeResid: mlpInput asks for what an MLP reads, but this model is attention-only.",
      ],
      [
        () => accumulatedResid(attention, attention.run(tokens), { includeMid: true }),
        "accumulatedResid: includeMid asks for the stream between attention and MLP, but this model has none: it is attention-only.",
      ],
      [
        () => accumulatedResid(parallel, parallel.run(tokens), { includeMid: true }),
        "this model has none: its MLPs read what the attention reads.",
      ],
    ];
    for (const [call, text] of refused) {
      expect(call).toThrow(ConfigError);
      expect(call).toThrow(text);
    }
    expect(() => decomposeResid(sequential, sequential.run(tokens), { layer: 3, mlpInput: true })).toThrow(
      "decomposeResid: there is no MLP in layer 3; give 0 to 2.",
    );
  });
});
