/** Files of results: cut anywhere, written by another, damaged, full. What was whole stays, and nothing comes twice. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { mergeShards, openShard, readJobPlan, shardStatus } from "../../../../src/io/node.ts";
import { inProcess, parseJobPlan, runJobs } from "../../../../src/jobs/index.ts";
import type { JobKind, JobPlan, Shard } from "../../../../src/jobs/index.ts";
import { Random } from "../../../../src/tensor/index.ts";
import { refusal } from "../../../support/refusal.ts";

/** Draws between no and four rows by its seed, with letters of several bytes. */
const drawn: JobKind = {
  columns: { x: "number", text: "text" },
  hasModel: false,
  run: ({ seed }) => {
    const random = new Random(seed);
    return Array.from({ length: random.int(5) }, () => ({ x: random.normal(), text: "é→".repeat(random.int(4)) }));
  },
};
const kinds = { drawn };
const planOf = (count: number): JobPlan => parseJobPlan({ seeds: { count }, tasks: [{ kind: "drawn" }] }, { kinds });
const plan = planOf(12);
const whole = { index: 1, count: 1 };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "transformer-circuits-shards-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

async function run(shard: Shard = whole, of = plan): Promise<{ file: string; cut: number; done: number }> {
  const store = openShard(folder, of, shard);
  try {
    const { done } = await runJobs(of, { on: inProcess(), store, shard });
    return { file: store.file, cut: store.cut, done };
  } finally {
    store.close();
  }
}

describe("a run that was killed", () => {
  test("after any byte goes on to the same bytes, and does again only what was not whole", async () => {
    const { file } = await run();
    const bytes = readFileSync(file);
    const ends: number[] = [];
    let at = 0;
    for (const line of bytes.toString("latin1").split("\n").slice(0, -1)) {
      at += line.length + 1;
      const { row, rows } = JSON.parse(line) as { row: number; rows: number };
      if (row + 1 >= rows) ends.push(at);
    }
    expect(ends.length).toBe(12);
    // every byte of the last jobs, and every 13th of the others
    const step = (length: number): number => (length < bytes.length - 600 ? 13 : 1);
    for (let length = 0; length <= bytes.length; length += step(length)) {
      writeFileSync(file, bytes.subarray(0, length));
      const { cut, done } = await run();
      expect(readFileSync(file).equals(bytes)).toBe(true);
      const kept = Math.max(0, ...ends.filter((end) => end <= length));
      expect([cut, done]).toEqual([length - kept, 12 - ends.filter((end) => end <= length).length]);
    }
  });

  test("with zeros at its end, as disks leave them that lost power, goes on as well", async () => {
    const { file } = await run();
    const bytes = readFileSync(file);
    truncateSync(file, bytes.length - 5);
    appendFileSync(file, Buffer.alloc(4096));
    await run();
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test("any number of times, in any shards, gives what one run gives, once merged", async () => {
    const { file } = await run();
    const bytes = readFileSync(file);
    rmSync(file);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.tuple(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true })), { maxLength: 20 }),
        async (count, kills) => {
          for (const [which, share] of kills) {
            const { file: killed } = await run({ index: 1 + (which % count), count });
            truncateSync(killed, Math.floor(readFileSync(killed).length * share));
          }
          for (let index = 1; index <= count; index++) await run({ index, count });
          mergeShards(folder, plan, join(folder, "all.jsonl"));
          expect(readFileSync(join(folder, "all.jsonl")).equals(bytes)).toBe(true);
          for (const one of shardStatus(folder, plan).shards)
            rmSync(join(folder, `shard-${one.index}-of-${one.count}.jsonl`));
        },
      ),
      { seed: 4, numRuns: 10 },
    );
  });

  test("while a process lives that has the file's lock is refused, and taken over when it is gone", async () => {
    const store = openShard(folder, plan);
    expect(readFileSync(`${store.file}.lock`, "utf8")).toBe(`${hostname()} ${process.pid}\n`);
    store.close();
    expect(existsSync(`${store.file}.lock`)).toBe(false);
    writeFileSync(`${store.file}.lock`, `${hostname()} 1\n`);
    expect(refusal(() => openShard(folder, plan))).toContain("process 1 of this machine is writing");
    for (const other of [`${hostname()} 999999999`, "elsewhere 1", ""]) {
      writeFileSync(`${store.file}.lock`, other);
      await run();
      expect(existsSync(`${store.file}.lock`)).toBe(false);
    }
  });
});

