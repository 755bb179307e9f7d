/** Plans on disk, the models that they name, and the files of their jobs. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, requireOptions } from "../../../errors.ts";
import { parseJobPlan } from "../../../jobs/index.ts";
import type { JobFiles, JobKinds, JobPlan, OpenModel } from "../../../jobs/index.ts";
import { parsePlainJson } from "../../json/plain-json.ts";
import { loadFolder } from "../folder.ts";
import { withMatches } from "./matching-models.ts";
import { cannot } from "./shard-files.ts";

/**
 * Reads the plan of a sweep from a file of JSON, strictly: a name that is there twice is refused. In place of
 * `{ glob }` among its models stand those that match now, in the order of their numbers and names.
 *
 * @param path - the file, as a path or a `file:` URL.
 * @param options - `kinds`, further kinds of jobs by name.
 * @throws {@link InputError} when it cannot be read or is no plan, or nothing matches a pattern; {@link FormatError}
 * when it is no JSON.
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
  const manifest = parsePlainJson(bytes, { operation, name: file });
  return parseJobPlan(await withMatches(manifest, dirname(file)), options);
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
  const folder = folderOf(plan);
  return async ({ path }) => {
    if (path === "bundled") return (await import("../../bundled.ts")).openBundledModel();
    const { model, tokenizer } = await loadFolder(resolve(folder, path));
    return { model, tokenizer };
  };
}

const folderOf = (plan: string): string => (/\.json$/i.test(plan) ? dirname(plan) : plan);

/**
 * The files of a plan for {@link inProcess}: jobs read texts and keep what they save there.
 *
 * @param plan - the plan's file or its folder, from which paths count; this folder unless given.
 * @throws {@link ResourceError} from its functions where a file cannot be read or written; {@link InputError} where
 * what is written would lie outside that folder.
 * @category Jobs
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { filesOfPlan } from "transformer-circuits/node";
 *
 * const files = filesOfPlan(mkdtempSync(join(tmpdir(), "sweep-")));
 * await files.write("runs/note.txt", "kept");
 * console.log(new TextDecoder().decode(await files.read("runs/note.txt")));
 * // kept
 * ```
 */
export function filesOfPlan(plan = "."): JobFiles {
  const operation = "filesOfPlan";
  const folder = resolve(folderOf(plan));
  return {
    read: async (path) => {
      const file = resolve(folder, path);
      return readFile(file).catch((cause: unknown) => {
        throw cannot("read", file, cause, operation);
      });
    },
    write: async (path, content) => {
      const file = resolve(folder, path);
      if (relative(folder, file).split(sep)[0] === ".." || isAbsolute(relative(folder, file))) {
        const message = `${path} lies outside ${folder}. Save in a folder beside the plan.`;
        throw new InputError(message, { operation, argument: "path", actual: path });
      }
      // Two may do the same job at once, as where one was taken for dead.
      const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);
      try {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(temporary, content);
        await rename(temporary, file);
      } catch (cause) {
        await rm(temporary, { force: true }).catch(() => undefined);
        throw cannot("write", file, cause, operation);
      }
    },
  };
}
