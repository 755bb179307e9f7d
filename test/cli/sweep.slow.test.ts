/** The command `sweep` as its own process: shards, threads, kills at random, a full disk, and who else reads its results. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { parseJobRows } from "../../src/jobs/index.ts";
import { Random } from "../../src/tensor/index.ts";
import { readText } from "../support/files.ts";
import { randomModel } from "../support/random-model.ts";
import { commandInFolder, runCommand, saveModel } from "./command.ts";

/** What the test takes of DuckDB, named so that types do not ask for a package that only this test has. */
interface DuckDB {
  readonly DuckDBInstance: {
    create(): Promise<{
      connect(): Promise<{ runAndReadAll(sql: string): Promise<{ getRowObjects(): Record<string, unknown>[] }> }>;
    }>;
  };
}
const DUCKDB: string = "@duckdb/node-api";

const command = commandInFolder("export {};\n");
const document = readText("docs/sweeps.md");
const block = (language: string, nth = 0): string =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))][nth]?.[1] ?? "";

const write = (name: string, text: string): void => writeFileSync(join(command.folder, name), text);
const bytes = (name: string): Buffer => readFileSync(join(command.folder, name));

const forty = JSON.stringify({
  models: ["bundled"],
  seeds: { count: 40 },
  tasks: [{ kind: "head-scores", length: 4 }],
});

/** A thousand jobs of a millisecond or two. */
const thousand = JSON.stringify({
  models: ["bundled"],
  seeds: { count: 500 },
  tasks: [
    { kind: "head-scores", length: 4 },
    { kind: "ablation", prompts: { repeated: { length: 4 } } },
  ],
});

describe("the plan of docs/sweeps.md", () => {
  test("gives the same bytes in one process, on threads and in shards, and is read by DuckDB and Arrow as it lies", async () => {
    write("plan.json", block("json"));
    const whole = await command.run("sweep", "plan.json", "-r", "one");
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    expect(whole.stdout).toBe("shard 1/1    33 jobs done\nresults      one/shard-1-of-1.jsonl\n");
    expect((await command.run("sweep", "plan.json", "-r", "two", "--threads", "2")).code).toBe(0);
    await Promise.all(
      [1, 2, 3].map(async (shard) => {
        const { code } = await command.run("sweep", "plan.json", "--shard", `${shard}/3`);
        expect(code).toBe(0);
      }),
    );
    const status = await command.run("sweep", "status", "plan.json");
    expect(status.stdout.split("\n")[0]).toBe("all          33 of 33 jobs (100 %)");
    for (const results of ["one", "two", "plan-results"])
      expect(await command.run("sweep", "merge", "plan.json", "-r", results)).toMatchObject({ code: 0 });
    const all = bytes("one/shard-1-of-1.jsonl");
    for (const file of ["one.jsonl", "two.jsonl", "plan-results.jsonl"]) expect(bytes(file).equals(all)).toBe(true);
    expect(all.toString().split("\n").length).toBe(1 + 2 * (5 * 3 * 16 + 12) + 192);
    await readByDuckDB();
    readByArrow();
  });

  async function readByDuckDB(): Promise<void> {
    if (!hasPackage(DUCKDB)) return;
    const sql = block("sql").replace("'plan-results/", `'${command.folder}/plan-results/`);
    const top = await ask(sql);
    expect(top.length).toBe(3);
    const rows = bytes("one.jsonl")
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Row);
    const mean = (row: Record<string, unknown>): number => {
      const of = rows.filter(
        ({ task, model, layer, head }) =>
          task === "head-scores" &&
          model === row["model"] &&
          layer === Number(row["layer"]) &&
          head === Number(row["head"]),
      );
      return of.reduce((sum, { induction = NaN }) => sum + induction, 0) / of.length;
    };
    for (const row of top) expect(Math.abs(mean(row) - Number(row["induction"]))).toBeLessThan(1e-12);
    const types = await ask(`DESCRIBE SELECT * FROM read_json('${command.folder}/one.jsonl')`);
    const typeOf = new Map(types.map((column) => [column["column_name"], column["column_type"]]));
    for (const name of ["job", "seed", "layer", "head", "pos"]) expect(typeOf.get(name)).toBe("BIGINT");
    for (const name of ["induction", "rise", "effect", "z_score"]) expect(typeOf.get(name)).toBe("DOUBLE");
    expect(typeOf.get("is_induction")).toBe("BOOLEAN");
  }

  interface Row {
    readonly task: string;
    readonly model: string;
    readonly layer?: number;
    readonly head?: number;
    readonly induction?: number;
  }

  /** Where there is a Python with pyarrow. */
  function readByArrow(): void {
    const program = `${block("python")}\nprint(table.num_rows, table.schema.field("effect").type)`;
    const { status, stdout } = spawnSync("python3", ["-c", program], { cwd: command.folder, encoding: "utf8" });
    if (status === 0) expect(stdout.trim()).toBe(`${2 * (5 * 3 * 16 + 12) + 192} double`);
  }
});

