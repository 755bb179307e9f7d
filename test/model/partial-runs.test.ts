/** Runs that begin late, end early, or compute some logits: what they compute is what a whole run has there. */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { InputError, ShapeError } from "../../src/errors.ts";
import { editAt, hookNames, lossPerToken } from "../../src/model/index.ts";
import type { HookName, Run, RunOptions, Transformer } from "../../src/model/index.ts";
import { runLosses } from "../../src/model/internal.ts";
import { map, maxAbsDifference, Tensor } from "../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { randomModel } from "../support/random-model.ts";

const anyModel = fc.oneof(modelOptions, mlpModelOptions);
const tokens = fc.array(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 }), {
  minLength: 1,
  maxLength: 3,
});
const difference = (a: Tensor, b: Tensor): number => maxAbsDifference(a, b);
const halved = editAt("hook_embed", (embed) => map(embed, (x) => x / 2));
/** -Infinity in both is no difference. */
const finite = (t: Tensor): Tensor => map(t, (x) => (x === -Infinity ? -1e9 : x));

const starts = (model: Transformer): HookName[] =>
  hookNames(model.config).filter((name) =>
    /^blocks\.\d+\.(hook_resid_pre|attn\.hook_z|hook_attn_out|hook_resid_mid|hook_resid_post)$/.test(name),
  );

describe("losses without logits", () => {
  test("are those of the logits, of edited runs and of runs begun late too, within 1e-6 nats (float32 sums)", () => {
    fc.assert(
      fc.property(anyModel, tokens, (options, prompts) => {
        const model = randomModel(options);
        const run = model.run(prompts);
        const late = { run, layer: model.config.n_layers };
        for (const asked of [{}, { edits: halved }, { from: late }]) {
          const { logits } = model.run(prompts, asked);
          const found = runLosses(model, prompts, asked);
          expect(found.shape).toEqual([prompts.length, 3]);
          expect(difference(found, lossPerToken(logits, prompts))).toBeLessThanOrEqual(1e-6);
          const rows = logits.toNested() as number[][][];
          for (const [b, ids] of prompts.entries()) {
            for (const [p, id] of ids.slice(1).entries()) {
              const row = rows[b]?.[p] ?? [];
              const inFloat64 = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - (row[id] ?? NaN);
              expect(Math.abs(found.at(b, p) - inFloat64)).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(inFloat64)));
            }
          }
        }
      }),
      runs(23, 30),
    );
  });

  test("a prompt of one token has none; a token that has no logit is refused", () => {
    const model = randomModel();
    expect(runLosses(model, [1]).shape).toEqual([1, 0]);
    const other = randomModel({ config: { d_vocab_out: 3 } });
    expect(() => runLosses(other, [0, 3])).toThrow("token 3 is not a column of the logits, which have d_vocab=3");
  });
});

describe("to the bit, of models of any kind", () => {
  test("a run stopped before a layer has its stream, and one begun there the logits", () => {
    fc.assert(
      fc.property(anyModel, tokens, (options, prompts) => {
        const model = randomModel(options);
        const whole = model.run(prompts);
        for (let layer = 0; layer <= model.config.n_layers; layer++) {
          const { resid } = model.run(prompts, { stopAt: layer, cache: [] });
          expect(difference(model.run(prompts, { from: { layer, resid }, cache: [] }).logits, whole.logits)).toBe(0);
          const { cache, logits } = model.run(prompts, { from: { layer, run: whole } });
          expect(difference(logits, whole.logits)).toBe(0);
          expect(cache.names().every((name) => cache.has(name) && whole.cache.has(name))).toBe(true);
        }
      }),
      runs(21, 40),
    );
  });

  test("a run stopped at a hook has kept it, and nothing after it", () => {
    fc.assert(
      fc.property(anyModel, tokens, (options, prompts) => {
        const model = randomModel(options);
        const whole = model.run(prompts);
        const names = hookNames(model.config);
        for (const [place, name] of names.entries()) {
          const { cache } = model.run(prompts, { stopAt: name, cache: [] });
          expect(cache.names()).toEqual([name]);
          expect(difference(finite(cache.get(name)), finite(whole.cache.get(name)))).toBe(0);
          const all = model.run(prompts, { stopAt: name });
          expect(all.cache.names().every((kept) => names.indexOf(kept) <= place)).toBe(true);
        }
      }),
      runs(22, 15),
    );
  });

  test("a run begun at a hook of another makes its edits from there on", () => {
    fc.assert(
      fc.property(anyModel, tokens, (options, prompts) => {
        const model = randomModel(options);
        const clean = model.run(prompts);
        for (const hook of starts(model)) {
          const edits = { [hook]: (x: Tensor) => map(x, (value) => 1 - 2 * value) } as RunOptions["edits"];
          const expected = model.run(prompts, { edits, cache: [] });
          const { logits } = model.run(prompts, { from: { run: clean, hook }, edits, cache: [] });
          expect(difference(logits, expected.logits)).toBe(0);
        }
      }),
      runs(23, 25),
    );
  });

  test("a run begun in an edited one goes on with what it had", () => {
    fc.assert(
      fc.property(anyModel, tokens, (options, prompts) => {
        const model = randomModel(options);
        const change = (x: Tensor): Tensor => map(x, (value) => 0.5 - value);
        const names = hookNames(model.config).filter((name) => name !== "hook_tokens" && !name.startsWith("unembed"));
        const edits = Object.fromEntries(
          names.filter((name) => /pos_embed|resid_pre|attn_out/.test(name)).map((name) => [name, change]),
        ) as RunOptions["edits"];
        const edited = model.run(prompts, { edits });
        for (const hook of starts(model)) {
          const layer = Number(hook.split(".")[1]);
          const later = Object.fromEntries(
            Object.entries(edits ?? {}).filter(([name]) => Number(name.split(".")[1]) > layer),
          );
          // The edits of the layer itself are in what the run had, unless they come after the hook.
          const own =
            hook.endsWith("hook_z") || hook.endsWith("resid_pre")
              ? editAt(`blocks.${layer}.hook_attn_out`, change as never)
              : {};
          const { logits } = model.run(prompts, {
            from: { run: edited, hook },
            edits: { ...later, ...own },
            cache: [],
          });
          expect(difference(logits, edited.logits)).toBe(0);
        }
      }),
      runs(24, 25),
    );
  });
});

