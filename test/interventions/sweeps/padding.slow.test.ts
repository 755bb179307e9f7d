/**
 * Prompts of different lengths in one batch: gradients, sweeps, estimates and path patching give for each what it gives
 * alone, without padding. Both sides are float32, and sum in other orders: 5e-5 of the largest number compared.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attributionPatching, edit, pathPatching, sweep, sweepEdits } from "../../../src/interventions/index.ts";
import type { PathReceiver, PathSender, SweepOptions } from "../../../src/interventions/index.ts";
import {
  crossEntropy,
  customMetric,
  gradients,
  hookNames,
  klDivergence,
  logitDifference,
  padPrompts,
} from "../../../src/model/index.ts";
import type { Metric, PartialSite, Transformer } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import type { RandomModelOptions } from "../../support/random-model.ts";

const TOLERANCE = 5e-5;

/** A model, prompts of different lengths, each with a corrupted one, and how they are padded. */
interface Case {
  readonly model: Transformer;
  readonly side: "left" | "right";
  readonly clean: readonly number[][];
  readonly corrupted: readonly number[][];
  readonly attentionMask: readonly number[][];
  readonly padded: { readonly clean: number[][]; readonly corrupted: number[][] };
  /** The position of the first token of text of each. */
  readonly starts: readonly number[];
  /** The last position of text of each. */
  readonly ends: readonly number[];
}

function caseOf(options: RandomModelOptions, lengths: readonly number[], side: "left" | "right", seed: number): Case {
  const model = randomModel(options);
  const { d_vocab } = model.config;
  const clean = lengths.map((n, b) => Array.from({ length: n }, (_, p) => (seed + 3 * b + 5 * p) % d_vocab));
  const corrupted = clean.map((ids) => ids.map((id, p) => (p % 2 === 0 ? (id + 1) % d_vocab : id)));
  const { tokens, attentionMask } = padPrompts(clean, { side, pad: seed % d_vocab });
  const longest = Math.max(...lengths);
  return {
    ...{ model, side, clean, corrupted, attentionMask },
    padded: { clean: tokens, corrupted: padPrompts(corrupted, { side, pad: 0 }).tokens },
    starts: lengths.map((n) => (side === "left" ? longest - n : 0)),
    ends: lengths.map((n) => (side === "left" ? longest : n) - 1),
  };
}

const options = fc
  .oneof(modelOptions, mlpModelOptions)
  .filter(({ n_layers, dtype }) => n_layers > 0 && dtype === "float32");
const cases = fc
  .tuple(
    options,
    fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 3 }),
    fc.constantFrom("left", "right"),
    fc.integer({ min: 0, max: 99 }),
  )
  .map(([model, lengths, side, seed]) => ({ model, lengths, side, seed }));

const difference = (pos: number | readonly number[]): Metric => logitDifference({ answer: 0, wrong: 1, pos });

/** The largest deviation, of the largest number. */
function distance(found: readonly number[], expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(1, ...expected.map(Math.abs));
  return Math.max(0, ...found.map((x, i) => (x === expected[i] ? 0 : Math.abs(x - (expected[i] as number))))) / largest;
}

/** One prompt's part of a batch, at positions of its text alone. */
function ofText(t: Tensor, b: number, start: number, length: number): number[] {
  const cut = t.names.reduce(
    (x, axis) => (["pos", "query_pos", "key_pos"].includes(axis) ? x.slice(axis, start, start + length) : x),
    t.slice("batch", b, b + 1),
  );
  return [...cut.data];
}

const each = (property: (of: Case) => void, seed: number, count = 12): void => {
  fc.assert(
    fc.property(cases, ({ model, lengths, side, seed: tokens }) => {
      property(caseOf(model, lengths, side, tokens));
    }),
    runs(seed, count),
  );
};

test("gradients at every hook and by every weight, whatever the model and the side of the padding (5e-5)", () => {
  each(({ model, padded, clean, attentionMask, starts, ends }) => {
    const hooks = hookNames(model.config).slice(1);
    const found = gradients(model, padded.clean, difference(ends), { at: hooks, parameters: true, attentionMask });
    const sums = new Map<string, Float64Array>();
    for (const [b, ids] of clean.entries()) {
      const alone = gradients(model, ids, difference(-1), { at: hooks, parameters: true });
      expect(distance([found.values[b] ?? NaN], [...alone.values])).toBeLessThan(TOLERANCE);
      for (const name of hooks) {
        const own = ofText(found.at(name), b, starts[b] as number, ids.length).map((x) => x * clean.length);
        expect(distance(own, [...alone.at(name).data])).toBeLessThan(TOLERANCE);
      }
      for (const [name, gradient] of alone.parameters) {
        const sum = sums.get(name) ?? new Float64Array(gradient.size);
        sums.set(
          name,
          sum.map((x, i) => x + (gradient.data[i] as number) / clean.length),
        );
      }
    }
    for (const [name, sum] of sums) {
      expect(distance([...(found.parameters.get(name) as Tensor).data], [...sum])).toBeLessThan(TOLERANCE);
    }
  }, 1);
});

