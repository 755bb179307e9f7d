/** Films: what a frame measures is the library's own of that name; films keep their order, and come back from JSON. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../../../src/errors.ts";
import { compositionScores, copyingScores, restrictedComposition } from "../../../src/circuits/index.ts";
import { findHeads, headScores } from "../../../src/heads/index.ts";
import { lossPerToken } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { termImportance } from "../../../src/paths/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import {
  filmFrame,
  filmProbe,
  filmRecorder,
  trainingFilm,
  trainingFilmFromJSON,
} from "../../../src/train/film/index.ts";
import { markovChainData, maxOfKData } from "../../../src/train/index.ts";
import type { FilmFrame, FilmMeasure } from "../../../src/train/film/index.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ n_layers: 2, n_heads: 2, d_vocab: 23, n_ctx: 30, bias: true, norm: "LN" });
const probe = filmProbe(model.config, { prompts: 5 });

describe("a frame", () => {
  const frame = filmFrame(model, { step: 3, loss: 2.5, probe });

  test("has the losses of the prompts: their mean, by position, and what the context is worth", () => {
    const { logits } = model.run(probe.tokens);
    const losses = lossPerToken(logits, probe.tokens);
    const [batch = 0, count = 0] = losses.shape;
    const at = (b: number, p: number): number => losses.at(b, p);
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const rows = Array.from({ length: batch }, (_, b) => mean(Array.from({ length: count }, (__, p) => at(b, p))));
    // float32 logits: sums differ in their last digits
    expect(frame.meanLoss?.mean).toBeCloseTo(mean(rows), 5);
    const variance = mean(rows.map((x) => (x - mean(rows)) ** 2)) * (batch / (batch - 1));
    expect(frame.meanLoss?.error).toBeCloseTo(Math.sqrt(variance / batch), 5);
    const byPosition = Array.from({ length: count }, (_, p) => mean(rows.map((__, b) => at(b, p))));
    expect(frame.lossByPosition?.shape).toEqual([count]);
    for (const [p, loss] of byPosition.entries()) expect(frame.lossByPosition?.at(p)).toBeCloseTo(loss, 5);
    // 29 predictions: the second tenth is predictions 2 and 3, the last 27 and 28
    expect(count).toBe(29);
    expect(frame.contextScore?.mean).toBeCloseTo(
      ((byPosition[27] ?? 0) + (byPosition[28] ?? 0) - (byPosition[2] ?? 0) - (byPosition[3] ?? 0)) / 2,
      5,
    );
  });

  test("has the scores of heads, and finds those that findHeads finds", () => {
    const { tokens, period, bos } = probe.repeated ?? expect.fail("there is room");
    const scores = headScores(model, { tokens, period, bos });
    const found = findHeads(scores);
    for (const kind of ["current", "previous", "first", "duplicate", "induction", "prefixMatching"] as const) {
      expect(frame.heads?.[kind].score.data).toEqual(scores[kind].data);
      const name = {
        current: "currentToken",
        previous: "previousToken",
        first: "firstToken",
        duplicate: "duplicateToken",
        induction: "induction",
        prefixMatching: "prefixMatching",
      }[kind] as "currentToken";
      const flags = new Float64Array(4);
      for (const { layer, head } of found[name]) flags[2 * layer + head] = 1;
      expect(frame.heads?.[kind].found.data).toEqual(flags);
    }
  });

  test("has composition, copying and the worth of orders, as their functions give them", () => {
    const [scores, restricted] = [compositionScores(model), restrictedComposition(model)];
    for (const kind of ["Q", "K", "V"] as const) {
      expect(frame.composition?.[kind].score.data).toEqual(scores[kind].data);
      expect(frame.composition?.[kind].share.data).toEqual(restricted[kind].share.data);
      expect(frame.composition?.[kind].chance.data).toEqual(restricted[kind].chance.data);
    }
    expect(frame.copying?.data).toEqual(copyingScores(model).data);
    const rows = termImportance(model, probe.tokens.slice("batch", 0, 4), { heads: false });
    const gains = rows.filter(({ terms }) => terms.startsWith("order")).map(({ gain }) => gain);
    expect([...(frame.importance?.gain.data ?? [])]).toEqual(gains);
    expect(gains.length).toBe(3);
  });

  test("finds the heads of the planted induction circuit, and their composition", () => {
    const planted = plantedModel({ n_ctx: 33 });
    const { heads, composition } = filmFrame(planted, { step: 0 });
    expect([...(heads?.previous.found.data ?? [])]).toEqual([1, 0]);
    expect([...(heads?.prefixMatching.found.data ?? [])]).toEqual([0, 1]);
    expect(heads?.prefixMatching.excess.at(1, 0)).toBeGreaterThan(0.95);
    const { share, chance } = composition?.K ?? expect.fail("there are two layers");
    // its keys read nothing but what L0H0 writes
    expect(share.at(0, 0, 1, 0)).toBeCloseTo(1, 6);
    expect(chance.at(0, 0, 1, 0)).toBeLessThan(0.7);
  });

  test("shows itself", () => {
    expect(inspect(frame).split("\n")[0]).toBe("FilmFrame at step 3 of 2 layers × 2 heads");
  });

  test("measures what is asked for, and leaves out what a model does not have", () => {
    const members = (of: Transformer, measures?: FilmMeasure[]): string[] =>
      Object.keys(filmFrame(of, { step: 0, measures })).slice(5);
    expect(members(model, ["copying"])).toEqual(["copying"]);
    expect(members(randomModel({ n_layers: 1, n_ctx: 30 }))).toEqual([
      ...["meanLoss", "lossByPosition", "contextScore", "heads", "copying", "importance"],
    ]);
    expect(members(randomModel({ n_layers: 0, n_ctx: 30 }))).toEqual([
      ...["meanLoss", "lossByPosition", "contextScore", "importance"],
    ]);
    expect(members(randomModel({ config: { d_vocab_out: 5 } }))).toEqual(["heads", "composition"]);
    expect(members(randomModel({ n_ctx: 3 }))).toEqual(["meanLoss", "lossByPosition", "copying", "composition", "importance"]); // prettier-ignore
  });
});

describe("other targets and masks", () => {
  const small = randomModel({ n_layers: 1, d_vocab: 6, n_ctx: 4, config: { d_vocab_out: 3 } });
  const tokens = [[0, 1, 2, 5], [3, 4, 5, 0]]; // prettier-ignore

  test("weigh the mean loss, as worked out from the log-probabilities", () => {
    const targets = [[0, 0, 0, 2], [0, 0, 0, 1]]; // prettier-ignore
    const lossMask = [[0, 0, 1, 3], [0, 0, 0, 2]]; // prettier-ignore
    const { meanLoss, contextScore } = filmFrame(small, {
      step: 0,
      probe: filmProbe(small.config, { data: { tokens, targets, lossMask } }),
    });
    const { logits } = small.run(tokens);
    const loss = (b: number, p: number, target: number): number => {
      const row = [0, 1, 2].map((v) => logits.at(b, p, v));
      return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - (row[target] as number);
    };
    expect(meanLoss?.mean).toBeCloseTo((loss(0, 2, 0) + 3 * loss(0, 3, 2) + 2 * loss(1, 3, 1)) / 6, 5);
    expect(contextScore).toBeUndefined();
  });

  test("may be anything where a prediction counts nothing", () => {
    const given = { tokens, targets: [[-1, -1, -1, 2], [99, 7, -100, 1]], lossMask: [[0, 0, 0, 1], [0, 0, 0, 1]] }; // prettier-ignore
    const { meanLoss } = filmFrame(small, { step: 0, probe: filmProbe(small.config, { data: given }) });
    expect(Number.isFinite(meanLoss?.mean)).toBe(true);
  });

  test("leave out of the losses by position what counts nothing, and the in-context score where that is compared", () => {
    const long = randomModel({ n_layers: 1, d_vocab: 7, n_ctx: 21 });
    const rows = [0, 1].map((b) => Array.from({ length: 21 }, (_, p) => (3 * p + b * p + 1) % 7));
    const measured = (weight: (b: number, p: number) => number): FilmFrame => {
      const lossMask = rows.map((row, b) => row.map((_, p) => weight(b, p)));
      const probe = filmProbe(long.config, { data: { tokens: rows, lossMask } });
      return filmFrame(long, { step: 0, probe, measures: ["losses"] });
    };
    const { logits, tokens } = long.run(rows);
    const losses = lossPerToken(logits, tokens);
    // one prompt's prediction at position 4, none at 7, three times as much of one at 9
    const { lossByPosition, contextScore } = measured((b, p) => (p === 7 || (p === 4 && b === 0) ? 0 : p === 9 && b === 1 ? 3 : 1)); // prettier-ignore
    expect(lossByPosition?.at(4)).toBeCloseTo(losses.at(1, 4), 5);
    expect(lossByPosition?.at(7)).toBeNaN();
    expect(lossByPosition?.at(9)).toBeCloseTo((losses.at(0, 9) + 3 * losses.at(1, 9)) / 4, 5);
    expect(lossByPosition?.at(10)).toBeCloseTo((losses.at(0, 10) + losses.at(1, 10)) / 2, 5);
    expect(contextScore?.mean).toBeCloseTo(measured(() => 1).contextScore?.mean ?? NaN, 12);
    // 20 predictions: the score compares 2 and 3 with 18 and 19
    for (const at of [2, 3, 18, 19])
      expect(measured((b, p) => (p === at && b === 1 ? 0 : 1)).contextScore).toBeUndefined();
  });

  test("are cut with the prompts, and refused where they do not fit", () => {
    const cut = filmProbe(small.config, { data: { tokens, targets: tokens.map(() => [0, 1, 2, 0]) }, prompts: 1 });
    expect([cut.tokens.shape, cut.targets?.shape]).toEqual([[1, 4], [1, 4]]); // prettier-ignore
    const refused =
      (data: object): (() => unknown) =>
      () =>
        filmProbe(small.config, { data: { tokens, ...data } });
    expect(refused({ targets: [[0, 1, 2, 0]] })).toThrow(
      "filmProbe: targets of the film is lists of 4 numbers, but the tokens are",
    );
    expect(refused({ targets: tokens })).toThrow("filmProbe: the target of the film at position 3 of prompt 0 is 5");
    expect(refused({ lossMask: [[1, 1, NaN, 1], [1, 1, 1, 1]] })).toThrow("lossMask of the film is NaN at position 2"); // prettier-ignore
    expect(refused({ lossMask: [[1], [1]] })).toThrow("lossMask of the film is lists of 1, 1 numbers");
  });

  test("come from training data at a step that it does not reach", () => {
    const asked: number[] = [];
    const batch = (step: number): { tokens: number[][] } => {
      asked.push(step);
      return { tokens };
    };
    filmProbe({ ...small.config, d_vocab_out: 6 }, { data: { batch } });
    expect(asked.length).toBe(1);
    expect(asked[0]).toBeGreaterThan(1e9);
  });
});

describe("known losses", () => {
  test("of Markov chains are those of their predictors on the film's prompts, and go into the film", () => {
    const data = markovChainData({ n_ctx: 20, batch: 6, seed: 3 });
    const { config } = randomModel({ d_vocab: 3, n_ctx: 20 });
    const { floors, tokens } = filmProbe(config, { data, prompts: 4 });
    expect(floors?.["uniform"]).toBeCloseTo(Math.log(3), 12);
    // the bigram predictor by counting: one more than was seen of each
    let sum = 0;
    for (let b = 0; b < 4; b++) {
      const counts = [0, 1, 2].map(() => [1, 1, 1]);
      for (let p = 0; p < 19; p++) {
        const [now, next] = [tokens.at(b, p), tokens.at(b, p + 1)];
        const row = counts[now] as number[];
        sum -= Math.log((row[next] as number) / row.reduce((a, c) => a + c, 0));
        row[next] = (row[next] as number) + 1;
      }
    }
    expect(floors?.["bigram"]).toBeCloseTo(sum / (4 * 19), 12);
    const recorder = filmRecorder({ data, prompts: 4, measures: ["losses"] });
    recorder.add({ step: 0, model: randomModel({ d_vocab: 3, n_ctx: 20 }) });
    const { floors: kept } = recorder.film;
    expect(Object.fromEntries(kept.map(({ name, loss }) => [name, loss]))).toEqual(floors);
  });

  test("of other data are the optimum's, where predictions count", () => {
    const data = maxOfKData({ d_vocab: 5, k: 3 });
    const model = randomModel({ n_layers: 1, d_vocab: data.d_vocab, n_ctx: data.n_ctx, config: { d_vocab_out: 5 } });
    const probe = filmProbe(model.config, { data, prompts: 4 });
    expect(probe.floors).toEqual({ optimum: 0 });
    const { meanLoss, lossByPosition } = filmFrame(model, { step: 0, probe });
    // the last position alone counts
    expect(meanLoss?.mean).toBeCloseTo(lossByPosition?.at(-1) ?? NaN, 10);
  });

  test("data that come later are refused", () => {
    const later = { batch: () => Promise.resolve({ tokens: [[0, 1]] }) };
    expect(() => filmProbe(model.config, { data: later })).toThrow("the data give batches later");
  });
});

describe("a film", () => {
  const frames = [4, 0, 2].map((step) => filmFrame(model, { step, loss: step, probe }));
  const film = trainingFilm(frames, { floors: { best: 0.5, uniform: 2 } });

  test("has its frames in order and its floors from the worst to the best", () => {
    expect(film.frames.map(({ step }) => step)).toEqual([0, 2, 4]);
    expect(film.floors.map(({ name }) => name)).toEqual(["uniform", "best"]);
    expect(inspect(film).split("\n")[0]).toBe("TrainingFilm of 2 layers × 2 heads, 3 checkpoints of steps 0 to 4");
    expect(inspect(film).split("\n").length).toBeLessThanOrEqual(10);
  });

  test("comes back from JSON to the bit, NaN and all", () => {
    const odd = trainingFilm([
      filmFrame(model, { step: 0, probe: filmProbe(model.config, { prompts: 1 }) }),
      ...frames.slice(2),
    ]);
    for (const one of [film, odd]) {
      const again = trainingFilmFromJSON(JSON.stringify(one));
      expect(JSON.stringify(again)).toBe(JSON.stringify(one));
      for (const [i, frame] of one.frames.entries()) {
        expect(again.frames[i]).toEqual({ ...frame });
        expect(again.frames[i]?.lossByPosition).toBeInstanceOf(Tensor);
      }
      expect(trainingFilmFromJSON(JSON.parse(JSON.stringify(one))).frames.length).toBe(one.frames.length);
    }
  });

  test("is refused from JSON whose frames hold what no film holds, whatever it is", () => {
    const json = JSON.parse(JSON.stringify(film)) as { frames: Record<string, unknown>[] };
    const changed = (name: string, value: unknown): object => {
      const [first, ...rest] = json.frames;
      const others = Object.fromEntries(Object.entries(first ?? {}).filter(([key]) => key !== name));
      return { ...json, frames: [value === undefined ? others : { ...others, [name]: value }, ...rest] };
    };
    const { copying, importance, heads } = json.frames[0] ?? {};
    for (const [name, value] of [
      ...["step", "loss", "n_layers", "n_heads", "uniform"].flatMap((one) => [
        [one, undefined],
        [one, "3"],
        [one, null],
      ]),
      ...["meanLoss", "lossByPosition", "contextScore", "heads", "copying", "composition", "importance"].flatMap(
        (one) => [null, 3, {}, [], "x"].map((value) => [one, value]),
      ),
      ["lossByPosition", copying],
      ["copying", { type: "Tensor", dtype: "float64", names: ["layer", "head"], shape: [1, 1], data: [0] }],
      ["heads", { ...(heads as object), previous: { score: copying } }],
      ["composition", importance],
    ] as [string, unknown][])
      expect(() => trainingFilmFromJSON(changed(name, value)), `${name}: ${JSON.stringify(value)}`).toThrow(
        CircuitsError,
      );
    for (const name of ["meanLoss", "heads", "copying", "composition", "importance"])
      expect(trainingFilmFromJSON(changed(name, undefined)).frames.length).toBe(3);
    for (const frame of [null, 5, "x", []])
      expect(() => trainingFilmFromJSON({ ...json, frames: [frame] })).toThrow("step of frame 0 is");
    for (const floor of [null, 5, "x", [], { name: "a" }, { name: "a", loss: "1" }])
      expect(() => trainingFilmFromJSON({ ...json, floors: [floor] }), JSON.stringify(floor)).toThrow(
        "; give a loss in nats",
      );
  });

  test("is refused where it is none", () => {
    expect(() => trainingFilm([])).toThrow("trainingFilm: there is no frame");
    const [first] = film.frames;
    expect(() => trainingFilm([first, first] as never)).toThrow("two checkpoints are of step 0");
    const other = filmFrame(randomModel({ n_layers: 1, n_ctx: 30 }), { step: 9 });
    expect(() => trainingFilm([...film.frames, other])).toThrow("the checkpoint of step 9 has 1 layers of 3 heads");
    expect(() => trainingFilm(film.frames, { floors: { a: NaN } })).toThrow("floor a is NaN");
    for (const json of ["{", "[]", {}, null, { type: "TrainingFilm", frames: 5, floors: [] }, 7])
      expect(() => trainingFilmFromJSON(json)).toThrow("not what JSON.stringify writes of a film");
    expect(() => filmFrame(model, { step: 1.5 })).toThrow("step is 1.5; a step is a whole number");
    expect(() => filmFrame(model, { step: 1, measures: ["loss" as never] })).toThrow('measures is "loss"');
  });
});

describe("a recorder", () => {
  test("measures what it is given, once for each step, and tells of it", () => {
    const told: number[] = [];
    const recorder = filmRecorder({ prompts: 2, measures: ["losses"], onFrame: ({ step }) => told.push(step) });
    expect(() => recorder.film).toThrow("there is no frame");
    const { add } = recorder;
    for (const step of [0, 10, 20, 10]) add({ step, loss: step, model });
    expect(told).toEqual([0, 10, 20, 10]);
    expect(recorder.film.frames.map(({ step }) => step)).toEqual([0, 10, 20]);
    expect(recorder.film.frames[1]?.loss).toBe(10);
  });
});
