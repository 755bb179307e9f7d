/** Shards: every job in one, as many in each to one, and what schedulers say. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseShard, shardOfEnvironment } from "../../src/jobs/index.ts";
import { jobsOfShard } from "../../src/jobs/internal.ts";
import { refusal } from "../support/refusal.ts";

test("the shards of any plan hold each job once, and differ by one job at most", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 26 }), fc.integer({ min: 1, max: 2000 }), (size, count) => {
      let next = 0;
      const lengths = Array.from({ length: count }, (_, i) => {
        const [first, end] = jobsOfShard({ index: i + 1, count }, size);
        expect(first).toBe(next);
        next = end;
        return end - first;
      });
      expect(next).toBe(size);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
    }),
    { seed: 2, numRuns: 50 },
  );
});

test.each(["1/1", "3/64", "64/64"])("%s is a shard", (text) => {
  const [index, count] = text.split("/").map(Number);
  expect(parseShard(text)).toEqual({ index, count });
});

test.each(["", "3", "0/64", "65/64", "3/0", "-1/4", "1.5/4", "3/64/2", " 3/64", "a/b"])("%j is none", (text) => {
  expect(String(refusal(() => parseShard(text)))).toMatch(/Write it as 3\/64/);
});

describe("in the environment", () => {
  const slurm = (id: string, more: Record<string, string> = {}): Record<string, string> => ({
    ...{ SLURM_ARRAY_TASK_ID: id, SLURM_ARRAY_TASK_MIN: "0", SLURM_ARRAY_TASK_COUNT: "64" },
    ...more,
  });
  test.each([
    [{}, undefined, undefined],
    [{ SLURM_ARRAY_TASK_ID: "" }, undefined, undefined],
    [slurm("0"), undefined, { index: 1, count: 64 }],
    [slurm("63"), undefined, { index: 64, count: 64 }],
    [slurm("64", { SLURM_ARRAY_TASK_MIN: "1" }), undefined, { index: 64, count: 64 }],
    // --array=100-118:6
    [
      slurm("112", { SLURM_ARRAY_TASK_MIN: "100", SLURM_ARRAY_TASK_STEP: "6", SLURM_ARRAY_TASK_COUNT: "4" }),
      undefined,
      { index: 3, count: 4 },
    ],
    [slurm("5"), 64, { index: 6, count: 64 }],
    [{ JOB_COMPLETION_INDEX: "7" }, 8, { index: 8, count: 8 }],
  ])("%j, %s: %j", (environment, count, expected) => {
    expect(shardOfEnvironment(environment, count)).toEqual(expected);
  });

  test.each([
    [{ JOB_COMPLETION_INDEX: "7" }, undefined, "does not say of how many"],
    [{ JOB_COMPLETION_INDEX: "8" }, 8, "there is no shard 9/8"],
    [{ SLURM_ARRAY_TASK_ID: "x" }, undefined, 'SLURM_ARRAY_TASK_ID is "x", not a number'],
    [{ SLURM_ARRAY_TASK_ID: "3" }, undefined, "SLURM_ARRAY_TASK_COUNT is not"],
    // sbatch --array=5 again, of an array of 64: Slurm says that it is the first of one
    [
      slurm("5", { SLURM_ARRAY_TASK_MIN: "5", SLURM_ARRAY_TASK_COUNT: "1" }),
      64,
      "the array has 1 tasks, not 64, so that task 5 may be any shard",
    ],
    // --array=1,3,7: its ids say nothing of an order
    [
      slurm("3", { SLURM_ARRAY_TASK_MIN: "1", SLURM_ARRAY_TASK_MAX: "7", SLURM_ARRAY_TASK_COUNT: "3" }),
      undefined,
      "the array's 3 ids are no row from 1 to 7",
    ],
  ])("%j, %s is refused", (environment, count, text) => {
    expect(String(refusal(() => shardOfEnvironment(environment, count)))).toContain(text);
  });
});
