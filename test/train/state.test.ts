/** Runs of training stopped, kept as bytes, read and taken up again: the same to the bit as runs that never stopped. */
import { describe, expect, test } from "vitest";
import { FormatError, InputError } from "../../src/errors.ts";
import { edit } from "../../src/interventions/index.ts";
import { parseSafetensors, writeSafetensors } from "../../src/io/index.ts";
import { parseConfig } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { Random } from "../../src/tensor/index.ts";
import {
  adam,
  adamW,
  cosineSchedule,
  initialModel,
  linearSchedule,
  sgd,
  train,
  trainingStateFromSafetensors,
  trainingStateToSafetensors,
} from "../../src/train/index.ts";
import type { Batches, TrainingBatch, TrainingState, TrainOptions } from "../../src/train/index.ts";

const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 6, d_vocab: 7, act_fn: "gelu" });
const model = initialModel(config, { seed: 3, init: "gpt2", std: 0.2 });

function batchOf(step: number): TrainingBatch {
  const random = new Random(step);
  const row = (): number[] => Array.from({ length: 6 }, () => random.int(7));
  return { tokens: [row(), row()], lossMask: [row(), row()] };
}

const list = Array.from({ length: 4 }, (_, step) => batchOf(step));

function* generated(): Generator<TrainingBatch> {
  for (let step = 0; ; step++) yield batchOf(step);
}

async function* slowly(): AsyncGenerator<TrainingBatch> {
  for (const batch of generated()) {
    await Promise.resolve();
    yield batch;
  }
}

const numbersOf = ({ weights }: Transformer): number[] => [...weights.values()].flatMap(({ data }) => [...data]);
const throughBytes = (state: TrainingState): TrainingState =>
  trainingStateFromSafetensors(trainingStateToSafetensors(state));

const once = generated();
/** Data of both parts of a run, and of a run that is not stopped. */
const sources: Record<string, readonly [whole: Batches, first: Batches, rest: Batches]> = {
  "a function of the step": [batchOf, batchOf, batchOf],
  "a function that promises": [batchOf, async (step) => Promise.resolve(batchOf(step)), batchOf],
  "a list that begins again": [list, list, list],
  "an iterable that begins again": [list, new Set(list), new Set(list)],
  "data by name": [batchOf, ...twice({ name: "random", d_vocab: 7, n_ctx: 6, batch: batchOf })],
  "a generator, anew": [batchOf, generated(), generated()],
  "a generator, the same": [batchOf, once, once],
  "an asynchronous generator": [batchOf, slowly(), slowly()],
  "an asynchronous iterable": [batchOf, ...twice({ [Symbol.asyncIterator]: slowly })],
};

function twice<T>(one: T): readonly [T, T] {
  return [one, one];
}

const zero = edit("L0H1", "zero");
const kinds: Record<string, Omit<TrainOptions, "steps">> = {
  adamW: { optimizer: adamW({ lr: 0.01, decays: "matrices" }), schedule: cosineSchedule({ steps: 11, warmup: 3 }) },
  adam: { optimizer: adam({ lr: 0.01, betas: [0.8, 0.95], weightDecay: 0.1 }), clip: { norm: 0.3 } },
  sgd: { optimizer: sgd({ lr: 0.3 }), clip: { value: 0.02 } },
  "sgd with momentum": {
    optimizer: sgd({ lr: 0.1, momentum: 0.9, nesterov: true }),
    schedule: linearSchedule({ steps: 12 }),
  },
  "a schedule that is a function": { optimizer: adamW({ lr: 0.01 }), schedule: (step) => 1 / (1 + step) },
  "edits by stretches": { optimizer: adamW({ lr: 0.01 }), edits: [{ from: 2, to: 7, edits: zero }] },
};

async function halves(
  [first, rest]: readonly [Batches, Batches],
  options: Omit<TrainOptions, "steps">,
  at: number,
): Promise<readonly [losses: number[], weights: number[]]> {
  const half = await train(model, first, { steps: at, ...options });
  const { schedule, edits } = options;
  const again = { schedule: typeof schedule === "function" ? schedule : undefined, edits };
  const whole = await train(throughBytes(half.state), rest, { steps: 11, ...again });
  return [[...half.losses, ...whole.losses], numbersOf(whole.model)];
}

