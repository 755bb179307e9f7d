/** Jobs that report: what their rows say of a model whose circuits are known, what they save, and what is refused. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { filesOfPlan } from "../../src/io/node.ts";
import { inProcess, parseJobPlan, runJobs } from "../../src/jobs/index.ts";
import type { JobPlan, JobRow, JobTokenizer, OpenedModel } from "../../src/jobs/index.ts";
import { analyse, renderReport, reportJob } from "../../src/report/index.ts";
import { Random } from "../../src/tensor/index.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";
import { refusal } from "../support/refusal.ts";

const planOf = (task: object, seeds: readonly number[] = [0], models: readonly unknown[] = ["planted"]): JobPlan =>
  parseJobPlan({ models, seeds, tasks: [{ kind: "report", ...task }] }, { kinds: { report: reportJob } });

const random = new Random(1);
const tokens = Array.from({ length: 200 }, () => random.int(17));
const text = { tokens };
const planted = (): OpenedModel => ({ model: plantedModel() });
const tiny = (): OpenedModel => ({ model: randomModel({ n_layers: 1, n_heads: 2 }) });

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "transformer-circuits-report-"));
  return () => rmSync(folder, { recursive: true });
});

describe("a model with one previous-token and one induction head", () => {
  let rows: readonly JobRow[] = [];
  beforeAll(async () => {
    ({ rows } = await runJobs(planOf({ text }), { on: inProcess(planted) }));
  });
  const about = (what: string): readonly JobRow[] => rows.filter((row) => row["about"] === what);

  test("is the one and the other, a row a head", () => {
    const heads = about("head");
    expect(heads.map(({ layer, head }) => [layer, head])).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(heads.map(({ is_previous_token, is_induction }) => [is_previous_token, is_induction])).toEqual([
      [true, false],
      [false, true],
    ]);
    const [previous, induction] = heads.map((row) => (name: string) => Number(row[name]));
    // gains of 40: what attends elsewhere is e^-40, but for the first token, which has none before it
    expect(previous?.("previous")).toBeGreaterThan(0.99);
    // ids that come twice within a period by chance share the attention
    expect(induction?.("induction_strict")).toBeGreaterThan(0.7);
    expect(previous?.("induction_strict")).toBeLessThan(0.01);
    // The circuit of L1H0 copies each token to itself: all its eigenvalues are positive.
    expect(Math.abs((induction?.("copying") ?? 0) - 1)).toBeLessThan(1e-6);
  });

  test("composes through keys, a row a pair", () => {
    const keys = about("pair").filter(({ through }) => through === "K");
    expect(keys).toMatchObject([{ writer_layer: 0, writer_head: 0, reader_layer: 1, reader_head: 0 }]);
    expect(Number(keys[0]?.["effect"])).toBeGreaterThan(1);
    expect(Number(keys[0]?.["share"])).toBeGreaterThan(Number(keys[0]?.["chance"]));
  });

  test("as a whole: its size, its loss by itself, and terms that sum to its logits, in one row, and terms in theirs", () => {
    const [whole, ...more] = about("model");
    expect(more).toEqual([]);
    const model = plantedModel();
    expect(whole).toMatchObject({ parameters: model.parameterCount, tokens: 200, uniform: Math.log(30) });
    expect(Number(whole?.["path_deviation"])).toBeLessThanOrEqual(Number(whole?.["path_bound"]));
    expect(Number(whole?.["repeated_second"])).toBeLessThan(Number(whole?.["repeated_first"]));
    expect(about("term").map(({ terms, relative_to }) => `${terms} ${relative_to}`)).toContain("order 1 orders below");
    expect(rows.length).toBe(1 + 2 + about("pair").length + about("term").length);
  });

  test("rows say what the data of analyse() say", async () => {
    const data = await analyse(plantedModel(), undefined, tokens, { seed: 0 });
    const [head] = about("head");
    expect(head).toMatchObject({ ablation: data.heads[0]?.ablation, attribution: data.heads[0]?.attribution });
    expect(about("model")[0]).toMatchObject({ loss: data.loss.mean, loss_error: data.loss.standardError });
    expect(about("term").map(({ gain }) => gain)).toEqual(data.importance.rows.map(({ gain }) => gain));
  });
});

describe("a job", () => {
  test("saves the page and its data, the same bytes again, under a name of its own", async () => {
    const models = ["a/b", { name: "c", path: "a" }];
    const plan = planOf({ text, save: "pages", title: "Mine", maxTokens: 30 }, [3, 4], models);
    const on = inProcess(tiny, filesOfPlan(folder));
    const { rows, failed } = await runJobs(plan, { on });
    expect(failed).toEqual([]);
    const at = join(folder, "pages");
    const names = ["report@a+b-seed-3", "report@a+b-seed-4", "report@c-seed-3", "report@c-seed-4"];
    expect(readdirSync(at).sort()).toEqual(names.flatMap((name) => [`${name}.html`, `${name}.json`]));
    expect(rows.flatMap(({ saved }) => saved ?? [])).toEqual(names.map((name) => `pages/${name}.html`));
    const data = await analyse(tiny().model, undefined, tokens, {
      ...{ seed: 3, maxTokens: 30, title: "Mine", source: "token ids of the plan" },
    });
    expect(readFileSync(join(at, "report@c-seed-3.json"), "utf8")).toBe(JSON.stringify(data));
    expect(readFileSync(join(at, "report@c-seed-3.html"), "utf8")).toBe(renderReport(data));
    await runJobs(plan, { on });
    expect(readFileSync(join(at, "report@c-seed-3.html"), "utf8")).toBe(renderReport(data));
  });

  test("reads a text with the model's tokenizer, and fails with the reason where that is none or cannot be used", async () => {
    await filesOfPlan(folder).write("a.txt", "a".repeat(50));
    const plan = planOf({ text: { file: "a.txt" } });
    const fault = new ConfigError("the tokenizer is another model's.", { operation: "loadFolder" });
    const refuse = (): never => {
      throw fault;
    };
    const unusable: JobTokenizer = { encode: refuse, toSingleToken: refuse, tokenString: refuse };
    const letters = (text: string): number[] => Array.from(text, (_, i) => i % 17);
    const good: JobTokenizer = { encode: letters, toSingleToken: () => 0 };
    const found = async (tokenizer: JobTokenizer | undefined, of = plan): Promise<string> => {
      const on = inProcess(() => ({ ...tiny(), tokenizer }), filesOfPlan(folder));
      const { rows, failed } = await runJobs(of, { on });
      return failed.length > 0 ? String(failed[0]?.error) : `${rows[0]?.["tokens"]} tokens`;
    };
    expect(await found(good)).toBe("50 tokens");
    expect(await found(undefined)).toContain("a text was given, but the model has no tokenizer");
    expect(await found(unusable)).toContain("the tokenizer is another model's");
    expect(await found(unusable, planOf({ text }))).toBe("200 tokens");
    expect(await found(good, planOf({ text: { file: "b.txt" } }))).toMatch(
      /ResourceError: filesOfPlan: cannot read .*b\.txt: there is no such file/,
    );
    await filesOfPlan(folder).write("c.txt", Uint8Array.of(0xff, 0xfe, 0x41));
    expect(await found(good, planOf({ text: { file: "c.txt" } }))).toContain("c.txt is not UTF-8 text");
  });

  test("tells how far it is, and stops at a signal", async () => {
    const stop = new AbortController();
    const onJobProgress = (): void => stop.abort(new Error("enough"));
    const run = runJobs(planOf({ text }), { on: inProcess(planted), signal: stop.signal, onJobProgress });
    await expect(run).rejects.toThrow("enough");
  });
});

describe("what cannot be is refused before anything runs", () => {
  test.each([
    [{}, "text is null, not an object"],
    [{ text: "moby-dick.txt" }, 'text is "moby-dick.txt", not an object'],
    [{ text: {} }, 'text needs one of { file: "moby-dick.txt" }'],
    [{ text: { content: "" } }, "text needs one of"],
    [{ text: { tokens: [1, -2] } }, "text needs one of"],
    [{ text: { tokens: [], file: "a" } }, "text needs one of"],
    [{ text, maxTokens: 0 }, "maxTokens is 0; give a whole number of at least 1"],
    [{ text, sampleLength: 1 }, "sampleLength is 1; give a whole number of at least 2"],
    [{ text, bos: -1 }, "bos is -1"],
    [{ text, title: 3 }, "title is 3; give a text"],
    [{ text, save: "../pages" }, 'save is "../pages"; give a folder beside the plan'],
    [{ text, seed: 1 }, 'there is no option "seed"'],
  ])("%j", (task, said) => {
    expect(refusal(() => planOf(task))).toContain(`InputError: parseJobPlan: tasks[0], "report": ${said}`);
  });
});
