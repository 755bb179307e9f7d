/** Logit attribution, residual decompositions and value-weighted patterns over random models. */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LogitAttributionOptions } from "../../../src/paths/index.ts";
import { accumulatedResid, decomposeResid, logitAttribution } from "../../../src/paths/index.ts";
import { valueWeightedPattern } from "../../../src/heads/index.ts";
import { InputError } from "../../../src/errors.ts";
import { map, matmul, multiply, sum, type Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const promptsOf = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));

describe("logitAttribution", () => {
  test("components sum to the correct next token's logit within the certificate's bound, by head and by layer (P21)", () => {
    fc.assert(
      fc.property(modelOptions, fc.constantFrom("head" as const, "layer" as const), (options, by) => {
        const model = randomModel(options);
        const prompts = promptsOf(options.d_vocab);
        const { labels, attribution, certificate } = logitAttribution(model, prompts, { by });
        const logits = model.forward(prompts);
        const next = prompts.flatMap((row, b) => row.slice(1).map((id, p) => logits.at(b, p, id)));
        const sums = sum(attribution, "component").data;
        const worst = Math.max(...next.map((x, i) => Math.abs(x - (sums[i] as number))));
        expect(Math.abs(worst - certificate.maxDeviation)).toBeLessThan(1e-12 * Math.max(1, ...next.map(Math.abs)));
        expect(worst).toBeLessThanOrEqual(certificate.bound);
        expect(certificate).toMatchObject({ withinBound: true, terms: labels.length });
        const positions = options.position === "standard" ? ["pos_embed"] : [];
        const parts =
          by === "head"
            ? model.heads.map(({ label }) => label as string)
            : model.layers.map(({ layer }) => `${layer}_attn_out`);
        expect(labels).toEqual(["embed", ...positions, ...parts, "bias"]);
      }),
      runs(11, 60),
    );
  });

  test("of a model and of its run, which has all logits, are the same to the bit, certificate included", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const prompts = promptsOf(options.d_vocab);
        const [own, ofRun] = [logitAttribution(model, prompts), logitAttribution(model.run(prompts))];
        expect(own.attribution.data).toEqual(ofRun.attribution.data);
        expect(own.certificate).toEqual(ofRun.certificate);
      }),
      runs(13, 30),
    );
  });

  test("the bound is not vacuous: below 2e-5 logits on the trained model, whose deviation is above 1e-9", () => {
    const golden = loadGolden("bundled");
    const { certificate } = logitAttribution(golden.model, golden.tokens());
    expect(certificate.withinBound).toBe(true);
    // Roundings of logits of up to 20, 2 · 2^-24 · 20 = 2.4e-6, and as much again for each of the sums before them.
    expect(certificate.bound).toBeLessThan(2e-5);
    expect(certificate.maxDeviation).toBeGreaterThan(1e-9);
  });

  test("the certificate is made once, whenever it is asked for, and goes into copies and JSON", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true });
    const result = logitAttribution(model, tokens);
    const { certificate } = result;
    expect(result.certificate).toBe(certificate);
    const later = logitAttribution(model, tokens);
    expect({ ...later }.certificate).toEqual(certificate);
    const { certificate: written } = JSON.parse(JSON.stringify(later)) as { readonly certificate: object };
    expect(written).toEqual(certificate);
  });

  test("a console shows components by what they add, the largest first, without a certificate", () => {
    const { model, tokens: prompts } = loadGolden("bundled");
    const text = inspect(logitAttribution(model, prompts()));
    expect(text).toMatch(/^LogitAttribution of 18 components, means of \d+ logits/);
    const shown = [...text.matchAll(/^\s*\w+\s+(-?[\d.]+)$/gm)].map(([, number]) => Number(number));
    expect(shown.length).toBeGreaterThan(3);
    expect(shown).toEqual([...shown].sort((a, b) => b - a));
  });

  test("layers are their heads with b_O, which is otherwise in the bias (1e-9, float64)", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true });
    const [byHead, byLayer] = (["head", "layer"] as const).map((by) => logitAttribution(model, tokens, { by }));
    const row = (result: typeof byHead, label: string): number[] => [
      ...(result?.attribution.select("component", result.labels.indexOf(label)).data ?? []),
    ];
    let moved = row(byHead, "bias");
    for (const layer of [0, 1]) {
      const heads = [0, 1, 2].map((h) => row(byHead, `L${layer}H${h}`));
      const summed = heads.reduce((a, b) => a.map((x, i) => x + (b[i] as number)));
      const whole = row(byLayer, `${layer}_attn_out`);
      moved = moved.map((x, i) => x + (summed[i] as number) - (whole[i] as number));
    }
    expectClose(moved, row(byLayer, "bias"), { atol: 1e-9 });
    expect(
      Math.max(...row(byHead, "bias").map((x, i) => Math.abs(x - (row(byLayer, "bias")[i] as number)))),
    ).toBeGreaterThan(1e-3);
  });

  test("a logit difference is the difference of the attributions (1e-12), and one prompt of one token has its own", () => {
    const model = randomModel({ norm: "RMS", position: "rotary", bias: true });
    const of = (targets: LogitAttributionOptions = {}): ArrayLike<number> =>
      logitAttribution(model, tokens, targets).attribution.data;
    const [a, b] = [of({ targets: 3 }), of({ targets: 5 })];
    expectClose(
      of({ targets: { correct: 3, incorrect: 5 } }),
      Array.from(a, (x, i) => x - (b[i] as number)),
      { atol: 1e-12 },
    );
    const one = logitAttribution(model, [4], { targets: 3 });
    expect(one.attribution.shape).toEqual([8, 1, 1]);
    expect(one.certificate.withinBound).toBe(true);
    expect(() => logitAttribution(model, [4])).toThrow(
      "logitAttribution: a prompt of one token has no next token to explain. Give more tokens, or targets.",
    );
    expect(() => logitAttribution(model, [4], { targets: null as unknown as "next" })).toThrow(
      'logitAttribution: targets are null. Give "next", a token id, an id for each position of each prompt, or { correct, incorrect } of these.',
    );
  });

  test("progress counts components; a signal stops", () => {
    const seen: number[] = [];
    logitAttribution(randomModel(), tokens, { onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const stop = new AbortController();
    const onProgress = (): void => {
      stop.abort(new Error("enough"));
    };
    expect(() => logitAttribution(randomModel(), tokens, { signal: stop.signal, onProgress })).toThrow("enough");
  });
});