describe("a run that is stopped and taken up again", () => {
  test.each(Object.entries(sources))("reads on from %s", async (_, [whole, first, rest]) => {
    const options = { optimizer: adamW({ lr: 0.01 }) };
    const { losses, model: last } = await train(model, whole, { steps: 11, ...options });
    expect(await halves([first, rest], options, 5)).toEqual([[...losses], numbersOf(last)]);
  });

  test.each(Object.entries(kinds))("%s", async (_, options) => {
    const { losses, model: last } = await train(model, batchOf, { steps: 11, ...options });
    for (const at of [1, 5, 11]) {
      expect(await halves([batchOf, batchOf], options, at)).toEqual([[...losses], numbersOf(last)]);
    }
  });

  test("asks again for what is in no file", async () => {
    const { state } = await train(model, batchOf, { steps: 1, schedule: () => 1, edits: [{ edits: zero }] });
    await expect(train(state, batchOf, { steps: 2 })).rejects.toThrow("the schedule of the run before was a function");
    const schedule = (): number => 1;
    await expect(train(state, batchOf, { steps: 2, schedule })).rejects.toThrow("the run before was edited");
    await expect(train(state, batchOf, { steps: 2, schedule, edits: [] })).resolves.toBeDefined();
    await expect(train(state, batchOf, { steps: 2, schedule, edits: [], optimizer: sgd() })).rejects.toThrow(
      "the run before had the optimizer adamw",
    );
    await expect(train(state, batchOf, { steps: 0 })).rejects.toThrow(InputError);
  });

  test("of a generator that is too far, or at its end, says so", async () => {
    const data = generated();
    await train(model, data, { steps: 3 });
    await expect(train(model, data, { steps: 1 })).rejects.toThrow("taken to batch 3 already, and step 0 is before");
    const three = list.slice(0, 3).values();
    await expect(train(model, three, { steps: 4 })).rejects.toThrow(
      "the data end after 3 batches, and step 3 has none",
    );
    await expect(train(model, new Set<TrainingBatch>(), { steps: 1 })).rejects.toThrow("the data end after 0 batches");
  });
});

