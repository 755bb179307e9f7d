/** Reads a file of results as it lies: which jobs are in it whole, and where. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { FormatError, InputError } from "../../../errors.ts";
import type { JobPlan } from "../../../jobs/index.ts";
import { lineHead } from "../../../jobs/internal.ts";
import { cannot } from "./shard-files.ts";

/** Where the lines of a job lie. */
export interface JobPlace {
  readonly job: number;
  readonly start: number;
  readonly end: number;
}

/** A file of results. */
export interface Scanned {
  /** Bytes of whole jobs, which come first; what is after them is torn. */
  readonly whole: number;
  readonly size: number;
}

const CHUNK = 2 ** 20;
const NEWLINE = 0x0a;

/**
 * Goes through the jobs of an open file.
 *
 * @param visit - called with each job that is there whole.
 * @throws {@link InputError} when results are of another plan; {@link FormatError} for a line that is none, unless it
 * is the last: that was being written when the process ended.
 */
export function scanJobs(
  handle: number,
  file: string,
  plan: JobPlan,
  operation: string,
  visit: (place: JobPlace) => void,
): Scanned {
  const { size } = fstatSync(handle);
  let [whole, line, next, start] = [0, 0, 0, 0];
  let job: number | undefined;
  const end = eachLine(handle, size, (text, from, to) => {
    line++;
    const head = lineHead(text);
    const isNext = next === 0 ? head?.row === 0 : head?.job === job && head?.row === next;
    if (head === undefined || !isNext || head.job >= plan.size || head.row > Math.max(0, head.rows - 1)) {
      if (head !== undefined && head.plan !== plan.digest) throw otherPlan(file, operation);
      if (to === size) return false;
      throw new FormatError(
        `${file}, line ${line}: it is no line of results that follows the one before. Restore the file, or delete it: its jobs are then done again.`,
        { operation, argument: file, actual: text.slice(0, 80) },
      );
    }
    if (head.plan !== plan.digest) throw otherPlan(file, operation);
    if (next === 0) [job, start] = [head.job, from];
    next = head.row + 1;
    if (next >= head.rows) {
      visit({ job: head.job, start, end: to });
      [whole, next] = [to, 0];
    }
    return true;
  });
  return { whole: Math.min(whole, end), size };
}

/** Goes through the jobs of a file, as {@link scanJobs}; {@link ResourceError} when it cannot be opened. */
export function scanFile(file: string, plan: JobPlan, operation: string, visit: (place: JobPlace) => void): void {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (cause) {
    throw cannot("read", file, cause, operation);
  }
  try {
    scanJobs(handle, file, plan, operation, visit);
  } finally {
    closeSync(handle);
  }
}

const otherPlan = (file: string, operation: string): InputError =>
  new InputError(
    `${file} holds results of another plan, or of this one before it was changed. Name another folder, or delete the file.`,
    { operation, argument: "plan", actual: file },
  );

/** Calls with each line that has an end, until told to stop; returns where it stopped. */
function eachLine(handle: number, size: number, visit: (text: string, start: number, end: number) => boolean): number {
  const chunk = Buffer.allocUnsafe(CHUNK);
  let rest: Buffer = Buffer.alloc(0);
  let at = 0;
  while (at + rest.length < size) {
    const count = readSync(handle, chunk, 0, CHUNK, at + rest.length);
    if (count === 0) break;
    const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE, rest.length); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
      if (!visit(bytes.toString("utf8", begin, end), at + begin, at + end + 1)) return at + begin;
      begin = end + 1;
    }
    rest = bytes.subarray(begin);
    at += begin;
  }
  return at;
}
