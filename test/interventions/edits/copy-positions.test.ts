/** Copies between runs of different lengths: what a function does that writes the other run's rows by hand. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { edit, parseEdits } from "../../../src/interventions/index.ts";
import { padPrompts } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import { refusal } from "../../support/refusal.ts";

const model = randomModel({ n_layers: 2, n_heads: 3, norm: "LN", position: "rotary", mlp: "gelu" });
const hooks = ["blocks.1.hook_resid_pre", "blocks.0.attn.hook_z", "blocks.0.mlp.hook_post", "hook_tokens"] as const;
const idsOf = (n: number, seed: number): number[] => Array.from({ length: n }, (_, p) => (seed + 5 * p) % 11);

test("each position selected takes the one listed for it, whatever the lengths, hook and order", () => {
  const cases = fc
    .record({
      here: fc.integer({ min: 2, max: 7 }),
      there: fc.integer({ min: 2, max: 7 }),
      hook: fc.constantFrom(...hooks),
    })
    .chain(({ here, there, hook }) =>
      fc.record({
        here: fc.constant(here),
        there: fc.constant(there),
        hook: fc.constant(hook),
        pairs: fc.uniqueArray(fc.tuple(fc.nat(here - 1), fc.nat(there - 1)), { selector: ([p]) => p, minLength: 1 }),
        fromEnd: fc.boolean(),
      }),
    );
  fc.assert(
    fc.property(cases, ({ here, there, hook, pairs, fromEnd }) => {
      const source = model.run(idsOf(there, 1));
      const tokens = [idsOf(here, 2), idsOf(here, 3)];
      const theirs: Tensor = source.cache.get(hook);
      const [into, from] = [
        pairs.map(([p]) => (fromEnd ? p - here : p)),
        pairs.map(([, q]) => (fromEnd ? q - there : q)),
      ];
      const copied = edit({ hook, pos: into }, { copyFrom: source, pos: from, name: "source" });
      const byHand = edit({ hook: (name) => name === hook }, (x) => {
        const [batch = 0, pos = 0] = x.shape;
        const width = x.size / (batch * pos);
        const out = Float64Array.from(x.data);
        for (let b = 0; b < batch; b++)
          for (const [p, q] of pairs)
            for (let i = 0; i < width; i++) out[(b * pos + p) * width + i] = theirs.data[q * width + i] as number;
        return Tensor.from(x.axes, x.shape, out, x.dtype);
      });
      const expected = model.run(tokens, { edits: byHand }).logits.data;
      expect([...model.run(tokens, { edits: copied }).logits.data]).toEqual([...expected]);
      const again = parseEdits(JSON.stringify(copied), { source });
      expect([...model.run(tokens, { edits: again }).logits.data]).toEqual([...expected]);
    }),
    runs(3, 40),
  );
});

test("what cannot be mapped is refused", () => {
  const source = model.run(idsOf(3, 1));
  const run = (edits: ReturnType<typeof edit>) => (): unknown => model.run(idsOf(5, 2), { edits });
  expect(refusal(run(edit("resid_pre", { copyFrom: source })))).toMatch(/say which of its positions/);
  expect(refusal(run(edit({ hook: "resid_pre", pos: [0, 1] }, { copyFrom: source, pos: 1 })))).toMatch(
    /1 positions of the other run are to be copied to the 2 selected/,
  );
  expect(refusal(run(edit({ hook: "resid_pre", pos: [0, 0] }, { copyFrom: source, pos: [0, 1] })))).toMatch(
    /each once/,
  );
  expect(refusal(run(edit({ hook: "resid_pre", pos: 0 }, { copyFrom: source, pos: 3 })))).toMatch(
    /pos 3 is outside the 3 positions of the run that is copied/,
  );
  expect(refusal(run(edit("pattern", { copyFrom: source, pos: 0 })))).toMatch(/as many keys as their own run has/);
  expect(refusal(() => edit("z", { copyFrom: source, pos: 0.5 }))).toMatch(/Give a position of the other run/);
  expect(refusal(() => edit("z", { copyFrom: source, pos: [] }))).toMatch(/Give a position of the other run/);
  const padded = padPrompts([idsOf(2, 1), idsOf(4, 1)]);
  const hidden = model.run(padded.tokens.slice(0, 1), { attentionMask: padded.attentionMask.slice(0, 1) });
  expect(refusal(run(edit({ hook: "z", pos: 4 }, { copyFrom: hidden, pos: 1 })))).toMatch(/padding in the run/);
  expect(run(edit({ hook: "z", pos: 4 }, { copyFrom: hidden, pos: -1 }))).not.toThrow();
});