test("some positions and tokens have the logits that a whole run has there, to 1e-5 of their size (float32 sums)", () => {
  const places = fc.array(fc.integer({ min: -4, max: 3 }), { minLength: 1, maxLength: 3 });
  const columns = fc.option(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 4 }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(anyModel, tokens, places, columns, (options, prompts, positions, directions) => {
      const model = randomModel(options);
      const whole = model.forward(prompts);
      const bound = 1e-5 * (1 + Math.max(...whole.data.map(Math.abs)));
      const perPrompt = prompts.map((_, b) => positions.map((p) => (b % 2 === 0 ? p : -1 - p)));
      const some = (unembed: RunOptions["unembed"]): Run =>
        model.run(prompts, { cache: [], ...(unembed && { unembed }), ...(directions && { directions }) });
      const expected = (b: number, p: number, j: number): number => whole.at(b, (p + 4) % 4, directions?.[j] ?? j);
      for (const [unembed, list] of [
        [positions, prompts.map(() => positions)],
        [perPrompt, perPrompt],
        ["last", prompts.map(() => [-1])],
        ["all", prompts.map(() => [0, 1, 2, 3])],
      ] as const) {
        const { logits } = some(unembed);
        expect(logits.shape).toEqual([prompts.length, list[0]?.length, directions?.length ?? model.config.d_vocab_out]);
        for (let b = 0; b < prompts.length; b++) {
          for (const [i, p] of (list[b] ?? []).entries()) {
            for (let j = 0; j < logits.sizeOf("d_vocab"); j++) {
              expect(Math.abs(logits.at(b, i, j) - expected(b, p, j))).toBeLessThan(bound);
            }
          }
        }
      }
    }),
    runs(25, 40),
  );
});

describe("what nobody asks for", () => {
  const model = randomModel({ norm: "LN", n_layers: 3 });
  const spied = (): Record<"one" | "two" | "final", { mock: { calls: unknown[] } }> => ({
    one: vi.spyOn(model.layer(1).ln1 as object as { normalize(): unknown }, "normalize"),
    two: vi.spyOn(model.layer(2).ln1 as object as { normalize(): unknown }, "normalize"),
    final: vi.spyOn(model.ln_final as object as { normalize(): unknown }, "normalize"),
  });

  test("is not computed: nothing after the last activation kept or edited, no values for patterns alone", () => {
    const calls = spied();
    const weights = vi.spyOn(model.inFloat32, "weight");
    const { cache } = model.run([1, 2], { unembed: "none", cache: ["blocks.1.attn.hook_pattern"] });
    expect(cache.names()).toEqual(["blocks.1.attn.hook_pattern"]);
    expect([calls.one, calls.two, calls.final].map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0]);
    let passed = 0;
    const edits = editAt("blocks.2.hook_resid_pre", (x) => {
      passed++;
      return x;
    });
    model.run([1, 2], { unembed: "none", cache: ["hook_embed"], edits });
    expect([passed, calls.one.mock.calls.length, calls.two.mock.calls.length]).toEqual([1, 2, 0]);
    model.run([1, 2], { unembed: "none", cache: [] });
    expect(weights.mock.calls.some(([name]) => name === "unembed.W_U")).toBe(false);
    vi.restoreAllMocks();
  });

  test("of all activations, a run without logits keeps all but them", () => {
    const names = model.run([1, 2], { unembed: "none" }).cache.names();
    expect(names.at(-1)).toBe("unembed.hook_in");
  });
});

