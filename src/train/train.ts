/** The loop of training: a batch, its loss and gradients, one step of the optimizer, again. */
import { InputError, requireKind, requireObject } from "../errors.ts";
import { requireCount } from "../model/internal.ts";
import type { Transformer } from "../model/index.ts";
import { Steps, turn } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";
import { prepareBatch } from "./batch.ts";
import type { TrainingBatch } from "./batch.ts";
import { readerOf } from "./batches.ts";
import type { Batches, BatchReader } from "./batches.ts";
import { checkpointsAt } from "./checkpoints.ts";
import type { CheckpointSteps, TrainingCheckpoint } from "./checkpoints.ts";
import { checkClip, clipGradients, gradientNorms } from "./clip.ts";
import type { ClipLike } from "./clip.ts";
import { editsByStep } from "./edit-stretches.ts";
import type { EditsByStep, TrainingEdits } from "./edit-stretches.ts";
import { adamW, checkOptimizer, momentsOf } from "./optimizers.ts";
import type { Optimizer } from "./optimizers.ts";
import { Parameters } from "./parameters.ts";
import { checkSchedule, constantSchedule, scheduleFactor } from "./schedules.ts";
import type { ScheduleLike } from "./schedules.ts";
import { shownCheckpoint, shownState, shownTraining } from "./showing.ts";
import { TrainingError } from "./training-error.ts";
import { TRAINING_STATE } from "./training-state.ts";
import type { Training, TrainingState } from "./training-state.ts";

/**
 * What {@link train} is told. What is not given is that of the state that it goes on from.
 * @category Training
 */
export interface TrainOptions extends ProgressOptions {
  /** Ends the run by throwing its reason: between steps, or between the layers of one. */
  readonly signal?: AbortSignal | undefined;
  /** How many updates to come to, those before a state included. */
  readonly steps: number;
  /** {@link adamW} with torch's defaults unless given. */
  readonly optimizer?: Optimizer | undefined;
  /** What the rate is multiplied by at each step; constant unless given. */
  readonly schedule?: ScheduleLike | undefined;
  /** How gradients are clipped; not at all unless given. */
  readonly clip?: ClipLike | undefined;
  /** Activations that are changed in the runs; none unless given. */
  readonly edits?: TrainingEdits | undefined;
  /** When `onCheckpoint` is called. */
  readonly checkpoints?: CheckpointSteps | undefined;
  /** Takes a checkpoint; the run goes on when it is done. */
  readonly onCheckpoint?: ((checkpoint: TrainingCheckpoint) => void | Promise<void>) | undefined;
  /** Called after each step; the run ends, as if it had been the last one, where it returns `"stop"`. */
  readonly onStep?: ((step: TrainingStep) => unknown) | undefined;
}

/**
 * One step of training.
 * @category Training
 */
export interface TrainingStep {
  /** The step, counted from 0: how many updates there were before. */
  readonly step: number;
  /** The loss of the step's batch before its update, in nats. */
  readonly loss: number;
  /** The norm of all gradients, before they are clipped. */
  readonly gradientNorm: number;
  /** The norm of the gradient by each weight, before they are clipped. */
  readonly gradientNorms: ReadonlyMap<string, number>;
  /** The optimizer's rate times its schedule's factor. */
  readonly rate: number;
}

const OPERATION = "train";

/** How long steps go on before signals, timers and a page have their turn, in milliseconds. */
const TURN = 12;

