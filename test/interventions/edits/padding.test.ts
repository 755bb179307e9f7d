/**
 * Edits of padded runs, and edits that take activations of padded runs: of text alone what they do without padding, and
 * a refusal where padding would be put in the place of text. Both sides are float32 and sum in other orders: 5e-5 of the
 * largest logit.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { edit, sweepEdits, type Action } from "../../../src/interventions/index.ts";
import { crossEntropy, gradients, hookNames, logitDifference, padPrompts } from "../../../src/model/index.ts";
import type { HookName, Transformer } from "../../../src/model/index.ts";
import { fitTranslators, lossByMaxOrder, pathExpansion, pathTotals, scoreExpansion } from "../../../src/paths/index.ts";
import { mean, stack, Tensor } from "../../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import { refusal } from "../../support/refusal.ts";

const TOLERANCE = 5e-5;
const options = fc
  .oneof(modelOptions, mlpModelOptions)
  .filter(({ n_layers, dtype }) => n_layers > 0 && dtype === "float32");
const cases = fc.record({
  options,
  lengths: fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 2, maxLength: 4 }),
  others: fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 3 }),
  side: fc.constantFrom("left" as const, "right" as const),
  seed: fc.integer({ min: 0, max: 99 }),
  hook: fc.nat(),
});

const idsOf = (lengths: readonly number[], seed: number, d_vocab: number): number[][] =>
  lengths.map((n, b) => Array.from({ length: n }, (_, p) => (seed + 3 * b + 5 * p + b * p) % d_vocab));

/** Prompts padded to one length, whatever the longest of them has. */
function padded(prompts: readonly number[][], side: "left" | "right", to: number) {
  const filled = padPrompts([...prompts, new Array<number>(to).fill(0)], { side });
  return { tokens: filled.tokens.slice(0, -1), attentionMask: filled.attentionMask.slice(0, -1) };
}

/** The logits of a prompt's text in a padded batch. */
const ofText = (logits: Tensor, b: number, start: number, length: number): number[] => [
  ...logits.slice("batch", b, b + 1).slice("pos", start, start + length).data,
];

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(1, ...expected.map(Math.abs));
  expect(Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number)))) / largest).toBeLessThan(TOLERANCE);
}

/** Hooks of the stream, of heads and of MLPs: what is one vector a position. */
const hooksOf = ({ config }: Transformer): HookName[] =>
  hookNames(config).filter((name) =>
    /hook_(embed|resid_pre|resid_mid|attn_out|mlp_out|q|k|v|z|result|post)$/.test(name),
  );

/** Of runs of one prompt each, the mean at each place of text, counted from the start or from the end. */
function meansOf(
  model: Transformer,
  hook: HookName,
  prompts: readonly number[][],
  { side, overPos }: { readonly side: "left" | "right"; readonly overPos: boolean },
): (place: number) => Tensor | undefined {
  const own = prompts.map((ids) => model.run(ids, { cache: [hook] }).cache.get(hook) as Tensor);
  return (place) => {
    const rows = own.flatMap((t) => {
      const n = t.sizeOf("pos");
      const at = side === "left" ? n - 1 - place : place;
      const places = overPos ? Array.from({ length: n }, (_, p) => p) : at >= 0 && at < n ? [at] : [];
      return places.map((p) => t.select("batch", 0).select("pos", p));
    });
    return rows.length === 0 ? undefined : mean(stack("row", rows), "row");
  };
}

