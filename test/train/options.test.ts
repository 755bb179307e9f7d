/** What training takes: batches with their masks, every kind of model, edits, signals; and what it refuses. */
import { describe, expect, test } from "vitest";
import { InputError, CircuitsError } from "../../src/errors.ts";
import { edit } from "../../src/interventions/index.ts";
import { editAt, parseConfig } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { map, Random, Tensor } from "../../src/tensor/index.ts";
import { adamW, initialModel, sgd, train } from "../../src/train/index.ts";
import type { TrainingBatch, TrainOptions } from "../../src/train/index.ts";
import { kinds as families, modelOf as familyModel } from "../support/families.ts";
import { randomModel } from "../support/random-model.ts";

const config = parseConfig({ n_layers: 2, n_heads: 2, d_model: 8, n_ctx: 6, d_vocab: 7, attn_only: true });
const model = initialModel(config, { seed: 1 });
const random = new Random(4);
const row = (length = 6): number[] => Array.from({ length }, () => random.int(7));
const tokens = [row(), row(), row()];
const numbersOf = ({ weights }: Transformer): number[] => [...weights.values()].flatMap(({ data }) => [...data]);

async function lossOf(batch: TrainingBatch, of = model): Promise<number> {
  const { losses } = await train(of, [batch], { steps: 1, optimizer: sgd({ lr: 0 }) });
  return losses[0] as number;
}