describe("bytes of a state", async () => {
  const { state } = await train(model, batchOf, { steps: 2, clip: { norm: 1 } });
  const bytes = trainingStateToSafetensors(state);
  const file = parseSafetensors(bytes);
  const tensors = new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
  const metadata = Object.fromEntries(file.metadata);
  const settings = JSON.parse(metadata["training"] ?? "") as Record<string, unknown>;
  const written = (change: object): Uint8Array =>
    writeSafetensors(tensors, { metadata: { ...metadata, training: JSON.stringify({ ...settings, ...change }) } });

  test("give the state again", () => {
    const again = trainingStateFromSafetensors(bytes);
    expect({ ...again, model: numbersOf(again.model), moments: [...again.moments.keys()] }).toEqual({
      ...state,
      model: numbersOf(state.model),
      moments: ["exp_avg", "exp_avg_sq"],
    });
    for (const [moment, own] of again.moments) {
      for (const [name, { data }] of own) expect(data).toEqual(state.moments.get(moment)?.get(name)?.data);
    }
    expect(trainingStateToSafetensors(again)).toEqual(bytes);
  });

  test.each<readonly [string, Uint8Array | (() => Uint8Array), string]>([
    ["nothing", new Uint8Array(0), "empty or cut short"],
    ["a model's file", writeSafetensors(model.weights), 'its header has no "training"'],
    ["another version", written({ version: 2 }), "it is of version 2; 1 is read here"],
    ["a step below 0", written({ step: -1 }), "its step is no number of updates"],
    ["a step that is text", written({ step: "4" }), "its step is no number of updates"],
    ["an unknown optimizer", written({ optimizer: { kind: "lion" } }), "its optimizer cannot be used"],
    ["a rate that is text", written({ optimizer: { kind: "adamw", lr: "1" } }), "lr is"],
    ["a setting of nobody", written({ optimizer: { kind: "adamw", speed: 1 } }), 'no option "speed"'],
    ["a schedule of no steps", written({ schedule: { kind: "cosine", steps: 0 } }), "its schedule cannot be used"],
    ["a schedule named constructor", written({ schedule: { kind: "constructor" } }), "its schedule cannot be used"],
    ["clipping to nothing", written({ clip: { norm: 0 } }), "its clip cannot be used"],
    ["edits that may be", written({ isEdited: 1 }), "whether the run was edited"],
    ["data that are a number", written({ data: 4 }), "the name of its data is no text"],
    [
      "another optimizer's moments",
      written({ optimizer: sgd({ momentum: 0.9 }) }),
      'it has a tensor "exp_avg.embed.W_E"',
    ],
    ["settings that are no JSON", writeSafetensors(tensors, { metadata: { ...metadata, training: "{" } }), "not JSON"],
    ["settings that are a list", writeSafetensors(tensors, { metadata: { ...metadata, training: "[]" } }), "no object"],
    ["a configuration of a million layers", withConfig({ n_layers: 1_000_000 }), "its model cannot be used"],
    ["a configuration of other weights", withConfig({ d_model: 12 }), "its model cannot be used"],
    ["a configuration that is none", withConfig({ d_model: null }), "its config cannot be used"],
    ["half of its numbers", writeSafetensors(tensors, { metadata, dtype: "F16" }), "is of F16; a run has F32"],
    ["weights left out", without("embed.W_E"), "its model cannot be used"],
    ["a moment left out", without("exp_avg.embed.W_E"), 'it has no tensor "exp_avg.embed.W_E"'],
    ["a moment of another shape", moved("exp_avg.embed.W_E", "unembed.b_U"), "but its weight has [7, 8]"],
    ["a mean square below 0", changed("exp_avg_sq.unembed.b_U", -1), 'tensor "exp_avg_sq.unembed.b_U" holds -1'],
    ["a moment that is no number", changed("exp_avg.unembed.b_U", NaN), 'tensor "exp_avg.unembed.b_U" holds NaN'],
    ["weights that are none", changed("unembed.b_U", Infinity), "its model cannot be used"],
  ])("of %s are refused", (_, given, text) => {
    const read = (): unknown =>
      trainingStateFromSafetensors(typeof given === "function" ? given() : given, { name: "run.safetensors" });
    expect(read).toThrow(FormatError);
    expect(read).toThrow("run.safetensors");
    expect(read).toThrow(text);
  });

  test("damaged anywhere are refused, or read as numbers", () => {
    const random = new Random(5);
    for (let i = 0; i < 300; i++) {
      const damaged = bytes.slice(0, random.int(8) === 0 ? random.int(bytes.length) : bytes.length);
      for (let n = random.int(4); n >= 0; n--) damaged[random.int(i % 2 === 0 ? 3000 : bytes.length)] = random.int(256);
      try {
        const { step, model: read } = trainingStateFromSafetensors(damaged);
        expect(Number.isSafeInteger(step) && numbersOf(read).every(Number.isFinite)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
  });

  function withConfig(change: object): Uint8Array {
    const json = JSON.stringify({ ...(JSON.parse(metadata["config"] ?? "") as object), ...change });
    return writeSafetensors(tensors, { metadata: { ...metadata, config: json } });
  }

  function without(name: string): Uint8Array {
    return writeSafetensors(new Map([...tensors].filter(([own]) => own !== name)), { metadata });
  }

  function moved(to: string, from: string): Uint8Array {
    const tensor = tensors.get(from);
    return writeSafetensors(tensor === undefined ? tensors : new Map([...tensors, [to, tensor]]), { metadata });
  }

  /** The bytes with the first number of a tensor another. */
  function changed(name: string, value: number): Uint8Array {
    const out = bytes.slice();
    new DataView(out.buffer).setFloat32(file.tensors.get(name)?.byteOffset ?? 0, value, true);
    return out;
  }
});
