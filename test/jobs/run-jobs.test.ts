/** Jobs that run in this process: what they find is what the library's functions say, and the lines that keep it. */
import { beforeAll, describe, expect, test } from "vitest";
import { compositionScores } from "../../src/circuits/index.ts";
import { findHeads, headAblation, headScores, repeatedTokens } from "../../src/heads/index.ts";
import { pathPatching, sweep } from "../../src/interventions/index.ts";
import { openBundledModel } from "../../src/io/bundled.ts";
import { inProcess, parseJobPlan, parseJobRows, runJobs } from "../../src/jobs/index.ts";
import type { Job, JobKind, JobKinds, JobRow, JobStore } from "../../src/jobs/index.ts";
import { crossEntropy, logitDifference } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { randomModel } from "../support/random-model.ts";

const model = randomModel({ norm: "LN", bias: true, seed: 3 });
const open = (): { model: Transformer } => ({ model });
const run = async (task: object, seeds = [4]): Promise<readonly JobRow[]> => {
  const plan = parseJobPlan({ models: ["random"], seeds, tasks: [task] });
  const { rows, failed } = await runJobs(plan, { on: inProcess(open) });
  expect(failed).toEqual([]);
  return rows;
};
const values = (rows: readonly JobRow[], name: string): unknown[] => rows.map((row) => row[name]);

