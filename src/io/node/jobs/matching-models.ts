/** Models of a plan that are named by a pattern of paths: the checkpoints of a run, the runs of a sweep. */
import { readdir, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { InputError, nameOf, requireObject } from "../../../errors.ts";
import { isWeights } from "../../checkpoint/files.ts";
import { inPattern } from "../../in-pattern.ts";
import { cannot } from "./shard-files.ts";

const OPERATION = "readJobPlan";

/** A plan in which the paths that match stand in place of each `{ glob }` among its models. */
export async function withMatches(plan: object, folder: string): Promise<object> {
  const { models } = plan as { readonly models?: unknown };
  if (!Array.isArray(models)) return plan;
  const listed = models.map(async (model: unknown, i) =>
    typeof model === "object" && model !== null && "glob" in model ? matching(model, `models[${i}]`, folder) : [model],
  );
  return { ...plan, models: (await Promise.all(listed)).flat() };
}

/** What a pattern matches, as paths from where the plan lies, in which `/` divides on every system. */
async function matching(given: object, at: string, folder: string): Promise<string[]> {
  requireObject(given, at, OPERATION, "glob");
  const { glob } = given as { readonly glob: unknown };
  const refuse = (message: string): InputError =>
    new InputError(`${at}.glob ${message}`, { operation: OPERATION, argument: `${at}.glob`, actual: glob });
  if (typeof glob !== "string" || !glob.includes("*") || glob.includes("**"))
    throw refuse(`is ${nameOf(glob)}; give a path in which * stands for a part of a name, as "runs/*/checkpoints/*".`);
  const found: string[] = [];
  for (const path of await pathsOf(glob.split("/"), folder)) if (await isModel(resolve(folder, path))) found.push(path);
  if (found.length > 0) return found.sort(byNumbers);
  throw refuse(`is ${JSON.stringify(glob)}, and no folder or file of weights in ${folder} matches it.`);
}

/** The paths that match a pattern, given by its parts. */
async function pathsOf(parts: readonly string[], folder: string): Promise<string[]> {
  let paths: string[] = [];
  for (const [i, part] of parts.entries()) {
    const to = (path: string | undefined, name: string): string => (path === undefined ? name : `${path}/${name}`);
    const before = i === 0 ? [undefined] : paths;
    if (!part.includes("*")) {
      paths = before.map((path) => to(path, part));
      continue;
    }
    const names = new RegExp(`^${part.split("*").map(inPattern).join("[^/]*")}$`);
    // An absolute path begins with an empty part, which by itself would be this folder.
    const lists = before.map(async (path) => {
      const inside = await namesIn(resolve(folder, path === undefined ? "." : `${path}/`));
      return inside.filter((name) => names.test(name)).map((name) => to(path, name));
    });
    paths = (await Promise.all(lists)).flat();
  }
  return paths;
}

/** The names in a folder but those that are hidden; none where it is no folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith("."));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw cannot("read", folder, cause, OPERATION);
  }
}

/** Whether a path is a folder, or a file of weights: config.json beside it is no model. */
async function isModel(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && (info.isDirectory() || isWeights(path.split(/[\\/]/).pop() ?? ""));
}

/** By numbers in them, and by the codes of all other characters: the same order on every machine. */
function byNumbers(a: string, b: string): number {
  // Numbers stand at odd places, and may be longer than any that is counted with.
  const parts = (path: string): (string | bigint)[] =>
    path.split(/(\d+)/).map((part, i) => (i % 2 === 1 ? BigInt(part) : part));
  const [x, y] = [parts(a), parts(b)];
  const at = x.findIndex((part, i) => part !== y[i]);
  const [s, t] = [x[at], y[at]];
  return s === undefined || t === undefined ? x.length - y.length || compare(a, b) : compare(s, t);
}

const compare = <T extends string | bigint>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);
