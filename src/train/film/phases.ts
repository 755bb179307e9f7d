/**
 * The phases of a training run, found in its film: where a previous-token head forms, where induction heads form, where
 * the in-context score falls fastest, and which of the data's known guesses the model is nearest to.
 *
 * Nothing here is an absolute threshold. A head has to be one by {@link findHeads}, against even attention; that it
 * *formed* is a rise of its excess whose interval lies above 0. The bump is a fall that is surely faster than an even
 * one. A model is at a known guess while its loss is nearer to that guess's than to those of its neighbours.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { FEWEST, rampOf, steepestFall } from "./curves.ts";
import type { FilmFloor, TrainingFilm } from "./film.ts";
import type { FilmFrame } from "./frame.ts";
import type { FilmEstimate } from "./losses.ts";

/**
 * A phase of a training run.
 * @category Training
 */
export interface TrainingPhase {
  /**
   * `previous-token head`, `induction heads`, `K-composition` (of those two), `bump`, or the name of a known loss, as
   * `unigram`.
   */
  readonly name: string;
  /** The steps of the checkpoints at which it begins and ends. */
  readonly from: number;
  readonly to: number;
  /** What speaks for it. */
  readonly evidence: PhaseEvidence;
}

/**
 * What speaks for a phase.
 * @category Training
 */
export interface PhaseEvidence {
  /**
   * What was followed: the excess of a head's attention over chance, a pair's share of composition over chance, the
   * in-context score or the loss, in nats.
   */
  readonly measure: "excess" | "share above chance" | "in-context score" | "loss";
  /** The heads whose measure it is. */
  readonly heads: readonly `L${number}H${number}`[];
  /** The measure before it begins and after it ends. */
  readonly before: number;
  readonly after: number;
  /**
   * What `after - before` may be, with 99 % confidence; of a known loss, what the loss was over it that was nearest.
   */
  readonly interval: readonly [low: number, high: number];
  /** The same in a sentence. */
  readonly text: string;
}

/**
 * Finds the phases of a training run, in the order in which they begin.
 *
 * The head that is followed is the one that the film shows as such in most of its checkpoints. A head that is there at
 * the first checkpoint has no phase, nor has one that never gets there; nor is there a bump where the in-context score
 * falls evenly.
 *
 * @param film - from {@link trainingFilm} or a recorder; phases by losses come of its `floors`.
 * @throws {@link InputError} when `film` is none.
 * @category Training
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { trainingFilm, trainingPhases } from "transformer-circuits/train";
 *
 * // A loss that stays at that of a blind guess, and falls to the best one between steps 400 and 600.
 * const frames = Array.from({ length: 21 }, (_, i) => {
 *   const mean = i < 8 ? 1.1 : i > 12 ? 0.85 : 1.1 - 0.05 * (i - 7);
 *   return { step: 50 * i, loss: mean, n_layers: 2, n_heads: 1, uniform: 1.1, meanLoss: { mean, error: 0.01 } };
 * });
 * const film = trainingFilm(frames, { floors: { uniform: 1.0986, bigram: 0.847 } });
 * console.log(trainingPhases(film).map(({ name, from, to }) => `${name} ${from}–${to}`).join(", "));
 * // uniform 0–450, bigram 500–1000
 * ```
 */
export function trainingPhases(film: TrainingFilm): TrainingPhase[] {
  const operation = "trainingPhases";
  requireFilm(film, operation);
  const phases = [...headPhases(film.frames), ...bumpOf(film.frames), ...floorPhases(film)];
  phases.sort((a, b) => a.from - b.from || a.to - b.to);
  return shownAs(phases, phasesShowing);
}

/** Refuses what is no film. */
export function requireFilm(film: TrainingFilm, operation: string): void {
  requireObject(film, "film", operation);
  requireKind("list", film.frames, "film.frames", operation);
  requireKind("list", film.floors, "film.floors", operation);
  if (film.frames.length > 0) return;
  throw new InputError("the film has no frame. Add a checkpoint first.", { operation, argument: "film", actual: 0 });
}

function phasesShowing(phases: readonly TrainingPhase[]): Showing {
  const rows = phases.map(({ name, from, to, evidence: { heads, measure, before, after } }) => [
    ...[name, heads.join(" → "), from, to],
    ...[measure, before, after],
  ]);
  const columns = ["phase", "heads", "from", "to", "measure", "before", "after"];
  return { title: `TrainingPhases: ${phases.length}`, parts: () => [{ kind: "rows", columns, rows, indices: 4 }] };
}

type HeadsPhase = "previous-token head" | "induction heads";
const KIND_OF = { "previous-token head": "previous", "induction heads": "prefixMatching" } as const;

/** The head that is of a kind at most checkpoints; none where none ever is. */
function mostlyFound(frames: readonly FilmFrame[], kind: "previous" | "prefixMatching"): HeadId | undefined {
  const { n_layers, n_heads } = frames[0] as FilmFrame;
  let [best, most] = [-1, 0];
  for (let i = 0; i < n_layers * n_heads; i++) {
    const [layer, head] = [Math.floor(i / n_heads), i % n_heads];
    let held = 0;
    for (const { heads } of frames)
      if (heads?.[kind].found.at(layer, head) === 1) held += 1 + heads[kind].excess.at(layer, head);
    if (held > most) [best, most] = [i, held];
  }
  return best < 0 ? undefined : { layer: Math.floor(best / n_heads), head: best % n_heads };
}

