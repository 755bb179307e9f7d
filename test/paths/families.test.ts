/**
 * Questions about models whose heads share keys and values, against those about the same function with keys and values
 * for each head (checked against TransformerLens in test/model/families.test.ts), and what is refused of them.
 */
import { describe, expect, test } from "vitest";
import { compositionScores, copyingScores } from "../../src/index.ts";
import { ConfigError, InputError } from "../../src/errors.ts";
import {
  fullOVCircuit,
  fullQKCircuit,
  kCompositionCircuit,
  meanRotaryPattern,
  neuronTokenCircuit,
  positionalPattern,
  qkSpectrum,
} from "../../src/circuits/index.ts";
import { headAblation, offsetAblatedLosses, valueWeightedPattern, copyingEvaluator } from "../../src/heads/index.ts";
import {
  attributionPatching,
  circuitGraph,
  edit,
  pathPatching,
  sweep,
  sweepEdits,
} from "../../src/interventions/index.ts";
import { toDense } from "../../src/linear/index.ts";
import {
  crossEntropy,
  editAt,
  hookNames,
  refactorHeads,
  type Transformer,
  ungroupAttention,
} from "../../src/model/index.ts";
import { compositionImportance, pathExpansion, scoreExpansion, termImportance } from "../../src/paths/index.ts";
import { map, Tensor } from "../../src/tensor/index.ts";
import { modelOf, tokensOf } from "../support/families.ts";
import { expectClose } from "../support/golden.ts";

const halved = (t: Tensor): Tensor => map(t, (x) => 0.5 * x);
/** A tenth of the second head, or of the only one. */
const ofSecond = (t: Tensor): Tensor => {
  const [, , heads = 1, width = 1] = t.shape;
  const second = (i: number): boolean => Math.floor(i / width) % heads === Math.min(1, heads - 1);
  return Tensor.from(
    t.axes,
    t.shape,
    Float32Array.from(t.data, (x, i) => (second(i) ? 0.1 * x : x)),
  );
};

describe.each(["llama", "one-key", "grouped-attn", "grouped-parallel"])("%s, as with keys of each head", (kind) => {
  const model = modelOf(kind);
  const own = ungroupAttention(model);
  const tokens = tokensOf(kind);

  test("weights alone: composition and copying", () => {
    for (const name of ["Q", "K", "V"] as const) {
      expectClose(compositionScores(model)[name].data, compositionScores(own)[name].data, { atol: 1e-6 });
    }
    expectClose(copyingScores(model), copyingScores(own), { atol: 1e-12 });
  });

  test("weights alone: full circuits, composed circuits and eigenvalues of each head", () => {
    for (const { label } of own.heads) {
      expectClose(toDense(fullOVCircuit(model, label)), toDense(fullOVCircuit(own, label)), { atol: 1e-6 });
      expectClose(toDense(fullQKCircuit(model, label)), toDense(fullQKCircuit(own, label)), { atol: 1e-6 });
    }
    expectClose(qkSpectrum(model).score, qkSpectrum(own).score, { atol: 1e-9 });
    const [a, b] = [model, own].map((m) => toDense(kCompositionCircuit(m, "L0H3", "L1H2")));
    expectClose(a as Tensor, b as Tensor, { atol: 1e-6 });
  });

  test("path expansion sums to the logits within its certificate, term by term the same", () => {
    const [a, b] = [pathExpansion(model, tokens), pathExpansion(own, tokens)];
    expect(a.certificate()).toMatchObject({ withinBound: true, complete: true });
    expect(a.terms.map(({ label }) => label)).toEqual(b.terms.map(({ label }) => label));
    for (const [i, term] of a.terms.entries()) {
      expectClose(a.logits(term), b.logits(b.terms[i] as (typeof b.terms)[number]), { atol: 1e-4 });
    }
  });

  const edits = [
    ["hook_k", { "blocks.1.attn.hook_k": ofSecond }],
    ["hook_v", { "blocks.0.attn.hook_v": ofSecond, "blocks.1.attn.hook_v": ofSecond }],
    ["hook_k_input", { "blocks.1.hook_k_input": halved }],
    ["hook_v_input", { "blocks.1.hook_v_input": halved }],
  ] as const;
  test.each(edits)("expansions of a run edited at %s keep their certificates", (_, edits) => {
    const run = model.run(tokens, { edits: edits as never });
    expect(pathExpansion(run).certificate()).toMatchObject({ withinBound: true, complete: true });
    for (const { label } of model.layer(1).heads) {
      expect(scoreExpansion(run, label).certificate().withinBound).toBe(true);
    }
  });

  test("score expansions: the same scores, sums within their certificates", () => {
    for (const { label } of own.layer(1).heads) {
      const [a, b] = [scoreExpansion(model, tokens, label), scoreExpansion(own, tokens, label)];
      expect(a.certificate().withinBound).toBe(true);
      expectClose(a.total(), b.total(), { atol: 1e-4 });
    }
  });

  test("importance, ablation, values and their offsets", () => {
    for (const ask of [
      (m: Transformer) => compositionImportance(m, tokens).K,
      (m: Transformer) => compositionImportance(m, tokens).both,
      (m: Transformer) => headAblation(m, tokens).rise,
      (m: Transformer) => offsetAblatedLosses(m, tokens, { layer: 1, head: 2 }, { keep: [1] } as never),
      (m: Transformer) => valueWeightedPattern(m, m.run(tokens), 1, { norm: "result" }),
      (m: Transformer) => valueWeightedPattern(m, m.run(tokens), 0),
      (m: Transformer) => copyingEvaluator(m, { length: 4, bos: null }),
      (m: Transformer) =>
        Tensor.fromNested(
          "row",
          termImportance(m, tokens).map(({ gain }) => gain),
        ),
    ]) {
      const found = ask(model);
      if (found !== undefined) expectClose(found as Tensor, ask(own) as Tensor, { atol: 2e-5 });
    }
  });

  const metric = crossEntropy(tokens);
  test("sweeps over what is no key or value, and path patching to queries", () => {
    const prompts = { clean: tokens, corrupted: tokens.map((row) => [...row].reverse()) };
    for (const at of ["resid_pre", "q", "z", "attn_out", "pattern", "attn_scores", "result"] as const) {
      const [a, b] = [model, own].map((m) => sweep(m, prompts, { at, over: "layer", metric }));
      expectClose(a?.values as Tensor, b?.values as Tensor, { atol: 2e-5 });
    }
    const [a, b] = [model, own].map((m) =>
      pathPatching(m, prompts, { receivers: [{ head: "L1H3", input: "q" }], metric }),
    );
    expectClose(a?.values as Tensor, b?.values as Tensor, { atol: 2e-5 });
    const [c, d] = [model, own].map((m) => attributionPatching(m, prompts, { at: "z", over: "layer head", metric }));
    expectClose(c?.values as Tensor, d?.values as Tensor, { atol: 2e-5 });
  });

  test("edits of shared keys and values one by one are those of whole runs", () => {
    const names = [
      "blocks.0.attn.hook_k",
      "blocks.1.attn.hook_k",
      "blocks.0.attn.hook_v",
      "blocks.1.attn.hook_v",
    ] as const;
    const list = names.map((name) => editAt(name, ofSecond as never));
    const swept = sweepEdits(model, tokens, list, { metric }).values;
    const whole = list.map((edits) => {
      const values = metric.values(model.run(tokens, { edits, cache: [] }).logits);
      return Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
    });
    expectClose(swept as Tensor, Tensor.from("edit", [names.length], whole), { atol: 2e-5 });
  });

  test("what needs keys of each head is refused, with the way to have them", () => {
    const refusals = [
      () => circuitGraph(model),
      () => sweep(model, tokens, { at: "k", over: "layer", put: "zero", metric }),
      () => pathPatching(model, tokens, { receivers: [{ head: "L1H0", input: "k" }], put: "zero", metric }),
    ];
    for (const refusal of refusals) {
      expect(refusal).toThrow(ConfigError);
      expect(refusal).toThrow(/ungroupAttention\(model\)/);
    }
    expect(circuitGraph(own).config.n_heads).toBe(4);
    expect(hookNames(model.config)).not.toContain("blocks.0.hook_attn_in");
    const groups = model.layer(0).stored.W_K.sizeOf("head");
    const beyond = edit({ hook: "k", head: groups }, "zero");
    expect(() => model.run(tokens, { edits: beyond })).toThrow(InputError);
    const zeroed = model.run(tokens, { edits: edit({ hook: "v", layer: 0, head: groups - 1 }, "zero") });
    const kept = zeroed.cache.get("blocks.0.attn.hook_v").select("head", groups - 1);
    expect(kept.data.every((x) => x === 0)).toBe(true);
  });
});

