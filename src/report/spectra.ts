/** Eigenvalues of all heads, and what they are compared with. */
import { qkSpectrum, scoreNull } from "../circuits/index.ts";
import { ovEigenvalues } from "../figures/index.ts";
import type { CopyingHistogram, OVEigenvalues } from "../figures/index.ts";
import { stepOptions } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";
import { Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";
import { inputOf } from "./task.ts";
import type { Task } from "./task.ts";

/** Heads of random weights that copying scores are compared with. */
const RANDOM_HEADS = 200;

export interface HeadSpectra {
  readonly eigenvalues: OVEigenvalues | undefined;
  readonly copying: CopyingHistogram | undefined;
  readonly byHead: {
    readonly copying: ReadonlyMap<string, number>;
    readonly matching: ReadonlyMap<string, number>;
    readonly chance: CopyingHistogram["chance"] | undefined;
  };
}

/** Eigenvalues of all heads; there is no yardstick where the embedding or the unembedding is zero. */
export function spectraOf(task: Task, inner: ProgressOptions): HeadSpectra {
  const { model, seed } = task;
  const { n_layers, n_heads } = model.config;
  if (n_layers === 0)
    return {
      eigenvalues: undefined,
      copying: undefined,
      byHead: { copying: new Map(), matching: new Map(), chance: undefined },
    };
  const eigenvalues = ovEigenvalues(inputOf(task), stepOptions(inner, 0, 3));
  const matching = qkSpectrum(model, stepOptions(inner, 1, 3)).score;
  const scores = eigenvalues.heads.map(({ copying }) => copying);
  const isZero = ["embed.W_E", "unembed.W_U"].some((name) => rawData(model.weight(name)).every((x) => x === 0));
  const found = isZero ? undefined : scoreNull(model, { samples: RANDOM_HEADS, seed, ...stepOptions(inner, 2, 3) });
  const chance = found && { mean: found.mean, std: found.std, samples: RANDOM_HEADS };
  return {
    eigenvalues,
    copying: chance && { scores: Tensor.from("layer head", [n_layers, n_heads], Float64Array.from(scores)), chance },
    byHead: {
      copying: new Map(model.heads.map(({ label }, i) => [label, scores[i] ?? 0])),
      matching: new Map(model.heads.map(({ label, layer, head }) => [label, matching.at(layer, head)])),
      chance,
    },
  };
}
