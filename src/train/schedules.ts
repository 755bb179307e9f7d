/**
 * Schedules of the rate: what it is multiplied by at each step, as values that are kept in a file. Where they have
 * a warm-up, the factor climbs from 0 at step 0 to 1 at step `warmup`; names and formulas are those of Hugging Face's
 * `get_*_schedule` and of torch's `StepLR`.
 */
import { InputError, nameOf, requireObject, requireOptions } from "../errors.ts";
import { requireCount } from "../model/internal.ts";
import { requireAtLeast0, withoutKind } from "./optimizers.ts";

/**
 * A schedule with its settings: what {@link cosineSchedule} and its like give.
 * @category Training
 */
export type Schedule =
  | { readonly kind: "constant"; readonly warmup: number }
  | { readonly kind: "linear" | "cosine"; readonly warmup: number; readonly steps: number; readonly floor: number }
  | { readonly kind: "inverse-square-root"; readonly warmup: number; readonly timescale: number }
  | { readonly kind: "step"; readonly warmup: number; readonly every: number; readonly factor: number };

/**
 * A schedule, or a function from the step, counted from 0, to the factor of the rate. A function is not kept in a file.
 * @category Training
 */
export type ScheduleLike = Schedule | ((step: number) => number);

/** @inline */
interface WarmupOptions {
  /** Steps in which the factor climbs from 0 to 1; 0 unless given. */
  readonly warmup?: number | undefined;
}

/**
 * The same rate at all steps, after a warm-up where there is one.
 *
 * @throws {@link InputError} for a warm-up that is no number of steps.
 * @category Training
 * @example
 * ```ts
 * import { constantSchedule, scheduleFactor } from "transformer-circuits/train";
 *
 * const schedule = constantSchedule({ warmup: 4 });
 * console.log([0, 1, 2, 4, 99].map((step) => scheduleFactor(schedule, step)));
 * // [ 0, 0.25, 0.5, 1, 1 ]
 * ```
 */
export function constantSchedule(options: WarmupOptions = {}): Schedule {
  requireOptions(options, "constantSchedule", "warmup");
  return Object.freeze({ kind: "constant", warmup: checkWarmup(options, "constantSchedule") });
}

/**
 * Down to `floor` in a straight line, after a warm-up where there is one.
 *
 * @param options - `steps`, where the floor is reached, the warm-up included; `warmup`; `floor`, the last factor, 0
 * unless given.
 * @throws {@link InputError} for settings that are no numbers of steps, or a floor below 0.
 * @category Training
 * @example
 * ```ts
 * import { linearSchedule, scheduleFactor } from "transformer-circuits/train";
 *
 * const schedule = linearSchedule({ steps: 10, warmup: 2 });
 * console.log([0, 1, 2, 6, 10, 11].map((step) => scheduleFactor(schedule, step)));
 * // [ 0, 0.5, 1, 0.5, 0, 0 ]
 * ```
 */
export function linearSchedule(options: WarmupOptions & { readonly steps: number; readonly floor?: number }): Schedule {
  return falling("linear", options, "linearSchedule");
}

/**
 * Down to `floor` along half a cosine, after a warm-up where there is one.
 *
 * @param options - `steps`, where the floor is reached, the warm-up included; `warmup`; `floor`, the last factor, 0
 * unless given.
 * @throws {@link InputError} for settings that are no numbers of steps, or a floor below 0.
 * @category Training
 * @example
 * ```ts
 * import { cosineSchedule, scheduleFactor } from "transformer-circuits/train";
 *
 * const schedule = cosineSchedule({ steps: 100, floor: 0.1 });
 * console.log([0, 50, 100].map((step) => scheduleFactor(schedule, step).toFixed(2)));
 * // [ '1.00', '0.55', '0.10' ]
 * ```
 */
export function cosineSchedule(options: WarmupOptions & { readonly steps: number; readonly floor?: number }): Schedule {
  return falling("cosine", options, "cosineSchedule");
}

/**
 * The inverse square root of the step, after a warm-up where there is one: $1 / \sqrt{(s + t - w) / t}$ at step s, with
 * w the warm-up and t the timescale.
 *
 * @param options - `warmup`; `timescale`, the warm-up unless given, or 10,000 without one.
 * @throws {@link InputError} for settings that are no numbers of steps.
 * @category Training
 * @example
 * ```ts
 * import { inverseSquareRootSchedule, scheduleFactor } from "transformer-circuits/train";
 *
 * const schedule = inverseSquareRootSchedule({ warmup: 100 });
 * console.log([50, 100, 400].map((step) => scheduleFactor(schedule, step)));
 * // [ 0.5, 1, 0.5 ]
 * ```
 */