const copied: readonly { at: PartialSite; over: string }[] = [
  { at: "resid_pre", over: "layer pos" },
  { at: "z", over: "layer head" },
  { at: "q", over: "layer head" },
  { at: "k", over: "layer pos head" },
  { at: "v", over: "layer head" },
  { at: "pattern", over: "layer head" },
  { at: "attn_scores", over: "layer query_pos head" },
  { at: "result", over: "layer head" },
  { at: "resid_post", over: "layer pos" },
];

/** The values of one prompt: of those over positions, at positions of its text. */
const valuesOf = (found: { readonly perPrompt: Tensor }, b: number, start: number, length: number): number[] =>
  ofText(found.perPrompt, b, start, length);

describe.each(["copy", "zero"] as const)("sweeps that put %s", (put) => {
  test.each(copied)("at $at over $over (5e-5)", ({ at, over }) => {
    each(
      ({ model, padded, clean, corrupted, attentionMask, starts, ends }) => {
        const settings: Omit<SweepOptions<string>, "metric"> & { at: PartialSite } = { at, over, put };
        const found = sweep(model, padded, { ...settings, metric: difference(ends), attentionMask });
        const estimate = attributionPatching(model, padded, { ...settings, metric: difference(ends), attentionMask });
        for (const [b, ids] of clean.entries()) {
          const own = { clean: ids, corrupted: corrupted[b] as number[] };
          const place = [b, starts[b] as number, ids.length] as const;
          const alone = { ...settings, metric: difference(-1) };
          expect(distance(valuesOf(found, ...place), [...sweep(model, own, alone).perPrompt.data])).toBeLessThan(
            TOLERANCE,
          );
          const estimated = [...attributionPatching(model, own, alone).perPrompt.data];
          expect(distance(valuesOf(estimate, ...place), estimated)).toBeLessThan(TOLERANCE);
        }
      },
      2,
      5,
    );
  });
});

test("sweeps with patterns kept, and over a loss that leaves padding out (5e-5)", () => {
  each(({ model, padded, clean, corrupted, attentionMask }) => {
    const long = clean.flatMap((ids, b) => (ids.length > 1 ? [b] : []));
    const settings = { at: "v", over: "layer head", patterns: "kept", direction: "noising" } as const;
    const some = <T>(list: readonly T[]): T[] => long.map((b) => list[b] as T);
    if (long.length === 0) return;
    const [tokens, others, mask] = [some(padded.clean), some(padded.corrupted), some(attentionMask)];
    const metric = crossEntropy(tokens, { attentionMask: mask });
    const found = sweep(model, { clean: tokens, corrupted: others }, { ...settings, metric, attentionMask: mask });
    for (const [i, b] of long.entries()) {
      const own = { clean: clean[b] as number[], corrupted: corrupted[b] as number[] };
      const alone = sweep(model, own, { ...settings, metric: crossEntropy(own.clean) });
      expect(distance(valuesOf(found, i, 0, 0), [...alone.perPrompt.data])).toBeLessThan(TOLERANCE);
    }
  }, 3);
});

test("path patching to the logits, a stream, and queries, keys and values of a head (5e-5)", () => {
  each(({ model, padded, clean, corrupted, attentionMask, ends }) => {
    const last = model.config.n_layers - 1;
    const receivers: (PathReceiver | PathReceiver[])[] = [
      "logits",
      { stream: last },
      (["q", "k", "v"] as const).map((input) => ({ head: { layer: last, head: 0 }, input })),
    ];
    for (const one of receivers) {
      const senders: PathSender[] = ["embed", "L0H0", ...(model.config.attn_only ? [] : [{ mlp: 0 }])];
      const asked = { receivers: one, senders };
      const found = pathPatching(model, padded, { ...asked, metric: difference(ends), attentionMask });
      for (const [b, ids] of clean.entries()) {
        const own = { clean: ids, corrupted: corrupted[b] as number[] };
        const alone = pathPatching(model, own, { ...asked, metric: difference(-1) });
        expect(distance(valuesOf(found, b, 0, 0), [...alone.perPrompt.data])).toBeLessThan(TOLERANCE);
      }
    }
  }, 4);
});

