/**
 * Jobs on a queue, with a real Redis server that is started here. It keeps nothing on disk: when it is killed, all that it
 * knew is lost.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inProcess, parseJobPlan, parseJobRows, runJobs } from "../../src/jobs/index.ts";
import { filesOfPlan, mergeShards, modelsOfPlan, openShard } from "../../src/io/node.ts";
import { onQueue, serveQueue } from "../../src/queue/index.ts";
import { connectionOf } from "../../src/queue/bullmq.ts";
import { reportJob } from "../../src/report/index.ts";
import { Random } from "../../src/tensor/index.ts";
import { trainingJob } from "../../src/train/index.ts";
import { randomModel } from "../support/random-model.ts";
import { refusal } from "../support/refusal.ts";
import { commandInFolder, saveModel } from "../cli/command.ts";

const isThere = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
};
const missing = [
  ...(spawnSync("redis-server", ["--version"]).status === 0 ? [] : ["redis-server"]),
  ...["bullmq", "ioredis"].filter((name) => !isThere(name)),
];
/** Skipped where something is not installed, but for CI, where all has to be. */
const queueTests = describe.skipIf(missing.length > 0 && process.env["CI"] === undefined);
const without = missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} not installed)`;

/** A process, and its end. */
interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

let folder = "";
let port = 0;
let server: Started | undefined;
const address = (): string => `redis://127.0.0.1:${port}`;

async function startRedis(): Promise<void> {
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  server = { child, ended: new Promise((resolve) => child.on("exit", () => resolve())) };
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      if (text.toString().includes("Ready to accept connections")) resolve();
    });
    child.on("exit", (code) => reject(new Error(`redis-server left with ${code}`)));
  });
}

async function killRedis(): Promise<void> {
  server?.child.kill("SIGKILL");
  await server?.ended;
}

/** A port that the system gives to nobody by itself: it stays free while the server is away. */
async function freePort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); port < 32_768; port++) {
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error("no port is free");
}

