/** Runs with edits at any hooks, taken apart: the terms sum to what the run had, within what rounding explains. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { hookNames } from "../../src/model/index.ts";
import type { Run, RunOptions } from "../../src/model/index.ts";
import {
  decomposeResid,
  logitAttribution,
  logitsByOrder,
  pathExpansion,
  scoreExpansion,
} from "../../src/paths/index.ts";
import type { Certificate } from "../../src/paths/index.ts";
import { add, map, maxAbsDifference, multiply, sum, Tensor } from "../../src/tensor/index.ts";
import { maxAbs } from "../../src/tensor/internal.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { editsAt, picks } from "../support/random-edits.ts";
import { randomModel } from "../support/random-model.ts";

const anyModel = fc.oneof(modelOptions, mlpModelOptions);
const prompts = fc.array(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 }), {
  minLength: 1,
  maxLength: 2,
});

const sizeOf = (t: Tensor): number => 1 + maxAbs(t.data);

/** Within its bound, and a bound that excuses nothing: float32 rounding of what the run went through. */
function expectCertified({ maxDeviation, bound, withinBound }: Certificate, size: number): void {
  expect(maxDeviation).toBeLessThanOrEqual(bound);
  expect(withinBound).toBe(true);
  expect(bound).toBeLessThan(3e-3 * size);
}

describe("an edited run of any model", () => {
  test("is the sum of its paths, whatever stands as a source", () => {
    fc.assert(
      fc.property(
        anyModel,
        prompts,
        picks,
        fc.record({
          splitPositions: fc.boolean(),
          splitBiases: fc.boolean(),
          maxOrder: fc.integer({ min: 0, max: 3 }),
        }),
        (options, tokens, picked, given) => {
          const model = randomModel(options);
          const run = model.run(tokens, { edits: editsAt(model, picked, /./) });
          const splitPositions = given.splitPositions && options.position === "standard";
          const expansion = pathExpansion(run, { ...given, splitPositions });
          const size = sizeOf(run.logits) + Math.max(...[...expansion.all].map(({ resid }) => sizeOf(resid)));
          expectCertified(expansion.certificate(), size);
          const summed = expansion.all.map((term) => expansion.logits(term)).reduce((a, b) => add(a, b));
          expect(maxAbsDifference(summed, run.logits)).toBeLessThan(3e-3 * size);
          expect(() => expansion.formula("latex")).not.toThrow();
          const attribution = expansion.attribution({ targets: 1, precision: "float64" });
          expect(maxAbsDifference(sum(attribution, "term"), run.logits.select("d_vocab", 1))).toBeLessThan(3e-3 * size);
        },
      ),
      runs(31, 50),
    );
  });

  test("is the sum of its paths by order", () => {
    fc.assert(
      fc.property(anyModel, prompts, picks, (options, tokens, picked) => {
        const model = randomModel(options);
        const run = model.run(tokens, { edits: editsAt(model, picked, /./) });
        const orders = logitsByOrder(run);
        expect(maxAbsDifference(sum(orders, "order"), run.logits)).toBeLessThan(
          1e-3 * (sizeOf(orders) + sizeOf(run.logits)),
        );
      }),
      runs(32, 30),
    );
  });

  test("is the sum of what its components wrote", () => {
    fc.assert(
      fc.property(anyModel, prompts, picks, fc.constantFrom("head", "layer"), (options, tokens, picked, by) => {
        const model = randomModel(options);
        const run = model.run(tokens, { edits: editsAt(model, picked, /./) });
        const { attribution, certificate, labels } = logitAttribution(run, { by, targets: 0 });
        expect(labels.length).toBe(attribution.sizeOf("component"));
        const size = sizeOf(run.logits) + sizeOf(attribution);
        expectCertified(certificate, size);
        expect(maxAbsDifference(sum(attribution, "component"), run.logits.select("d_vocab", 0))).toBeLessThan(
          3e-3 * size,
        );
        for (let layer = 0; layer <= model.config.n_layers; layer++) {
          const { components } = decomposeResid(run, { by, layer });
          const isEnd = layer === model.config.n_layers;
          const streams = isEnd
            ? (`blocks.${layer - 1}.hook_resid_post` as const)
            : (`blocks.${layer}.hook_resid_pre` as const);
          if (model.config.n_layers === 0) continue;
          const stream = run.cache.get(streams);
          expect(maxAbsDifference(sum(components, "component"), stream)).toBeLessThan(
            1e-4 * (sizeOf(components) + sizeOf(stream)),
          );
        }
      }),
      runs(33, 50),
    );
  });

  test("has scores that are the sum of their terms, by every partition", () => {
    fc.assert(
      fc.property(
        anyModel.filter(({ n_layers }) => n_layers > 0),
        prompts,
        picks,
        fc.constantFrom("head", "path", "order", "firstHead"),
        (options, tokens, picked, by) => {
          const model = randomModel(options);
          const layer = model.config.n_layers - 1;
          // Most edits fall on the head's own layer and the one before.
          const among = new RegExp(`^hook|blocks\\.(${layer}|${layer - 1})\\.`);
          const run = model.run(tokens, { edits: editsAt(model, picked, among), unembed: "none" });
          const expansion = scoreExpansion(run, { layer, head: 0 }, { by });
          expectCertified(expansion.certificate(), sizeOf(expansion.decomposed()) * 10);
        },
      ),
      runs(34, 60),
    );
  });
});