describe("what a job finds is what the function says", () => {
  test("head scores, a row a head", async () => {
    const rows = await run({ kind: "head-scores", length: 5, batch: 2, bos: null });
    const scores = headScores(model, { length: 5, batch: 2, bos: null, seed: 4 });
    expect(values(rows, "induction")).toEqual([...scores.induction.data]);
    expect(values(rows, "induction_strict")).toEqual([...scores.inductionStrict.data]);
    expect(values(rows, "previous")).toEqual([...scores.previous.data]);
    expect(values(rows, "layer")).toEqual(model.heads.map(({ layer }) => layer));
    expect(values(rows, "head")).toEqual(model.heads.map(({ head }) => head));
  });

  test("found heads", async () => {
    const { model: bundled } = await openBundledModel();
    const plan = parseJobPlan({ models: ["b"], tasks: [{ kind: "found-heads", length: 20, batch: 2 }] });
    const { rows } = await runJobs(plan, { on: inProcess(() => ({ model: bundled })) });
    const found = findHeads(headScores(bundled, { length: 20, batch: 2, seed: 0 }));
    const named = (column: string): string[] =>
      rows.filter((row) => row[column] === true).map(({ layer, head }) => `${layer}.${head}`);
    expect(named("is_induction").length).toBeGreaterThan(1);
    expect(named("is_induction").sort()).toEqual(found.induction.map(({ layer, head }) => `${layer}.${head}`).sort());
    expect(named("is_previous_token").sort()).toEqual(
      found.previousToken.map(({ layer, head }) => `${layer}.${head}`).sort(),
    );
  });

  test("ablation, with prompts by seed", async () => {
    const rows = await run({
      kind: "ablation",
      prompts: { repeated: { length: 4, batch: 3, bos: null } },
      value: "mean",
      from: 2,
    });
    const tokens = repeatedTokens(model.config, { length: 4, batch: 3, bos: null, seed: 4 });
    const { rise, clean } = headAblation(model, tokens, { value: "mean", from: 2 });
    expect(values(rows, "rise")).toEqual([...rise.data]);
    expect(new Set(values(rows, "clean"))).toEqual(new Set([clean]));
  });

  test("path patching into heads and into the logits, of each head and of named senders", async () => {
    const [clean, corrupted] = [[[1, 2, 3, 4]], [[1, 5, 3, 4]]];
    const prompts = { clean: { tokens: clean }, corrupted: { tokens: corrupted } };
    const metric = { logitDifference: { answer: 2, wrong: 6, pos: -1 } };
    const asked = { metric: logitDifference(metric.logitDifference) };
    const receivers = [
      { head: "L1H0", input: "k" },
      { head: "L1H2", input: "q" },
    ] as const;
    const rows = await run({ kind: "path-patching", ...prompts, metric, receivers, mlps: "frozen" });
    const found = pathPatching(model, { clean, corrupted }, { ...asked, receivers, mlps: "frozen" });
    expect(values(rows, "value")).toEqual([...found.values.data]);
    expect(values(rows, "effect")).toEqual([...found.effect().data]);
    expect(values(rows, "layer")).toEqual(model.heads.map(({ layer }) => layer));
    expect(values(rows, "head")).toEqual(model.heads.map(({ head }) => head));

    const senders = ["L0H1", ["L0H0", "L1H2"]] as const;
    const named = await run({ kind: "path-patching", ...prompts, metric, senders, direction: "denoising" });
    const ofSenders = pathPatching(model, { clean, corrupted }, { ...asked, senders, direction: "denoising" });
    expect(values(named, "value")).toEqual([...ofSenders.values.data]);
    expect(values(named, "sender")).toEqual(["L0H1", "L0H0+L1H2"]);
    expect(named[0]).toMatchObject({ base: ofSenders.base, other: ofSenders.other });
  });

  test("path patching of random prompts draws them by the job's seed", async () => {
    const task = { kind: "path-patching", clean: { repeated: { length: 4, bos: null } }, put: "zero", metric: "loss" };
    const rows = await run(task, [4, 5]);
    for (const seed of [4, 5]) {
      const tokens = repeatedTokens(model.config, { length: 4, bos: null, seed });
      const { values: wanted } = pathPatching(model, tokens, { put: "zero", metric: crossEntropy(tokens) });
      const own = rows.filter((row) => row["seed"] === seed);
      expect(values(own, "value")).toEqual([...wanted.data]);
    }
  });

  test("patching over any axes, places by name", async () => {
    const [clean, corrupted] = [[[1, 2, 3, 4]], [[1, 5, 3, 4]]];
    const rows = await run({
      ...{ kind: "patching", at: ["z", "q"], over: "pos layer head", direction: "noising" },
      ...{ clean: { tokens: clean }, corrupted: { tokens: corrupted } },
      metric: { logitDifference: { answer: 2, wrong: 6, pos: -1 } },
    });
    const found = sweep(
      model,
      { clean, corrupted },
      {
        ...{ at: ["z", "q"], over: "pos layer head", direction: "noising" },
        metric: logitDifference({ answer: 2, wrong: 6, pos: -1 }),
      },
    );
    expect(values(rows, "value")).toEqual([...found.values.data]);
    expect(values(rows, "effect")).toEqual([...found.effect().data]);
    for (const { hook, layer, head, pos, value } of rows)
      expect(found.values.at(hook === "z" ? 0 : 1, Number(pos), Number(layer), Number(head))).toBe(value);
    expect(rows[0]).toMatchObject({ metric: "logit difference", base: found.base, other: found.other });
  });

  test("composition of pairs whose writer is the earlier", async () => {
    const rows = await run({ kind: "composition", norms: "folded" }, [1, 2]);
    const scores = compositionScores(model, { norms: "folded" });
    const { n_layers, n_heads } = model.config;
    expect(rows.length).toBe(3 * n_heads ** 2 * ((n_layers * (n_layers - 1)) / 2));
    for (const row of rows) {
      const [wl, wh, rl, rh] = ["writer_layer", "writer_head", "reader_layer", "reader_head"].map((n) =>
        Number(row[n]),
      );
      const at = [wl, wh, rl, rh] as [number, number, number, number];
      expect(row["score"]).toBe(scores[row["through"] as "Q"].at(...at));
      expect(row["z_score"]).toBe(scores.zScores[row["through"] as "Q"].at(...at));
    }
  });

  test("texts and answers that are one token, by the model's tokenizer", async () => {
    const bundled = await openBundledModel();
    const plan = parseJobPlan({
      models: ["bundled"],
      tasks: [
        {
          ...{ kind: "patching", at: "resid_pre", over: "layer pos" },
          clean: { texts: ["interface Array<T> {\n    length:"], bos: true },
          ...{ put: "zero", metric: { logitDifference: { answer: " number", wrong: " string" } } },
        },
      ],
    });
    const { rows } = await runJobs(plan, { on: inProcess(() => bundled) });
    const tokens = bundled.tokenizer.encode("interface Array<T> {\n    length:", { bos: true });
    const [answer, wrong] = [" number", " string"].map((text) => bundled.tokenizer.toSingleToken(text));
    const metric = logitDifference({ answer: answer ?? 0, wrong: wrong ?? 0 });
    const found = sweep(bundled.model, tokens, { at: "resid_pre", over: "layer pos", put: "zero", metric });
    expect(values(rows, "value")).toEqual([...found.values.data]);
    const { failed } = await runJobs(plan, { on: inProcess(open) });
    expect(String(failed[0]?.error)).toContain("the model has no tokenizer. Give token ids.");
  });
});

