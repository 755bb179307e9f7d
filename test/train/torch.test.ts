/**
 * Steps of training against torch's optimizers on TransformerLens's models, float32 on both sides; see
 * `../fixtures/training/make.py`.
 *
 * Each weight agrees within 1e-5. A bias of keys moves all scores of a query alike where it is not rotated, so that its
 * gradient is rounding around 0, which Adam divides by its own size: there each side may go its rate at each step, and
 * gradient descent nowhere.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { edit } from "../../src/interventions/index.ts";
import type { EditTarget } from "../../src/interventions/index.ts";
import { parseSafetensors } from "../../src/io/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { parseConfig, Transformer } from "../../src/model/index.ts";
import {
  adam,
  adamW,
  cosineSchedule,
  inverseSquareRootSchedule,
  linearSchedule,
  sgd,
  stepSchedule,
  train,
} from "../../src/train/index.ts";
import type { Decays, EditStretch, Optimizer, Schedule } from "../../src/train/index.ts";
import { goldenFile, loadGolden } from "../support/golden.ts";
import type { GoldenCase } from "../support/golden.ts";

/** A change of activations at some of the steps. */
interface RunEdit {
  readonly hook: "z" | "pattern" | "mlp_post";
  readonly layer: number;
  readonly head?: number;
  readonly set?: number | "uniform";
  readonly scale?: number;
  readonly start?: number;
  readonly end?: number;
}

interface Run {
  readonly golden?: GoldenCase;
  readonly kind?: string;
  readonly optimizer: "AdamW" | "Adam" | "SGD";
  readonly options: {
    readonly lr: number;
    readonly betas?: readonly [number, number];
    readonly eps?: number;
    readonly weight_decay?: number;
    readonly momentum?: number;
    readonly nesterov?: boolean;
  };
  readonly steps: number;
  readonly decays?: Decays;
  readonly clip?: { readonly norm: number } | { readonly value: number };
  readonly schedule?: Schedule;
  readonly mask?: true;
  readonly targets?: true;
  readonly edits?: readonly RunEdit[];
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly rates: readonly number[];
}

const fixture = (path: string): Uint8Array => readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
const textOf = (path: string): unknown => JSON.parse(new TextDecoder().decode(fixture(path)));
const runs = textOf("training/torch.json") as Readonly<Record<string, Run>>;
const kinds = textOf("gradients/kinds.json") as Readonly<Record<string, object>>;
const file = parseSafetensors(fixture("training/torch.safetensors"));
const kindsFile = parseSafetensors(fixture("gradients/kinds.safetensors"));

function modelOf({ golden, kind = "" }: Run): Transformer {
  if (golden !== undefined) return loadGolden(golden).model;
  const start = `${kind}/weight/`;
  const names = [...kindsFile.tensors.keys()].filter((name) => name.startsWith(start));
  const weights = names.map((name) => [name.slice(start.length), kindsFile.read(name)] as const);
  return Transformer.fromWeights(parseConfig(kinds[kind]), new Map(weights));
}

function optimizerOf({ optimizer, options, decays }: Run): Optimizer {
  const { weight_decay: weightDecay, lr, betas, eps, momentum, nesterov } = options;
  if (optimizer === "SGD") return sgd({ lr, momentum, nesterov, weightDecay });
  return optimizer === "Adam" ? adam({ lr, betas, eps, weightDecay }) : adamW({ lr, betas, eps, weightDecay, decays });
}

function scheduleOf({ schedule }: Run): Schedule | undefined {
  if (schedule?.kind === "cosine") return cosineSchedule({ warmup: schedule.warmup, steps: schedule.steps });
  if (schedule?.kind === "linear") return linearSchedule({ warmup: schedule.warmup, steps: schedule.steps });
  if (schedule?.kind === "step") return stepSchedule({ every: schedule.every, factor: schedule.factor });
  return schedule && inverseSquareRootSchedule({ warmup: schedule.warmup });
}

function editsOf({ edits }: Run, pos: number): EditStretch[] | undefined {
  return edits?.map(({ hook, layer, head, set = 0, scale, start, end }) => {
    const at = head === undefined ? ({ hook, layer } as const) : ({ hook, layer, head } as const);
    const values = set === "uniform" ? uniform(pos) : set;
    return { from: start, to: end, edits: edit(at as EditTarget, scale === undefined ? { set: values } : { scale }) };
  });
}

/** Each query looks at all positions up to its own alike. */
function uniform(pos: number): Tensor {
  const rows = Array.from({ length: pos }, (_, q) => Array.from({ length: pos }, (_, k) => (k <= q ? 1 / (q + 1) : 0)));
  return Tensor.fromNested("query_pos key_pos", rows);
}

/** A step's part of a tensor `[step, batch, pos]`. */
function rowsOf(name: string, step: number): number[][] {
  return file.read(name, { axes: "step batch pos" }).select("step", step).toNested() as number[][];
}

describe.each(Object.entries(runs))("%s", async (name, run) => {
  const rates: number[] = [];
  const { model, losses, gradientNorms } = await train(
    modelOf(run),
    (step) => ({
      tokens: rowsOf(`${name}/tokens`, step),
      targets: run.targets && rowsOf(`${name}/targets`, step),
      lossMask: run.mask && rowsOf(`${name}/mask`, step),
    }),
    {
      steps: run.steps,
      optimizer: optimizerOf(run),
      schedule: scheduleOf(run),
      clip: run.clip,
      edits: editsOf(run, file.tensors.get(`${name}/tokens`)?.shape[2] ?? 0),
      onStep: ({ rate }) => rates.push(rate),
    },
  );
  const { d_head, rotary_dim } = model.config;
  const isFree = (weight: string, i: number): boolean =>
    weight.endsWith("b_K") && i % d_head >= (rotary_dim ?? 0) && run.optimizer !== "SGD";
  const moved = 2 * run.rates.reduce((sum, rate) => sum + rate, 0);

  test.each([...model.weights.keys()])("%s is torch's within 1e-5", (weight) => {
    const expected = file.read(`${name}/weight/${weight}`).data;
    for (const [i, x] of model.weight(weight).data.entries()) {
      const deviation = Math.abs(x - (expected[i] as number));
      if (!(deviation <= (isFree(weight, i) ? moved : 1e-5))) expect({ i, deviation }).toEqual({ i, deviation: 0 });
    }
  });

  test("losses within 1e-5 nats, norms within 2e-5 of themselves, rates to the last digits", () => {
    for (const [step, loss] of run.losses.entries()) {
      expect(Math.abs((losses[step] as number) - loss)).toBeLessThan(1e-5);
      const norm = run.norms[step] as number;
      expect(Math.abs((gradientNorms[step] as number) - norm)).toBeLessThan(2e-5 * norm);
      expect(rates[step]).toBeCloseTo(run.rates[step] as number, 14);
    }
  });
});

test("three of the models are golden ones, of three kinds of positions", () => {
  const golden = Object.values(runs).filter((run) => run.golden !== undefined);
  const positions = golden.map(({ golden: of }) => {
    const text = readFileSync(goldenFile(of as GoldenCase, "config.json"), "utf8");
    return parseConfig(JSON.parse(text)).positional_embedding_type;
  });
  expect(positions).toEqual(["shortformer", "rotary", "standard"]);
});