queueTests(`a queue${without}`, () => {
  const command = commandInFolder("export {};\n");
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "transformer-circuits-redis-"));
    port = await freePort();
    await startRedis();
  });
  afterAll(async () => {
    await killRedis();
    rmSync(folder, { recursive: true, force: true });
  });

  const plan = (count: number): ReturnType<typeof parseJobPlan> =>
    parseJobPlan({
      models: ["bundled"],
      seeds: { count },
      tasks: [
        { kind: "head-scores", length: 4 },
        { kind: "ablation", prompts: { repeated: { length: 4 } } },
      ],
    });

  test("gives what one process finds, to the bit, and tells how far it is", async () => {
    const stop = new AbortController();
    const served = serveQueue(address(), { threads: 2, worker: command.command, signal: stop.signal, name: "a" });
    const told: number[] = [];
    const on = onQueue(address(), { window: 7, name: "a" });
    const { rows, failed, done } = await runJobs(plan(20), { on, onProgress: (n) => void told.push(n) });
    stop.abort();
    await served;
    expect([failed, done]).toEqual([[], 40]);
    expect(told).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(rows).toEqual((await runJobs(plan(20), { on: inProcess(modelsOfPlan()) })).rows);
  });

  test("trains and reports on workers, and saves where they are: the rows and the files of one process", async () => {
    const kinds = { train: trainingJob, report: reportJob };
    const tasks = [
      { kind: "train", steps: 20, data: { kind: "max-of-k", batch: 4, d_vocab: 8 }, save: "runs" },
      { kind: "report", text: { tokens: [1, 4, 2, 8, 5, 7, 1, 4, 2, 8, 5, 7] }, save: "pages" },
    ];
    const seeds = { count: 2 };
    const both = parseJobPlan({ models: [{ name: "tiny", path: "../tiny" }], seeds, tasks }, { kinds });
    saveModel(randomModel({ n_layers: 1, n_heads: 2 }), join(command.folder, "tiny"));
    const [there, here] = ["there", "here"].map((name) => join(command.folder, name)) as [string, string];
    const stop = new AbortController();
    const options = { threads: 2, worker: command.command, folder: there, signal: stop.signal, name: "t" };
    const served = serveQueue(address(), options);
    const { rows, failed } = await runJobs(both, { on: onQueue(address(), { name: "t" }) });
    stop.abort();
    await served;
    expect(failed).toEqual([]);
    const on = inProcess(modelsOfPlan(here), filesOfPlan(here));
    expect(rows).toEqual((await runJobs(both, { on })).rows);
    const saved = [
      "runs/train-seed-1/model.safetensors",
      "runs/train-seed-0/film.json",
      "pages/report@tiny-seed-1.json",
    ];
    for (const file of saved) expect(readFileSync(join(there, file)).equals(readFileSync(join(here, file)))).toBe(true);
  });

  test("tries again what may succeed, and tells of what cannot with its typed error", async () => {
    const file = join(command.folder, "kinds.mjs");
    const tried = join(command.folder, "tried");
    writeFileSync(
      file,
      `import { appendFileSync, readFileSync } from "node:fs";
      const tried = (seed) => { appendFileSync(${JSON.stringify(tried)}, seed + "\\n"); };
      export const kinds = { shaky: { columns: { n: "whole" }, hasModel: false, run: ({ seed, onProgress }) => {
        tried(seed);
        const times = readFileSync(${JSON.stringify(tried)}, "utf8").split("\\n").filter((line) => line === String(seed)).length;
        if (seed === 1 && times < 3) throw new Error("not yet");
        if (seed === 2) throw new Error("never");
        const until = Date.now() + 400;
        while (Date.now() < until) onProgress(1, 4);
        return [{ n: seed }];
      } } };`,
    );
    const { kinds } = (await import(file)) as { kinds: Parameters<typeof parseJobPlan>[1] };
    const shaky = parseJobPlan(
      { models: ["none"], seeds: [0, 1, 2], tasks: [{ kind: "shaky" }, { kind: "composition" }] },
      { kinds } as Parameters<typeof parseJobPlan>[1],
    );
    const stop = new AbortController();
    const served = serveQueue(address(), { kinds: file, worker: command.command, signal: stop.signal, name: "b" });
    const told = new Set<string>();
    const { done, failed } = await runJobs(shaky, {
      on: onQueue(address(), { retries: 3, name: "b" }),
      onJobProgress: ({ kind, seed }, fraction) => void told.add(`${kind} ${seed} ${fraction}`),
    });
    stop.abort();
    await served;
    expect([...told].sort()).toEqual(["shaky 0 0.25", "shaky 1 0.25"]);
    expect(failed[1]?.error).toMatchObject({
      operation: "loadFolder",
      argument: "path",
    });
    expect(done).toBe(2);
    expect(failed.map(({ job, error }) => `${job.kind} ${job.seed} ${error.name}: ${error.message}`)).toEqual([
      "shaky 2 Error: never",
      expect.stringMatching(/^composition 0 InputError: loadFolder: cannot read .*none: there is no such file/),
    ]);
    const times = readFileSync(tried, "utf8").split("\n");
    expect([0, 1, 2].map((seed) => times.filter((line) => line === `${seed}`).length)).toEqual([1, 3, 4]);
  });

  test("holds no more jobs than its window, and gives back those not begun when it is cancelled", async () => {
    const ioredis = (await import("ioredis" as string)) as {
      default: new (url: string) => { llen(key: string): Promise<number>; quit(): Promise<unknown> };
    };
    const client = new ioredis.default(address());
    const cancel = new AbortController();
    const on = onQueue(address(), { window: 5, name: "c" });
    const run = runJobs(plan(50), { on, signal: cancel.signal });
    run.catch(() => undefined);
    let most = 0;
    while (most < 5) most = Math.max(most, await client.llen("bull:c:wait"));
    await pause(300);
    expect(await client.llen("bull:c:wait")).toBe(5);
    cancel.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    expect(await client.llen("bull:c:wait")).toBe(0);
    await client.quit();
  });

  test("a server that is away: a typed error when patience ends, and what was done is kept", async () => {
    const stop = new AbortController();
    const served = serveQueue(address(), { worker: command.command, signal: stop.signal, name: "d", patience: 60_000 });
    const store = openShard(join(command.folder, "results"), plan(100));
    const on = onQueue(address(), { name: "d", patience: 3000, window: 4 });
    let killed: Promise<void> | undefined;
    const onProgress = (done: number): void => {
      if (done === 10) killed = killRedis();
    };
    await expect(runJobs(plan(100), { on, store, onProgress })).rejects.toThrow(
      /^onQueue: Redis did not answer for \d+ seconds: .*What was done is kept: run the same again when it is back\.$/,
    );
    await killed;
    store.close();
    const jobs = new Set(parseJobRows(readFileSync(store.file, "utf8")).map(({ job }) => job));
    expect(jobs.size).toBeGreaterThanOrEqual(10);
    await startRedis();
    const again = openShard(join(command.folder, "results"), plan(100));
    const { before, done } = await runJobs(plan(100), { on: onQueue(address(), { name: "d" }), store: again });
    again.close();
    expect([before, before + done]).toEqual([jobs.size, 200]);
    stop.abort();
    await served;
  });

  test("no server at all: both sides say so", async () => {
    const nowhere = "redis://127.0.0.1:1";
    const both = [
      runJobs(plan(1), { on: onQueue(nowhere, { patience: 2000 }) }),
      serveQueue(nowhere, { patience: 2000, worker: command.command }),
    ];
    const [given, served] = await Promise.allSettled(both);
    const said = (outcome: PromiseSettledResult<unknown> | undefined): string =>
      outcome?.status === "rejected" ? String(outcome.reason) : "nothing";
    expect(said(given)).toMatch(/: onQueue: Redis did not answer.*ECONNREFUSED/);
    expect(said(served)).toMatch(/: serveQueue: Redis did not answer.*ECONNREFUSED/);
  });

  test("a thousand jobs, with workers, giver and server killed fifty times at random: the union is that of one process", async () => {
    const thousand = plan(500);
    writeFileSync(join(command.folder, "plan.json"), JSON.stringify(thousand));
    // How often one waits hangs on the machine, and whom it hits must not hang on that.
    const [random, fate] = [new Random(7), new Random(9)];
    const start = (...args: string[]): Started => {
      const all = [command.command, "sweep", ...args];
      const child = spawn(process.execPath, all, { cwd: command.folder, stdio: "ignore" });
      return { child, ended: new Promise((resolve) => child.on("exit", () => resolve())) };
    };
    const worker = (): Started => start("work", "--queue", address(), "--lock", "1000");
    const giver = (): Started => start("plan.json", "--queue", address());
    const file = join(command.folder, "plan-results/shard-1-of-1.jsonl");
    const sizeOf = (): number => (existsSync(file) ? statSync(file).size : 0);
    const workers = [worker(), worker()];
    let gives = giver();
    const killed = { worker: 0, giver: 0, server: 0 };
    const kill = async ({ child, ended }: Started): Promise<void> => {
      child.kill("SIGKILL");
      await ended;
    };
    for (let n = 0; n < 50; n++) {
      const before = sizeOf();
      // Most kills strike while jobs are done; some before the first.
      while (random.int(8) !== 0 && sizeOf() <= before) await pause(20);
      await pause(random.int(120));
      const whom = fate.int(10);
      if (whom < 6) {
        const at = whom % 2;
        await kill(workers[at] as Started);
        workers[at] = worker();
        killed.worker++;
      } else if (whom < 8) {
        await kill(gives);
        gives = giver();
        killed.giver++;
      } else {
        await killRedis();
        await startRedis();
        killed.server++;
      }
    }
    await gives.ended;
    expect((await command.run("sweep", "plan.json", "--queue", address())).code).toBe(0);
    await Promise.all(workers.map(kill));
    expect(killed.worker + killed.giver + killed.server).toBe(50);
    expect(Math.min(killed.worker, killed.giver, killed.server)).toBeGreaterThan(4);
    const store = openShard(join(command.folder, "one"), thousand);
    await runJobs(thousand, { on: inProcess(modelsOfPlan()), store });
    store.close();
    mergeShards(join(command.folder, "plan-results"), thousand, join(command.folder, "all.jsonl"));
    const one = readFileSync(store.file);
    expect(readFileSync(join(command.folder, "all.jsonl")).equals(one)).toBe(true);
    expect(readFileSync(file).length).toBe(one.length);
  });
});

