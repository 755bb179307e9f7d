/** Phases of films that were made with known ones. */
import { describe, expect, test } from "vitest";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import { trainingFilm, trainingPhases } from "../../../src/train/film/index.ts";
import type { FilmComposition, FilmFrame, FilmHeads } from "../../../src/train/film/index.ts";

const COUNT = 60;
const EVERY = 25;
const ramp = (from: number, to: number) => (step: number) => Math.min(1, Math.max(0, (step - from) / (to - from)));

interface Course {
  /** The excess of each head by step, `[layer, head]`. */
  readonly previous?: (step: number, layer: number, head: number) => number;
  readonly induction?: (step: number, layer: number, head: number) => number;
  readonly share?: (step: number) => number;
  readonly context?: (step: number) => number;
  readonly loss?: (step: number) => number;
  readonly noise?: number;
}

const LAYERS = 2;
const HEADS = 2;

function filmOf(course: Course, floors?: Record<string, number>) {
  const random = new Random(7);
  const noisy = (x: number): number => x + (course.noise ?? 0.01) * random.normal();
  const perHead = (of: (layer: number, head: number) => number): Tensor<"layer head"> =>
    Tensor.from(
      "layer head",
      [LAYERS, HEADS],
      Float64Array.from({ length: LAYERS * HEADS }, (_, i) => of(Math.floor(i / HEADS), i % HEADS)),
    );
  const kind = (step: number, of: Course["previous"] = () => 0): FilmHeads => {
    const excess = perHead((layer, head) => noisy(of(step, layer, head)));
    // found as the library finds: where the excess is surely above a quarter
    const found = perHead((layer, head) => (excess.at(layer, head) > 0.3 ? 1 : 0));
    return { score: excess, excess, margin: perHead(() => 0.03), found };
  };
  const none = kind(0);
  const pairs = (of: number) =>
    Tensor.from("writer_layer writer_head reader_layer reader_head", [2, 2, 2, 2], new Float64Array(16).fill(of));
  const composition = (share: number): FilmComposition => ({
    ...{ score: pairs(0), share: pairs(share), chance: pairs(0.2), zScores: pairs(0) },
  });
  const frames = Array.from({ length: COUNT }, (_, i): FilmFrame => {
    const step = EVERY * i;
    const { previous, induction, share, context, loss } = course;
    return {
      ...{ step, loss: NaN, n_layers: LAYERS, n_heads: HEADS, uniform: Math.log(3) },
      heads: {
        ...{ current: none, first: none, duplicate: none, induction: none },
        ...{ previous: kind(step, previous), prefixMatching: kind(step, induction) },
      },
      ...(share && {
        composition: {
          Q: composition(0.2),
          K: composition(noisy(share(step))),
          V: composition(0.2),
          baseline: { mean: 0.1, std: 0.01 },
        },
      }),
      ...(context && { contextScore: { mean: noisy(context(step)), error: 0.01 } }),
      ...(loss && { meanLoss: { mean: noisy(loss(step)), error: 0.01 } }),
    };
  });
  return trainingFilm(frames, { floors });
}

describe("phases of heads", () => {
  test("are where the excess of the right head rises, within two checkpoints", () => {
    const film = filmOf({
      previous: (step, layer, head) => (layer === 0 && head === 1 ? 0.8 * ramp(200, 400)(step) : 0),
      induction: (step, layer, head) => (layer === 1 && head === 0 ? 0.9 * ramp(600, 750)(step) : 0),
      share: (step) => 0.2 + 0.5 * ramp(300, 500)(step),
    });
    const phases = trainingPhases(film);
    expect(phases.map(({ name }) => name)).toEqual(["previous-token head", "K-composition", "induction heads"]);
    for (const [i, [from, to]] of [
      [200, 400],
      [300, 500],
      [600, 750],
    ].entries()) {
      expect(Math.abs((phases[i]?.from ?? NaN) - (from as number))).toBeLessThanOrEqual(2 * EVERY);
      expect(Math.abs((phases[i]?.to ?? NaN) - (to as number))).toBeLessThanOrEqual(2 * EVERY);
    }
    expect(phases.map(({ evidence }) => evidence.heads.join(" "))).toEqual(["L0H1", "L0H1 L1H0", "L1H0"]);
    const [low, high] = phases[0]?.evidence.interval ?? [NaN, NaN];
    expect(low < 0.8 && 0.8 < high).toBe(true);
    expect(phases[2]?.evidence.text).toMatch(
      /^L1H0 attends to what followed earlier occurrences of the current token: excess over chance -?0\.0\d before step \d+, 0\.(89|90|91) from step \d+ on$/,
    );
  });

  test("are none of heads that never become one, or are one from the first checkpoint on", () => {
    expect(trainingPhases(filmOf({ previous: () => 0.1, induction: () => 0 }))).toEqual([]);
    expect(trainingPhases(filmOf({ previous: () => 0.9, induction: () => 0.8 }))).toEqual([]);
  });

  test("follow the head that is one for most of the run, not one that was for a moment", () => {
    const film = filmOf({
      previous: (step, layer, head) => {
        if (layer !== 0) return 0;
        return head === 0 ? (step > 300 && step < 500 ? 0.9 : 0) : 0.6 * ramp(700, 900)(step);
      },
    });
    const [phase] = trainingPhases(film);
    expect(phase?.evidence.heads).toEqual(["L0H1"]);
    expect(Math.abs((phase?.from ?? NaN) - 700)).toBeLessThanOrEqual(2 * EVERY);
  });
});

