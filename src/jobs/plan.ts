/** A sweep as data: which jobs it is made of, known by their places and never listed. */
import { FormatError, invariant, nameOf, requireObject } from "../errors.ts";
import { nearestNames } from "../nearest.ts";
import { digestOf } from "./digest.ts";
import { KINDS } from "./kinds/index.ts";
import { COMMON, refusePlan } from "./kinds/kind.ts";
import type { ColumnType, JobKind, JobKinds } from "./kinds/kind.ts";

/**
 * A model of a plan.
 * @category Jobs
 */
export interface ModelSource {
  /** What results call it. */
  readonly name: string;
  /** Where it lies, from where the plan lies; `"bundled"` is the one of the package. */
  readonly path: string;
}

/**
 * One job of a plan, with all that is needed to do it.
 * @category Jobs
 */
export interface Job {
  /** The digest of the plan that it is of. */
  readonly plan: string;
  /** Its place in the plan, from 0. */
  readonly index: number;
  /** The name of its task. */
  readonly task: string;
  readonly kind: string;
  readonly model: ModelSource | undefined;
  readonly seed: number;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Seeds that are listed, or counted and never listed. */
interface Seeds {
  readonly count: number;
  at(index: number): number;
}

/** The jobs of one task on one model, one a seed. */
interface Group {
  readonly first: number;
  readonly seeds: Seeds;
  readonly job: Omit<Job, "index" | "seed">;
}

/** More jobs than anyone counts; what is known of each takes memory. */
const MOST_JOBS = 2 ** 26;
const LAST_SEED = 2 ** 32 - 1;

/**
 * The jobs of a sweep, in their order: by model, by task, by seed.
 *
 * @category Jobs
 * @example
 * ```ts
 * import { parseJobPlan } from "transformer-circuits/jobs";
 *
 * const plan = parseJobPlan({ models: ["bundled"], seeds: [0, 1, 2], tasks: [{ kind: "head-scores", batch: 4 }] });
 * const { task, model, seed } = plan.job(2);
 * console.log(plan.size, task, model?.name, seed);
 * // 3 head-scores bundled 2
 * ```
 */
export class JobPlan {
  /** By what results know their plan: 16 hexadecimal digits of its content. */
  readonly digest: string;
  /** The number of jobs. */
  readonly size: number;
  /** The kinds of its jobs. */
  readonly kinds: JobKinds;
  readonly #groups: readonly Group[];
  readonly #manifest: Readonly<Record<string, unknown>>;

  /** @internal */
  constructor(parts: {
    readonly digest: string;
    readonly kinds: JobKinds;
    readonly groups: readonly Group[];
    readonly manifest: Readonly<Record<string, unknown>>;
  }) {
    this.digest = parts.digest;
    this.kinds = parts.kinds;
    this.#groups = parts.groups;
    this.#manifest = parts.manifest;
    const last = parts.groups.at(-1);
    this.size = last === undefined ? 0 : last.first + last.seeds.count;
  }

  /**
   * One job.
   *
   * @param index - its place, from 0.
   * @throws {@link InputError} when the plan has no such job.
   */
  job(index: number): Job {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size)
      throw refusePlan("index", `there is no job ${index}; the plan has ${this.size}, counted from 0.`, index);
    let [low, high] = [0, this.#groups.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#groups[middle]?.first ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    const group = this.#groups[low];
    invariant(group !== undefined, "JobPlan.job", "a plan with jobs has no groups of them");
    return { ...group.job, index, seed: group.seeds.at(index - group.first) };
  }

  /** The kind of a job. */
  kindOf({ kind }: Pick<Job, "kind">): JobKind {
    const found = this.kinds[kind];
    invariant(found !== undefined, "JobPlan.kindOf", "a job is of a kind that its plan does not know");
    return found;
  }