describe("decomposeResid and accumulatedResid", () => {
  test("components sum to what the reader reads, for every layer and norm handling (2e-5 relative to the stream: float32 sums)", () => {
    fc.assert(
      fc.property(
        modelOptions,
        fc.constantFrom("head" as const, "layer" as const),
        fc.integer({ min: 0, max: 3 }),
        (options, by, at) => {
          const model = randomModel(options);
          const layer = Math.min(at, options.n_layers);
          const isFinal = layer === options.n_layers;
          const run = model.run(promptsOf(options.d_vocab));
          if (!isFinal) {
            const { labels, components } = decomposeResid(model, run, { by, layer });
            // b_O is in the layers by layer, and a component of its own by head.
            expect(labels.includes("bias")).toBe(by === "head");
            expectClose(sum(components, "component"), run.cache.get(`blocks.${layer as 0}.hook_resid_pre`), {
              atol: 2e-5,
              rtol: 2e-5,
            });
          }
          const whole = decomposeResid(model, run, { by, applyNorm: "full" });
          const read = run.cache.get("unembed.hook_in");
          const scale = Math.max(1, ...[...whole.components.data].map(Math.abs));
          expectClose(sum(whole.components, "component"), read, { atol: 2e-6 * scale, rtol: 1e-5 });
          const last = accumulatedResid(model, run, { applyNorm: "full" }).components.select(
            "component",
            options.n_layers,
          );
          expectClose(last, read, { atol: 2e-6 * scale, rtol: 1e-5 });
        },
      ),
      runs(12, 50),
    );
  });

  test("norm handling: as written, centred and scaled, or with weights and bias", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true });
    const run = model.run(tokens);
    const [none, scaled, full] = (["none", "scale", "full"] as const).map((applyNorm) =>
      decomposeResid(model, run, { applyNorm }),
    );
    expect(none?.labels).toEqual(["embed", "pos_embed", "0_attn_out", "1_attn_out"]);
    expect(scaled?.labels).toEqual(none?.labels);
    expect(full?.labels).toEqual(["embed", "pos_embed", "0_attn_out", "1_attn_out", "bias"]);
    expect(none?.components.select("component", 0).toNested()).toEqual(run.cache.get("hook_embed").toNested());
    const w = model.weight("ln_final.w") as Tensor<"d_model">;
    const weighted = multiply(scaled?.components.select("component", 2) as Tensor<"batch pos d_model">, w);
    expect(weighted.toNested()).toEqual(full?.components.select("component", 2).toNested());
    expect(full?.components.at(4, 1, 3, 7)).toBe(model.weight("ln_final.b").at(7));
  });

  test("the scale of a component is that of the run, also before a layer in the middle", () => {
    const model = randomModel({ norm: "RMS", position: "rotary", n_layers: 2 });
    const run = model.run(tokens);
    const { components } = decomposeResid(model, run, { layer: 1, applyNorm: "full" });
    const read = run.cache.get("blocks.1.ln1.hook_normalized");
    const w = model.weight("blocks.1.ln1.w") as Tensor<"d_model">;
    expectClose(sum(components, "component"), multiply(read, w), { atol: 1e-5, rtol: 1e-5 });
  });

  test("a model without layers: its embedding, under both names", () => {
    const model = randomModel({ n_layers: 0, position: "standard" });
    const run = model.run(tokens);
    expect(decomposeResid(model, run).labels).toEqual(["embed", "pos_embed"]);
    expect(decomposeResid(model, run, { by: "head" }).labels).toEqual(["embed", "pos_embed", "bias"]);
    const { labels, components } = accumulatedResid(model, run);
    expect(labels).toEqual(["final_post"]);
    expectClose(components.select("component", 0), run.cache.get("unembed.hook_in"), {});
  });

  test("shortformer positions are no component", () => {
    const model = randomModel({ position: "shortformer" });
    expect(decomposeResid(model, model.run(tokens), { by: "head" }).labels).not.toContain("pos_embed");
  });

  test.each([-1, 3, 0.5])("layer %s is refused", (layer) => {
    const model = randomModel();
    const call = (): unknown => decomposeResid(model, model.run(tokens), { layer });
    expect(call).toThrow(InputError);
    expect(call).toThrow(
      `decomposeResid: there is no stream before layer ${layer}; give 0 to 2, 2 being what the unembedding reads.`,
    );
  });

  test("unknown choices are refused by name", () => {
    const model = randomModel();
    const run = model.run(tokens);
    expect(() => decomposeResid(model, run, { by: "token" as "head" })).toThrow(
      'decomposeResid: by is "token"; the choices are head, layer.',
    );
    expect(() => decomposeResid(model, run, { applyNorm: "some" as "full" })).toThrow(
      'decomposeResid: applyNorm is "some"; the choices are none, scale, full.',
    );
    expect(() => accumulatedResid(model, run, { applyNorm: "some" as "full" })).toThrow(
      'accumulatedResid: applyNorm is "some"; the choices are none, scale, full.',
    );
    expect(() => logitAttribution(model, tokens, { by: "token" as "head" })).toThrow(
      'logitAttribution: by is "token"; the choices are head, layer.',
    );
  });

  test("what the run did not keep is asked for", () => {
    const model = randomModel();
    const run = model.run(tokens, { cache: ["hook_embed"] });
    expect(() => decomposeResid(model, run)).toThrow('cache.get: "blocks.0.hook_attn_out" was not kept by this run.');
    expect(() => accumulatedResid(model, run)).toThrow('"blocks.0.hook_resid_pre" was not kept by this run.');
  });
});

