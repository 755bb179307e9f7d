/**
 * The command `train`: a model from nothing, in a folder from which the same command goes on where it stopped, as if
 * it never had.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { InputError } from "../errors.ts";
import { loadTokenizer, trainTokenizer } from "../io/index.ts";
import type { Tokenizer } from "../io/index.ts";
import {
  filmFrame,
  filmProbe,
  train as trainModel,
  trainingFilm,
  trainingFilmFromJSON,
  trainingPhases,
  trainingRecipe,
} from "../train/index.ts";
import type { FilmFrame, RecipeJSON, TrainingFilm, TrainingRecipe, TrainingState } from "../train/index.ts";
import { pageOf } from "./figure.ts";
import { RunFolder } from "./train-folder.ts";
import { firstDifference, readRecipe, recipeOfText, withOptions } from "./train-recipe.ts";
import type { RecipeCommandOptions } from "./train-recipe.ts";
import { runCommand } from "./run.ts";
import type { Work } from "./run.ts";
import { readGivenText } from "./text.ts";

/** Options of the command. */
export interface TrainCommandOptions extends RecipeCommandOptions {
  readonly out: string;
  readonly every?: number;
  readonly keep?: boolean;
  readonly film?: boolean;
  readonly force?: boolean;
}

/** What `run.json` says: the recipe, and the text that it is of. */
interface RunJSON extends RecipeJSON {
  readonly text?: { readonly file: string; readonly sha256: string };
}

const OPERATION = "train";
const CANCELLED = "Cancelled; what was done is kept, and the same command goes on with the rest.";
/** Milliseconds after which the state is written: as much is lost when a process is killed. */
const PACE = 5000;
/** Checkpoints of a run unless told otherwise. */
const CHECKPOINTS = 100;

/**
 * Runs the command; returns the exit status.
 *
 * @param command - the command's own file.
 * @param path - a file of JSON: a recipe, or the configuration of a model.
 */
export function train(command: string, path: string | undefined, options: TrainCommandOptions): Promise<number> {
  return runCommand(
    "training",
    async (work) => {
      const folder = new RunFolder(options.out);
      const { recipe, json, tokenizer } = await recipeOf(command, path, options, folder);
      const state = begin(folder, json, options);
      if (state === undefined) {
        folder.write("run.json", `${JSON.stringify(json, null, 2)}\n`);
        if (tokenizer !== undefined) folder.write("tokenizer.json", tokenizer);
      }
      return new Run(folder, recipe, options).toEnd(state, work);
    },
    CANCELLED,
  );
}

/** A recipe as the file, the options and the folder say, with its tokenizer where the data are a text. */
async function recipeOf(
  command: string,
  path: string | undefined,
  options: TrainCommandOptions,
  folder: RunFolder,
): Promise<{ readonly recipe: TrainingRecipe; readonly json: RunJSON; readonly tokenizer: string | undefined }> {
  const isNew = options.force === true || !folder.isBegun();
  const before = isNew ? undefined : folder.read("run.json")?.toString();
  const { text: textBefore, ...known } = (before === undefined ? {} : recipeOfText(before, "run.json")) as RunJSON;
  const base = path === undefined ? known : await readRecipe(path);
  const described = withOptions(base, options);
  if (described.data?.kind !== "text") {
    const recipe = trainingRecipe(described);
    return { recipe, json: recipe.toJSON(), tokenizer: undefined };
  }
  const file = options.text ?? textBefore?.file;
  const { text, source } = await readGivenText(file === undefined ? {} : { text: file }, command, OPERATION);
  const content = text as string;
  let written = before === undefined ? undefined : folder.read("tokenizer.json")?.toString();
  const tokenizer = (vocabSize: number): Tokenizer => {
    written ??= JSON.stringify(trainTokenizer(content, { vocabSize }));
    return loadTokenizer(written);
  };
  const recipe = trainingRecipe(described, { text: content, tokenizer });
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { recipe, json: { ...recipe.toJSON(), text: { file: source, sha256 } }, tokenizer: written };
}

/** The state that the folder has of this run; undefined where it begins. */
function begin(folder: RunFolder, json: RunJSON, { force, out }: TrainCommandOptions): TrainingState | undefined {
  const text = folder.read("run.json")?.toString();
  if (text === undefined && force !== true) folder.requireOwn();
  if (text === undefined || force === true || !folder.isBegun()) {
    folder.clear();
    return undefined;
  }
  const before = recipeOfText(text, "run.json") as RunJSON;
  const longer = isLonger(json, before);
  const found = firstDifference(JSON.parse(JSON.stringify(json)), longer ? { ...before, steps: json.steps } : before);
  if (found !== undefined) {
    const { field, ours, theirs } = found;
    throw new InputError(
      `${out} holds another run: ${field} is ${JSON.stringify(theirs) ?? "not given"} there and ${JSON.stringify(ours) ?? "not given"} here. Name another folder with --out, or begin anew with --force.`,
      { operation: OPERATION, argument: field, expected: theirs, actual: ours },
    );
  }
  if (longer) folder.write("run.json", `${JSON.stringify(json, null, 2)}\n`);
  return folder.state();
}

