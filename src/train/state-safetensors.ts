/**
 * A run of training as the bytes of a safetensors file: weights under their own names, moments with torch's name before
 * it, `exp_avg.blocks.0.attn.W_Q`, and settings in the header's `__metadata__`.
 */
import { CircuitsError, FormatError, requireKind, requireOptions } from "../errors.ts";
import { parseSafetensors, writeSafetensors } from "../io/index.ts";
import type { Bytes, SafetensorsFile } from "../io/index.ts";
import { expectedWeights, parseConfig, Transformer } from "../model/index.ts";
import type { Weights } from "../model/index.ts";
import { rawData } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import { checkClip } from "./clip.ts";
import { checkOptimizer, momentsOf } from "./optimizers.ts";
import type { Optimizer } from "./optimizers.ts";
import { checkSchedule } from "./schedules.ts";
import { shownState } from "./showing.ts";
import { TRAINING_STATE } from "./training-state.ts";
import type { TrainingState } from "./training-state.ts";

/** The settings of a run as they stand in a file, under this name. */
const SETTINGS = "training";
const CONFIG = "config";
/** Of this layout. */
const VERSION = 1;

/**
 * A run of training as the bytes of a safetensors file: weights, moments, the step, and the settings of optimizer,
 * schedule and clipping. A schedule that is a function, edits and data are not in it: {@link train} asks for them
 * again.
 *
 * @throws {@link InputError} for what is no state.
 * @category Training
 * @example
 * ```ts
 * import {
 *   adamW, initialModel, train, trainingStateFromSafetensors, trainingStateToSafetensors,
 * } from "transformer-circuits/train";
 *
 * const config = { n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 4, d_vocab: 5, attn_only: true };
 * const data = [{ tokens: [[1, 2, 3, 4]] }, { tokens: [[4, 3, 2, 1]] }];
 * const optimizer = adamW({ lr: 0.01 });
 * const { state } = await train(initialModel(config, { seed: 1 }), data, { steps: 3, optimizer });
 * const again = trainingStateFromSafetensors(trainingStateToSafetensors(state));
 * const { losses } = await train(again, data, { steps: 5 });
 * console.log(again.step, again.optimizer.lr, losses.length);
 * // 3 0.01 2
 * ```
 */
export function trainingStateToSafetensors(state: TrainingState): Uint8Array {
  requireKind(TRAINING_STATE, state, "state", "trainingStateToSafetensors");
  const { model, moments, step, optimizer, schedule, clip, isEdited, data } = state;
  const tensors = new Map<string, Tensor>(model.weights);
  for (const [moment, own] of moments) for (const [name, tensor] of own) tensors.set(`${moment}.${name}`, tensor);
  const settings = { version: VERSION, step, optimizer, schedule, clip, isEdited, data };
  const metadata = { [SETTINGS]: JSON.stringify(settings), [CONFIG]: JSON.stringify(model.config) };
  return writeSafetensors(tensors, { metadata });
}

/**
 * Reads a run of training that {@link trainingStateToSafetensors} wrote.
 *
 * @param bytes - the whole file.
 * @param options - `name` is what error texts call the file.
 * @throws {@link FormatError} when the bytes are no safetensors file, or not that of a run; its text says why.
 * @category Training
 * @example
 * ```ts
 * import { trainingStateFromSafetensors } from "transformer-circuits/train";
 *
 * try {
 *   trainingStateFromSafetensors(new Uint8Array(4), { name: "run.safetensors" });
 * } catch (error) {
 *   console.log((error as Error).name);
 *   // FormatError
 * }
 * ```
 */
