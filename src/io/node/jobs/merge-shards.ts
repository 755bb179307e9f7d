/** The results of all shards as one file, in the order of the plan. */
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { InputError, requireKind, requireOptions, ResourceError } from "../../../errors.ts";
import type { JobPlan } from "../../../jobs/index.ts";
import { jobsOfShard, PLAN } from "../../../jobs/internal.ts";
import { scanFile } from "./scan.ts";
import { cannot, requireOneCount, shardFiles } from "./shard-files.ts";
import type { ShardFile } from "./shard-files.ts";

/**
 * What {@link mergeShards} wrote.
 * @category Jobs
 */
export interface MergedShards {
  readonly file: string;
  /** The jobs in it. */
  readonly jobs: number;
  /** Jobs of the plan that are in no shard. */
  readonly missing: number;
}

const MERGE = "mergeShards";

/**
 * Writes the results of all shards of a plan into one file, by job: the same bytes for any number of shards, threads
 * and interruptions.
 *
 * @param folder - where the shards lie.
 * @param file - what is written; an old one is replaced once all is there.
 * @param options - `partial`: go on where jobs are missing.
 * @throws {@link InputError} when jobs are missing, or results are of another plan; {@link FormatError} for a damaged
 * line; {@link ResourceError} when files cannot be read or written.
 * @category Jobs
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { inProcess, parseJobPlan, runJobs } from "transformer-circuits/jobs";
 * import { mergeShards, openShard } from "transformer-circuits/node";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const folder = mkdtempSync(join(tmpdir(), "sweep-"));
 * const plan = parseJobPlan({ models: ["bundled"], seeds: { count: 4 }, tasks: [{ kind: "head-scores", length: 8 }] });
 * for (const index of [1, 2]) {
 *   const shard = { index, count: 2 };
 *   const store = openShard(folder, plan, shard);
 *   await runJobs(plan, { on: inProcess(openBundledModel), store, shard });
 *   store.close();
 * }
 * const { jobs, missing } = mergeShards(folder, plan, join(folder, "all.jsonl"));
 * console.log(jobs, missing);
 * // 4 0
 * ```
 */
export function mergeShards(
  folder: string,
  plan: JobPlan,
  file: string,
  options: { readonly partial?: boolean | undefined } = {},
): MergedShards {
  requireOptions(options, MERGE, "partial");
  requireKind(PLAN, plan, "plan", MERGE);
  const files = shardFiles(folder, MERGE);
  requireOneCount(files, folder, MERGE);
  if (files.some((one) => one.file === file))
    throw new InputError(`${file} is one of the shards. Name another file.`, { operation: MERGE, argument: "file" });
  // Of every job: the file it is in, from 1, and where.
  const [which, start, length] = [new Int32Array(plan.size), new Float64Array(plan.size), new Float64Array(plan.size)];
  for (const [i, one] of files.entries()) {
    scanFile(one.file, plan, MERGE, (place) => {
      if (which[place.job] !== 0) return;
      which[place.job] = i + 1;
      start[place.job] = place.start;
      length[place.job] = place.end - place.start;
    });
  }
  const missing = which.reduce((sum, one) => sum + Number(one === 0), 0);
  if (missing > 0 && options.partial !== true) throw refuseMissing(missing, which.indexOf(0), plan, files, folder);
  const reader = new ShardReader(files);
  try {
    writeWhole(file, (write) => {
      for (const [job, from] of which.entries())
        if (from > 0) write(reader.read(from - 1, start[job] ?? 0, length[job] ?? 0));
    });
  } finally {
    reader.close();
  }
  return { file, jobs: plan.size - missing, missing };
}

/** Reads shards one after the other, as jobs lie in them: there may be more of them than a process may open. */
class ShardReader {
  readonly #files: readonly ShardFile[];
  #open: { readonly index: number; readonly handle: number } | undefined;

  constructor(files: readonly ShardFile[]) {
    this.#files = files;
  }

  /** Bytes of the file at an index. */
  read(index: number, start: number, length: number): Buffer {
    const file = this.#files[index]?.file ?? "";
    const bytes = Buffer.allocUnsafe(length);
    try {
      const handle = this.#handle(index, file);
      for (let at = 0; at < length;) {
        const count = readSync(handle, bytes, at, length - at, start + at);
        if (count === 0) throw new Error("it became shorter while it was read");
        at += count;
      }
    } catch (cause) {
      throw cannot("read", file, cause, MERGE);
    }
    return bytes;
  }

  #handle(index: number, file: string): number {
    if (this.#open?.index === index) return this.#open.handle;
    this.close();
    this.#open = { index, handle: openSync(file, "r") };
    return this.#open.handle;
  }

  close(): void {
    const handle = this.#open?.handle;
    this.#open = undefined;
    if (handle !== undefined) closeSync(handle);
  }
}

function refuseMissing(
  missing: number,
  first: number,
  plan: JobPlan,
  files: readonly ShardFile[],
  folder: string,
): InputError {
  const count = files[0]?.count ?? 1;
  const late = Array.from({ length: count }, (_, i) => i + 1).find(
    (index) => (jobsOfShard({ index, count }, plan.size)[1] ?? 0) > first,
  );
  const where =
    files.length === 0 ? `there are no results in ${folder}` : `the first is job ${first}, of shard ${late}/${count}`;
  return new InputError(
    `${missing} of ${plan.size} jobs are not done; ${where}. Run what is missing, or merge what is there with partial.`,
    { operation: MERGE, argument: "folder", expected: plan.size, actual: plan.size - missing },
  );
}

/** Bytes that are written together. */
const TOGETHER = 2 ** 20;

/** Writes a file under another name and renames it, so that a half-written one never bears its name. */
function writeWhole(file: string, fill: (write: (bytes: Buffer) => void) => void): void {
  const temporary = `${file}.${process.pid}.tmp`;
  let handle: number | undefined;
  try {
    const opened = (handle = openSync(temporary, "w"));
    let [waiting, size]: [Buffer[], number] = [[], 0];
    const flush = (): void => {
      const bytes = Buffer.concat(waiting);
      for (let at = 0; at < bytes.length;) at += writeSync(opened, bytes, at);
      [waiting, size] = [[], 0];
    };
    fill((bytes) => {
      waiting.push(bytes);
      size += bytes.length;
      if (size >= TOGETHER) flush();
    });
    flush();
    fsyncSync(handle);
    closeSync(handle);
    handle = undefined;
    renameSync(temporary, file);
  } catch (cause) {
    if (handle !== undefined) closeSync(handle);
    rmSync(temporary, { force: true });
    if (cause instanceof ResourceError) throw cause;
    throw cannot("write", file, cause, MERGE, " The shards are as they were.");
  }
}