describe("a file of results", () => {
  test.each([
    ["a line in the midst that is none", (lines: string[]) => (lines[1] = '{"a":1}')],
    [
      "a line left out of a job",
      (lines: string[]) =>
        lines.splice(
          lines.findIndex((line) => line.includes('"row":1')),
          1,
        ),
    ],
    ["a line twice", (lines: string[]) => lines.splice(3, 0, lines[3] ?? "")],
    ["a damaged byte", (lines: string[]) => (lines[2] = (lines[2] ?? "").replace('"kind"', 'kind"'))],
  ])("with %s is not written to", async (_, damage) => {
    const { file } = await run();
    const lines = readFileSync(file, "utf8").split("\n");
    damage(lines);
    writeFileSync(file, lines.join("\n"));
    const before = readFileSync(file);
    expect(refusal(() => openShard(folder, plan))).toMatch(/FormatError: openShard: .*, line \d+: it is no line/);
    expect(refusal(() => mergeShards(folder, plan, join(folder, "all")))).toMatch(/FormatError: mergeShards/);
    expect(refusal(() => shardStatus(folder, plan))).toMatch(/FormatError: shardStatus/);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  test("of another plan is left alone", async () => {
    const { file } = await run();
    const before = readFileSync(file);
    for (const other of [planOf(13), planOf(2)]) {
      expect(refusal(() => openShard(folder, other))).toContain("holds results of another plan");
      expect(refusal(() => mergeShards(folder, other, "x", { partial: true }))).toContain("of another plan");
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("beside those of another number of shards is not begun: jobs would be done twice", async () => {
    await run({ index: 2, count: 64 });
    expect(refusal(() => openShard(folder, plan))).toMatch(/has results in 64 shards, and 1 are asked for/);
    writeFileSync(join(folder, "shard-1-of-1.jsonl"), "");
    expect(refusal(() => mergeShards(folder, plan, "x"))).toMatch(/has results in 1 shards, and 64 are/);
  });

  test("longer than what is read at once is read whole", async () => {
    const long: JobKind = { ...drawn, run: ({ seed }) => [{ text: `${seed}`.repeat(400_000) }] };
    const of = parseJobPlan({ seeds: { count: 5 }, tasks: [{ kind: "long" }] }, { kinds: { long } });
    const { file } = await run(whole, of);
    expect((await run(whole, of)).done).toBe(0);
    const bytes = readFileSync(file);
    mergeShards(folder, of, join(folder, "all"));
    expect(readFileSync(join(folder, "all")).equals(bytes)).toBe(true);
  });
});

describe("merging", () => {
  test("names what is missing, and goes on without it where asked to", async () => {
    const out = join(folder, "all.jsonl");
    expect(refusal(() => mergeShards(folder, plan, out))).toContain(
      "12 of 12 jobs are not done; there are no results in",
    );
    await run({ index: 1, count: 3 });
    await run({ index: 3, count: 3 });
    expect(refusal(() => mergeShards(folder, plan, out))).toContain(
      "4 of 12 jobs are not done; the first is job 4, of shard 2/3",
    );
    expect(existsSync(out)).toBe(false);
    expect(mergeShards(folder, plan, out, { partial: true })).toEqual({ file: out, jobs: 8, missing: 4 });
    expect(shardStatus(folder, plan)).toMatchObject({ jobs: 12, done: 8 });
    expect(shardStatus(folder, plan).shards.map(({ jobs, done }) => `${done}/${jobs}`)).toEqual(["4/4", "0/4", "4/4"]);
  });

  test("into a folder that there is not leaves nothing", async () => {
    await run();
    expect(refusal(() => mergeShards(folder, plan, join(folder, "none", "all")))).toMatch(
      /ResourceError: mergeShards: cannot write .*: there is no such file or folder. The shards are as they were./,
    );
    expect(refusal(() => mergeShards(folder, plan, join(folder, "shard-1-of-1.jsonl")))).toContain(
      "is one of the shards",
    );
  });
});

describe("reading a plan", () => {
  test.each([
    ["none.json", undefined, /InputError: readJobPlan: cannot read .*none.json: there is no such file/],
    ["plan.json", '{"tasks":[],"tasks":[]}', /FormatError: readJobPlan: .*the key "tasks" appears a second time/],
    ["plan.json", "[1]", /FormatError: readJobPlan: .*it is not a JSON object/],
    ["plan.json", '{"tasks":[{"kind":"composition"}]}', /InputError: parseJobPlan: .*the plan names none/],
    [
      "plan.json",
      '{"models":["a"],"seeds":[12345678901234567890],"tasks":[{"kind":"head-scores"}]}',
      /seeds holds 12345678901234567000;/,
    ],
  ])("%s of %s", async (name, text, expected) => {
    if (text !== undefined) writeFileSync(join(folder, name), text);
    const error = await readJobPlan(join(folder, name)).catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(expected);
  });
});