test("a mask with holes, and bidirectional attention: a sweep is a run with an edit for each entry (5e-5)", () => {
  const { tokens, attentionMask } = padPrompts([
    [1, 2, 3, 4, 5],
    [6, 7, 8],
  ]);
  const holes = [
    [0, 1, 0, 1, 1],
    [1, 0, 1, 1, 0],
  ];
  const metric = difference([-1, -2]);
  for (const [mask, attention_dir] of [
    [holes, "causal"],
    [holes, "bidirectional"],
    [attentionMask.map((row) => [...row].reverse()), "bidirectional"],
  ] as const) {
    for (const position of ["shortformer", "rotary", "standard"] as const) {
      const model = randomModel({ position, config: { attention_dir } });
      const last = mask[1]?.lastIndexOf(1) ?? 0;
      const read = last === 3 ? metric : difference([-1, last]);
      for (const at of ["resid_pre", "k", "attn_scores"] as const) {
        const found = sweep(model, tokens, { at, over: "layer", put: "zero", metric: read, attentionMask: mask });
        for (const layer of [0, 1]) {
          const hidden = edit({ hook: at, layer }, (x) =>
            Tensor.from(
              x.axes,
              x.shape,
              x.data.map((y) => (y === -Infinity ? y : 0)),
            ),
          );
          const edits = at === "attn_scores" ? hidden : edit({ hook: at, layer }, "zero");
          const expected = read.values(model.run(tokens, { edits, attentionMask: mask }).logits);
          expect(distance([...found.perPrompt.select("layer", layer).data], [...expected])).toBeLessThan(TOLERANCE);
        }
      }
    }
  }
});

test("lists of edits, of one hook and of several (5e-5)", () => {
  each(({ model, padded, clean, attentionMask, ends }) => {
    const edits = [
      edit({ hook: "z", layer: 0, head: 0 }, "zero"),
      edit({ hook: "attn_scores", layer: 0, offset: 0 }, { add: 1 }),
      [edit({ hook: "q", layer: 0 }, { scale: 2 }), edit({ hook: "v", layer: 0 }, { scale: 0.5 })],
    ];
    const found = sweepEdits(model, padded.clean, edits, { metric: difference(ends), attentionMask });
    for (const [b, ids] of clean.entries()) {
      const alone = sweepEdits(model, ids, edits, { metric: difference(-1) });
      expect(distance(valuesOf(found, b, 0, 0), [...alone.perPrompt.data])).toBeLessThan(TOLERANCE);
    }
  }, 5);
});

describe("what is put, of prompts of different lengths", () => {
  const model = randomModel();
  const prompts = [
    [1, 2, 3, 4],
    [5, 6],
    [7, 8],
    [3, 9, 1, 2],
  ];
  const { tokens, attentionMask } = padPrompts(prompts);
  const metric = difference(-1);

  test("means are over text alone (1e-5)", () => {
    // At the last position all four have text; two positions before it those of four tokens alone.
    const z = model.run(tokens, { attentionMask }).cache.get("blocks.0.attn.hook_z");
    const meanAt = (pos: number, which: readonly number[]): Tensor => {
      const rows = which.map((b) => z.slice("batch", b, b + 1).slice("pos", pos, pos + 1));
      return rows.reduce(
        (sum, row) =>
          Tensor.from(
            row.axes,
            row.shape,
            sum.data.map((x, i) => x + (row.data[i] as number) / which.length),
          ),
        Tensor.zeros("batch pos head d_head", [1, 1, 3, 4]) as Tensor,
      ) as Tensor;
    };
    expect(z.shape.slice(2)).toEqual([3, 4]);
    const found = sweep(model, tokens, { at: "z", over: "layer pos", put: "mean", metric, attentionMask });
    for (const [pos, which] of [
      [3, [0, 1, 2, 3]],
      [1, [0, 3]],
    ] as const) {
      const put = edit({ hook: "z", layer: 0, pos }, { set: meanAt(pos, which).select("batch", 0).select("pos", 0) });
      const { logits } = model.run(tokens, { attentionMask, edits: put });
      const expected = metric.values(logits);
      for (const b of which) {
        expect(Math.abs(found.perPrompt.at(0, pos, b) - (expected[b] as number))).toBeLessThan(1e-5);
      }
    }
  });

  test("another prompt is one whose text lies at the same positions", () => {
    const found = sweep(model, tokens, { at: "resid_pre", over: "layer", put: "resample", metric, attentionMask });
    const values = metric.values(model.run(tokens, { attentionMask }).logits);
    // Of the two of a length each becomes the other.
    expect(
      distance(
        [...found.perPrompt.data.slice(0, 4)],
        [3, 2, 1, 0].map((b) => values[b] as number),
      ),
    ).toBeLessThan(TOLERANCE);
  });

  test("refused where it would put padding in the place of text", () => {
    const ask =
      (put: "copy" | "resample" | "mean", at: PartialSite, corrupted?: number[][], other?: number[][]) => () =>
        sweep(model, corrupted === undefined ? tokens : { clean: tokens, corrupted }, {
          ...{ at, over: "layer", put, metric, direction: "noising" },
          attentionMask: other === undefined ? attentionMask : { clean: attentionMask, corrupted: other },
        });
    const moved = padPrompts([
      [1, 2, 3],
      [5, 6],
      [7, 8],
      [3, 9, 1, 2],
    ]);
    expect(ask("copy", "z", moved.tokens, moved.attentionMask)).toThrow("the text of prompt 0 lies at other positions");
    const single = padPrompts([
      [1, 2, 3, 4],
      [5, 6, 7],
    ]);
    const all = { at: "z", over: "layer", put: "resample", metric, attentionMask: single.attentionMask } as const;
    expect(() => sweep(model, single.tokens, all)).toThrow("no other prompt has its text at the positions of prompt 0");
    expect(ask("mean", "pattern")).toThrow("a mean pattern would look at padding of some");
    const short = padPrompts([
      [1, 2],
      [5, 6],
      [7, 8],
      [3, 9],
    ]);
    const filled = short.tokens.map((row) => [0, 0, ...row]);
    const hidden = short.tokens.map(() => [0, 0, 1, 1]);
    expect(ask("mean", "z", filled, hidden)).toThrow("position 0 is padding in all prompts that the mean is of");
  });
});

