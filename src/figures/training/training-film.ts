/** Figure: what forms in a model while it learns, checkpoint by checkpoint. */
import { filmFrame, filmProbe, trainingFilm } from "../../train/index.ts";
import type { FilmFrame, TrainingFilm } from "../../train/index.ts";
import { InputError } from "../../errors.ts";
import { arrange, flipbook } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { courseOf, rowsOf } from "./film-charts.ts";
import type { Course } from "./film-charts.ts";
import { checkpointsOf, eachCheckpoint, placesOf } from "./checkpoints.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { bosOf, requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";

const NEEDS: readonly FigureNeed[] = ["layer", "checkpoints"];
const OPERATION = "checkpointFilm";
/** Windows of the text that losses are measured on, and their length. */
const WINDOWS = 8;
const LENGTH = 128;

/**
 * The film of a training run from the checkpoints that it left: {@link filmFrame} of each, on the text where one is
 * given. What is recorded while a model trains needs no checkpoints: {@link filmRecorder}.
 *
 * @param options - `seed` of the random tokens, `signal`, `onProgress` (in checkpoints).
 * @throws {@link ConfigError} when the model has no heads, or a checkpoint is of another model; {@link InputError} when
 * there is a single checkpoint.
 * @category Figures
 * @example
 * ```ts
 * import { map, Transformer } from "transformer-circuits";
 * import { checkpointFilm } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * // Before: the same model without its second layer.
 * const weights = [...model.weights].map(
 *   ([name, W]) => [name, name === "blocks.1.attn.W_O" ? map(W, () => 0) : W] as const,
 * );
 * const before = Transformer.fromWeights(model.config, new Map(weights));
 * const checkpoints = [before, model].map((one, step) => ({ label: `${step}`, step, load: () => one }));
 * const { frames } = await checkpointFilm({ model, checkpoints });
 * console.log(frames.map(({ copying }) => copying?.at(1, 4).toFixed(2)).join(" "));
 * // 0.00 0.99
 * ```
 */
export async function checkpointFilm(input: FigureInput, options: FigureOptions = {}): Promise<TrainingFilm> {
  requireNeeds(NEEDS, input, OPERATION, options);
  const { config } = input.model;
  const isLong = config.n_ctx > 2 && config.d_vocab === config.d_vocab_out;
  const windows =
    input.text === undefined || !isLong ? [] : windowsOf(input, { length: LENGTH, count: WINDOWS }, OPERATION);
  const equal = windows.filter(({ length }) => length === windows[0]?.length);
  const bos = bosOf(input, OPERATION);
  const probe = filmProbe(
    { ...config, ...(bos !== undefined && { bos_token_id: bos }) },
    { seed: options.seed, ...(equal.length > 0 && { data: { tokens: equal } }) },
  );
  const places = placesOf(checkpointsOf(input));
  const frames = await eachCheckpoint(input, options, OPERATION, (model, index) =>
    filmFrame(model, { step: places[index]?.step ?? index, probe }),
  );
  return trainingFilm(frames);
}

const TITLE = "What forms while a model learns";

/**
 * Draws a film with a slider over its checkpoints: the losses with the phases that were found, what heads do, which of
 * them compose, what each order of paths is worth, and the loss along the context. `figure.frames` has a picture for
 * each checkpoint.
 *
 * @param film - from {@link checkpointFilm}, {@link trainingFilm} or a recorder.
 * @category Figures
 * @example
 * ```ts
 * import { drawTrainingFilm } from "transformer-circuits/figures";
 * import { filmFrame, filmProbe, trainingFilm } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const probe = filmProbe(model.config, { prompts: 2 });
 * const film = trainingFilm([0, 100].map((step) => filmFrame(model, { step, probe, measures: ["losses", "heads"] })));
 * const figure = drawTrainingFilm(film);
 * console.log(figure.kind, figure.frames.length);
 * // flipbook 2
 * ```
 */
export function drawTrainingFilm(film: TrainingFilm, captions: Captions = {}): Figure {
  requireData(film, "frames floors", "await checkpointFilm", "drawTrainingFilm", captions);
  const course = courseOf(film);
  return flipbook({
    title: TITLE,
    subtitle: subtitleOf(course),
    frames: film.frames.map((_, i) => arrange({ rows: rowsOf(course, i) })),
    labels: film.frames.map(({ step }) => `step ${step.toLocaleString("en")}`),
    ...captions,
  });
}

/**
 * Draws one checkpoint of a film, which may still grow: what a page shows while a model trains.
 *
 * @param film - as for {@link drawTrainingFilm}.
 * @param index - which of its frames; the last unless given.
 * @throws {@link InputError} when there is no such frame.
 * @category Figures
 * @example
 * ```ts
 * import { drawTrainingFrame } from "transformer-circuits/figures";
 * import { filmRecorder } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const recorder = filmRecorder({ prompts: 2, measures: ["heads"] });
 * recorder.add({ step: 0, model });
 * console.log(drawTrainingFrame(recorder.film).svg.includes("step 0"));
 * // true
 * ```
 */
export function drawTrainingFrame(film: TrainingFilm, index?: number, captions: Captions = {}): Figure {
  requireData(film, "frames floors", "await checkpointFilm", "drawTrainingFrame", captions);
  const at = index ?? film.frames.length - 1;
  const frame = film.frames[at];
  if (frame === undefined) {
    throw new InputError(`there is no frame ${at}; the film has ${film.frames.length}, the first being 0.`, {
      operation: "drawTrainingFrame",
      argument: "index",
      expected: [0, film.frames.length - 1],
      actual: index,
    });
  }
  const course = courseOf(film);
  const subtitle = `${subtitleOf(course)} At step ${frame.step.toLocaleString("en")}.`;
  return arrange({ title: TITLE, subtitle, rows: rowsOf(course, at), ...captions });
}

function subtitleOf({ phases, film }: Course): string {
  const { n_layers, n_heads } = film.frames[0] as FilmFrame;
  const ofHeads = phases.filter(({ evidence }) => evidence.heads.length > 0);
  const said = ofHeads.map(
    ({ name, from, to, evidence }) =>
      `${name} ${evidence.heads.join(" → ")}: steps ${from.toLocaleString("en")} to ${to.toLocaleString("en")}`,
  );
  const sizes = `${n_layers} ${n_layers === 1 ? "layer" : "layers"} of ${n_heads} ${n_heads === 1 ? "head" : "heads"}.`;
  return said.length === 0 ? sizes : `${sizes} Formed: ${said.join("; ")}.`;
}

/** The list's entry. */
export const trainingFilmEntry: FigureEntry<TrainingFilm> = {
  name: "training-film",
  number: 25,
  title: "What forms while a model learns, checkpoint by checkpoint",
  source: 'In-context Learning and Induction Heads, "Macroscopic co-occurrence"',
  needs: NEEDS,
  takesCheckpoints: true,
  takesText: true,
  output: "html",
  make: checkpointFilm,
  draw: drawTrainingFilm,
};