describe("what edits are called", () => {
  const model = randomModel({ n_layers: 2, position: "standard", norm: "LN", bias: true });
  const zero = (x: Tensor): Tensor => map(x, () => 0);

  test("a source of paths, a component, and a part of scores", () => {
    const edits = { "blocks.0.hook_resid_post": (x: Tensor) => multiply(x, 2) } as RunOptions["edits"];
    const run = model.run([1, 2, 3], { edits });
    const expansion = pathExpansion(run);
    const [whole, ...moved] = expansion.select({ source: "edit[blocks.0.hook_resid_post]" });
    expect(whole?.label).toBe("edit[blocks.0.hook_resid_post]");
    expect(moved.map(({ label }) => label)).toContain("edit[blocks.0.hook_resid_post]→L1H2");
    expect(expansion.formula("text", moved[2])).toBe(
      "ln_final(A[L1H2] ln_1(edit[blocks.0.hook_resid_post]) W_OV[L1H2]) W_U",
    );
    expect(logitAttribution(run).labels).toContain("edit[blocks.0.hook_resid_post]");
    expect(scoreExpansion(run, "L1H0").labels).toContain("edit[blocks.0.hook_resid_post]");
    expect(decomposeResid(run).labels).toContain("edit[blocks.0.hook_resid_post]");
  });

  test("a head set to 0 has no paths, and no term of the edit beside them", () => {
    const kept = Tensor.from("head", [3], [1, 0, 1]);
    const run = model.run([1, 2, 3], { edits: { "blocks.0.attn.hook_z": (z) => multiply(z, kept) } });
    const expansion = pathExpansion(run);
    expect(expansion.labels.some((label) => label.includes("edit"))).toBe(false);
    for (const term of expansion.select({ head: "L0H1" })) expect(sizeOf(term.resid)).toBe(1);
    expect(expansion.certificate().withinBound).toBe(true);
  });

  test("nothing where an edit is of what paths hold fixed", () => {
    const run = model.run([1, 2, 3], {
      edits: { "blocks.1.attn.hook_pattern": (A) => map(A, (x) => x / 2), "blocks.0.attn.hook_q": zero as never },
    });
    expect(pathExpansion(run).labels).toEqual(pathExpansion(model, [1, 2, 3]).labels);
    expect(pathExpansion(run).certificate().withinBound).toBe(true);
  });

  test("a clean run gives what the model and its tokens give, to the bit", () => {
    const [a, b] = [pathExpansion(model.run([1, 2, 3])), pathExpansion(model, [1, 2, 3])];
    expect(a.labels).toEqual(b.labels);
    expect(maxAbsDifference(a.attribution(), b.attribution())).toBe(0);
  });
});

describe("a run under a mask", () => {
  test.each(["standard", "shortformer", "rotary", "none"] as const)(
    "%s: is the sum of its paths and parts",
    (position) => {
      const model = randomModel({ position, norm: "RMS", bias: true });
      const attentionMask = [
        [0, 0, 1, 1, 1],
        [1, 1, 0, 1, 1],
      ];
      const run = model.run(
        [
          [0, 0, 1, 2, 3],
          [4, 5, 0, 6, 7],
        ],
        { attentionMask },
      );
      expect(pathExpansion(run).certificate().withinBound).toBe(true);
      expect(logitAttribution(run).certificate.withinBound).toBe(true);
      expect(scoreExpansion(run, "L1H1", { by: "path" }).certificate().withinBound).toBe(true);
    },
  );
});

describe("refused", () => {
  const model = randomModel({ norm: "LN" });
  const refusals: readonly [string, () => Run, string][] = [
    [
      "edited logits",
      () => model.run([1, 2], { edits: { "unembed.hook_out": (x) => map(x, () => 0) } }),
      "unembed.hook_out",
    ],
    ["some logits", () => model.run([1, 2], { unembed: "last" }), "not the logits of all positions"],
    ["no logits", () => model.run([1, 2], { unembed: "none" }) as never, "not the logits of all positions"],
    [
      "a run from the middle",
      () => model.run([1, 2], { from: { layer: 1, run: model.run([1, 2]) } }),
      "began in the middle",
    ],
    ["a copy of a run", () => ({ ...model.run([1, 2]), model, edited: [] }), "none that a model made"],
    [
      "an edit that was not kept",
      () => {
        const cache = hookNames(model.config).filter((name) => name !== "blocks.0.hook_attn_out");
        return model.run([1, 2], { cache, edits: { "blocks.0.hook_attn_out": (x) => map(x, () => 0) } });
      },
      '"blocks.0.hook_attn_out" was not kept by this run',
    ],
  ];
  test.each(refusals)("%s", (_, make, text) => {
    expect(() => pathExpansion(make())).toThrow(InputError);
    expect(() => pathExpansion(make())).toThrow(text);
    expect(() => logitAttribution(make())).toThrow(text);
  });
});