function headPhases(all: readonly FilmFrame[]): TrainingPhase[] {
  const frames = all.filter(({ heads }) => heads !== undefined);
  if (frames.length < FEWEST) return [];
  const followed = (Object.keys(KIND_OF) as HeadsPhase[]).map((name) => ({
    name,
    id: mostlyFound(frames, KIND_OF[name]),
  }));
  const phases = followed.flatMap(({ name, id }) => {
    if (id === undefined) return [];
    const kind = KIND_OF[name];
    const what = `${headLabel(id)} attends to ${kind === "previous" ? "the previous token" : "what followed earlier occurrences of the current token"}`;
    const measure = (frame: FilmFrame): number => frame.heads?.[kind].excess.at(id.layer, id.head) ?? NaN;
    return risePhase(frames, measure, {
      name,
      measure: "excess",
      heads: [headLabel(id)],
      what: `${what}: excess over chance`,
    });
  });
  const [writer, reader] = followed.map(({ id }) => id);
  if (writer === undefined || reader === undefined || writer.layer >= reader.layer) return phases;
  const of = (map: Tensor<"writer_layer writer_head reader_layer reader_head"> | undefined): number =>
    map?.at(writer.layer, writer.head, reader.layer, reader.head) ?? NaN;
  const composing = frames.filter(({ composition }) => composition !== undefined);
  const share = ({ composition }: FilmFrame): number => of(composition?.K.share) - of(composition?.K.chance);
  const heads = [headLabel(writer), headLabel(reader)];
  const what = `share of ${heads[1]}'s keys that comes from ${heads[0]}, above chance`;
  return [
    ...phases,
    ...risePhase(composing, share, { name: "K-composition", measure: "share above chance", heads, what }),
  ];
}

/** The rise of a measure, where it surely rises. */
function risePhase(
  given: readonly FilmFrame[],
  measure: (frame: FilmFrame) => number,
  {
    what,
    name,
    ...rest
  }: Pick<TrainingPhase, "name"> & Pick<PhaseEvidence, "measure" | "heads"> & { readonly what: string },
): TrainingPhase[] {
  const frames = given.filter((frame) => Number.isFinite(measure(frame)));
  const ramp = rampOf({ steps: frames.map(({ step }) => step), values: frames.map(measure) });
  if (ramp === undefined || ramp.interval[0] <= 0) return [];
  const { before, after, interval } = ramp;
  const [from, to] = [frames[ramp.from], frames[ramp.to]].map((frame) => (frame as FilmFrame).step) as [number, number];
  const text = `${what} ${before.toFixed(2)} before step ${from}, ${after.toFixed(2)} from step ${to} on`;
  return [{ name, from, to, evidence: { ...rest, before, after, interval, text } }];
}

function bumpOf(all: readonly FilmFrame[]): TrainingPhase[] {
  const frames = all.filter(({ contextScore }) => contextScore !== undefined && Number.isFinite(contextScore.mean));
  const score = (i: number): number => (frames[i]?.contextScore as FilmEstimate).mean;
  const values = frames.map((_, i) => score(i));
  const fall = steepestFall({ steps: frames.map(({ step }) => step), values });
  if (fall === undefined) return [];
  const [from, to] = [frames[fall.from], frames[fall.to]].map((frame) => (frame as FilmFrame).step) as [number, number];
  const [before, after] = [score(fall.from), score(fall.to)];
  const faster = fall.even > 0 ? `, ${(fall.rate / fall.even).toFixed(1)} times as fast as evenly` : "";
  const text = `the in-context score falls from ${before.toFixed(2)} to ${after.toFixed(2)} nats between steps ${from} and ${to}${faster}`;
  const interval = fall.interval.map((rate) => -rate * (to - from)).reverse() as unknown as [number, number];
  return [
    { name: "bump", from, to, evidence: { measure: "in-context score", heads: [], before, after, interval, text } },
  ];
}

/** While the loss is nearer to a known one than to its neighbours; from the last checkpoint on that is above. */
function floorPhases({ frames: all, floors }: TrainingFilm): TrainingPhase[] {
  // a single one has no neighbours
  if (floors.length < 2) return [];
  const frames = all.filter(({ meanLoss }) => meanLoss !== undefined && Number.isFinite(meanLoss.mean));
  const loss = (i: number): FilmEstimate => frames[i]?.meanLoss as FilmEstimate;
  const begins = floors.map((floor, k) => {
    if (k === 0) return 0;
    const above = ((floors[k - 1] as FilmFloor).loss + floor.loss) / 2;
    return frames.reduce((begin, _, i) => (loss(i).mean > above ? i + 1 : begin), 0);
  });
  return floors.flatMap(({ name, loss: floor }, k) => {
    const [begin, end] = [begins[k] as number, (begins[k + 1] ?? frames.length) - 1];
    if (begin > end || begin >= frames.length) return [];
    const during = Array.from({ length: end - begin + 1 }, (_, i) => loss(begin + i));
    const nearest = during.reduce((a, b) => (Math.abs(b.mean - floor) < Math.abs(a.mean - floor) ? b : a));
    const margin = Number.isNaN(nearest.error) ? 0 : 2.576 * nearest.error;
    const [from, to] = [(frames[begin] as FilmFrame).step, (frames[end] as FilmFrame).step];
    const [before, after] = [loss(begin).mean, loss(end).mean];
    const text = `the loss is nearest to that of ${name} (${floor.toFixed(3)}): ${before.toFixed(3)} at step ${from}, ${after.toFixed(3)} at step ${to}`;
    const interval = [nearest.mean - margin, nearest.mean + margin] as const;
    return [{ name, from, to, evidence: { measure: "loss" as const, heads: [], before, after, interval, text } }];
  });
}