/**
 * Trains a model on batches: goes down on the mean loss of what counts in each.
 *
 * A run is made by its model, its batches and its options: the same give the same weights, to the bit, on one engine,
 * for any number of threads. Stopped at any step and taken up again from its state it comes to the same as one that
 * never stopped. Weights are float32.
 *
 * @param start - a model, which stays as it is, or the state of a run to go on from.
 * @param data - batches; see {@link Batches}. Those of the steps before a state are passed over.
 * @param options - `steps`; `optimizer`, `schedule`, `clip`; `edits`; `checkpoints` and `onCheckpoint`; `onStep`,
 * `onProgress`, `signal`.
 * @throws {@link InputError} for options and batches that cannot be used; {@link TrainingError} when a loss or a
 * gradient is not finite; the signal's reason when it was aborted. To keep the state of a run that is stopped, let
 * `onStep` return `"stop"`.
 * @category Training
 * @example
 * ```ts
 * import { Random } from "transformer-circuits/tensor";
 * import { adamW, initialModel, train } from "transformer-circuits/train";
 *
 * const model = initialModel(
 *   { n_layers: 1, n_heads: 2, d_model: 16, n_ctx: 8, d_vocab: 6, attn_only: true },
 *   { seed: 1 },
 * );
 * // Sequences that count up from anywhere.
 * const data = (step: number) => {
 *   const random = new Random(step);
 *   const prompts = Array.from({ length: 8 }, () => random.int(6));
 *   return { tokens: prompts.map((first) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => (first + i) % 6)) };
 * };
 * const { losses } = await train(model, data, { steps: 60, optimizer: adamW({ lr: 0.01 }) });
 * console.log(losses[0]! > 1.5, losses[59]! < 0.1);
 * // true true
 * ```
 */
export async function train(
  start: Transformer | TrainingState,
  data: Batches,
  options: TrainOptions,
): Promise<Training> {
  const run = new TrainingRun(start, data, options);
  return run.toEnd();
}

/** A run of training on its way. */
class TrainingRun {
  readonly #options: TrainOptions;
  readonly #settings: Pick<TrainingState, "optimizer" | "schedule" | "clip" | "isEdited" | "data">;
  readonly #schedule: ScheduleLike;
  readonly #edits: EditsByStep;
  readonly #batchOf: BatchReader;
  readonly #isCheckpoint: (step: number) => boolean;
  readonly #parameters: Parameters;
  readonly #first: number;
  #step: number;
  #lastLoss: number | undefined;

  constructor(start: Transformer | TrainingState, data: Batches, options: TrainOptions) {
    requireObject(
      options,
      "options",
      OPERATION,
      "steps optimizer schedule clip edits checkpoints onCheckpoint onStep onProgress signal",
    );
    const state = stateOf(start);
    const model = state?.model ?? (start as Transformer);
    requireKind("model", model, state === undefined ? "start" : "start.model", OPERATION);
    this.#options = options;
    this.#first = this.#step = state?.step ?? 0;
    requireSteps(options.steps, this.#first);
    for (const name of ["onCheckpoint", "onStep", "onProgress"] as const) {
      if (options[name] !== undefined) requireKind("function", options[name], name, OPERATION);
    }
    const optimizer = checkOptimizer(options.optimizer ?? state?.optimizer ?? adamW(), OPERATION);
    if (state !== undefined) requireSameMoments(state, optimizer);
    this.#schedule = scheduleOf(options.schedule ?? state?.schedule ?? constantSchedule());
    const clip = options.clip ?? state?.clip;
    const { edits } = options;
    if (edits === undefined && state?.isEdited === true) throw editsMissing();
    this.#edits = editsByStep(edits, model.config);
    this.#settings = {
      optimizer,
      schedule: typeof this.#schedule === "function" ? "function" : this.#schedule,
      clip: clip === undefined ? undefined : checkClip(clip, OPERATION),
      isEdited: edits !== undefined && !(Array.isArray(edits) && edits.length === 0),
      data: nameOfData(data),
    };
    this.#batchOf = readerOf(data, model.config);
    this.#isCheckpoint = checkpointsAt(options.checkpoints, options.steps);
    this.#parameters = new Parameters(model, optimizer, state?.moments);
  }