export function inverseSquareRootSchedule(options: WarmupOptions & { readonly timescale?: number } = {}): Schedule {
  const operation = "inverseSquareRootSchedule";
  requireOptions(options, operation, "warmup timescale");
  const warmup = checkWarmup(options, operation);
  const { timescale = warmup > 0 ? warmup : 10_000 } = options;
  requireCount(timescale, "timescale", operation);
  return Object.freeze({ kind: "inverse-square-root", warmup, timescale });
}

/**
 * A factor once more every so many steps, counted from the first, after a warm-up where there is one.
 *
 * @param options - `every`, how many steps; `factor`, 0.1 unless given; `warmup`.
 * @throws {@link InputError} for settings that are no numbers of steps, or a factor below 0.
 * @category Training
 * @example
 * ```ts
 * import { scheduleFactor, stepSchedule } from "transformer-circuits/train";
 *
 * const schedule = stepSchedule({ every: 30, factor: 0.5 });
 * console.log([0, 29, 30, 60].map((step) => scheduleFactor(schedule, step)));
 * // [ 1, 1, 0.5, 0.25 ]
 * ```
 */
export function stepSchedule(options: WarmupOptions & { readonly every: number; readonly factor?: number }): Schedule {
  const operation = "stepSchedule";
  requireObject(options, "options", operation, "every factor warmup");
  const { every, factor = 0.1 } = options;
  requireCount(every, "every", operation);
  requireAtLeast0(factor, "factor", operation);
  return Object.freeze({ kind: "step", warmup: checkWarmup(options, operation), every, factor });
}

/**
 * What a schedule multiplies the rate by at a step.
 *
 * @param step - how many updates there were before, 0 at the first.
 * @throws {@link InputError} for what is no schedule, or a function that gives no finite number of at least 0.
 * @category Training
 * @example
 * ```ts
 * import { cosineSchedule, scheduleFactor } from "transformer-circuits/train";
 *
 * console.log(scheduleFactor(cosineSchedule({ steps: 2000, warmup: 100 }), 1050).toFixed(2));
 * // 0.50
 * console.log(scheduleFactor((step) => 1 / (1 + step), 3));
 * // 0.25
 * ```
 */
export function scheduleFactor(schedule: ScheduleLike, step: number): number {
  const operation = "scheduleFactor";
  if (typeof schedule !== "function") return factorAt(checkSchedule(schedule, operation), step);
  const factor = schedule(step);
  requireAtLeast0(factor, `the schedule's factor at step ${step}`, operation);
  return factor;
}

/** The factor of a schedule that was checked. */
export function factorAt(schedule: Schedule, step: number): number {
  const { warmup } = schedule;
  const climb = step < warmup ? step / warmup : 1;
  if (schedule.kind === "step") return climb * schedule.factor ** Math.floor(step / schedule.every);
  if (step < warmup || schedule.kind === "constant") return climb;
  if (schedule.kind === "inverse-square-root") {
    const { timescale } = schedule;
    return 1 / Math.sqrt((step + timescale - warmup) / timescale);
  }
  const { steps, floor } = schedule;
  const share = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = schedule.kind === "linear" ? 1 - share : 0.5 * (1 + Math.cos(Math.PI * share));
  return floor + (1 - floor) * left;
}

/** Any schedule, checked: what an untyped caller or a file gave. */
export function checkSchedule(given: unknown, operation: string): Schedule {
  const kind = typeof given === "object" && given !== null && "kind" in given ? given.kind : undefined;
  if (typeof kind === "string" && Object.hasOwn(MAKERS, kind)) {
    return MAKERS[kind as Schedule["kind"]](withoutKind(given as Schedule) as never);
  }
  throw new InputError(
    `schedule is ${nameOf(given)}. Make one with cosineSchedule({ steps }) or its like, or give a function of the step.`,
    { operation, argument: "schedule", expected: "a schedule", actual: given },
  );
}

const MAKERS: Readonly<Record<Schedule["kind"], (options: never) => Schedule>> = {
  constant: constantSchedule,
  linear: linearSchedule,
  cosine: cosineSchedule,
  "inverse-square-root": inverseSquareRootSchedule,
  step: stepSchedule,
};

function falling(
  kind: "linear" | "cosine",
  options: WarmupOptions & { readonly steps: number; readonly floor?: number },
  operation: string,
): Schedule {
  requireObject(options, "options", operation, "steps warmup floor");
  const { steps, floor = 0 } = options;
  requireCount(steps, "steps", operation);
  requireAtLeast0(floor, "floor", operation);
  return Object.freeze({ kind, warmup: checkWarmup(options, operation), steps, floor });
}

function checkWarmup({ warmup = 0 }: WarmupOptions, operation: string): number {
  if (warmup !== 0) requireCount(warmup, "warmup", operation);
  return warmup;
}
