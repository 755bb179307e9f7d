/** Films from JSON, which may come from anywhere: what is no film is refused before it is drawn. */
import { InputError, isPromise, nameOf } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import type { TensorJSON } from "../../tensor/index.ts";
import { trainingFilm } from "./film.ts";
import type { FilmFloor, TrainingFilm } from "./film.ts";
import type { FilmFrame } from "./frame.ts";

/**
 * Reads a film from what `JSON.stringify(film)` wrote, whole: every number comes back as it was.
 *
 * @param json - the text, or what `JSON.parse` made of it.
 * @throws {@link InputError} when it is no film.
 * @category Training
 * @example
 * ```ts
 * import { filmFrame, filmProbe, trainingFilm, trainingFilmFromJSON } from "transformer-circuits/train";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const probe = filmProbe(model.config, { prompts: 2 });
 * const film = trainingFilm([filmFrame(model, { step: 0, probe, measures: ["copying"] })]);
 * const again = trainingFilmFromJSON(JSON.stringify(film));
 * console.log(again.frames[0]?.copying?.at(1, 4) === film.frames[0]?.copying?.at(1, 4));
 * // true
 * ```
 */
export function trainingFilmFromJSON(json: unknown): TrainingFilm {
  const operation = "trainingFilmFromJSON";
  let parsed = json;
  if (typeof json === "string") {
    try {
      parsed = JSON.parse(json);
    } catch {
      parsed = undefined;
    }
  }
  const { type, frames, floors } = Object(parsed) as Partial<TrainingFilm>;
  if (type !== "TrainingFilm" || !Array.isArray(frames) || !Array.isArray(floors)) {
    const mend = isPromise(json) ? " Write await before the call that gave it." : "";
    throw new InputError(`json is ${nameOf(json)}, not what JSON.stringify writes of a film.${mend}`, {
      operation,
      argument: "json",
      expected: '{"type":"TrainingFilm"',
      actual: typeof json === "string" ? json.slice(0, 80) : json,
    });
  }
  const alive = live(frames) as FilmFrame[];
  for (const [i, frame] of alive.entries()) requireFrame(frame, i, operation);
  const names = floors.map((floor) => Object(floor) as FilmFloor).map(({ name, loss }) => [name, loss] as const);
  return trainingFilm(alive, { floors: Object.fromEntries(names) });
}

const NAMED: ReadonlySet<unknown> = new Set(["NaN", "Infinity", "-Infinity"]);

/** Tensors and numbers that JSON has not, as they were. */
function live(value: unknown): unknown {
  if (NAMED.has(value)) return Number(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(live);
  if ((value as TensorJSON).type === "Tensor") return Tensor.fromJSON(value as TensorJSON);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, live(member)]));
}

type Check = (value: unknown, frame: FilmFrame) => boolean;

const isNumber: Check = (value) => typeof value === "number";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const all =
  (names: string, check: Check): Check =>
  (value, frame) =>
    names.split(" ").every((name) => check((Object(value) as Record<string, unknown>)[name], frame));
const isTensor =
  (names: string, shape?: (frame: FilmFrame) => readonly number[]): Check =>
  (value, frame) =>
    value instanceof Tensor &&
    value.names.join(" ") === names &&
    (shape === undefined || shape(frame).join() === value.shape.join());
const isEstimate = all("mean error", isNumber);
const ofHeads = isTensor("layer head", ({ n_layers, n_heads }) => [n_layers, n_heads]);
const ofPairs = isTensor("writer_layer writer_head reader_layer reader_head", ({ n_layers, n_heads }) => [
  ...[n_layers, n_heads],
  ...[n_layers, n_heads],
]);

/** What a frame's members are: those that it must have, and those that it may. */
const NEEDED: Readonly<Record<string, Check>> = {
  step: isCount,
  loss: isNumber,
  n_layers: isCount,
  n_heads: isCount,
  uniform: isNumber,
};
const MEASURED: Readonly<Record<string, Check>> = {
  meanLoss: isEstimate,
  lossByPosition: isTensor("pos"),
  contextScore: isEstimate,
  heads: all("current previous first duplicate induction prefixMatching", all("score excess margin found", ofHeads)),
  copying: ofHeads,
  composition: (value, frame) =>
    all("Q K V", all("score share chance zScores", ofPairs))(value, frame) &&
    all("baseline", all("mean std", isNumber))(value, frame),
  importance: all("gain error", isTensor("order")),
};

/** Refuses a frame that no film has. */
function requireFrame(frame: FilmFrame, index: number, operation: string): void {
  const members = Object(frame) as Record<string, unknown>;
  const fits = (name: string, check: Check): boolean => check(members[name], frame);
  const wrong =
    Object.entries(NEEDED).find(([name, check]) => !fits(name, check)) ??
    Object.entries(MEASURED).find(([name, check]) => name in members && !fits(name, check));
  if (wrong === undefined) return;
  const [name] = wrong;
  throw new InputError(
    `${name} of frame ${index} is ${nameOf(members[name])}, which no film has there. Take what JSON.stringify wrote of a film.`,
    { operation, argument: "json", actual: members[name] },
  );
}