describe("a run knows", () => {
  const model = randomModel({ norm: "LN" });
  test("its model, and which edits changed something, without showing them", () => {
    const run = model.run([1, 2], {
      edits: { "blocks.0.attn.hook_z": (z) => map(z, () => 0), hook_embed: (x) => x },
    });
    expect(run.model).toBe(model);
    expect(run.edited).toEqual(["blocks.0.attn.hook_z"]);
    expect(Object.keys(run)).toEqual(["tokens", "logits", "cache"]);
  });

  test("that it has no logits", () => {
    const run = model.run([1, 2], { stopAt: 1 });
    expect(() => (run as unknown as Run).logits).toThrow("this run computed no logits");
    expect(Object.keys(run)).toEqual(["tokens", "resid", "cache"]);
  });
});

describe("refused", () => {
  const model = randomModel({ norm: "LN" });
  const run = model.run([1, 2]);
  const wrong = (options: unknown) => (): unknown => model.run([1, 2], options as RunOptions);

  test("layers and hooks that are not there, and hooks that no run can begin at", () => {
    expect(wrong({ stopAt: 3 })).toThrow("stopAt is layer 3; this model has layers 0 to 1, and 2 is its end");
    expect(wrong({ stopAt: "blocks.0.hook_patern" })).toThrow('there is no hook "blocks.0.hook_patern"');
    expect(wrong({ from: { run, layer: -3 } })).toThrow("from.layer is layer -3");
    expect(wrong({ from: { run, hook: "blocks.0.attn.hook_q" } })).toThrow('cannot begin at "blocks.0.attn.hook_q"');
    expect(wrong({ from: { run, hook: "nowhere" } })).toThrow('there is no hook "nowhere"');
  });

  test("streams of other sizes, runs of other tokens or models, and what is no run", () => {
    const resid = Tensor.zeros("batch pos d_model", [1, 3, 12]);
    expect(wrong({ from: { layer: 1, resid } })).toThrow(ShapeError);
    expect(wrong({ from: { layer: 1, run: model.run([1, 3]) } })).toThrow("run of other tokens");
    expect(wrong({ from: { layer: 1, run: randomModel({ norm: "LN" }).run([1, 2]) } })).toThrow("run of another model");
    expect(wrong({ from: { layer: 1, run: { ...run } } })).toThrow("nothing that a model made");
    expect(wrong({ from: { layer: 1, run: 5 } })).toThrow(InputError);
    expect(wrong({ from: { layer: 1, run: model.run([1, 2], { cache: [] }) } })).toThrow("was not kept by this run");
  });

  test("activations and edits that the run never passes", () => {
    const edits = editAt("blocks.0.attn.hook_z", (z) => z);
    expect(wrong({ from: { layer: 1, run }, edits })).toThrow('the run begins at "blocks.1.hook_resid_pre"');
    expect(wrong({ stopAt: 1, cache: ["blocks.1.attn.hook_z"] })).toThrow(
      'the run ends before "blocks.1.hook_resid_pre"',
    );
    expect(wrong({ unembed: "none", cache: ["unembed.hook_out"] })).toThrow("the run computes no logits");
    expect(wrong({ from: { layer: 1, run }, stopAt: 0 })).toThrow("never passes");
  });

  test("positions and tokens that are not there", () => {
    expect(wrong({ unembed: [2] })).toThrow("unembed asks for position 2 of prompts of 2 tokens");
    expect(wrong({ unembed: [[0], [1]] })).toThrow("a list for 2 prompts, of 1");
    expect(wrong({ unembed: "first" })).toThrow('unembed is "first"');
    expect(wrong({ directions: [17] })).toThrow("directions has 17; it is a list of output tokens, 0 to 16");
    expect(wrong({ directions: 3 })).toThrow("directions has 3");
    expect(() =>
      model.run(
        [
          [1, 2],
          [3, 4],
        ],
        { unembed: [[0], [0, 1]] },
      ),
    ).toThrow("1 positions of one prompt and 2");
  });
});