  async toEnd(): Promise<Training> {
    const { steps, signal } = this.#options;
    const count = steps - this.#first;
    const progress = new Steps(this.#options, count);
    const losses = new Float64Array(count);
    const norms = new Float64Array(count);
    if (this.#first === 0) await this.#checkpoint();
    let since = Date.now();
    while (this.#step < steps) {
      if (Date.now() - since >= TURN) {
        await turn();
        since = Date.now();
        signal?.throwIfAborted();
      }
      const given = this.#batchOf(this.#step);
      const done = this.#oneStep(given instanceof Promise ? await given : given);
      losses[done.step - this.#first] = this.#lastLoss = done.loss;
      norms[done.step - this.#first] = done.gradientNorm;
      await this.#checkpoint();
      const isStopped = this.#options.onStep?.(done) === "stop";
      if (isStopped) break;
      progress.advance();
    }
    const state = this.#state();
    const made = this.#step - this.#first;
    return shownTraining({
      model: state.model,
      state,
      losses: losses.slice(0, made),
      gradientNorms: norms.slice(0, made),
    });
  }

  #oneStep(given: TrainingBatch): TrainingStep {
    const step = this.#step;
    const { optimizer, clip } = this.#settings;
    const rate = optimizer.lr * scheduleFactor(this.#schedule, step);
    const batch = prepareBatch(this.#parameters.config, given, step);
    const loss = this.#parameters.backward(batch, this.#edits(step), this.#options.signal);
    const { gradients } = this.#parameters;
    const { norm, norms } = gradientNorms(gradients);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      const what = Number.isFinite(loss) ? `the gradient's norm is ${norm}` : `the loss is ${loss}`;
      throw new TrainingError(what, step, rate, this.#state());
    }
    if (clip !== undefined) clipGradients(gradients, norm, clip);
    if (!this.#parameters.update(step, rate)) {
      throw new TrainingError("its update is beyond float32", step, rate, undefined);
    }
    this.#step++;
    return { step, loss, gradientNorm: norm, gradientNorms: norms, rate };
  }

  #state(): TrainingState {
    const model = this.#parameters.model();
    return shownState({ step: this.#step, model, moments: this.#parameters.moments(), ...this.#settings });
  }

  async #checkpoint(): Promise<void> {
    const { onCheckpoint } = this.#options;
    if (onCheckpoint === undefined || !this.#isCheckpoint(this.#step)) return;
    const state = this.#state();
    await onCheckpoint(shownCheckpoint({ step: this.#step, loss: this.#lastLoss, model: state.model, state }));
  }
}

/** A state that was given to begin from; undefined where a model was. */
function stateOf(start: unknown): TrainingState | undefined {
  const isObject = typeof start === "object" && start !== null;
  if (isObject && "layers" in start) return undefined;
  requireKind(
    { ...TRAINING_STATE, what: "a Transformer or a TrainingState", holder: "state" },
    start,
    "start",
    OPERATION,
  );
  return start as TrainingState;
}

function requireSteps(steps: number, first: number): void {
  requireCount(steps, "steps", OPERATION);
  if (steps >= first) return;
  throw new InputError(
    `steps is ${steps}, but the run made ${first} already. It counts those before: say how many to come to.`,
    {
      operation: OPERATION,
      argument: "steps",
      expected: `at least ${first}`,
      actual: steps,
    },
  );
}

function requireSameMoments({ optimizer, moments }: TrainingState, wanted: Optimizer): void {
  const names = momentsOf(wanted);
  if (names.length === moments.size && names.every((name) => moments.has(name))) return;
  throw new InputError(
    `the run before had the optimizer ${optimizer.kind} and kept ${[...moments.keys()].join(", ") || "nothing"}; ${wanted.kind} needs ${names.join(", ") || "nothing"}. Go on with the same, or begin anew from state.model.`,
    { operation: OPERATION, argument: "optimizer", expected: optimizer.kind, actual: wanted.kind },
  );
}

function scheduleOf(given: ScheduleLike | "function"): ScheduleLike {
  if (typeof given === "function") return given;
  if (given !== "function") return checkSchedule(given, OPERATION);
  throw new InputError("the schedule of the run before was a function. Give it again.", {
    operation: OPERATION,
    argument: "schedule",
    expected: "a function of the step",
    actual: undefined,
  });
}

function editsMissing(): InputError {
  return new InputError("the run before was edited. Give its edits again, or edits: [] to go on without.", {
    operation: OPERATION,
    argument: "edits",
    expected: "edits",
    actual: undefined,
  });
}

function nameOfData(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("name" in data)) return undefined;
  return typeof data.name === "string" ? data.name : undefined;
}
