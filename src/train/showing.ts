/** What runs of training show of themselves. */
import { shortNumber, shownAs } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import type { TrainingCheckpoint } from "./checkpoints.ts";
import type { Training, TrainingState } from "./training-state.ts";

type Facts = readonly (readonly [string, string])[];

const updates = (step: number): string => `${step.toLocaleString("en")} ${step === 1 ? "update" : "updates"}`;

/** A setting in a line: its kind and its numbers. */
function settingText(setting: object): string {
  const { kind, ...numbers } = setting as Readonly<Record<string, unknown>>;
  const parts = Object.entries(numbers).map(([name, value]) => `${name}=${String(value)}`);
  return [...(typeof kind === "string" ? [kind] : []), ...parts].join(" ");
}

function factsOf({ model, optimizer, schedule, clip, isEdited, data }: TrainingState): Facts {
  return [
    ["model", model.toString()],
    ["optimizer", settingText(optimizer)],
    ["schedule", schedule === "function" ? "a function of the step" : settingText(schedule)],
    ...(clip === undefined ? [] : ([["clipped", settingText(clip)]] as const)),
    ...(isEdited ? ([["edited", "yes"]] as const) : []),
    ...(data === undefined ? [] : ([["data", data]] as const)),
  ];
}

const card = (title: string, facts: Facts): Showing => ({ title, parts: () => [{ kind: "facts", facts }] });

/** A state that shows itself; what its optimizer keeps is for trainingStateToSafetensors. */
export function shownState(state: TrainingState): TrainingState {
  const show = (): Showing => card(`State of training after ${updates(state.step)}`, factsOf(state));
  const { moments, ...rest } = state;
  return Object.freeze(shownAs(state, show, () => ({ ...rest, moments: [...moments.keys()] })));
}

/** A checkpoint that shows itself. */
export function shownCheckpoint(checkpoint: TrainingCheckpoint): TrainingCheckpoint {
  const { step, loss, model } = checkpoint;
  const facts: Facts = [
    ["model", model.toString()],
    ...(loss === undefined ? [] : ([["loss", `${shortNumber(loss)} nats`]] as const)),
  ];
  return Object.freeze(shownAs(checkpoint, () => card(`Checkpoint after ${updates(step)}`, facts)));
}

/** What training came to, which shows itself. */
export function shownTraining(training: Training): Training {
  const { state, losses } = training;
  const [first, last] = [losses[0], losses.at(-1)];
  const way =
    first === undefined || last === undefined ? "" : `, loss ${shortNumber(first)} to ${shortNumber(last)} nats`;
  const show = (): Showing => card(`Training to ${updates(state.step)}${way}`, factsOf(state));
  return Object.freeze(shownAs(training, show));
}
