/** The files that tasks name: texts that jobs read, and folders in which they save. */
import { FormatError, InputError, nameOf, requireObject } from "../../errors.ts";
import { isId, refusePlan } from "./kind.ts";
import type { JobFiles, JobTask } from "./kind.ts";

/** A text of a plan: a file of UTF-8, what it says, or token ids. */
type PlanText = { readonly file: string } | { readonly content: string } | { readonly tokens: readonly number[] };

/** Refuses what is no text. */
export function checkText(value: unknown, argument: string): asserts value is PlanText {
  requireObject(value, argument, "parseJobPlan", "file content tokens");
  const { file, content, tokens } = value as Readonly<Record<string, unknown>>;
  const isText = (text: unknown): boolean => typeof text === "string" && text.trim() !== "";
  const given = [file, content, tokens].filter((one) => one !== undefined);
  if (given.length === 1 && (isText(file ?? content) || (Array.isArray(tokens) && tokens.every(isId)))) return;
  const forms = '{ file: "moby-dick.txt" }, { content: "Call me Ishmael." } and { tokens: [0, 17, 5] }';
  throw refusePlan(argument, `${argument} needs one of ${forms}, not empty.`, value);
}

/** Refuses what is neither true nor false. */
export function checkTruth(value: unknown, argument: string): void {
  if (value === undefined || typeof value === "boolean") return;
  throw refusePlan(argument, `${argument} is ${nameOf(value)}; give true or false.`, value);
}

/** Refuses what is no folder beside the plan: a job writes nowhere else. */
export function checkFolder(value: unknown, argument: string): asserts value is string | undefined {
  if (value === undefined) return;
  if (typeof value !== "string" || !/^[^/\\:\0]+(\/[^/\\:\0]+)*$/.test(value) || value.split("/").includes("..")) {
    const mend = 'give a folder beside the plan, as "runs" or "runs/small".';
    throw refusePlan(argument, `${argument} is ${nameOf(value)}; ${mend}`, value);
  }
}

/** Where a job saves, in a folder: under a name that no other job of the plan has. */
export function savedPath(folder: string, { task, modelName, seed }: JobTask): string {
  const of = [task, ...(modelName === undefined ? [] : [modelName])].map(inNames);
  return `${folder}/${of.join("@")}-seed-${seed}`;
}

/** What is no letter, digit or one of -_.!~'() as in an address, but for the slashes of paths, which are pluses. */
const inNames = (name: string): string =>
  encodeURIComponent(name.replace(/\p{Surrogate}/gu, "\ufffd"))
    .replaceAll("*", "%2A")
    .replaceAll("%2F", "+");

/** The files that a runner was given. */
export function requireFiles({ files }: JobTask): JobFiles {
  if (files !== undefined) return files;
  throw new InputError(
    "the job reads or saves files, and the runner has none. Give it some: inProcess(models, filesOfPlan(plan)).",
    { operation: "runJobs", argument: "files" },
  );
}

/** What a text says, or its token ids, and where it is from in words. */
export async function textOf(
  given: PlanText,
  task: JobTask,
): Promise<{ readonly text: string | readonly number[]; readonly source: string }> {
  if ("tokens" in given) return { text: given.tokens, source: "token ids of the plan" };
  if ("content" in given) return { text: given.content, source: "a text of the plan" };
  const { file } = given;
  const bytes = await requireFiles(task).read(file);
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), source: file };
  } catch (cause) {
    const details = { operation: "runJobs", argument: "text", actual: file };
    throw new FormatError(`${file} is not UTF-8 text. Convert it.`, details, { cause });
  }
}