/** Values that JSON and tables take amiss. */
const ODD = [0, -0, 1, -3, 0.1, 1e21, 1e-7, 2 ** 53 + 2, 5e-324, Number.MAX_VALUE, NaN, Infinity];
const odd: JobKind = {
  columns: { x: "number", n: "whole", text: "text", flag: "boolean" },
  hasModel: false,
  run: ({ seed }) => (seed === 3 ? [] : ODD.map((x, n) => ({ x, n, text: `"\n${n}`, flag: n % 2 === 0 }))),
};
const memory = (): JobStore & { text: string } => {
  const store = { text: "", has: () => false, append: (_: number, lines: string) => (store.text += lines) };
  return store;
};
const planOf = (kinds: JobKinds, tasks: object[], seeds: unknown = [0]): ReturnType<typeof parseJobPlan> =>
  parseJobPlan({ seeds, tasks }, { kinds });

describe("lines of results", () => {
  test("read as the same numbers, and numbers that are not whole by kind always have a point or an exponent", async () => {
    const plan = planOf({ odd }, [{ kind: "odd" }], [2, 3]);
    const store = memory();
    const { rows } = await runJobs(plan, { on: inProcess() });
    await runJobs(plan, { on: inProcess(), store });
    expect(parseJobRows(store.text)).toEqual(rows);
    expect(rows.slice(0, ODD.length).map(({ x }) => x)).toEqual(ODD.map((x) => (Number.isFinite(x) ? x : undefined)));
    for (const [, text] of store.text.matchAll(/"x":([^,}]+)/g)) expect(text).toMatch(/[.e]/);
    expect(rows.at(-1)).toEqual({
      ...{ plan: plan.digest, job: 1, row: 0, rows: 0, task: "odd", kind: "odd", model: null, seed: 3 },
    });
  });

  test.each([
    [{ other: 1 }, 'column "other" of a job of kind bad is none of the columns of its kind'],
    [{ n: 1.5 }, 'column "n" of a job of kind bad is 1.5, not of type whole'],
    [{ n: "1" }, 'column "n" of a job of kind bad is "1", not of type whole'],
  ])("%j does not become one", async (row, text) => {
    const bad: JobKind = { columns: { n: "whole" }, hasModel: false, run: () => [row] };
    const { failed } = await runJobs(planOf({ bad }, [{ kind: "bad" }]), { on: inProcess() });
    expect(String(failed[0]?.error)).toContain(text);
  });

  test("what is none is refused", () => {
    for (const text of ["{}", '{"plan":"0123456789abcdef","job":0,"row":0,"rows":1,"ta', "\n"])
      expect(() => parseJobRows(text)).toThrow(/line 1 is no line of results/);
  });
});

