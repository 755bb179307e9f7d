/** Jobs that train: one run a seed, what it loses and what forms in it on the way. */
import { requireObject } from "../errors.ts";
import { loadTokenizer, trainTokenizer } from "../io/index.ts";
import type { Tokenizer } from "../io/index.ts";
import type { JobFiles, JobKind, JobTask, JobValue } from "../jobs/index.ts";
import {
  checkFolder,
  checkText,
  checkTruth,
  refusePlan,
  requireFiles,
  requireWhole,
  savedPath,
  textOf,
} from "../jobs/internal.ts";
import type { Settings } from "../jobs/internal.ts";
import type { Transformer } from "../model/index.ts";
import { requireChoice } from "../model/internal.ts";
import { rawData } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import type { TrainingCheckpoint } from "./checkpoints.ts";
import type { TextEncoding } from "./data/index.ts";
import { editsByStep } from "./edit-stretches.ts";
import { filmRecorder, trainingPhases } from "./film/index.ts";
import type { FilmFrame, FilmMeasure, TrainingFilm, TrainingPhase } from "./film/index.ts";
import { initialModel } from "./initial-model.ts";
import { trainingRecipe } from "./recipes/index.ts";
import type { RecipeJSON, RecipeOptions, TrainingRecipe } from "./recipes/index.ts";
import { checkpointFolder, modelFiles } from "./saved-model.ts";
import { train } from "./train.ts";
import { TrainingError } from "./training-error.ts";

type Row = Readonly<Record<string, JobValue>>;

/** The settings that are of a recipe. */
const RECIPE = "model data steps init optimizer schedule clip edits";
/** What phases are found by, and the rows tell. */
const MEASURES: readonly FilmMeasure[] = ["losses", "heads", "composition"];
/** Checkpoints of a run unless told otherwise. */
const CHECKPOINTS = 50;

/**
 * Jobs of the kind `train`: a run of training a seed. The settings are those of a {@link trainingRecipe} but the seed,
 * which is the job's; `text`, where the data are one; `every`, after how many steps the run is measured, a fiftieth of
 * them unless given; `measures`, of `losses`, `heads` and `composition`, all unless given; `save`, a folder beside the
 * plan for the trained models, and `keep`, whether those of all checkpoints are kept in it.
 *
 * A row is `about` a `checkpoint` (losses, the in-context score, the best heads), about a `phase` of
 * {@link trainingPhases}, or about where the run `diverged`.
 *
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { trainingJob } from "transformer-circuits/train";
 *
 * const tasks = [{ kind: "train", data: { kind: "max-of-k", d_vocab: 8, batch: 8 }, steps: 20, every: 10 }];
 * const plan = parseJobPlan({ seeds: [0, 1], tasks }, { kinds: { train: trainingJob } });
 * const { rows } = await runJobs(plan, { on: inProcess() });
 * const measured = rows.filter(({ about }) => about === "checkpoint");
 * console.log(measured.map(({ seed, step }) => `${seed}: ${step}`).join(", "));
 * // 0: 0, 0: 10, 0: 20, 1: 0, 1: 10, 1: 20
 * ```
 */
export const trainingJob: JobKind = {
  columns: {
    ...{ about: "text", step: "whole", loss: "number", held_out_loss: "number", held_out_error: "number" },
    ...{ in_context_score: "number", in_context_error: "number", best_previous: "number" },
    ...{ best_prefix_matching: "number", previous_heads: "whole", induction_heads: "whole" },
    ...{ phase: "text", from_step: "whole", to_step: "whole", heads: "text", measure: "text" },
    ...{ before: "number", after: "number", low: "number", high: "number", saved: "text", rate: "number" },
  },
  hasModel: false,
  check: checkSettings,
  run: async (task) => {
    const { settings, signal, onProgress } = task;
    const { text, every, measures = MEASURES, save, keep = false } = settings as Partial<Own>;
    const { recipe, tokenizer } = await recipeOf(task, text);
    const { data, options, heldOut, floors } = recipe;
    const recorder = filmRecorder({ data: heldOut, floors, measures });
    const saved = save === undefined ? undefined : new SavedRun(savedPath(save, task), requireFiles(task), tokenizer);
    try {
      const { model } = await train(recipe.start(), data, {
        ...options,
        ...{ signal, onProgress },
        checkpoints: every ?? Math.max(1, Math.round(options.steps / CHECKPOINTS)),
        onCheckpoint: async (checkpoint) => {
          recorder.add(checkpoint);
          if (keep) await saved?.checkpoint(checkpoint);
        },
      });
      await saved?.end(model, recipe, recorder.film);
    } catch (error) {
      // A run that diverges is what some of a sweep's settings come to, not a job that failed.
      if (!(error instanceof TrainingError)) throw error;
      const { step, rate } = error;
      return [...checkpointRows(recorder.frames), { about: "diverged", step, rate }];
    }
    return rowsOf(recorder.film, saved?.folder);
  },
};

/** Where a run is saved: as the folder of a run of the command, without what that needs to go on. */
class SavedRun {
  readonly folder: string;
  readonly #files: JobFiles;
  readonly #tokenizer: object | undefined;

  constructor(folder: string, files: JobFiles, tokenizer: object | undefined) {
    this.folder = folder;
    this.#files = files;
    this.#tokenizer = tokenizer;
  }

