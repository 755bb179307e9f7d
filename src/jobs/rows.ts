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
  const columns = columnsOf(kind);
  const whole: Record<string, JobValue> = { ...columns.whole, ...common };
  return found.map((values, at) => {
    // A copy with all columns, which are then filled, takes a fifth of the time of adding one after the other.
    const row = { ...whole };
    row["row"] = at;
    let [known, missing] = [0, 0];
    for (const { name, type } of columns.list) {
      const value = values[name];
      if (value !== undefined) known++;
      const kept = value === undefined ? null : checked(value, type, name, job);
      row[name] = kept;
      if (kept === null) missing++;
    }
    if (known < Object.keys(values).length) requireColumns(values, kind, job);
    return missing === 0 ? row : withoutMissing(row, common);
  });
}

/** The columns that have a value, those of every row among them. */
function withoutMissing(row: JobRow, common: JobRow): JobRow {
  return Object.fromEntries(
    Object.entries(row).filter(([name, value]) => value !== null || Object.hasOwn(common, name)),
  );
}

interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** What stands before its value in a line. */
  readonly label: string;
}

interface Columns {
  readonly list: readonly Column[];
  /** A row with all of them. */
  readonly whole: Readonly<Record<string, JobValue>>;
}

type WithColumns = Pick<JobKind, "columns">;

const columnsOfKinds = new WeakMap<WithColumns, Columns>();

function columnsOf(kind: WithColumns): Columns {
  const made = columnsOfKinds.get(kind) ?? {
    list: Object.entries(kind.columns).map(([name, type]) => ({ name, type, label: `,${JSON.stringify(name)}:` })),
    whole: emptyRow([...Object.keys(COMMON), ...Object.keys(kind.columns)]),
  };
  columnsOfKinds.set(kind, made);
  return made;
}

/** Read from JSON, since objects whose members are added one by one are kept as tables, which are slow to copy. */
function emptyRow(names: readonly string[]): Record<string, JobValue> {
  return JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:null`).join(",")}}`) as Record<string, JobValue>;
}

function requireColumns(values: Readonly<Record<string, JobValue | undefined>>, kind: JobKind, job: Job): void {
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && !Object.hasOwn(kind.columns, name))
      throw wrongColumn(job, name, "is none of the columns of its kind", value);
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

/** The lines of rows of one job, each with its end. */
export function linesOf(rows: readonly JobRow[], kind: WithColumns): string {
  const [first] = rows;
  if (first === undefined) return "";
  const { plan, job, rows: count, task, kind: name, model, seed } = first;
  const before = `{"plan":${JSON.stringify(plan)},"job":${job},"row":`;
  const after = `,"rows":${count},${JSON.stringify({ task, kind: name, model, seed }).slice(1, -1)}`;
  const { list } = columnsOf(kind);
  let text = "";
  for (const row of rows) {
    text += before + String(row["row"]) + after;
    for (const { name: column, type, label } of list) {
      const value = row[column];
      if (value === undefined) continue;
      text +=
        label +
        (type === "number" ? numberText(value as number) : type === "text" ? JSON.stringify(value) : String(value));
    }
    text += "}\n";
  }
  return text;
}

/** A number as the shortest text that reads as the same one, with a point or an exponent. */
function numberText(x: number): string {
  const text = String(x);
  if (!Number.isInteger(x) || text.includes("e")) return text;
  return `${Object.is(x, -0) ? "-0" : text}.0`;
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
 * // 192 {"plan":"74b5cda90fa6df25","
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