describe("a batch", () => {
  test("is as good as a list, a tensor or typed arrays", async () => {
    const weights = tokens.map((ids) => ids.map((id) => id / 7));
    const given = { tokens, targets: tokens, lossMask: weights };
    const loss = await lossOf(given);
    const tensors = {
      tokens: Tensor.fromNested("batch pos", tokens),
      targets: Tensor.fromNested("batch pos", tokens),
      lossMask: Tensor.from("batch pos", [3, 6], weights.flat(), "float64"),
    };
    expect(await lossOf(tensors)).toBe(loss);
    const typed = {
      tokens,
      targets: tokens.map((ids) => Int32Array.from(ids)),
      lossMask: weights.map((ids) => Float64Array.from(ids)),
    };
    expect(await lossOf(typed)).toBe(loss);
  });

  test("padded on either side has the loss of its texts by themselves, within 1e-6 nats", async () => {
    const [long = [], short = []] = [row(6), row(4)];
    const [whole, part] = [await lossOf({ tokens: [long] }), await lossOf({ tokens: [short] })];
    const mean = (whole * 5 + part * 3) / 8;
    const left = { tokens: [long, [0, 0, ...short]], attentionMask: [row().map(() => 1), [0, 0, 1, 1, 1, 1]] };
    const right = { tokens: [long, [...short, 0, 0]], attentionMask: [row().map(() => 1), [1, 1, 1, 1, 0, 0]] };
    expect(Math.abs((await lossOf(left)) - mean)).toBeLessThan(1e-6);
    expect(Math.abs((await lossOf(right)) - mean)).toBeLessThan(1e-6);
  });

  test("with next tokens as targets, the last masked, has the loss of none", async () => {
    const targets = tokens.map((ids) => [...ids.slice(1), -100]);
    const lossMask = tokens.map((ids) => ids.map((_, p) => (p < 5 ? 1 : 0)));
    expect(await lossOf({ tokens, targets, lossMask })).toBe(await lossOf({ tokens }));
  });

  test("may leave whole prompts out of the mean", async () => {
    const lossMask = tokens.map((_, b) => tokens[0]?.map(() => (b === 1 ? 2 : 0)) ?? []);
    const alone = await lossOf({ tokens: tokens.slice(1, 2) });
    expect(Math.abs((await lossOf({ tokens, lossMask })) - alone)).toBeLessThan(1e-6);
  });

  test.each<readonly [string, unknown, string]>([
    ["no batch", undefined, "the batch of step 0 is null"],
    ["a list of ids", tokens, "the batch of step 0 is an array"],
    ["an unknown name", { tokens, mask: tokens }, 'there is no option "mask"'],
    ["no tokens", {}, "tokens are undefined"],
    ["a token that is none", { tokens: [[7]] }, "token 7 at position 0 of prompt 0"],
    ["a prompt too long", { tokens: [row(7)] }, "n_ctx=6"],
    ["prompts of one token", { tokens: [[1], [2]] }, "give targets"],
    ["masks of other sizes", { tokens, lossMask: [row()] }, "lossMask of step 0 is lists of 6 numbers"],
    ["a mask as a flat list", { tokens, lossMask: row() }, "Give a list for each prompt"],
    ["a mask that is nothing", { tokens, lossMask: tokens.map((ids) => ids.map(() => 0)) }, "sums to 0"],
    ["a mask below 0", { tokens, lossMask: tokens.map((ids) => ids.map(() => -1)) }, "lossMask of step 0 is -1"],
    ["a mask of NaN", { tokens, lossMask: tokens.map((ids) => ids.map(() => NaN)) }, "lossMask of step 0 is NaN"],
    ["a mask of text", { tokens, lossMask: tokens.map((ids) => ids.map(String)) }, "lossMask of step 0 is NaN"],
    ["targets that are none", { tokens, targets: tokens.map((ids) => ids.map(() => 7)) }, "is 7; the model has 7"],
    ["targets of fractions", { tokens, targets: tokens.map((ids) => ids.map(() => 0.5)) }, "is 0.5"],
    ["a turned tensor", { tokens, targets: Tensor.zeros("pos batch", [3, 6]) }, "targets of step 0 is [pos=3 batch=6]"],
    ["an attention mask of all", { tokens, attentionMask: tokens.map((ids) => ids.map(() => 0)) }, "hides all"],
  ])("that is %s is refused", async (_, batch, text) => {
    const error: unknown = await train(model, () => batch as TrainingBatch, { steps: 1 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CircuitsError);
    expect((error as Error).message).toContain(text);
  });
});

describe("options", () => {
  const spelled: readonly (readonly [string, unknown, string])[] = [
    ["no steps", {}, "steps is undefined"],
    ["steps of 0", { steps: 0 }, "steps is 0"],
    ["steps of text", { steps: "10" }, "steps is 10"],
    ["a misspelt name", { steps: 1, optimiser: adamW() }, "Did you mean optimizer?"],
    ["an optimizer's name", { steps: 1, optimizer: "adam" }, "Make one with adamW({ lr })"],
    ["a schedule's name", { steps: 1, schedule: "cosine" }, "Make one with cosineSchedule"],
    ["clipping by a number", { steps: 1, clip: 1 }, "clip is 1, not an object"],
    ["clipping twice", { steps: 1, clip: { norm: 1, value: 1 } }, "Give one of them"],
    ["clipping below 0", { steps: 1, clip: { norm: -1 } }, "a number above 0"],
    ["checkpoints of 0", { steps: 1, checkpoints: 0 }, "checkpoints is 0"],
    ["checkpoints of text", { steps: 1, checkpoints: ["1"] }, "a list of steps from 0"],
    ["a callback that is none", { steps: 1, onStep: 4 }, "onStep is 4, not a function"],
    ["an edit of no hook", { steps: 1, edits: { "blocks.9.hook_z": () => 0 } }, 'there is no hook "blocks.9.hook_z"'],
    [
      "an edit without a derivative",
      { steps: 1, edits: editAt("hook_embed", (x) => map(x, () => 0)) },
      "no derivative",
    ],
    ["an edit of no head", { steps: 9, edits: [{ from: 8, edits: edit("L5H0", "zero") }] }, "there is no head L5H0"],
    ["a stretch turned round", { steps: 1, edits: [{ from: 3, to: 1, edits: [] }] }, "from 3 to 1"],
    ["a stretch misspelt", { steps: 1, edits: [{ start: 3, edits: [] }] }, 'no option "start"'],
    ["a schedule below 0", { steps: 1, schedule: () => -1 }, "the schedule's factor at step 0 is -1"],
    ["a schedule of nothing", { steps: 1, schedule: () => undefined }, "the schedule's factor at step 0 is undefined"],
  ];
  test.each(spelled)("of %s are refused before the first step", async (_, options, text) => {
    const error: unknown = await train(model, [{ tokens }], options as TrainOptions).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CircuitsError);
    expect((error as Error).message).toContain(text);
  });

  test("of data are told apart", async () => {
    const refusal = async (data: unknown): Promise<string> => {
      const error: unknown = await train(model, data as [], { steps: 1 }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      return (error as Error).message;
    };
    expect(await refusal({ tokens })).toContain("It is one batch: write [batch]");
    expect(await refusal(undefined)).toContain("data is undefined, not a source of batches");
    expect(await refusal([])).toContain("the data end after 0 batches");
    expect(await refusal("text")).toContain('data is "text"');
    const batch = (): TrainingBatch => ({ tokens });
    expect(await refusal({ name: "wide", d_vocab: 8, n_ctx: 6, batch })).toContain("the data (wide) have d_vocab=8");
    expect(await refusal({ name: "long", d_vocab: 7, n_ctx: 7, batch })).toContain("have n_ctx=7 but the model has");
  });
});

describe("one step of gradient descent", () => {
  const others = {
    standard: randomModel({ position: "standard", bias: true }),
    shortformer: randomModel({ position: "shortformer", norm: "LN", bias: true }),
    rotary: randomModel({ position: "rotary", norm: "RMSPre", mlp: "silu" }),
    none: randomModel({ position: "none", norm: "RMS", config: { d_vocab_out: 19 } }),
    bidirectional: randomModel({ position: "standard", norm: "LNPre", config: { attention_dir: "bidirectional" } }),
    "solu_ln beside the heads": randomModel({ norm: "LN", mlp: "solu_ln", parallel: true, bias: true }),
    "without layers": randomModel({ n_layers: 0, position: "standard" }),
    float64: randomModel({ dtype: "float64", norm: "LN" }),
  };
  const all = [
    ...Object.entries(others),
    ...Object.keys(families).map((kind) => [kind, familyModel(kind)] as const),
  ] as const;

  test.each(all)(
    "lowers the loss of %s by the rate times the square of the gradient, within 5 %%",
    async (_, start) => {
      const { d_vocab, n_ctx } = start.config;
      const draw = new Random(11);
      const batch = {
        tokens: Array.from({ length: 2 }, () => Array.from({ length: Math.min(8, n_ctx) }, () => draw.int(d_vocab))),
      };
      const first = await train(start, [batch], { steps: 1, optimizer: sgd({ lr: 0 }) });
      const squares = (first.gradientNorms[0] as number) ** 2;
      // A change of the loss of 0.002 nats: far above rounding, and small enough for a straight line.
      const lr = 0.002 / squares;
      const { model: moved } = await train(start, [batch], { steps: 1, optimizer: sgd({ lr }) });
      const drop = (first.losses[0] as number) - (await lossOf(batch, moved));
      expect(drop / 0.002).toBeGreaterThan(0.95);
      expect(drop / 0.002).toBeLessThan(1.05);
    },
  );

  test("moves nothing of what feeds a clamped head alone", async () => {
    const clamped = [edit("L0H1", "zero"), edit({ hook: "pattern", layer: 1, head: 0 }, { set: 0.1 })];
    const { model: moved } = await train(model, [{ tokens }], {
      steps: 1,
      optimizer: sgd({ lr: 0.1 }),
      edits: clamped,
    });
    const isSame = (name: string, head: number): boolean => {
      const [before, after] = [model, moved].map((of) =>
        JSON.stringify(of.weight(name).select("head", head).toNested()),
      );
      return before === after;
    };
    const same = (layer: number, head: number, names: string): boolean[] =>
      names.split(" ").map((name) => isSame(`blocks.${layer}.attn.${name}`, head));
    expect(same(0, 1, "W_Q W_K W_V W_O b_Q b_K b_V")).toEqual([true, true, true, true, true, true, true]);
    expect(same(0, 0, "W_Q W_K W_V W_O b_V")).toEqual([false, false, false, false, false]);
    // A pattern from outside passes nothing to queries and keys; values and outputs are trained through it.
    expect(same(1, 0, "W_Q W_K W_V W_O b_Q b_K b_V")).toEqual([true, true, false, false, true, true, false]);
  });

  test("with edits made anew for each step is as with stretches", async () => {
    const options = { steps: 4, optimizer: sgd({ lr: 0.1 }) };
    const scaled = (scale: number) => edit("L0H0", { scale });
    const stretches = [
      { to: 2, edits: scaled(0.5) },
      { from: 3, edits: [scaled(2), scaled(2)] },
    ];
    const one = await train(model, [{ tokens }], { ...options, edits: stretches });
    const edits = (step: number) => (step < 2 ? scaled(0.5) : step === 3 ? scaled(4) : undefined);
    const other = await train(model, [{ tokens }], { ...options, edits });
    expect(numbersOf(one.model)).toEqual(numbersOf(other.model));
    const never = await train(model, [{ tokens }], options);
    expect(numbersOf(one.model)).not.toEqual(numbersOf(never.model));
  });
});

describe("a run on its way", () => {
  test("lets timers have their turn, and is stopped by a signal", async () => {
    const control = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => {
      control.abort(reason);
    }, 30);
    const run = train(model, [{ tokens }], { steps: 1_000_000, signal: control.signal });
    await expect(run).rejects.toBe(reason);
    await expect(train(model, [{ tokens }], { steps: 1, signal: control.signal })).rejects.toBe(reason);
  });

  test("is stopped by a signal that a callback aborts", async () => {
    const control = new AbortController();
    const seen: number[] = [];
    const run = train(model, [{ tokens }], {
      steps: 9,
      signal: control.signal,
      onProgress: (done, total) => {
        seen.push(done, total);
        if (done === 3) control.abort();
      },
    });
    await expect(run).rejects.toThrow(/abort/i);
    expect(seen).toEqual([1, 9, 2, 9, 3, 9]);
  });

  test("gives the errors of callbacks and data", async () => {
    const fail = (): never => {
      throw new RangeError("mine");
    };
    for (const given of [{ onStep: fail }, { checkpoints: 1, onCheckpoint: fail }, { schedule: fail }]) {
      await expect(train(model, [{ tokens }], { steps: 2, ...given })).rejects.toThrow("mine");
    }
    await expect(train(model, fail, { steps: 2 })).rejects.toThrow("mine");
    const later = async (): Promise<TrainingBatch> => Promise.reject(new RangeError("later"));
    await expect(train(model, later, { steps: 2 })).rejects.toThrow("later");
  });

  test("ends where onStep says so, with what was done", async () => {
    const { state, losses } = await train(model, [{ tokens }], {
      steps: 9,
      onStep: ({ step }) => (step === 4 ? "stop" : undefined),
    });
    expect([state.step, losses.length]).toEqual([5, 5]);
  });

  test("gives norms of gradients that make up the whole", async () => {
    await train(model, [{ tokens }], {
      steps: 2,
      onStep: ({ gradientNorm, gradientNorms }) => {
        expect([...gradientNorms.keys()]).toEqual([...model.weights.keys()]);
        expect(Math.hypot(...gradientNorms.values())).toBeCloseTo(gradientNorm, 12);
      },
    });
  });
});

test("checkpoints at listed steps, and where a function says so", async () => {
  const stepsOf = async (checkpoints: TrainOptions["checkpoints"]): Promise<number[]> => {
    const steps: number[] = [];
    await train(model, [{ tokens }], {
      steps: 6,
      checkpoints,
      onCheckpoint: ({ step }) => {
        steps.push(step);
      },
    });
    return steps;
  };
  expect(await stepsOf([1, 4, 99])).toEqual([1, 4]);
  expect(await stepsOf((step) => step % 5 === 0)).toEqual([0, 5]);
  expect(await stepsOf(undefined)).toEqual([]);
});