describe("a metric that reads padding is refused", () => {
  const model = randomModel();
  const right = padPrompts([[1, 2, 3], [4]], { side: "right" });
  const left = padPrompts([
    [1, 2, 3],
    [4, 5],
  ]);
  const ablate = (of: typeof right, metric: Metric) => () =>
    sweep(model, of.tokens, { at: "z", over: "layer", put: "zero", metric, attentionMask: of.attentionMask });

  test("at the last position of prompts padded on the right", () => {
    expect(ablate(right, difference(-1))).toThrow(
      "the metric (logit difference) reads position 2 of prompt 1, which is padding. Pad on the left",
    );
    expect(() => gradients(model, right.tokens, difference(-1), { attentionMask: right.attentionMask })).toThrow(
      "which is padding",
    );
    expect(() =>
      sweepEdits(model, right.tokens, [], { metric: difference(-1), attentionMask: right.attentionMask }),
    ).toThrow("which is padding");
    expect(ablate(right, difference([2, 0]))).not.toThrow();
  });

  test("a loss or a divergence over all positions that does not know the mask", () => {
    const { logits } = model.run(left.tokens, { attentionMask: left.attentionMask });
    const { attentionMask } = left;
    expect(ablate(left, crossEntropy(left.tokens))).toThrow("reads position 0 of prompt 1");
    expect(ablate(left, crossEntropy(left.tokens, { attentionMask }))).not.toThrow();
    expect(
      ablate(
        left,
        crossEntropy(left.tokens, {
          mask: [
            [1, 1],
            [0, 1],
          ],
        }),
      ),
    ).not.toThrow();
    // The last token of text predicts padding.
    const both = padPrompts(
      [
        [1, 2, 3],
        [4, 5],
      ],
      { side: "right" },
    );
    expect(
      ablate(
        both,
        crossEntropy(both.tokens, {
          mask: [
            [1, 1],
            [1, 1],
          ],
        }),
      ),
    ).toThrow("reads position 2 of prompt 1");
    expect(ablate(left, klDivergence(logits))).toThrow("reads position 0 of prompt 1");
    expect(ablate(left, klDivergence(logits, { attentionMask }))).not.toThrow();
    // A function of all logits leaves padding out itself.
    expect(
      ablate(
        left,
        customMetric((all) => all.at(0, 2, 1)),
      ),
    ).not.toThrow();
  });

  test("a divergence of a prompt among others is that of the prompt alone (1e-5)", () => {
    const prompts = [
      [1, 2, 3],
      [4, 5],
    ];
    const { tokens, attentionMask } = left;
    const reference = model.run(tokens, { attentionMask }).logits;
    const edits = edit("L0H0", "zero");
    const metric = klDivergence(reference, { attentionMask });
    const found = metric.values(model.run(tokens, { attentionMask, edits }).logits);
    for (const [b, ids] of prompts.entries()) {
      const [expected = NaN] = klDivergence(model.forward(ids)).values(model.run(ids, { edits }).logits);
      expect(Math.abs((found[b] as number) - expected)).toBeLessThan(1e-5);
    }
    const slope = gradients(model, tokens, klDivergence(reference, { attentionMask }), {
      ...{ attentionMask, edits, at: ["unembed.hook_out"] },
    });
    expect([...slope.at("unembed.hook_out").slice("batch", 1, 2).slice("pos", 0, 1).data].every((x) => x === 0)).toBe(
      true,
    );
  });
});
