/**
 * Results as lines of JSON, flat: first which job a row is of, then the columns of its kind.
 *
 * Every line says of how many its job has, and the lines of a job are written together: what is there of a job is
 * there whole, or can be seen not to be.
 */
import { FormatError, InputError, nameOf } from "../errors.ts";
import { COMMON } from "./kinds/kind.ts";
import type { ColumnType, JobKind, JobValue } from "./kinds/kind.ts";
import type { Job } from "./plan.ts";

/**
 * A row of results: `plan`, `job`, `row` and `rows` (which of how many of its job), `task`, `kind`, `model`, `seed`,
 * and the columns of its kind.
 * @category Jobs
 */
export type JobRow = Readonly<Record<string, JobValue>>;

/** The rows of a job from what it found; a job that found nothing has one row of none. */
export function rowsOf(job: Job, found: readonly Readonly<Record<string, JobValue>>[], kind: JobKind): JobRow[] {
  const { plan, index, task, model, seed } = job;
  const rows = found.length;
  const common = { plan, job: index, row: 0, rows, task, kind: job.kind, model: model?.name ?? null, seed };
  if (rows === 0) return [common];
  return found.map((values, row) => {
    const unknown = Object.keys(values).find((name) => !Object.hasOwn(kind.columns, name));
    if (unknown !== undefined) throw wrongColumn(job, unknown, "is none of the columns of its kind", values[unknown]);
    const own = Object.entries(kind.columns).map(([name, type]): [string, JobValue] => [
      name,
      checked(values[name] ?? null, type, name, job),
    ]);
    return { ...common, row, ...Object.fromEntries(own.filter(([, value]) => value !== null)) };
  });
}

const TYPES: Readonly<Record<ColumnType, (value: JobValue) => boolean>> = {
  text: (value) => typeof value === "string",
  whole: Number.isSafeInteger,
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
};

function checked(value: JobValue, type: ColumnType, name: string, job: Job): JobValue {
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  if (value === null || TYPES[type](value)) return value;
  throw wrongColumn(job, name, `is ${nameOf(value)}, not of type ${type}`, value);
}

function wrongColumn({ kind }: Job, name: string, what: string, actual: unknown): InputError {
  return new InputError(`column ${JSON.stringify(name)} of a job of kind ${kind} ${what}.`, {
    operation: "runJobs",
    argument: name,
    actual,
  });
}

/** The lines of rows, each with its end. */
export function linesOf(rows: readonly JobRow[], kind: JobKind): string {
  const columns = { ...COMMON, ...kind.columns };
  return rows.map((row) => `{${fieldsOf(row, columns).join(",")}}\n`).join("");
}

function fieldsOf(row: JobRow, columns: Readonly<Record<string, ColumnType>>): string[] {
  return Object.entries(row).map(([name, value]) => {
    const isNumber = columns[name] === "number" && typeof value === "number";
    return `${JSON.stringify(name)}:${isNumber ? numberText(value) : JSON.stringify(value)}`;
  });
}

/** A number as the shortest text that reads as the same one, with a point or an exponent. */
function numberText(x: number): string {
  const text = Object.is(x, -0) ? "-0" : String(x);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** Which part of which job a line is. */
export interface LineHead {
  readonly plan: string;
  readonly job: number;
  readonly row: number;
  readonly rows: number;
}

const HEAD = /^\{"plan":"([0-9a-f]{16})","job":(\d{1,9}),"row":(\d{1,9}),"rows":(\d{1,9}),/;

/** Reads the beginning of a line; `undefined` where it is no whole line of results. */
export function lineHead(line: string): LineHead | undefined {
  const [, plan, job, row, rows] = HEAD.exec(line) ?? [];
  if (plan === undefined || !isJson(line)) return undefined;
  return { plan, job: Number(job), row: Number(row), rows: Number(rows) };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads lines of results.
 *
 * @throws {@link FormatError} for a line that is none, naming it.
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, parseJobRows, runJobs } from "transformer-circuits/jobs";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const plan = parseJobPlan({ models: ["bundled"], tasks: [{ kind: "composition" }] });
 * let text = "";
 * const store = { has: () => false, append: (_: number, lines: string) => (text += lines) };
 * await runJobs(plan, { on: inProcess(openBundledModel), store });
 * console.log(parseJobRows(text).length, text.split("\n")[0]?.slice(0, 28));
 * // 192 {"plan":"43dc3e5d8d4d2bb5","
 * ```
 */
export function parseJobRows(text: string): JobRow[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line, i) => {
    if (lineHead(line) !== undefined) return JSON.parse(line) as JobRow;
    throw new FormatError(`line ${i + 1} is no line of results: ${nameOf(line)}.`, {
      operation: "parseJobRows",
      argument: "text",
      actual: line,
    });
  });
}