export function trainingStateFromSafetensors(bytes: Bytes, options: { readonly name?: string } = {}): TrainingState {
  const operation = "trainingStateFromSafetensors";
  requireOptions(options, operation, "name");
  const { name = "the state of training" } = options;
  const file = parseSafetensors(bytes, { name });
  const fail = (message: string, argument: string = SETTINGS, cause?: unknown): never => {
    const text = `${name}: ${message}`;
    throw new FormatError(text, { operation, argument }, cause === undefined ? undefined : { cause });
  };
  // What refuses a value of the file refuses the file.
  const within = <T>(argument: string, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CircuitsError)) throw error;
      return fail(`its ${argument} cannot be used: ${error.message}`, argument, error);
    }
  };
  const settings = objectIn(file, SETTINGS, fail);
  const { version, step, isEdited, data } = settings;
  if (version !== VERSION) fail(`it is of version ${JSON.stringify(version)}; ${VERSION} is read here.`);
  if (!Number.isSafeInteger(step) || (step as number) < 0) fail("its step is no number of updates.", "step");
  if (typeof isEdited !== "boolean") fail("it does not say whether the run was edited.", "isEdited");
  if (data !== undefined && typeof data !== "string") fail("the name of its data is no text.", "data");
  const optimizer = within("optimizer", () => checkOptimizer(settings["optimizer"], operation));
  const { schedule, clip } = settings;
  const config = within(CONFIG, () => parseConfig(objectIn(file, CONFIG, fail)));
  const weights = new Map([...file.tensors.keys()].filter(isWeight).map((own) => [own, floatsOf(file, own, fail)]));
  const model = within("model", () => Transformer.fromWeights(config, weights));
  return shownState({
    step: step as number,
    model,
    optimizer,
    moments: momentsIn(file, model, optimizer, fail),
    schedule: schedule === "function" ? schedule : within("schedule", () => checkSchedule(schedule, operation)),
    clip: clip === undefined ? undefined : within("clip", () => checkClip(clip, operation)),
    isEdited: isEdited as boolean,
    data: data as string | undefined,
  });
}

type Fail = (message: string, argument?: string) => never;

const MOMENT = /^(exp_avg|exp_avg_sq|momentum_buffer)\./;
const isWeight = (name: string): boolean => !MOMENT.test(name);

/** An object that the metadata hold as JSON. */
function objectIn({ metadata }: SafetensorsFile, key: string, fail: Fail): Readonly<Record<string, unknown>> {
  const text = metadata.get(key);
  if (text === undefined) {
    return fail(
      `its header has no "${key}". It is not the state of a run of training, as trainingStateToSafetensors writes.`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(`the "${key}" of its header is not JSON.`, key);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  return fail(`the "${key}" of its header is no object.`, key);
}

function floatsOf(file: SafetensorsFile, name: string, fail: Fail): Tensor {
  const dtype = file.tensors.get(name)?.dtype;
  if (dtype !== "F32") fail(`tensor "${name}" is of ${String(dtype)}; a run has F32.`, name);
  return file.read(name);
}

function momentsIn(
  file: SafetensorsFile,
  { config }: Transformer,
  optimizer: Optimizer,
  fail: Fail,
): ReadonlyMap<string, Weights> {
  const kept = momentsOf(optimizer);
  const expected = [...expectedWeights(config)];
  const known = new Set(expected.flatMap(([weight]) => kept.map((moment) => `${moment}.${weight}`)));
  const stray = [...file.tensors.keys()].find((name) => !isWeight(name) && !known.has(name));
  if (stray !== undefined) fail(`it has a tensor "${stray}", which ${optimizer.kind} keeps of no weight.`, stray);
  const momentOf = (moment: string): Weights => {
    const tensors = expected.map(([weight, { axes, shape }]): [string, Tensor] => {
      const name = `${moment}.${weight}`;
      const given = file.tensors.get(name)?.shape;
      if (given === undefined) return fail(`it has no tensor "${name}", which ${optimizer.kind} keeps.`, name);
      if (given.length !== shape.length || given.some((n, a) => n !== shape[a])) {
        fail(`tensor "${name}" has shape [${given.join(", ")}], but its weight has [${shape.join(", ")}].`, name);
      }
      const tensor = floatsOf(file, name, fail);
      const least = moment === "exp_avg_sq" ? 0 : -Infinity;
      const isSound = (x: number): boolean => Number.isFinite(x) && x >= least;
      const bad = rawData(tensor).find((x) => !isSound(x));
      if (bad !== undefined) fail(`tensor "${name}" holds ${bad}.`, name);
      return [weight, file.read(name, { axes })];
    });
    return new Map(tensors);
  };
  return new Map(kept.map((moment) => [moment, momentOf(moment)]));
}