describe("an address", () => {
  test.each([
    ["redis://h", { host: "h", port: 6379 }],
    ["redis://user:p%40ss@h:1234/2", { host: "h", port: 1234, username: "user", password: "p@ss", db: 2 }],
    ["rediss://h", { host: "h", tls: {} }],
  ])("%s", (text, expected) => {
    expect(connectionOf(text, true, "onQueue")).toMatchObject(expected);
  });

  test.each(["localhost:6379", "http://h", ""])("%j is none", (text) => {
    expect(refusal(() => onQueue(text))).toMatch(/is no address of Redis: .*Write it as redis:\/\/host:6379/);
  });

  test("goes with numbers that can be", () => {
    expect(refusal(() => onQueue("redis://h", { window: 0 }))).toContain(
      "window is 0; give a whole number of at least 1",
    );
    expect(refusal(() => onQueue("redis://h", { jobs: 1 } as never))).toContain('there is no option "jobs"');
  });

  test.each([
    ["patience", -1],
    ["patience", NaN],
    ["patience", "1000"],
    ["lock", 0],
    ["threads", 1.5],
  ])("on the side of the workers too: %s of %s is refused", async (option, value) => {
    await expect(serveQueue("redis://h", { [option]: value })).rejects.toThrow(
      `serveQueue: ${option} is ${value}; give a whole number of at least`,
    );
  });
});