  async checkpoint({ step, model }: Pick<TrainingCheckpoint, "step" | "model">): Promise<void> {
    await this.#model(`${this.folder}/${checkpointFolder(step)}`, model);
  }

  async end(model: Transformer, recipe: TrainingRecipe, film: TrainingFilm): Promise<void> {
    await this.#files.write(`${this.folder}/run.json`, `${JSON.stringify(recipe, null, 2)}\n`);
    await this.#files.write(`${this.folder}/film.json`, JSON.stringify(film));
    await this.#model(this.folder, model);
  }

  async #model(at: string, model: Transformer): Promise<void> {
    if (this.#tokenizer) await this.#files.write(`${at}/tokenizer.json`, JSON.stringify(this.#tokenizer));
    for (const [name, content] of modelFiles(model)) await this.#files.write(`${at}/${name}`, content);
  }
}

/** What the kind has beside a recipe. */
interface Own {
  readonly text: unknown;
  readonly every: number;
  readonly measures: readonly FilmMeasure[];
  readonly save: string;
  readonly keep: boolean;
}

function checkSettings(settings: Settings): void {
  requireObject(settings, "train", "parseJobPlan", `${RECIPE} text every measures save keep`);
  const { text, every, measures, save, keep } = settings;
  requireWhole(every, 1, "every");
  checkFolder(save, "save");
  checkTruth(keep, "keep");
  if (keep === true && save === undefined)
    throw refusePlan("keep", 'keep is for models that are saved. Say where, as save: "runs".', keep);
  if (measures !== undefined) {
    if (!Array.isArray(measures))
      throw refusePlan("measures", 'measures is no list, as ["losses", "heads"].', measures);
    for (const measure of measures) requireChoice(measure as string, MEASURES, "measures", "parseJobPlan");
  }
  const recipe = recipeIn(settings);
  const isText = recipe.data?.kind === "text";
  if (text !== undefined) checkText(text, "text");
  if (text !== undefined && "tokens" in text)
    throw refusePlan("text", "text is token ids; a run is trained on text.", text);
  if (isText !== (text !== undefined)) {
    const mend = isText ? 'text is missing: name it, as text: { file: "…" }' : 'text goes with data: { kind: "text" }';
    throw refusePlan("text", `${mend}.`, text);
  }
  // What the text says is not known yet: as many tokens as anyone asks for stand for it.
  const encode = (): Int32Array => new Int32Array(2 ** 20);
  const standIn = (vocabSize: number): TextEncoding => {
    trainTokenizer("text", { vocabSize });
    return { vocabSize, encode };
  };
  const stand = isText ? { text: "text", tokenizer: standIn } : {};
  const { config, options } = trainingRecipe(recipe, stand);
  editsByStep(options.edits, config);
  const smallest = { n_layers: 1, n_heads: 1, d_model: 1, n_ctx: 1, d_vocab: 1, attn_only: true };
  initialModel(smallest, { seed: 0, init: recipe.init });
}

const recipeIn = (settings: Settings): RecipeJSON =>
  Object.fromEntries(RECIPE.split(" ").map((name) => [name, settings[name]]));

/** The run of a job, and the tokenizer that was made for its text. */
async function recipeOf(
  task: JobTask,
  text: unknown,
): Promise<{ readonly recipe: TrainingRecipe; readonly tokenizer: object | undefined }> {
  const json = { ...recipeIn(task.settings), seed: task.seed };
  if (text === undefined) return { recipe: trainingRecipe(json), tokenizer: undefined };
  checkText(text, "text");
  const content = (await textOf(text, task)).text as string;
  let made: object | undefined;
  const tokenizer = (vocabSize: number): Tokenizer => loadTokenizer((made = trainTokenizer(content, { vocabSize })));
  const options: RecipeOptions = { text: content, tokenizer };
  return { recipe: trainingRecipe(json, options), tokenizer: made };
}

/** The checkpoints of a run, and its phases; the last checkpoint says where the model is saved. */
function rowsOf(film: TrainingFilm, saved: string | undefined): Row[] {
  const checkpoints = checkpointRows(film.frames);
  const last = checkpoints.pop();
  return [...checkpoints, { ...last, ...(saved !== undefined && { saved }) }, ...trainingPhases(film).map(phaseRow)];
}

function checkpointRows(frames: readonly FilmFrame[]): Row[] {
  return frames.map(({ step, loss, meanLoss, contextScore, heads }) => ({
    ...{ about: "checkpoint", step, loss },
    ...{ held_out_loss: meanLoss?.mean ?? null, held_out_error: meanLoss?.error ?? null },
    ...{ in_context_score: contextScore?.mean ?? null, in_context_error: contextScore?.error ?? null },
    ...(heads && {
      best_previous: largest(heads.previous.score),
      best_prefix_matching: largest(heads.prefixMatching.score),
      previous_heads: count(heads.previous.found),
      induction_heads: count(heads.prefixMatching.found),
    }),
  }));
}

const largest = (scores: Tensor): number => Math.max(...rawData(scores));
const count = (found: Tensor): number => Array.from(rawData(found)).filter((is) => is === 1).length;

function phaseRow({ name, from, to, evidence }: TrainingPhase): Row {
  const { heads, measure, before, after, interval } = evidence;
  const [low, high] = interval;
  return {
    ...{ about: "phase", phase: name, from_step: from, to_step: to },
    ...{ heads: heads.length === 0 ? null : heads.join(" "), measure, before, after, low, high },
  };
}
