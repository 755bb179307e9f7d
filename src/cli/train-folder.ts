/**
 * The folder of a run of training: `run.json` (the recipe), `training-state.safetensors` (where it is), the model with
 * `config.json` and `tokenizer.json`, `losses.csv`, `film.json` and `film.html`, `checkpoints/`.
 *
 * The state is written last and never by half: what it says is done, the other files have.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FormatError, InputError } from "../errors.ts";
import { cannot } from "../io/internal.ts";
import type { Transformer } from "../model/index.ts";
import { trainingStateFromSafetensors, trainingStateToSafetensors } from "../train/index.ts";
import type { TrainingState } from "../train/index.ts";
import { checkpointFolder, modelFiles } from "../train/internal.ts";

const OPERATION = "train";
const STATE = "training-state.safetensors";
const LOSSES = "losses.csv";
const HEAD = "step,loss,gradient_norm,rate";

/** What is written of a run beside its state. */
const FILES = [
  "run.json",
  STATE,
  "model.safetensors",
  "config.json",
  "tokenizer.json",
  LOSSES,
  "film.json",
  "film.html",
  "checkpoints",
];

export class RunFolder {
  readonly path: string;
  /** The last step of which the folder has all; undefined before the first. */
  #kept: number | undefined;
  #losses = "";

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** What a file says; undefined where it is not there. */
  read(name: string): Buffer | undefined {
    const file = join(this.path, name);
    try {
      return readFileSync(file);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw cannot("read", file, cause, OPERATION);
    }
  }

  /** Whether a state of a run is there. */
  isBegun(): boolean {
    return existsSync(join(this.path, STATE));
  }

  /** Makes the folder for a new run, without what an earlier one left. */
  clear(): void {
    try {
      mkdirSync(this.path, { recursive: true });
      for (const name of FILES) rmSync(join(this.path, name), { recursive: true, force: true });
    } catch (cause) {
      throw cannot("write", this.path, cause, OPERATION);
    }
    this.#losses = `${HEAD}\n`;
  }

  /** Writes a file, whole or not at all. */
  write(name: string, content: string | Uint8Array): void {
    const file = join(this.path, name);
    const temporary = `${file}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, content);
      renameSync(temporary, file);
    } catch (cause) {
      rmSync(temporary, { force: true });
      const kept =
        this.#kept === undefined ? "" : ` The run is kept up to step ${this.#kept}: mend that and run the same again.`;
      throw cannot("write", file, cause, OPERATION, kept);
    }
  }

  /** The state that was written last, with the losses up to it; undefined before the first. */
  state(): TrainingState | undefined {
    const bytes = this.read(STATE);
    if (bytes === undefined) {
      this.#losses = `${HEAD}\n`;
      return undefined;
    }
    const state = this.#parsed(bytes);
    const lines = (this.read(LOSSES)?.toString() ?? "").split("\n").slice(0, state.step + 1);
    const last = lines[state.step]?.split(",") ?? [];
    const isWhole = lines.length === state.step + 1 && lines[0] === HEAD;
    if (!isWhole || (state.step > 0 && (last.length !== 4 || Number(last[0]) !== state.step - 1)))
      throw this.#damaged(LOSSES, `it does not have the ${state.step} steps that were made`);
    this.#losses = `${lines.join("\n")}\n`;
    this.#kept = state.step;
    return state;
  }

  #parsed(bytes: Uint8Array): TrainingState {
    try {
      return trainingStateFromSafetensors(bytes);
    } catch (cause) {
      throw this.#damaged(STATE, (cause as Error).message, cause);
    }
  }

  /** Says that a file cannot be used, and how to go on. */
  #damaged(name: string, what: string, cause?: unknown): FormatError {
    return new FormatError(
      `${join(this.path, name)} cannot be used: ${what.replace(/\.$/, "")}. Put back a whole one, or begin anew with --force.`,
      { operation: OPERATION, argument: "out" },
      { cause },
    );
  }

  /** Adds a step to the losses, which are written with the next state. */
  add(step: number, loss: number, gradientNorm: number, rate: number): void {
    this.#losses += `${step},${loss},${gradientNorm},${rate}\n`;
  }

  /** Writes the model, and then the state. */
  save(state: TrainingState): void {
    this.write(LOSSES, this.#losses);
    this.#writeModel("", state.model);
    this.write(STATE, trainingStateToSafetensors(state));
    this.#kept = state.step;
  }

  /** Keeps the model of a step in a folder of its own. */
  keep(step: number, model: Transformer): void {
    const folder = checkpointFolder(step);
    try {
      mkdirSync(join(this.path, folder), { recursive: true });
    } catch (cause) {
      throw cannot("write", join(this.path, folder), cause, OPERATION);
    }
    this.#writeModel(folder, model);
  }

  #writeModel(folder: string, model: Transformer): void {
    for (const [name, content] of modelFiles(model)) this.write(join(folder, name), content);
  }

  /** Refuses a folder that holds a model of something else. */
  requireOwn(): void {
    const foreign = FILES.find((name) => existsSync(join(this.path, name)));
    if (foreign === undefined) return;
    throw new InputError(
      `${join(this.path, foreign)} is there already and is of no run of training. Name another folder with --out, or overwrite it with --force.`,
      { operation: OPERATION, argument: "out" },
    );
  }
}
