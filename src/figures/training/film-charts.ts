/** The charts of a film of training: each of one checkpoint, with what all checkpoints share. */
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { trainingPhases } from "../../train/index.ts";
import type { FilmFrame, TrainingFilm, TrainingPhase } from "../../train/index.ts";
import { headGrid, heatmap, lineChart } from "../../viz/index.ts";
import type { Domain, Figure, LineSeries, Region } from "../../viz/index.ts";

/** What is drawn alike in every picture of a film. */
export interface Course {
  readonly film: TrainingFilm;
  readonly phases: readonly TrainingPhase[];
  readonly steps: readonly number[];
  readonly positionLoss: Domain | undefined;
  readonly sharesLimit: number;
}

/** What all pictures of a film share. */
export function courseOf(film: TrainingFilm): Course {
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

const SIDE = { width: 380, height: 230 } as const;
const MAIN = { width: 560, height: 230 } as const;

/** The figures of one checkpoint, row by row. */
export function rowsOf(course: Course, at: number): Figure[][] {
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