describe("valueWeightedPattern", () => {
  const model = randomModel({ norm: "LN", position: "rotary", bias: true });
  const run = model.run(tokens);

  test("is the pattern times the length of the value, or of what it writes (1e-6 relative: float32)", () => {
    for (const norm of ["value", "result"] as const) {
      const weighted = valueWeightedPattern(model, run, 1, { norm });
      const pattern = run.cache.get("blocks.1.attn.hook_pattern");
      for (const { head, W_O } of model.layers[1]?.heads ?? []) {
        const v = run.cache.get("blocks.1.attn.hook_v").select("head", head);
        expect(W_O.rows).toBe(4);
        const moved: Tensor = norm === "value" ? v : matmul(v, model.layer(1).W_O.select("head", head));
        for (const [i, j] of [
          [5, 2],
          [3, 3],
          [0, 0],
          [2, 4],
        ] as const) {
          const size = Math.hypot(...moved.select("batch", 1).select("pos", j).data);
          expectClose([weighted.at(1, head, i, j)], [pattern.at(1, head, i, j) * size], { rtol: 1e-6 });
        }
      }
    }
    expect(valueWeightedPattern(model, run, 1).toNested()).toEqual(
      valueWeightedPattern(model, run, 1, { norm: "value" }).toNested(),
    );
  });

  test("the result's length does not depend on how W_OV is split; the value's does (P18)", () => {
    const split = withWeights(model, (name, weight) => {
      if (/(W|b)_V$/.test(name)) return map(weight, (x) => 4 * x);
      return name.endsWith("W_O") ? map(weight, (x) => x / 4) : weight;
    });
    const other = split.run(tokens);
    const compare = (norm: "value" | "result", factor: number): void => {
      const expected = [...valueWeightedPattern(model, run, 1, { norm }).data].map((x) => factor * x);
      expectClose(valueWeightedPattern(split, other, 1, { norm }).data, expected, { atol: 1e-6, rtol: 1e-5 });
    };
    compare("result", 1);
    compare("value", 4);
  });

  test("what is not there is refused", () => {
    expect(() => valueWeightedPattern(model, run, 2)).toThrow("there is no layer 2");
    expect(() => valueWeightedPattern(model, run, 0, { norm: "size" as "value" })).toThrow(
      'valueWeightedPattern: norm is "size"; the choices are value, result.',
    );
  });
});