describe.each(["batch", "batch pos"] as const)('mean over "%s" takes text alone (5e-5)', (over) => {
  test.each(["this run", "reference runs"] as const)("of %s", (of) => {
    fc.assert(
      fc.property(cases, ({ options: chosen, lengths, others, side, seed, hook: pick }) => {
        const model = randomModel(chosen);
        const hooks = hooksOf(model);
        const hook = hooks[pick % hooks.length] as HookName;
        const clean = idsOf(lengths, seed, model.config.d_vocab);
        const reference = idsOf(others, seed + 1, model.config.d_vocab);
        const prompts = of === "this run" ? clean : reference;
        const longest = Math.max(...lengths, ...others);
        const batch = padded(clean, side, longest);
        const ref = padded(reference, side, longest);
        const theirs = model.run(ref.tokens, { attentionMask: ref.attentionMask, cache: [hook] });
        const action: Action = of === "this run" ? { mean: over } : { mean: over, of: theirs };
        const means = meansOf(model, hook, prompts, { side, overPos: over === "batch pos" });
        const run = () =>
          model.run(batch.tokens, { attentionMask: batch.attentionMask, edits: edit(hook, action) }).logits;
        const reach = Math.max(...prompts.map(({ length }) => length));
        if (over === "batch" && Math.max(...lengths) > reach) {
          expect(refusal(run)).toMatch(/is text, but padding in all prompts that the mean is of/);
          return;
        }
        const logits = run();
        for (const [b, ids] of clean.entries()) {
          const n = ids.length;
          const alone = edit(hook, (x) => {
            const rows = Array.from({ length: n }, (_, p) => means(side === "left" ? n - 1 - p : p) as Tensor);
            return Tensor.from(
              x.axes,
              x.shape,
              rows.flatMap((row) => [...row.data]),
            );
          });
          const start = side === "left" ? longest - n : 0;
          expectClose(ofText(logits, b, start, n), [...model.run(ids, { edits: alone }).logits.data]);
        }
      }),
      runs(11, 20),
    );
  });
});

const model = randomModel({ n_layers: 2, n_heads: 3, norm: "LN", bias: true });
const tokens = [
  [1, 5, 3, 5, 2],
  [2, 2, 7, 1, 9],
  [4, 8, 6, 2, 3],
  [3, 1, 4, 1, 5],
];
const attentionMask = [
  [0, 0, 1, 1, 1],
  [1, 1, 1, 1, 1],
  [0, 0, 1, 1, 1],
  [1, 1, 1, 1, 1],
];
const starts = [2, 0, 2, 0];
const text = (b: number): number[] => (tokens[b] as number[]).slice(starts[b]);
const metric = logitDifference({ answer: 3, wrong: 4 });

test("another prompt is one whose text lies at the same positions (5e-5)", () => {
  for (const [action, other] of [
    ["resample", [2, 3, 0, 1]],
    [{ resample: [2, 3, 0, 1] }, [2, 3, 0, 1]],
    [{ resample: [2, 1, 2, 1], from: model.run(tokens, { attentionMask }) }, [2, 1, 2, 1]],
  ] as const) {
    for (const at of ["z", "pattern"] as const) {
      const { logits } = model.run(tokens, { attentionMask, edits: edit({ hook: at, layer: 0 }, action) });
      for (const [b, from] of other.entries()) {
        const alone = edit({ hook: at, layer: 0 }, { copyFrom: model.run(text(from)) });
        const expected = model.run(text(b), { edits: alone }).logits;
        expectClose(ofText(logits, b, starts[b] as number, text(b).length), [...expected.data]);
      }
    }
  }
});

test("noise relative to the activation is measured on text alone", () => {
  const hook = "blocks.0.hook_resid_pre";
  const noisy = edit(hook, { noise: 1, relative: true });
  const plain = edit(hook, { noise: 1 });
  const kept = (edits: ReturnType<typeof edit> | undefined) =>
    model.run(tokens, { attentionMask, edits: edits ?? [], cache: [hook] }).cache.get(hook).data;
  const [before, relative, absolute] = [kept(undefined), kept(noisy), kept(plain)];
  const all = tokens.flatMap((_, b) => [...model.run(text(b), { cache: [hook] }).cache.get(hook).data]);
  const centre = all.reduce((a, x) => a + x, 0) / all.length;
  const spread = Math.sqrt(all.reduce((a, x) => a + (x - centre) ** 2, 0) / all.length);
  const last = before.length - 1;
  const [moved, drawn] = [relative, absolute].map((x) => (x[last] as number) - (before[last] as number));
  expect(Math.abs((moved as number) / (drawn as number) / spread - 1)).toBeLessThan(1e-4);
});