describe("a run", () => {
  const fails: JobKind = {
    columns: { n: "whole" },
    hasModel: false,
    run: ({ seed }) => {
      if (seed % 3 === 1) throw new RangeError(`seed ${seed}`);
      return [{ n: seed }];
    },
  };

  test("goes on where jobs fail, tells of them, and tries them again", async () => {
    const plan = planOf({ fails }, [{ kind: "fails" }], { count: 7 });
    const kept = new Set<number>();
    const store: JobStore = { has: (job) => kept.has(job), append: (job) => kept.add(job) };
    const told: number[][] = [];
    const first = await runJobs(plan, { on: inProcess(), store, onProgress: (...at) => void told.push(at) });
    expect(first).toMatchObject({ jobs: 7, before: 0, done: 5, rows: [] });
    expect(first.failed.map(({ job, error }) => `${job.index} ${String(error)}`)).toEqual([
      "1 RangeError: seed 1",
      "4 RangeError: seed 4",
    ]);
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => [n, 7]));
    const again = await runJobs(plan, { on: inProcess(), store });
    expect(again).toMatchObject({ before: 5, done: 0 });
    expect(again.failed.length).toBe(2);
  });

  test("tells how far a job under way is, not more often than every tenth of a second", async () => {
    const slow: JobKind = {
      columns: { n: "whole" },
      hasModel: false,
      run: ({ seed, onProgress }) => {
        // Steps of 30 ms; the fifth tells after all others, of too many steps.
        for (let step = 1; step <= 5; step++) {
          const until = performance.now() + 30;
          while (performance.now() < until);
          onProgress?.(step === 5 ? 9 : step, 5);
          onProgress?.(step, 5);
        }
        return [{ n: seed }];
      },
    };
    const told: [number, number][] = [];
    const tell = ({ index }: Job, fraction: number): void => void told.push([index, fraction]);
    const plan = planOf({ slow }, [{ kind: "slow" }], [5, 6]);
    const { done } = await runJobs(plan, { on: inProcess(), onJobProgress: tell });
    expect(done).toBe(2);
    for (const job of [0, 1]) {
      const fractions = told.filter(([index]) => index === job).map(([, fraction]) => fraction);
      expect(fractions.length).toBeGreaterThan(0);
      expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
      expect(fractions.every((fraction) => fraction > 0 && fraction <= 1)).toBe(true);
    }
    expect(told.length).toBeLessThan(10);
  });

  test("stops where results cannot be kept, with the store's error", async () => {
    const full = new Error("full");
    const store: JobStore = {
      has: () => false,
      append: () => {
        throw full;
      },
    };
    const seen: number[] = [];
    const counts: JobKind = { ...fails, run: ({ seed }) => (seen.push(seed), []) };
    await expect(runJobs(planOf({ counts }, [{ kind: "counts" }], [5, 6]), { on: inProcess(), store })).rejects.toBe(
      full,
    );
    expect(seen).toEqual([5]);
  });

  test("stops at its signal between jobs, with its reason", async () => {
    const cancel = new AbortController();
    const reason = new Error("enough");
    const plan = planOf({ fails }, [{ kind: "fails" }], [0, 2, 3, 5]);
    const options = {
      on: inProcess(),
      signal: cancel.signal,
      onProgress: (done: number) => done === 2 && cancel.abort(reason),
    };
    await expect(runJobs(plan, options)).rejects.toBe(reason);
    await expect(runJobs(plan, options)).rejects.toBe(reason);
  });

  test("of shards finds together what one run finds", async () => {
    const plan = parseJobPlan({
      models: ["random"],
      seeds: { count: 5 },
      tasks: [{ kind: "head-scores", length: 3, bos: null }, { kind: "composition" }],
    });
    const { rows } = await runJobs(plan, { on: inProcess(open) });
    for (const count of [1, 2, 3, 7]) {
      const parts = await Promise.all(
        Array.from({ length: count }, (_, i) => runJobs(plan, { on: inProcess(open), shard: { index: i + 1, count } })),
      );
      expect(parts.flatMap((part) => part.rows)).toEqual(rows);
    }
    await expect(runJobs(plan, { on: inProcess(open), shard: { index: 0, count: 2 } })).rejects.toThrow("no shard 0/2");
  });

  test("opens each model once while its jobs last, and one that could not be opened again", async () => {
    const opened: string[] = [];
    let isThere = false;
    const plan = parseJobPlan({
      models: ["a", "b"],
      seeds: [0, 1],
      tasks: [{ kind: "head-scores", length: 3, bos: null }],
    });
    const on = inProcess(({ name }) => {
      opened.push(name);
      if (name === "b" && !isThere) throw new Error("not there");
      return { model };
    });
    const { failed } = await runJobs(plan, { on });
    expect(opened).toEqual(["a", "b", "b"]);
    expect(failed.map(({ error }) => error.message)).toEqual(["not there", "not there"]);
    isThere = true;
    expect((await runJobs(plan, { on })).failed).toEqual([]);
  });
});

describe("an untyped call", () => {
  let plan: ReturnType<typeof parseJobPlan>;
  beforeAll(() => {
    plan = parseJobPlan({ models: ["a"], tasks: [{ kind: "composition" }] });
  });
  test.each([
    [() => runJobs({} as never, { on: inProcess() }), "plan is an object, not a plan"],
    [() => runJobs(plan, undefined as never), "options is null, not an object"],
    [() => runJobs(plan, {} as never), "on is undefined, not a runner. Make one with inProcess"],
    [() => runJobs(plan, { on: inProcess(), out: 3 } as never), 'there is no option "out"'],
  ])("%s is refused", async (call, text) => {
    await expect(call()).rejects.toThrow(text);
  });

  test("without a way to open models says so", async () => {
    const { failed } = await runJobs(plan, { on: inProcess() });
    expect(String(failed[0]?.error)).toContain("inProcess was given nothing that opens models");
  });
});
