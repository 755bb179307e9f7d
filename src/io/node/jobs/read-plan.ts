/** Plans on disk, and the models that they name. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, requireOptions } from "../../../errors.ts";
import { parseJobPlan } from "../../../jobs/index.ts";
import type { JobKinds, JobPlan, OpenModel } from "../../../jobs/index.ts";
import { parsePlainJson } from "../../json/plain-json.ts";
import { loadFolder } from "../folder.ts";

/**
 * Reads the plan of a sweep from a file of JSON, strictly: a name that is there twice is refused.
 *
 * @param path - the file, as a path or a `file:` URL.
 * @param options - `kinds`, further kinds of jobs by name.
 * @throws {@link InputError} when it cannot be read or is no plan; {@link FormatError} when it is no JSON.
 * @category Jobs
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { readJobPlan } from "transformer-circuits/node";
 *
 * const file = join(mkdtempSync(join(tmpdir(), "sweep-")), "plan.json");
 * writeFileSync(file, JSON.stringify({ models: ["bundled"], tasks: [{ kind: "composition", norms: "folded" }] }));
 * console.log((await readJobPlan(file)).size);
 * // 1
 * ```
 */
export async function readJobPlan(path: string | URL, options: { readonly kinds?: JobKinds } = {}): Promise<JobPlan> {
  const operation = "readJobPlan";
  requireOptions(options, operation, "kinds");
  const file = typeof path === "string" ? path : fileURLToPath(path);
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const why = { ENOENT: "there is no such file", EISDIR: "it is a folder" }[cause.code ?? ""] ?? cause.message;
    throw new InputError(`cannot read ${file}: ${why}.`, { operation, argument: "path", actual: file }, { cause });
  });
  return parseJobPlan(parsePlainJson(bytes, { operation, name: file }), options);
}

/**
 * Opens the models of a plan for {@link inProcess}: folders and files as {@link loadFolder} reads them, and the bundled
 * model.
 *
 * @param plan - the plan's file or its folder, from which paths of models count; this folder unless given.
 * @category Jobs
 * @example
 * ```ts
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { modelsOfPlan } from "transformer-circuits/node";
 *
 * const plan = parseJobPlan({ models: ["bundled"], tasks: [{ kind: "composition" }] });
 * const { done } = await runJobs(plan, { on: inProcess(modelsOfPlan()) });
 * console.log(done);
 * // 1
 * ```
 */
export function modelsOfPlan(plan = "."): OpenModel {
  const folder = /\.json$/i.test(plan) ? dirname(plan) : plan;
  return async ({ path }) => {
    if (path === "bundled") return (await import("../../bundled.ts")).openBundledModel();
    const { model, tokenizer } = await loadFolder(resolve(folder, path));
    return { model, tokenizer };
  };
}
