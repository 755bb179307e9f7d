/** A film of made-up numbers: a head of each layer that forms, a loss that falls in two steps. */
import { Tensor } from "../../src/tensor/index.ts";
import { trainingFilm } from "../../src/train/index.ts";
import type { FilmComposition, FilmFrame, FilmHeads, TrainingFilm } from "../../src/train/index.ts";

function tensor<A extends string>(axes: A, shape: readonly number[], of: (i: number) => number): Tensor<A> {
  const size = shape.reduce((product, n) => product * n, 1);
  return Tensor.from(
    axes,
    shape,
    Float64Array.from({ length: size }, (_, i) => of(i)),
  );
}

const perHead = (of: (i: number) => number): Tensor<"layer head"> => tensor("layer head", [2, 2], of);
const headsOf = (of: (i: number) => number): FilmHeads => ({
  ...{ score: perHead(of), excess: perHead(of), margin: perHead(() => 0.05) },
  found: perHead((i) => (of(i) > 0.3 ? 1 : 0)),
});
const composing = (of: (i: number) => number): FilmComposition => {
  const map = (value: (i: number) => number): Tensor<"writer_layer writer_head reader_layer reader_head"> =>
    tensor("writer_layer writer_head reader_layer reader_head", [2, 2, 2, 2], value);
  return { score: map(of), share: map(of), chance: map(() => 0.25), zScores: map(of) };
};
export function filmOf(irregular: (i: number) => number): TrainingFilm {
  const positive = (i: number): number => Math.abs(irregular(i));
  const frames = Array.from({ length: 9 }, (_, t): FilmFrame => {
    const [first, second] = [Math.min(1, Math.max(0, (t - 2) / 2)), Math.min(1, Math.max(0, (t - 4) / 2))];
    return {
      ...{ step: 100 * t, loss: 2.1 - 0.5 * first - second + irregular(t) / 20, n_layers: 2, n_heads: 2, uniform: 2 },
      meanLoss: { mean: 2 - 0.5 * first - second, error: 0.02 },
      lossByPosition: tensor("pos", [12], (p) => 2 - (0.5 * first + second) * Math.min(1, p / 6)),
      contextScore: { mean: -first / 4 - second, error: 0.02 },
      heads: {
        ...{ current: headsOf(irregular), first: headsOf(irregular), duplicate: headsOf(irregular) },
        ...{ previous: headsOf((i) => (i === 1 ? 0.9 * first : 0.02)), induction: headsOf(irregular) },
        prefixMatching: headsOf((i) => (i === 2 ? 0.8 * second : 0.01)),
      },
      copying: perHead((i) => (i === 2 ? second : irregular(i) / 10)),
      composition: {
        ...{ Q: composing(() => 0.25), V: composing((i) => positive(i) / 2), baseline: { mean: 0.1, std: 0.01 } },
        K: composing((i) => (i === 6 ? 0.25 + 0.5 * first : 0.2)),
      },
      importance: {
        gain: tensor("order", [3], (i) => [0.3, first, second][i] ?? 0),
        error: tensor("order", [3], () => 0.02),
      },
    };
  });
  return trainingFilm(frames, { floors: { "even guess": 2, best: 0.5 } });
}
