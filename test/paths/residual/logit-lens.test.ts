/** `accumulatedResid` with a norm against `accumulated_resid(apply_ln=True)` of TransformerLens 3.9; the fixture's script stands beside it. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseSafetensors } from "../../../src/io/index.ts";
import { parseConfig, Transformer } from "../../../src/model/index.ts";
import { accumulatedResid, fitTranslators, logitLens } from "../../../src/paths/index.ts";
import { matmul, maxAbsDifference, Tensor } from "../../../src/tensor/index.ts";
import { expectClose, goldenFile, loadGolden } from "../../support/golden.ts";
import type { GoldenCase } from "../../support/golden.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";

const file = parseSafetensors(readFileSync(new URL("../../fixtures/analysis/lens.safetensors", import.meta.url)), {
  name: "lens.safetensors",
});

/** A golden model under another norm, with the weights that this norm has. */
function underNorm(name: GoldenCase, normalization_type: string): Transformer {
  const { config } = loadGolden(name);
  const weights = parseSafetensors(readFileSync(goldenFile(name, "model.safetensors")), { name });
  const isPre = normalization_type.endsWith("Pre");
  const isKept = (weight: string): boolean =>
    !/\.ln\d\.|^ln_final\./.test(weight) || (!isPre && (normalization_type === "LN" || weight.endsWith(".w")));
  const kept = [...weights.tensors.keys()].filter(isKept);
  return Transformer.fromWeights(
    parseConfig({ ...config, normalization_type }),
    new Map(kept.map((weight) => [weight, weights.read(weight)])),
  );
}

describe("the logit lens", () => {
  expect(file.tensors.size).toBe(6);

  test.each([...file.tensors.keys()])("%s (2e-5: float32 on both sides)", (key) => {
    const [name, norm] = key.split(".") as [GoldenCase, string];
    const model = underNorm(name, norm);
    const expected = file.read(key);
    const run = model.run(loadGolden(name).tokens().slice(0, 1));
    const includeMid = expected.shape[0] === 2 * model.config.n_layers + 1;
    const { components } = accumulatedResid(model, run, { applyNorm: "full", includeMid });
    expectClose(components.data, expected.data, { atol: 2e-5, rtol: 1e-5 });
    // Times W_U, as TransformerLens's users do; b_U is added as the model adds it.
    const { logits } = logitLens(run, { includeMid, directions: [2, 0] });
    const W_U = model.weight("unembed.W_U");
    const [d = 0, V = 0] = W_U.shape;
    for (let row = 0; row < expected.size / d; row++) {
      for (const [j, id] of [2, 0].entries()) {
        let exact = model.b_U.at(id);
        for (let i = 0; i < d; i++) {
          exact += (expected.data[row * d + i] as number) * (W_U.data[i * V + id] as number);
        }
        expect(Math.abs((logits.data[row * 2 + j] as number) - exact)).toBeLessThan(2e-4);
      }
    }
  });

  test("each stream has mean 0 (LayerNorm) and size sqrt(d_model), and unembeds to the logits at the end", () => {
    fc.assert(
      fc.property(
        modelOptions.filter(({ norm }) => norm !== null),
        (options) => {
          const model = randomModel(options);
          const run = model.run([[0, 1, 1, 0]]);
          const { components } = accumulatedResid(model, run, { applyNorm: "scale" });
          const raw = accumulatedResid(model, run).components;
          const [d, isCentered] = [options.d_model, options.norm?.startsWith("LN") === true];
          const rows = components.size / d;
          for (let row = 0; row < rows; row++) {
            const of = (t: Tensor): number[] => Array.from(t.data.subarray(row * d, (row + 1) * d));
            const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / d;
            const x = of(raw);
            const centered = isCentered ? x.map((each) => each - mean(x)) : x;
            const scale = Math.sqrt(mean(centered.map((each) => each * each)) + model.config.eps);
            const close = { atol: 1e-4 * Math.max(1, ...x.map(Math.abs)) * Math.max(1, 0.01 / scale) };
            expectClose(
              of(components),
              centered.map((each) => each / scale),
              close,
            );
          }
          const last = accumulatedResid(model, run, { applyNorm: "full" }).components;
          const at = last.select("component", options.n_layers);
          expectClose(at, run.cache.get("unembed.hook_in") as Tensor, { atol: 1e-5, rtol: 1e-5 });
        },
      ),
      runs(77),
    );
  });
});

