/** The film of a training run: its checkpoints in order, each measured alike. */
import { InputError, nameOf, requireKind, requireObject, requireOptions } from "../../errors.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import type { TrainingCheckpoint } from "../checkpoints.ts";
import { filmFrame, MEASURES, requireStep } from "./frame.ts";
import type { FilmFrame, FilmMeasure } from "./frame.ts";
import { filmProbe } from "./probe.ts";
import type { FilmProbe, FilmProbeOptions } from "./probe.ts";

/**
 * A training run, checkpoint by checkpoint.
 * @category Training
 */
export interface TrainingFilm {
  readonly type: "TrainingFilm";
  /** In the order of their steps. */
  readonly frames: readonly FilmFrame[];
  /** Losses that are known of the data, in nats: what the best guess of each kind reaches, the worst first. */
  readonly floors: readonly FilmFloor[];
}

/**
 * A loss that is known of the data.
 * @category Training
 */
export interface FilmFloor {
  readonly name: string;
  readonly loss: number;
}

/**
 * Options of {@link trainingFilm}.
 * @category Training
 */
export interface TrainingFilmOptions {
  /**
   * Losses that are known of the data, by name: what guesses of a kind reach at best on the film's prompts, as
   * `{ uniform: 1.099, unigram: 0.987, bigram: 0.847 }`; a recorder has those that its data tell, unless given.
   */
  readonly floors?: Readonly<Record<string, number>> | undefined;
}

/**
 * Puts measured checkpoints together to a film: a value that shows itself, and that `JSON.stringify` keeps whole for
 * {@link trainingFilmFromJSON}.
 *
 * @param frames - from {@link filmFrame}, in any order, each of another step.
 * @throws {@link InputError} when there is no frame, two are of one step, or they are of models of different sizes.
 * @category Training
 * @example
 * ```ts
 * import { filmFrame, filmProbe, trainingFilm } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const probe = filmProbe(model.config, { prompts: 2 });
 * const frames = [0, 100].map((step) => filmFrame(model, { step, probe, measures: ["losses"] }));
 * console.log(String(trainingFilm(frames)));
 * // TrainingFilm of 2 layers × 8 heads, 2 checkpoints of steps 0 to 100
 * ```
 */
export function trainingFilm(frames: readonly FilmFrame[], options: TrainingFilmOptions = {}): TrainingFilm {
  const operation = "trainingFilm";
  requireOptions(options, operation, "floors");
  requireKind("list", frames, "frames", operation);
  const sorted = [...frames].sort((a, b) => a.step - b.step);
  const [first] = sorted;
  if (first === undefined) {
    throw new InputError("there is no frame. Measure a checkpoint with filmFrame first.", {
      operation,
      argument: "frames",
      expected: "at least 1",
      actual: 0,
    });
  }
  for (const [i, frame] of sorted.entries()) {
    requireObject(frame, `frames[${i}]`, operation);
    requireStep(frame.step, operation);
    if (frame.n_layers !== first.n_layers || frame.n_heads !== first.n_heads) {
      throw new InputError(
        `the checkpoint of step ${frame.step} has ${frame.n_layers} layers of ${frame.n_heads} heads, that of step ${first.step} ${first.n_layers} of ${first.n_heads}. Give frames of one run.`,
        {
          operation,
          argument: "frames",
          expected: [first.n_layers, first.n_heads],
          actual: [frame.n_layers, frame.n_heads],
        },
      );
    }
    if (i > 0 && sorted[i - 1]?.step === frame.step) {
      throw new InputError(`two checkpoints are of step ${frame.step}. Give one of each step.`, {
        operation,
        argument: "frames",
        actual: frame.step,
      });
    }
  }
  const film: TrainingFilm = {
    type: "TrainingFilm",
    frames: sorted,
    floors: floorsOf(options.floors ?? {}, operation),
  };
  Object.defineProperty(film, "toString", { value: () => titleOf(film), enumerable: false });
  return shownAs(film, filmShowing);
}

function floorsOf(floors: Readonly<Record<string, number>>, operation: string): FilmFloor[] {
  requireObject(floors, "floors", operation);
  for (const [name, loss] of Object.entries(floors)) {
    if (Number.isFinite(loss) && loss >= 0) continue;
    throw new InputError(`floor ${name} is ${nameOf(loss)}; give a loss in nats.`, {
      operation,
      argument: "floors",
      expected: ">= 0",
      actual: loss,
    });
  }
  return Object.entries(floors)
    .map(([name, loss]) => ({ name, loss }))
    .sort((a, b) => b.loss - a.loss);
}