describe("the bump", () => {
  test("is where the in-context score falls fastest, told in its sentence", () => {
    const [bump, ...rest] = trainingPhases(filmOf({ context: (step) => -0.1 - 0.3 * ramp(500, 700)(step) }));
    expect(rest).toEqual([]);
    expect(bump?.name).toBe("bump");
    expect(bump?.from).toBeGreaterThan(350);
    expect(bump?.from).toBeLessThanOrEqual(550);
    expect(bump?.to).toBeGreaterThanOrEqual(650);
    expect(bump?.to).toBeLessThan(850);
    expect(bump?.evidence.text).toMatch(/^the in-context score falls from -0\.(09|1\d) to -0\.(39|4\d) nats between/);
    const [low, high] = bump?.evidence.interval ?? [NaN, NaN];
    expect(low < high && high < 0).toBe(true);
  });

  test("is none of a score that falls evenly, or stays", () => {
    expect(trainingPhases(filmOf({ context: (step) => -step / 3000 }))).toEqual([]);
    expect(trainingPhases(filmOf({ context: () => -0.2 }))).toEqual([]);
  });
});

describe("phases by known losses", () => {
  const floors = { uniform: 1.0986, bigram: 0.85, unigram: 0.98 };

  test("come in the order of the losses, each while it is the nearest", () => {
    const loss = (step: number): number => 1.0986 - 0.1186 * ramp(200, 300)(step) - 0.13 * ramp(800, 1000)(step);
    const phases = trainingPhases(filmOf({ loss, noise: 0.002 }, floors));
    expect(phases.map(({ name }) => name)).toEqual(["uniform", "unigram", "bigram"]);
    // half way down each ramp
    expect(phases[0]).toMatchObject({ from: 0 });
    expect(Math.abs((phases[1]?.from ?? NaN) - 250)).toBeLessThanOrEqual(EVERY);
    expect(Math.abs((phases[2]?.from ?? NaN) - 900)).toBeLessThanOrEqual(EVERY);
    expect(phases[2]?.to).toBe(EVERY * (COUNT - 1));
    for (const { name, evidence } of phases) {
      const [low, high] = evidence.interval;
      const floor = floors[name as keyof typeof floors];
      expect(low <= floor && floor <= high).toBe(true);
    }
  });

  test("are left out where a run never comes to them, or jumps over them", () => {
    const stays = trainingPhases(filmOf({ loss: () => 1.0, noise: 0.001 }, floors));
    expect(stays.map(({ name }) => name)).toEqual(["unigram"]);
    expect(trainingPhases(filmOf({ loss: () => 1.0, noise: 0.001 }, { optimum: 0.8 }))).toEqual([]);
    const jumps = trainingPhases(filmOf({ loss: (step) => (step < 500 ? 1.1 : 0.85), noise: 0.001 }, floors));
    expect(jumps.map(({ name }) => name)).toEqual(["uniform", "bigram"]);
  });

  test("begin where the loss stays below, not where it first dips", () => {
    const loss = (step: number): number => (step === 100 ? 0.98 : 1.0986 - 0.1186 * ramp(600, 650)(step));
    const phases = trainingPhases(filmOf({ loss, noise: 0.001 }, floors));
    expect(phases.find(({ name }) => name === "unigram")?.from).toBeGreaterThanOrEqual(600);
  });
});

test("a film of few checkpoints, or without what phases are of, has none", () => {
  const frame = (step: number): FilmFrame => ({ step, loss: 1, n_layers: 1, n_heads: 1, uniform: 1 });
  expect(trainingPhases(trainingFilm([frame(0)]))).toEqual([]);
  expect(trainingPhases(trainingFilm([0, 1, 2, 3, 4, 5, 6, 7, 8].map(frame)))).toEqual([]);
});