  /** What {@link parseJobPlan} reads. */
  toJSON(): Record<string, unknown> {
    return { ...this.#manifest };
  }

  /** Its jobs and tasks in a few words. */
  toString(): string {
    return `JobPlan[${this.size} jobs] ${this.digest}`;
  }
}

/**
 * Reads the plan of a sweep: every task on every model with every seed. Nothing is opened; what can be seen to be wrong
 * is refused here.
 *
 * @param json - the text, or what `JSON.parse` made of it: `tasks`, each a `kind` with its settings; `models`, paths or
 * `{ name, path }`; `seeds`, a list or `{ from, count }`, 0 alone unless given. A task may have `name`, `models` (by
 * name) and `seeds` of its own.
 * @param options - `kinds`, further kinds of jobs by name.
 * @throws {@link FormatError} when the text is no JSON; {@link InputError} for whatever else is not a plan, naming the
 * place.
 * @category Jobs
 * @example
 * ```ts
 * import { parseJobPlan } from "transformer-circuits/jobs";
 *
 * const plan = parseJobPlan({
 *   models: ["bundled", { name: "step 1000", path: "checkpoints/1000.safetensors" }],
 *   seeds: { from: 0, count: 100 },
 *   tasks: [
 *     { kind: "ablation", prompts: { repeated: { length: 20, batch: 4 } }, value: "mean" },
 *     { kind: "composition" },
 *   ],
 * });
 * // composition draws nothing at random: one job a model
 * console.log(plan.size);
 * // 202
 * ```
 */
export function parseJobPlan(json: string | object, options: { readonly kinds?: JobKinds } = {}): JobPlan {
  const operation = "parseJobPlan";
  requireObject(options, "options", operation, "kinds");
  const kinds = { ...KINDS, ...options.kinds };
  const manifest = typeof json === "string" ? jsonOf(json) : json;
  requireObject(manifest, "the plan", operation, "models seeds tasks");
  const { models: givenModels = [], seeds: givenSeeds = [0], tasks } = manifest as Readonly<Record<string, unknown>>;
  const models = modelsOf(givenModels);
  const seeds = seedsOf(givenSeeds, "seeds");
  if (!Array.isArray(tasks) || tasks.length === 0)
    throw refusePlan("tasks", 'tasks is no list of tasks. Name one, as tasks: [{ kind: "head-scores" }].', tasks);
  const plan = digestOf(manifest);
  const read = tasks.map((task: unknown, i) => taskOf(task, `tasks[${i}]`, { kinds, models, seeds, plan }));
  const names = read.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw refusePlan("name", `two tasks are called ${JSON.stringify(twice)}. Give each a name of its own.`, twice);
  requireColumns(
    read.map(({ kind }) => kind),
    kinds,
  );
  const parts = [undefined, ...models].flatMap((model) => read.flatMap((task) => task.on(model)));
  let size = 0;
  const groups = parts.map((part): Group => {
    const first = size;
    size += part.seeds.count;
    return { ...part, first };
  });
  if (size > MOST_JOBS)
    throw refusePlan("tasks", `the plan has ${size} jobs; at most ${MOST_JOBS} are run. Make several of it.`, size);
  return new JobPlan({ digest: plan, kinds, groups, manifest: manifest as Readonly<Record<string, unknown>> });
}

function jsonOf(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    const details = { operation: "parseJobPlan" };
    throw new FormatError(`the plan is no JSON: ${(cause as Error).message}.`, details, { cause });
  }
}

function modelsOf(given: unknown): ModelSource[] {
  if (!Array.isArray(given))
    throw refusePlan("models", `models is ${nameOf(given)}; give a list of paths, or of { name, path }.`, given);
  const models = given.map((one: unknown, i): ModelSource => {
    if (typeof one === "string" && one !== "") return { name: one, path: one };
    if (typeof one === "object" && one !== null && "glob" in one) {
      const mend = "Read the plan by readJobPlan of transformer-circuits/node, or list the models.";
      throw refusePlan(`models[${i}].glob`, `models[${i}] is a pattern, and no files are known here. ${mend}`, one);
    }
    requireObject(one, `models[${i}]`, "parseJobPlan", "name path");
    const { name, path } = one as Readonly<Record<string, unknown>>;
    if (typeof name === "string" && typeof path === "string" && name !== "" && path !== "") return { name, path };
    throw refusePlan(`models[${i}]`, `models[${i}] needs a name and a path, both texts.`, one);
  });
  const names = models.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return models;
  throw refusePlan("models", `two models are called ${JSON.stringify(twice)}. Give each { name, path }.`, twice);
}

function seedsOf(given: unknown, argument: string): Seeds {
  const isSeed = (seed: unknown): seed is number =>
    Number.isSafeInteger(seed) && (seed as number) >= 0 && (seed as number) <= LAST_SEED;
  const refuse = (message: string): never => {
    throw refusePlan(argument, `${argument} ${message}`, given);
  };
  if (!Array.isArray(given)) {
    requireObject(given, argument, "parseJobPlan", "from count");
    const { from = 0, count } = given as Readonly<Record<string, unknown>>;
    if (!Number.isSafeInteger(count) || (count as number) < 1 || (count as number) > MOST_JOBS)
      return refuse(`has count ${String(count)}; give a number of seeds from 1.`);
    if (!isSeed(from) || !isSeed(from + (count as number) - 1))
      return refuse(`leaves the seeds there are, 0 to ${LAST_SEED}.`);
    return { count: count as number, at: (i) => from + i };
  }
  const seeds = given as unknown[];
  const bad = seeds.findIndex((seed) => !isSeed(seed));
  if (bad >= 0) return refuse(`holds ${nameOf(seeds[bad])}; seeds are whole numbers from 0 to ${LAST_SEED}.`);
  if (seeds.length === 0) return refuse("is an empty list. Leave it out for seed 0 alone.");
  if (new Set(seeds).size < seeds.length) return refuse("names a seed twice.");
  return { count: seeds.length, at: (i) => (seeds as number[])[i] ?? 0 };
}

/** The seed of what draws nothing. */
const UNSEEDED: Seeds = { count: 1, at: () => 0 };

interface Task {
  readonly name: string;
  readonly kind: string;
  /** Its jobs on a model, or those that need none. */
  on(model: ModelSource | undefined): Omit<Group, "first">[];
}

function taskOf(
  given: unknown,
  at: string,
  plan: {
    readonly kinds: JobKinds;
    readonly models: readonly ModelSource[];
    readonly seeds: Seeds;
    readonly plan: string;
  },
): Task {
  requireObject(given, at, "parseJobPlan");
  const { kind, name = kind, models, seeds, ...settings } = given as Readonly<Record<string, unknown>>;
  if (typeof kind !== "string" || !Object.hasOwn(plan.kinds, kind)) throw noSuchKind(kind, at, plan.kinds);
  if (typeof name !== "string" || name === "")
    throw refusePlan(`${at}.name`, `${at}.name is ${nameOf(name)}, not a name.`, name);
  const { hasModel = true, isSeeded, check } = plan.kinds[kind] as JobKind;
  try {
    check?.(settings);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const what = cause.message.replace(/^parseJobPlan: /, "");
    throw Object.assign(refusePlan(at, `${at}, ${JSON.stringify(name)}: ${what}`, given), { cause });
  }
  if (!hasModel && models !== undefined)
    throw refusePlan(`${at}.models`, `${at}, ${JSON.stringify(name)}, runs on no model. Leave models out.`, models);
  const own = models === undefined ? plan.models : chosenModels(models, at, plan.models);
  if (hasModel && own.length === 0)
    throw refusePlan(at, `${at}, ${JSON.stringify(name)}, runs on models, and the plan names none.`, given);
  const listed = seeds === undefined ? plan.seeds : seedsOf(seeds, `${at}.seeds`);
  const drawn = isSeeded === undefined || isSeeded(settings) ? listed : UNSEEDED;
  return {
    name,
    kind,
    on: (model) =>
      hasModel === (model !== undefined) && (model === undefined || own.includes(model))
        ? [{ seeds: drawn, job: { plan: plan.plan, task: name, kind, model, settings } }]
        : [],
  };
}

/** Refuses kinds whose columns are not of one type each: a table of their results could not be read. */
function requireColumns(names: readonly string[], kinds: JobKinds): void {
  const seen = new Map<string, { readonly type: ColumnType; readonly kind: string }>();
  for (const [column, type] of Object.entries(COMMON)) seen.set(column, { type, kind: "every kind" });
  for (const kind of new Set(names)) {
    for (const [column, type] of Object.entries(kinds[kind]?.columns ?? {})) {
      const other = seen.get(column);
      if (other === undefined) seen.set(column, { type, kind });
      else if (other.type !== type || Object.hasOwn(COMMON, column)) {
        throw refusePlan(
          "kinds",
          `column ${JSON.stringify(column)} of kind ${kind} is there already, of ${other.kind}: call it otherwise.`,
          column,
        );
      }
    }
  }
}

/** Kinds of the package that other entries have. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  train: "trainingJob of transformer-circuits/train",
  report: "reportJob of transformer-circuits/report",
};

function noSuchKind(kind: unknown, at: string, kinds: JobKinds): Error {
  const names = Object.keys(kinds);
  const [near] = typeof kind === "string" ? nearestNames(kind, names, 1) : [];
  const elsewhere = typeof kind === "string" && Object.hasOwn(ELSEWHERE, kind) ? ELSEWHERE[kind] : undefined;
  const mend =
    elsewhere !== undefined
      ? `Give it as { kinds: { ${String(kind)} } }: it is ${elsewhere}.`
      : near === undefined
        ? `The kinds are ${names.join(", ")}.`
        : `Did you mean ${near}?`;
  return refusePlan(`${at}.kind`, `${at}.kind is ${nameOf(kind)}, which is no kind of job. ${mend}`, kind);
}

function chosenModels(given: unknown, at: string, models: readonly ModelSource[]): ModelSource[] {
  if (!Array.isArray(given) || given.length === 0)
    throw refusePlan(`${at}.models`, `${at}.models is ${nameOf(given)}; give a list of the names of models.`, given);
  return given.map((name: unknown) => {
    const found = models.find((model) => model.name === name);
    if (found !== undefined) return found;
    const known = models.map((model) => model.name).join(", ");
    throw refusePlan(`${at}.models`, `${at}.models names ${nameOf(name)}, and the models are ${known}.`, name);
  });
}