describe("windows", () => {
  const model = modelOf("mistral");
  const tokens = tokensOf("mistral");
  const metric = crossEntropy(tokens);

  test("expansions of logits and sweeps know them", () => {
    expect(pathExpansion(model, tokens).certificate()).toMatchObject({ withinBound: true, complete: true });
    const edits = (["hook_resid_pre", "attn.hook_q", "attn.hook_attn_scores", "attn.hook_k"] as const).map((name) =>
      editAt(`blocks.1.${name}`, ((t: Tensor) => (name === "attn.hook_k" ? ofSecond(t) : halved(t))) as never),
    );
    const swept = sweepEdits(model, tokens, edits, { metric }).values;
    const whole = edits.map((one) => {
      const values = metric.values(model.run(tokens, { edits: one, cache: [] }).logits);
      return Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
    });
    expectClose(swept as Tensor, Tensor.from("edit", [edits.length], whole), { atol: 2e-5 });
  });

  test("patterns of positions alone see no key before them", () => {
    const pattern = meanRotaryPattern(model, "L1H0", 6);
    for (let i = 0; i < 6; i++) {
      let sum = 0;
      for (let j = 0; j < 6; j++) {
        if (j > i || j <= i - 3) expect(pattern.at(i, j)).toBe(0);
        sum += pattern.at(i, j);
      }
      expect(sum).toBeCloseTo(1, 6);
    }
    const neo = modelOf("gpt-neo");
    expect(positionalPattern(neo, "L0H0", 6).at(5, 0)).toBeGreaterThan(0);
    expect(positionalPattern(neo, "L1H0", 6).at(5, 0)).toBe(0);
    expect(positionalPattern(neo, "L1H0", 6).at(5, 3)).toBeGreaterThan(0);
  });

  test("the importance of composition refuses prompts beyond them", () => {
    expect(() => compositionImportance(model, tokens)).toThrow(/sees 3 at a time/);
  });
});

test("heads are refactored with keys and values of their own (2e-5 of the logits)", () => {
  const model = modelOf("grouped-attn");
  const refactored = refactorHeads(model);
  expect(refactored.config.n_key_value_heads).toBeUndefined();
  const tokens = tokensOf("grouped-attn");
  expectClose(refactored.forward(tokens), model.forward(tokens), { atol: 2e-5 });
});

test("neurons behind a gate are moved by tokens through it", () => {
  const model = modelOf("llama");
  const expected = String(neuronTokenCircuit(model, 0));
  expect(expected).toBe("Linear[d_vocab=7 -> d_mlp=5] of rank at most 5");
});