test.each(["zero", { scale: 0 }, { set: 1 }, { add: 1 }] as const)(
  "scores of hidden keys stay hidden: %j",
  (action) => {
    for (const hook of ["attn_scores", "pattern"] as const) {
      const edits = edit({ hook, layer: 1 }, action);
      const { logits } = model.run(tokens, { attentionMask, edits });
      for (const b of tokens.keys()) {
        const expected = model.run(text(b), { edits }).logits;
        expectClose(ofText(logits, b, starts[b] as number, text(b).length), [...expected.data]);
      }
    }
  },
);

test("nothing of padding is put where there is text", () => {
  const short = model.run(tokens.slice(0, 1), { attentionMask: attentionMask.slice(0, 1) });
  const put = (edits: ReturnType<typeof edit>) => (): unknown => model.run(tokens, { edits });
  const lies = /position 0 of prompt 0 is text, but padding in the run that it is taken from/;
  expect(refusal(put(edit("resid_pre", { copyFrom: short })))).toMatch(lies);
  expect(refusal(put(edit("resid_pre", { copyFrom: { cache: short.cache } })))).toMatch(lies);
  expect(refusal(put(edit("z", { resample: [0, 0, 0, 0], from: short })))).toMatch(lies);
  expect(refusal(put(edit("z", { resample: 1, from: short })))).toMatch(
    /no other prompt has its text at the positions/,
  );
  expect(refusal(put(edit("pattern", { copyFrom: short })))).toMatch(/the text of prompt 0 lies at other positions/);
  expect(refusal(put(edit("pattern", { mean: "batch", of: short })))).toMatch(/padding at different positions/);
  expect(refusal(put(edit("z", { mean: "batch", of: short })))).toMatch(/padding in all prompts that the mean is of/);
  expect(put(edit({ hook: "resid_pre", pos: [2, 3, 4] }, { copyFrom: short }))).not.toThrow();
  const twoOfEach = { edits: edit("z", "resample"), attentionMask: attentionMask.slice(0, 2) };
  expect(refusal(() => model.run(tokens.slice(0, 2), twoOfEach))).toMatch(/no other prompt has its text/);
});

test("sweeps of edits and gradients know the mask too (5e-5)", () => {
  const edits = edit({ hook: "z", layer: 0, head: 1 }, { mean: "batch pos" });
  const { logits } = model.run(tokens, { edits, attentionMask });
  const swept = sweepEdits(model, tokens, [edits], { metric, attentionMask });
  expectClose([...swept.perPrompt.data], [...metric.values(logits)]);
  const whole = attentionMask.map((row) => row.map(() => 1));
  const fixed = edit("z", { mean: "batch", of: model.run(tokens, { attentionMask }) });
  const found = gradients(model, tokens, metric, { edits: fixed, attentionMask, at: ["hook_embed"] });
  expectClose([...found.values], [...metric.values(model.run(tokens, { edits: fixed, attentionMask }).logits)]);
  const masked = model.run(tokens, { edits, attentionMask: whole }).logits;
  expect([...masked.data]).toEqual([...model.run(tokens, { edits }).logits.data]);
});

test("means over positions of padded runs are refused by decompositions, and a tuned lens is fitted to text", () => {
  const run = model.run(tokens, { attentionMask });
  const padding = /has padding, which means over positions would take in/;
  expect(refusal(() => lossByMaxOrder(run))).toMatch(padding);
  expect(refusal(() => pathTotals(run))).toMatch(padding);
  expect(refusal(() => pathExpansion(run).rank())).toMatch(padding);
  expect(pathExpansion(run).rank("norm", { positions: [2, 4] }).length).toBeGreaterThan(0);
  expect(refusal(() => scoreExpansion(run, "L1H0").statistics())).toMatch(padding);
  expect(String(pathExpansion(run))).toMatch(/PathExpansion/);
  expect(String(scoreExpansion(run, "L1H0"))).toMatch(/ScoreExpansion/);
  const alone = fitTranslators(tokens.map((_, b) => model.run(text(b))));
  for (const [l, { A, b }] of fitTranslators([run]).entries()) {
    expectClose([...A.data, ...b.data], [...(alone[l]?.A.data ?? []), ...(alone[l]?.b.data ?? [])]);
  }
  expect(crossEntropy(tokens, { attentionMask }).values(run.logits).length).toBe(4);
});