describe("logitLens", () => {
  test("is the run's logits at the end, whatever the scale; linear in the stream under the final one", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const run = model.run([[0, 1, 1, 0]]);
        const bound = 1e-5 * (1 + Math.max(...run.logits.data.map(Math.abs)));
        for (const scale of ["own", "final"] as const) {
          const { logits, labels } = logitLens(run, { scale });
          expect(labels.length).toBe(options.n_layers + 1);
          expect(maxAbsDifference(logits.select("component", options.n_layers), run.logits)).toBeLessThan(bound);
        }
      }),
      runs(51, 40),
    );
  });

  test("reads under the final scale what the streams say to it: an exact difference between layers (1e-5)", () => {
    const model = randomModel({ norm: "LN", bias: true });
    const run = model.run([1, 2, 3]);
    const { logits } = logitLens(run, { scale: "final" });
    const added = run.cache.get("blocks.0.hook_attn_out");
    const seen = model.ln_final?.applyFrozen(added, run.cache.get("ln_final.hook_scale")) ?? added;
    const exact = matmul(seen, model.weight("unembed.W_U") as Tensor<"d_model d_vocab">);
    for (const [i, x] of Array.from(exact.data).entries()) {
      const difference = (logits.data[exact.size + i] as number) - (logits.data[i] as number);
      expect(Math.abs(difference - x)).toBeLessThan(1e-5);
    }
  });
});

describe("fitTranslators", () => {
  const model = randomModel({ norm: "LN", n_layers: 2, d_model: 5, n_ctx: 12, d_vocab: 17 });
  const prompts = Array.from({ length: 8 }, (_, b) => Array.from({ length: 12 }, (__, p) => (b * 7 + p * p * 3) % 17));
  const run = model.run(prompts);
  const streams = accumulatedResid(run).components;
  const rows = 96;
  const errors = (c: number, A: ArrayLike<number>, b: ArrayLike<number>): Float64Array => {
    const [x, y] = [streams.select("component", c).data, streams.select("component", 2).data];
    return Float64Array.from({ length: rows * 5 }, (_, t) => {
      const [row, j] = [Math.floor(t / 5), t % 5];
      let value = b[j] as number;
      for (let i = 0; i < 5; i++) value += (x[row * 5 + i] as number) * (A[i * 5 + j] as number);
      return value - (y[t] as number);
    });
  };

  test("without ridge, leaves errors at right angles to the streams and with mean 0 (1e-9 of their size)", () => {
    for (const [c, { A, b, label }] of fitTranslators([run], { ridge: 0 }).entries()) {
      expect(label).toBe(`${c}_pre`);
      const error = errors(c, A.data, b.data);
      const x = streams.select("component", c).data;
      for (let j = 0; j < 5; j++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += error[row * 5 + j] as number;
        expect(Math.abs(sum)).toBeLessThan(1e-7);
        for (let i = 0; i < 5; i++) {
          let product = 0;
          for (let row = 0; row < rows; row++) product += (x[row * 5 + i] as number) * (error[row * 5 + j] as number);
          expect(Math.abs(product)).toBeLessThan(1e-7);
        }
      }
    }
  });

  test("several runs count as one, and a great ridge gives the identity and the mean difference", () => {
    const halves = [model.run(prompts.slice(0, 4)), model.run(prompts.slice(4))];
    const [one, two] = [fitTranslators([run]), fitTranslators(halves)];
    for (const [c, { A }] of one.entries()) expect(maxAbsDifference(A, two[c]?.A as typeof A)).toBeLessThan(1e-4);
    for (const [c, { A, b }] of fitTranslators([run], { ridge: 1e9 }).entries()) {
      for (const [t, x] of Array.from(A.data).entries()) expect(Math.abs(x - (t % 6 === 0 ? 1 : 0))).toBeLessThan(1e-6);
      const error = errors(c, A.data, b.data);
      expect(Math.abs(error.reduce((sum, x) => sum + x, 0) / error.length)).toBeLessThan(1e-6);
    }
  });

  test("brings the reading of early streams nearer to the logits", () => {
    const far = (translators: ReturnType<typeof fitTranslators>): number => {
      const { logits } = logitLens(run, { translators });
      return maxAbsDifference(logits.select("component", 0), run.logits);
    };
    expect(far(fitTranslators([run]))).toBeLessThan(far([]));
  });

  test("refuses what cannot be fitted or used", () => {
    expect(() => fitTranslators([])).toThrow("no runs");
    expect(() => fitTranslators([run], { ridge: -1 })).toThrow("ridge is -1");
    expect(() => fitTranslators([run, randomModel().run([1])])).toThrow("several models");
    expect(() => fitTranslators([model.run([1, 2])], { ridge: 0 })).toThrow("2 positions do not determine");
    const [translator] = fitTranslators([run]);
    if (translator === undefined) throw new Error("there is one");
    expect(() => logitLens(run, { translators: [translator, translator] })).toThrow("named twice");
    expect(() => logitLens(run, { translators: [{ ...translator, label: "7_pre" }] })).toThrow("no stream of this run");
    const b = Tensor.zeros("d_model", [4]);
    expect(() => logitLens(run, { translators: [{ ...translator, b }] })).toThrow("this model has d_model=5");
    expect(() => logitLens(run, { directions: [99] })).toThrow("directions has 99");
  });
});
