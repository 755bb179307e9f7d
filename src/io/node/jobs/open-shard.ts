/** A shard's file as the store of its results. */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { InputError, requireKind, requireObject } from "../../../errors.ts";
import type { JobPlan, JobStore, Shard } from "../../../jobs/index.ts";
import { PLAN } from "../../../jobs/internal.ts";
import { scanJobs } from "./scan.ts";
import { cannot, requireOneCount, shardFile, shardFiles } from "./shard-files.ts";

/**
 * The results of a shard in a file of its own, to which lines are only added.
 * @category Jobs
 */
export interface ShardStore extends JobStore {
  /** The file: lines of JSON, which DuckDB, pandas and Arrow read as they lie. */
  readonly file: string;
  /** Bytes of a job that was being written when an earlier run ended, which were cut off. */
  readonly cut: number;
  /** Writes out what the system still holds, and lets others write. */
  close(): void;
}

const OPERATION = "openShard";

/**
 * Opens the file of a shard, `shard-3-of-64.jsonl`, to go on where an earlier run ended, however that ended: what is
 * there whole stays, and a job that was being written is cut off and done again.
 *
 * @param folder - where the results of the plan lie; it is made where there is none.
 * @param shard - the part of the plan; all of it unless given.
 * @throws {@link InputError} when the file holds results of another plan, the folder those of another number of shards,
 * or another process of this machine writes the file; {@link FormatError} when a line in the midst of the file is
 * damaged; {@link ResourceError} when it cannot be written, as where the disk is full. `append` throws the latter too,
 * and what was whole stays whole.
 * @category Jobs
 * @example
 * ```ts
 * import { mkdtempSync, readFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { inProcess, parseJobPlan, parseJobRows, runJobs } from "transformer-circuits/jobs";
 * import { openShard } from "transformer-circuits/node";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const folder = mkdtempSync(join(tmpdir(), "sweep-"));
 * const plan = parseJobPlan({ models: ["bundled"], seeds: { count: 4 }, tasks: [{ kind: "head-scores", length: 8 }] });
 * const shard = { index: 2, count: 2 };
 * const store = openShard(folder, plan, shard);
 * await runJobs(plan, { on: inProcess(openBundledModel), store, shard });
 * store.close();
 * const rows = parseJobRows(readFileSync(store.file, "utf8"));
 * console.log(rows.length, [...new Set(rows.map(({ seed }) => seed))].join(" "));
 * // 32 2 3
 * ```
 */
export function openShard(folder: string, plan: JobPlan, shard: Shard = { index: 1, count: 1 }): ShardStore {
  requireKind(PLAN, plan, "plan", OPERATION);
  requireObject(shard, "shard", OPERATION, "index count");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw cannot("write", folder, cause, OPERATION);
  }
  requireOneCount(shardFiles(folder, OPERATION), folder, OPERATION, shard.count);
  const file = shardFile(folder, shard);
  const unlock = lock(file);
  let handle: number | undefined;
  try {
    handle = openSync(file, "a+");
    return storeOf(handle, file, plan, unlock);
  } catch (error) {
    if (handle !== undefined) closeSync(handle);
    unlock();
    throw error instanceof Error && "code" in error ? cannot("write", file, error, OPERATION) : error;
  }
}

function storeOf(handle: number, file: string, plan: JobPlan, unlock: () => void): ShardStore {
  const kept = new Uint8Array(plan.size);
  const { whole, size } = scanJobs(handle, file, plan, OPERATION, ({ job }) => (kept[job] = 1));
  if (whole < size) ftruncateSync(handle, whole);
  let bytes = Buffer.alloc(0);
  let [length, count, isOpen] = [whole, kept.reduce((sum, one) => sum + one, 0), true];
  return {
    file,
    cut: size - whole,
    has: (job) => kept[job] === 1,
    append: (job, lines) => {
      if (!isOpen) throw new InputError(`${file} is closed.`, { operation: OPERATION, argument: "store" });
      // The lines of all jobs go through the same bytes; UTF-8 has at most three for a unit of UTF-16.
      if (bytes.length < 3 * lines.length) bytes = Buffer.allocUnsafeSlow(6 * lines.length);
      const size = bytes.write(lines);
      try {
        for (let at = 0; at < size;) at += writeSync(handle, bytes, at, size - at);
      } catch (cause) {
        // What was written of the job goes, where that is possible; else the next run cuts it off.
        try {
          ftruncateSync(handle, length);
        } catch {
          // the first error says what is wrong
        }
        const mend = ` The results of ${count} jobs are kept: mend that and run the same again.`;
        throw cannot("write", file, cause, OPERATION, mend);
      }
      length += size;
      count++;
      kept[job] = 1;
    },
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      try {
        fsyncSync(handle);
      } catch (cause) {
        throw cannot("write", file, cause, OPERATION);
      } finally {
        closeSync(handle);
        unlock();
      }
    },
  };
}

/**
 * Keeps two processes of a machine from writing one file, by a file beside it that names the one that does; returns
 * what takes it away. One that a process left which was killed is taken over, as is one of another machine: schedulers
 * start a task anew elsewhere.
 */
function lock(file: string): () => void {
  const beside = `${file}.lock`;
  const own = `${hostname()} ${process.pid}\n`;
  const write = (flag: "wx" | "w"): boolean => {
    try {
      writeFileSync(beside, own, { flag });
      return true;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw cannot("write", beside, cause, OPERATION);
    }
  };
  if (!write("wx")) {
    const [host, pid] = readFileSync(beside, "utf8").trim().split(" ");
    if (host === hostname() && Number(pid) !== process.pid && isAlive(Number(pid))) {
      throw new InputError(
        `process ${pid} of this machine is writing ${file}. Wait for it, or delete ${beside} if it is another program.`,
        { operation: OPERATION, argument: "shard", actual: file },
      );
    }
    write("w");
  }
  return () => rmSync(beside, { force: true });
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