/** Whether it is the same run but for more steps, which do not change those before. */
function isLonger(json: RunJSON, before: RunJSON): boolean {
  return typeof before.steps === "number" && (json.steps ?? 0) > before.steps;
}

/** A run on its way. */
class Run {
  readonly #folder: RunFolder;
  readonly #recipe: TrainingRecipe;
  readonly #options: TrainCommandOptions;
  readonly #every: number;
  readonly #frames: FilmFrame[];
  readonly #probe: ReturnType<typeof filmProbe> | undefined;

  constructor(folder: RunFolder, recipe: TrainingRecipe, options: TrainCommandOptions) {
    this.#folder = folder;
    this.#recipe = recipe;
    this.#options = options;
    const { config, heldOut: data } = recipe;
    this.#every = options.every ?? Math.max(1, Math.round(recipe.options.steps / CHECKPOINTS));
    this.#probe = options.film === true ? filmProbe(config, { data }) : undefined;
    const film = this.#probe && folder.read("film.json");
    this.#frames = film === undefined ? [] : [...trainingFilmFromJSON(film.toString()).frames];
  }

  async toEnd(before: TrainingState | undefined, { signal, onProgress }: Work): Promise<string> {
    const { data, options } = this.#recipe;
    const { steps } = options;
    let at: TrainingState | undefined = before;
    // What an earlier run measured after it was last written is measured again.
    const first = at?.step ?? 0;
    this.#frames.splice(0, Infinity, ...this.#frames.filter(({ step }) => step <= first));
    let model = at?.model ?? this.#recipe.start();
    let [saved, loss] = [Date.now(), NaN];
    while ((at?.step ?? 0) < steps) {
      const from = at?.step ?? 0;
      const to = Math.min(steps, (Math.floor(from / this.#every) + 1) * this.#every);
      const done = await trainModel(at ?? model, data, {
        ...options,
        edits: options.edits ?? [],
        steps: to,
        onStep: (step) => {
          loss = step.loss;
          this.#folder.add(step.step, step.loss, step.gradientNorm, step.rate);
          onProgress(step.step + 1, steps, `step ${step.step + 1} of ${steps}, loss ${loss.toFixed(3)}`);
          return signal.aborted || Date.now() - saved >= PACE ? "stop" : undefined;
        },
      });
      if (from === 0) this.#checkpoint(0, done.losses[0] ?? NaN, model);
      ({ state: at, model } = done);
      if (at.step === to) this.#checkpoint(at.step, loss, model);
      if (signal.aborted || at.step === steps || Date.now() - saved >= PACE) {
        this.#save(at);
        saved = Date.now();
      }
      if (signal.aborted) await this.#draw();
      signal.throwIfAborted();
    }
    return this.#end(first, loss);
  }

  #checkpoint(step: number, loss: number, model: TrainingState["model"]): void {
    const probe = this.#probe;
    if (probe !== undefined) this.#frames.push(filmFrame(model, { step, loss, probe }));
    if (this.#options.keep === true) this.#folder.keep(step, model);
  }

  #save(state: TrainingState): void {
    if (this.#frames.length > 0) this.#folder.write("film.json", JSON.stringify(this.#film()));
    this.#folder.save(state);
  }

  #film(): TrainingFilm {
    return trainingFilm(this.#frames, { floors: this.#recipe.floors });
  }

  /** Draws what was filmed. */
  async #draw(): Promise<TrainingFilm | undefined> {
    if (this.#frames.length === 0) return undefined;
    const film = this.#film();
    const { drawTrainingFilm } = await import("../figures/index.ts");
    const figure = drawTrainingFilm(film);
    this.#folder.write("film.html", pageOf(figure.label, figure.html));
    return film;
  }

  /** Says where everything is. */
  async #end(first: number, loss: number): Promise<string> {
    const { path } = this.#folder;
    const { steps } = this.#recipe.options;
    const rows = [
      first >= steps
        ? ["steps", `${steps} were made before`]
        : ["steps", `${first} to ${steps}, loss ${loss.toFixed(3)}`],
      ["model", join(path, "model.safetensors")],
    ];
    if (this.#options.keep === true) rows.push(["checkpoints", join(path, "checkpoints")]);
    const film = await this.#draw();
    if (film !== undefined) {
      rows.push(["film", join(path, "film.html")]);
      for (const { evidence } of trainingPhases(film)) rows.push(["", evidence.text]);
    }
    return rows.map(([name = "", text = ""]) => `${name.padEnd(12)} ${text}`).join("\n");
  }
}