/** What DuckDB answers. */
async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const { DuckDBInstance } = (await import(DUCKDB)) as DuckDB;
  const connection = await (await DuckDBInstance.create()).connect();
  return (await connection.runAndReadAll(sql)).getRowObjects();
}

/** Packages of the tests alone are there in CI; elsewhere a test without one is shorter. */
function hasPackage(name: string): boolean {
  if (process.env["CI"] !== undefined) return true;
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The files in a folder and its folders, with what they hold. */
function contentsOf(folder: string, prefix = ""): Record<string, string> {
  const found = readdirSync(folder, { withFileTypes: true }).map((entry) => {
    const at = join(folder, entry.name);
    return entry.isDirectory()
      ? contentsOf(at, `${prefix}${entry.name}/`)
      : { [prefix + entry.name]: readFileSync(at).toString("base64") };
  });
  return Object.assign({}, ...found) as Record<string, string>;
}

describe("jobs that train and that report", () => {
  test("answer the question of docs/sweeps.md: induction forms in two layers on all seeds, and in one on none", async () => {
    write("seeds.json", block("json", 1));
    const run = await command.run("sweep", "seeds.json", "--threads", "2");
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const rows = parseJobRows(bytes("seeds-results/shard-1-of-1.jsonl").toString());
    const forms = rows.filter(({ phase }) => phase === "induction heads");
    expect(forms.map(({ task, seed }) => `${task} ${seed}`).sort()).toEqual([0, 1, 2].map((n) => `two-layers ${n}`));
    const last = rows.filter(({ about, step }) => about === "checkpoint" && step === 400);
    const mean = (task: string): number => {
      const losses = last.filter((row) => row["task"] === task).map((row) => Number(row["held_out_loss"]));
      expect(losses.length).toBe(3);
      return losses.reduce((a, b) => a + b, 0) / 3;
    };
    expect(mean("two-layers")).toBeLessThan(mean("one-layer") - 1);
    expect(readdirSync(join(command.folder, "runs"))).toEqual([0, 1, 2].map((n) => `two-layers-seed-${n}`));
    expect(existsSync(join(command.folder, "runs/two-layers-seed-1/model.safetensors"))).toBe(true);
    write("family.json", block("json", 2));
    expect(await command.run("sweep", "family.json")).toMatchObject({ code: 0, stderr: "" });
    const family = parseJobRows(bytes("family-results/shard-1-of-1.jsonl").toString());
    const models = [0, 1, 2].map((n) => `runs/two-layers-seed-${n}`);
    expect([...new Set(family.map(({ model }) => model))]).toEqual(models);
    // Without the induction head that a run's phases name, the loss rises by a tenth of a nat and more.
    for (const { seed, heads } of forms) {
      const [, layer, head] = /^L(\d+)H(\d+)$/.exec(String(heads)) ?? [];
      const of = family.filter((row) => row["model"] === models[Number(seed)]);
      const worth = of.find((row) => row["layer"] === Number(layer) && row["head"] === Number(head));
      expect([of.length, Number(worth?.["rise"]) > 0.1]).toEqual([4, true]);
    }
    if (!hasPackage(DUCKDB)) return;
    const answer = await ask(block("sql", 1).replace("'seeds-results/", `'${command.folder}/seeds-results/`));
    const steps = forms.map(({ from_step }) => Number(from_step)).sort((a, b) => a - b);
    expect(answer.map(({ task, runs, formed, at_step }) => [task, Number(runs), Number(formed), at_step])).toEqual([
      ["one-layer", 3, 0, null],
      ["two-layers", 3, 3, steps[1]],
    ]);
    for (const { task, loss } of answer) expect(Math.abs(Number(loss) - mean(String(task)))).toBeLessThan(1e-12);
    const types = await ask(`DESCRIBE SELECT * FROM read_json('${command.folder}/seeds-results/*.jsonl')`);
    const typeOf = new Map(types.map((column) => [column["column_name"], column["column_type"]]));
    for (const name of ["step", "from_step", "induction_heads"]) expect(typeOf.get(name)).toBe("BIGINT");
    for (const name of ["loss", "held_out_loss", "low"]) expect(typeOf.get(name)).toBe("DOUBLE");
  });

  test("give the same rows and files in one process, on threads, and in shards whose processes are killed", async () => {
    const random = new Random(5);
    const plan = JSON.stringify({
      models: ["tiny"],
      seeds: { count: 2 },
      tasks: [
        { kind: "train", steps: 60, every: 20, data: { kind: "repeated-tokens", batch: 4 }, save: "runs", keep: true },
        { kind: "report", text: { tokens: Array.from({ length: 60 }, () => random.int(17)) }, save: "pages" },
      ],
    });
    const at = (place: string): string => {
      const folder = join(command.folder, place);
      saveModel(randomModel({ n_layers: 1, n_heads: 2 }), join(folder, "tiny"));
      writeFileSync(join(folder, "plan.json"), plan);
      return folder;
    };
    const run = async (folder: string, ...args: string[]): Promise<void> => {
      const outcome = await runCommand(command.command, ["sweep", ...args], folder);
      expect(outcome).toMatchObject({ code: 0, stderr: "" });
    };
    const [one, threads, shards] = ["one", "threads", "shards"].map(at) as [string, string, string];
    await run(one, "plan.json");
    await run(threads, "plan.json", "--threads", "2");
    for (const shard of ["1/2", "2/2"]) {
      for (let kills = 0; kills < 3; kills++) {
        const args = [command.command, "sweep", "plan.json", "--shard", shard];
        const child = spawn(process.execPath, args, { cwd: shards, stdio: "ignore" });
        const ended = new Promise((resolve) => child.on("close", resolve));
        await Promise.race([ended, pause(200 + random.int(800))]);
        child.kill("SIGKILL");
        await ended;
      }
      await run(shards, "plan.json", "--shard", shard);
    }
    for (const folder of [one, threads, shards]) {
      await run(folder, "merge", "plan.json");
      rmSync(join(folder, "plan-results"), { recursive: true });
    }
    const expected = contentsOf(one);
    const saved = Object.keys(expected).filter((name) => /^(runs|pages)\//.test(name));
    expect(saved.length).toBe(2 * (5 * 2 + 2) + 2 * 2);
    expect(contentsOf(threads)).toEqual(expected);
    // A process that is killed while it writes leaves a part, which no one takes for the file.
    const left = Object.entries(contentsOf(shards)).filter(([name]) => !/\/\.[^/]*\.tmp$/.test(name));
    expect(Object.fromEntries(left)).toEqual(expected);
  });
});

describe("a thousand jobs", () => {
  test("in two shards whose processes are killed fifty times at random: the union is that of one process, to the bit", async () => {
    write("plan.json", thousand);
    expect((await command.run("sweep", "plan.json", "-r", "one")).code).toBe(0);
    // On the way to 25 kills half of a shard is done at most.
    const most = bytes("one/shard-1-of-1.jsonl").length / 2 / 2 / 25;
    const kills = await Promise.all([1, 2].map(async (shard) => killedRuns(shard, 25, most, new Random(shard))));
    expect(kills).toEqual([25, 25]);
    const status = await command.run("sweep", "status", "plan.json", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({ jobs: 1000, done: 1000 });
    expect((await command.run("sweep", "merge", "plan.json")).code).toBe(0);
    expect(bytes("plan-results.jsonl").equals(bytes("one/shard-1-of-1.jsonl"))).toBe(true);
    // As they lie: no job is missing or there twice.
    const lines = [1, 2].flatMap((shard) =>
      bytes(`plan-results/shard-${shard}-of-2.jsonl`).toString().split("\n").slice(0, -1),
    );
    const alone = bytes("one/shard-1-of-1.jsonl").toString().split("\n").slice(0, -1);
    expect(lines.sort()).toEqual(alone.sort());
  });

  /** Runs a shard to its end; its process is killed so many times before, while it does jobs, of at most so many bytes, or starts. */
  async function killedRuns(shard: number, kills: number, most: number, random: Random): Promise<number> {
    const file = join(command.folder, `plan-results/shard-${shard}-of-2.jsonl`);
    const sizeOf = (): number => (existsSync(file) ? statSync(file).size : 0);
    let killed = 0;
    while (killed < kills) {
      const child = spawn(process.execPath, [command.command, "sweep", "plan.json", "--shard", `${shard}/2`], {
        cwd: command.folder,
        stdio: "ignore",
      });
      const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("close", (_, signal) => resolve(signal)));
      const before = sizeOf();
      // One in ten is killed before its first job is done.
      const isEarly = random.int(10) === 0;
      const least = before + random.uniform() * most;
      const latest = isEarly ? Date.now() + random.int(300) : Infinity;
      while (sizeOf() <= least && child.exitCode === null && Date.now() < latest) await pause(1);
      child.kill("SIGKILL");
      if ((await ended) !== "SIGKILL") throw new Error(`shard ${shard} came to its end after ${killed} kills`);
      killed++;
    }
    const last = await command.run("sweep", "plan.json", "--shard", `${shard}/2`);
    expect(last).toMatchObject({ code: 0, stderr: "" });
    return killed;
  }
});

describe("what goes wrong is said, and what was done is kept", () => {
  test("a checkpoint that is not there: the other jobs are done, and the rest when it is there", async () => {
    write("plan.json", JSON.stringify({ models: ["bundled", "late"], tasks: [{ kind: "composition" }] }));
    const first = await command.run("sweep", "plan.json");
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(
      /1 of 2 jobs failed; the others are kept.*\n {2}job 1, composition on late, seed 0: InputError: .*there is no such file/,
    );
    expect((await command.run("sweep", "merge", "plan.json")).stderr).toContain(
      "1 of 2 jobs are not done; the first is job 1",
    );
    const threads = await command.run("sweep", "plan.json", "--threads", "2");
    expect(threads.stderr).toMatch(/job 1, composition on late, seed 0: InputError: .*there is no such file/);
  });

  test("a plan that is none, a shard that is none, and results of another plan", async () => {
    write("plan.json", thousand.replace("length", "lenght"));
    const misspelt = await command.run("sweep", "plan.json");
    expect(misspelt).toMatchObject({ code: 1, stdout: "" });
    expect(misspelt.stderr).toContain('tasks[0], "head-scores": there is no option "lenght". Did you mean length?');
    expect(existsSync(join(command.folder, "plan-results"))).toBe(false);
    write("plan.json", thousand);
    expect((await command.run("sweep", "plan.json", "--shard", "5/4")).stderr).toContain("there is no shard 5/4");
    mkdirSync(join(command.folder, "plan-results"));
    write("plan-results/shard-1-of-1.jsonl", '{"plan":"0123456789abcdef","job":0,"row":0,"rows":1,"x":1}\n');
    expect((await command.run("sweep", "plan.json")).stderr).toContain("holds results of another plan");
  });

  test("a cancel keeps what was done", async () => {
    write("plan.json", thousand);
    const file = join(command.folder, "plan-results/shard-1-of-1.jsonl");
    const hasBegun = (): boolean => existsSync(file) && statSync(file).size > 0;
    const run = await runCommand(command.command, ["sweep", "plan.json"], command.folder, hasBegun);
    if (run.code === 0) return;
    expect(run).toMatchObject({
      code: 130,
      stderr: "Cancelled; what was done is kept, and the same command goes on with the rest.\n",
    });
    const { done } = JSON.parse((await command.run("sweep", "status", "plan.json", "--json")).stdout) as {
      done: number;
    };
    expect(done).toBeGreaterThan(0);
    expect(bytes("plan-results/shard-1-of-1.jsonl").toString()).toMatch(/\}\n$/);
  });

  test("more shards than a process may open are merged", async () => {
    const count = 100;
    const hundred = { models: ["bundled"], seeds: { count }, tasks: [{ kind: "head-scores", length: 4 }] };
    write("plan.json", JSON.stringify(hundred));
    expect((await command.run("sweep", "plan.json", "-r", "one")).code).toBe(0);
    const lines = bytes("one/shard-1-of-1.jsonl").toString().split("\n").slice(0, -1);
    mkdirSync(join(command.folder, "plan-results"));
    for (let job = 0; job < count; job++) {
      const own = lines.filter((line) => (JSON.parse(line) as { job: number }).job === job);
      const name = `shard-${String(job + 1).padStart(3, "0")}-of-${count}.jsonl`;
      write(`plan-results/${name}`, `${own.join("\n")}\n`);
    }
    const merge = `ulimit -n 64 && exec "${process.execPath}" "${command.command}" sweep merge plan.json`;
    const { status, stderr } = spawnSync("sh", ["-c", merge], { cwd: command.folder, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(bytes("plan-results.jsonl").equals(bytes("one/shard-1-of-1.jsonl"))).toBe(true);
  });

  test("a shard that Slurm names", () => {
    write(
      "plan.json",
      JSON.stringify({ models: ["bundled"], seeds: { count: 6 }, tasks: [{ kind: "head-scores", length: 4 }] }),
    );
    const run = spawnSync(process.execPath, [command.command, "sweep", "plan.json"], {
      cwd: command.folder,
      encoding: "utf8",
      env: { ...process.env, SLURM_ARRAY_TASK_ID: "12", SLURM_ARRAY_TASK_MIN: "10", SLURM_ARRAY_TASK_COUNT: "3" },
    });
    expect(run.stdout).toContain("shard 3/3    2 jobs done");
  });

  // A disk of 64 kB, where the system lets us have one.
  const disk = (): string => join(command.folder, "disk");
  const mount = (): boolean => {
    mkdirSync(disk());
    return spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk()]).status === 0;
  };
  test("a disk that is full: a typed error, whole jobs, and the rest once there is room", async () => {
    write("plan.json", forty);
    if (!mount()) return;
    try {
      const full = await command.run("sweep", "plan.json", "-r", "disk");
      expect(full.code).toBe(1);
      const said =
        /ResourceError: openShard: cannot write disk.*: the disk is full. The results of (\d+) jobs are kept/;
      expect(full.stderr).toMatch(said);
      const kept = Number(said.exec(full.stderr)?.[1]);
      expect(kept).toBeGreaterThan(5);
      const lines = bytes("disk/shard-1-of-1.jsonl").toString().split("\n");
      expect(lines.pop()).toBe("");
      expect(new Set(lines.map((line) => (JSON.parse(line) as { job: number }).job)).size).toBe(kept);
      expect(lines.length).toBe(kept * 16);
      spawnSync("mount", ["-o", "remount,size=64M", disk()]);
      expect((await command.run("sweep", "plan.json", "-r", "disk")).stdout).toContain(
        `${40 - kept} jobs done, ${kept} before`,
      );
    } finally {
      spawnSync("umount", [disk()]);
      rmSync(disk(), { recursive: true, force: true });
    }
  });
});