function titleOf({ frames }: TrainingFilm): string {
  const [first, last] = [frames[0], frames[frames.length - 1]] as [FilmFrame, FilmFrame];
  const steps =
    frames.length === 1
      ? `1 checkpoint of step ${first.step}`
      : `${frames.length} checkpoints of steps ${first.step} to ${last.step}`;
  return `TrainingFilm of ${first.n_layers} layers × ${first.n_heads} heads, ${steps}`;
}

/** A row for some of the checkpoints, evenly over the run. */
const SHOWN_ROWS = 8;

function filmShowing(film: TrainingFilm): Showing {
  const { frames } = film;
  const count = Math.min(SHOWN_ROWS, frames.length);
  const picked = Array.from(
    { length: count },
    (_, i) => frames[Math.round((i * (frames.length - 1)) / Math.max(1, count - 1))] as FilmFrame,
  );
  const best = (frame: FilmFrame, kind: "previous" | "prefixMatching"): number =>
    frame.heads === undefined ? NaN : Math.max(...frame.heads[kind].excess.data);
  const columns = ["step", "loss", "in-context score", "previous token", "induction"];
  const rows = picked.map((frame) => [
    frame.step,
    frame.meanLoss?.mean ?? frame.loss,
    frame.contextScore?.mean ?? NaN,
    best(frame, "previous"),
    best(frame, "prefixMatching"),
  ]);
  return { title: titleOf(film), parts: () => [{ kind: "rows", columns, rows, indices: 1, total: frames.length }] };
}

/**
 * Options of {@link filmRecorder}.
 * @category Training
 */
export interface FilmRecorderOptions extends FilmProbeOptions, TrainingFilmOptions {
  /** The prompts that checkpoints are measured on, where they are made already. */
  readonly probe?: FilmProbe | undefined;
  /** What to measure; all of it unless given. */
  readonly measures?: readonly FilmMeasure[] | undefined;
  /** Told of each checkpoint once it is measured. */
  readonly onFrame?: ((frame: FilmFrame) => void) | undefined;
}

/**
 * A film while it is taken.
 * @category Training
 */
export interface FilmRecorder {
  /** Measures a checkpoint: `train(model, data, { checkpoints: 100, onCheckpoint: recorder.add })`. */
  readonly add: (
    checkpoint: Pick<TrainingCheckpoint, "step" | "model"> & { readonly loss?: number | undefined },
  ) => void;
  /** What was measured so far, in the order in which it came. */
  readonly frames: readonly FilmFrame[];
  /** The film as far as it goes; throws an {@link InputError} before the first checkpoint. */
  readonly film: TrainingFilm;
}

/**
 * Takes the film of a training run while it runs: `add` is what {@link train} calls at each checkpoint. A checkpoint of
 * a step that is there already takes its place, as after a run was taken up again.
 *
 * @param options - `data`, `prompts`, `period`, `seed` of {@link filmProbe}, or `probe`; `measures`, `floors`,
 * `onFrame`.
 * @throws {@link InputError} as {@link filmProbe} and {@link filmFrame}, at the first checkpoint.
 * @category Training
 * @example
 * ```ts
 * import { filmRecorder } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const recorder = filmRecorder({ prompts: 2, measures: ["losses"] });
 * for (const step of [0, 50]) recorder.add({ step, model });
 * console.log(recorder.film.frames.length);
 * // 2
 * ```
 */
export function filmRecorder(options: FilmRecorderOptions = {}): FilmRecorder {
  requireOptions(options, "filmRecorder", "data prompts period seed probe measures floors onFrame");
  const { probe, measures = MEASURES, floors, onFrame, data, prompts, period, seed } = options;
  const frames: FilmFrame[] = [];
  let made = probe;
  const add: FilmRecorder["add"] = ({ step, loss, model }) => {
    made ??= filmProbe(model.config, { data, prompts, period, seed });
    const frame = filmFrame(model, { step, loss, probe: made, measures });
    const at = frames.findIndex((one) => one.step === step);
    if (at < 0) frames.push(frame);
    else frames[at] = frame;
    onFrame?.(frame);
  };
  return {
    add,
    frames,
    get film() {
      return trainingFilm(frames, { floors: floors ?? made?.floors });
    },
  };
}
