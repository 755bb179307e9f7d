/** Figure: what forms in a model while it learns, checkpoint by checkpoint. */
import { filmFrame, filmProbe, trainingFilm, trainingPhases } from "../../train/index.ts";
import type { FilmFrame, TrainingFilm, TrainingPhase } from "../../train/index.ts";
import { InputError } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { arrange, flipbook, headGrid, heatmap, lineChart } from "../../viz/index.ts";
import type { Captions, Domain, Figure, LineSeries, Region } from "../../viz/index.ts";
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

/** What is drawn alike in every picture of a film. */
interface Course {
  readonly film: TrainingFilm;
  readonly phases: readonly TrainingPhase[];
  readonly steps: readonly number[];
  readonly positionLoss: Domain | undefined;
  readonly sharesLimit: number;
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

function courseOf(film: TrainingFilm): Course {
  const { frames } = film;
  const losses = frames.flatMap(({ lossByPosition }) => (lossByPosition ? [...lossByPosition.data] : []));
  const finite = losses.filter(Number.isFinite);
  const bounds = finite.reduce<Domain>(
    ([low, high], x) => [Math.min(low, x), Math.max(high, x)],
    [Infinity, -Infinity],
  );
  const shares = frames.flatMap((frame) => pairKinds(frame).flatMap(({ values }) => values.flat()));
  return {
    film,
    phases: trainingPhases(film),
    steps: frames.map(({ step }) => step),
    positionLoss: finite.length === 0 ? undefined : [Math.min(0, bounds[0]), bounds[1] > 0 ? bounds[1] * 1.03 : 1],
    sharesLimit: shares.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0) || 1,
  };
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

const SIDE = { width: 380, height: 230 } as const;
const MAIN = { width: 560, height: 230 } as const;

function rowsOf(course: Course, at: number): Figure[][] {
  const frame = course.film.frames[at] as FilmFrame;
  const rows = [
    [lossChart(course, frame), positionChart(course, frame)],
    [formingChart(course, frame), contextChart(course, frame)],
    headGrids(frame),
    [...pairMaps(course, frame), importanceChart(course, frame)],
  ];
  const drawn = rows.map((row) => row.filter((figure) => figure !== undefined)).filter(({ length }) => length > 0);
  return drawn.length > 0 ? drawn : [[headGrid({ title: "nothing was measured", values: [[NaN]] })]];
}

/** A line of what frames have, where some have it: from the first that has it to the last. */
function lineOf({ film, steps }: Course, name: string, of: (frame: FilmFrame) => number | undefined): LineSeries[] {
  const y = film.frames.map((frame) => of(frame) ?? NaN);
  const has = y.flatMap((value, i) => (Number.isFinite(value) ? [i] : []));
  const [first, end] = [has[0], (has.at(-1) ?? 0) + 1];
  return first === undefined ? [] : [{ name, x: steps.slice(first, end), y: y.slice(first, end) }];
}

/** A chart over all steps with a mark where the picture stands. */
function overSteps(
  frame: FilmFrame,
  series: readonly LineSeries[],
  options: Omit<Parameters<typeof lineChart>[0], "series">,
): Figure | undefined {
  if (series.length === 0) return undefined;
  return lineChart({ series, cursor: frame.step, xLabel: "training step", ...options });
}

const isOfHeads = ({ evidence }: TrainingPhase): boolean => evidence.heads.length > 0;

/** Phases as spans; one that begins and ends at a step is none. */
function regionsOf(phases: readonly TrainingPhase[]): Region[] {
  return phases.filter(({ from, to }) => to > from).map(({ name, from, to }) => ({ from, to, label: name }));
}

function lossChart(course: Course, frame: FilmFrame): Figure | undefined {
  const { film, phases } = course;
  const { uniform } = film.frames[0] as FilmFrame;
  const floors = film.floors.map(({ name, loss }) => ({ value: loss, label: name }));
  const series = [
    ...lineOf(course, "training", ({ loss }) => loss),
    ...lineOf(course, "probe", ({ meanLoss }) => meanLoss?.mean),
  ];
  return overSteps(frame, series, {
    title: "Loss",
    yLabel: "nats",
    regions: regionsOf(phases.filter((phase) => !isOfHeads(phase))),
    references: floors.length > 0 ? floors : [{ value: uniform, label: "even guess" }],
    ...MAIN,
  });
}

function positionChart({ positionLoss }: Course, { lossByPosition }: FilmFrame): Figure | undefined {
  if (lossByPosition === undefined || positionLoss === undefined) return undefined;
  // of positions whose predictions count
  const counted = [...rawData(lossByPosition).entries()].filter(([, loss]) => Number.isFinite(loss));
  if (counted.length < 2) return undefined;
  return lineChart({
    title: "Loss by position, at this step",
    series: [{ name: "loss", x: counted.map(([i]) => i + 1), y: counted.map(([, loss]) => loss) }],
    xLabel: "tokens before",
    yLabel: "nats",
    yDomain: positionLoss,
    ...SIDE,
  });
}

/** The head whose forming was found, or the one that does it most in the end. */
function followedHead({ film, phases }: Course, name: string, kind: "previous" | "prefixMatching"): string | undefined {
  const found = phases.find((phase) => phase.name === name)?.evidence.heads[0];
  if (found !== undefined) return found;
  const last = [...film.frames].reverse().find(({ heads }) => heads !== undefined);
  if (last?.heads === undefined) return undefined;
  const excess = Array.from(rawData(last.heads[kind].excess));
  const best = excess.reduce((a, x, i) => (x > (excess[a] as number) || Number.isNaN(excess[a]) ? i : a), 0);
  return headLabel({ layer: Math.floor(best / last.n_heads), head: best % last.n_heads });
}

const idOf = (label: string): HeadId => {
  const [layer = 0, head = 0] = label.slice(1).split("H").map(Number);
  return { layer, head };
};

function formingChart(course: Course, frame: FilmFrame): Figure | undefined {
  const writer = followedHead(course, "previous-token head", "previous");
  const reader = followedHead(course, "induction heads", "prefixMatching");
  const excess = (label: string | undefined, what: string, kind: "previous" | "prefixMatching"): LineSeries[] => {
    if (label === undefined) return [];
    const { layer, head } = idOf(label);
    return lineOf(course, `${label} ${what}`, ({ heads }) => heads?.[kind].excess.at(layer, head));
  };
  const [from, to] = [writer, reader].map((label) => idOf(label ?? "L0H0")) as [HeadId, HeadId];
  const share = ({ composition }: FilmFrame): number | undefined => {
    if (composition === undefined) return undefined;
    const of = (map: Tensor): number => map.at(from.layer, from.head, to.layer, to.head);
    return of(composition.K.share) - of(composition.K.chance);
  };
  const series = [
    ...excess(writer, "previous token", "previous"),
    ...excess(reader, "induction", "prefixMatching"),
    ...(from.layer < to.layer ? lineOf(course, "K-composition", share) : []),
  ];
  const lowest = Math.min(0, ...series.flatMap(({ y }) => Array.from(y).filter(Number.isFinite)));
  return overSteps(frame, series, {
    title: "What forms",
    yLabel: "above chance",
    regions: regionsOf(course.phases.filter(isOfHeads)),
    references: [{ value: 0 }],
    // room for the names of what formed, above the lines
    yDomain: [lowest, 1.35],
    ...MAIN,
  });
}

function contextChart(course: Course, frame: FilmFrame): Figure | undefined {
  return overSteps(
    frame,
    lineOf(course, "score", ({ contextScore }) => contextScore?.mean),
    {
      title: "In-context learning score",
      yLabel: "late loss − early loss (nats)",
      regions: regionsOf(course.phases.filter(({ name }) => name === "bump")),
      references: [{ value: 0 }],
      ...SIDE,
    },
  );
}

function importanceChart(course: Course, frame: FilmFrame): Figure | undefined {
  const orders = course.film.frames.find(({ importance }) => importance !== undefined)?.importance?.gain.size ?? 0;
  const series = Array.from({ length: orders }, (_, order) =>
    lineOf(course, `order ${order}`, ({ importance }) => importance?.gain.at(order)),
  ).flat();
  return overSteps(frame, series, {
    title: "What each order of paths is worth",
    yLabel: "lower loss (nats)",
    references: [{ value: 0 }],
    ...SIDE,
  });
}

function headGrids({ heads, copying }: FilmFrame): Figure[] {
  const above = { legendLabel: "above chance", scale: "diverging", limit: 1 } as const;
  return [
    ...(heads === undefined
      ? []
      : [
          headGrid({ title: "Previous token", values: heads.previous.excess, ...above }),
          headGrid({ title: "Induction", values: heads.prefixMatching.excess, ...above }),
        ]),
    ...(copying === undefined
      ? []
      : [headGrid({ title: "Copying", values: copying, scale: "diverging", limit: 1, legendLabel: "eigenvalues" })]),
  ];
}

interface PairKind {
  readonly kind: "K" | "Q" | "V";
  readonly writers: readonly string[];
  readonly readers: readonly string[];
  /** The share above chance. */
  readonly values: readonly (readonly number[])[];
}

/** Above so many heads maps of pairs are no part of the picture. */
const MOST_HEADS = 48;

function pairKinds({ composition, n_layers, n_heads }: FilmFrame): PairKind[] {
  if (composition === undefined || n_layers * n_heads > MOST_HEADS) return [];
  const heads = (from: number, to: number): HeadId[] =>
    Array.from({ length: (to - from) * n_heads }, (_, i) => ({
      layer: from + Math.floor(i / n_heads),
      head: i % n_heads,
    }));
  const [writers, readers] = [heads(0, n_layers - 1), heads(1, n_layers)];
  return (["K", "Q", "V"] as const).map((kind) => {
    const { share, chance } = composition[kind];
    const above = (w: HeadId, r: HeadId): number => {
      const at = [w.layer, w.head, r.layer, r.head] as const;
      return share.at(...at) - chance.at(...at);
    };
    return {
      kind,
      writers: writers.map(headLabel),
      readers: readers.map(headLabel),
      values: writers.map((w) => readers.map((r) => above(w, r))),
    };
  });
}

function pairMaps({ sharesLimit }: Course, frame: FilmFrame): Figure[] {
  return pairKinds(frame).map(({ kind, writers, readers, values }) =>
    heatmap({
      title: `${kind}-composition`,
      values,
      rowLabels: writers,
      columnLabels: readers,
      xLabel: "reader",
      yLabel: "writer",
      scale: "diverging",
      limit: sharesLimit,
      legend: kind === "V",
      legendLabel: "share above chance",
      mask: (row, column) => idOf(writers[row] ?? "").layer >= idOf(readers[column] ?? "").layer,
    }),
  );
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
