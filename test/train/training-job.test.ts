/** Jobs that train: what their rows say, what they save, and what is refused before anything runs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { headScores } from "../../src/heads/index.ts";
import { filesOfPlan, loadFolder } from "../../src/io/node.ts";
import { inProcess, parseJobPlan, runJobs } from "../../src/jobs/index.ts";
import type { JobPlan, JobRow } from "../../src/jobs/index.ts";
import { filmProbe, train, trainingJob, trainingRecipe } from "../../src/train/index.ts";
import type { RecipeJSON } from "../../src/train/index.ts";
import { refusal } from "../support/refusal.ts";

const planOf = (task: object, seeds: readonly number[] = [0]): JobPlan =>
  parseJobPlan({ seeds, tasks: [{ kind: "train", ...task }] }, { kinds: { train: trainingJob } });

const rowsOf = async (plan: JobPlan, folder?: string): Promise<readonly JobRow[]> => {
  const { rows, failed } = await runJobs(plan, {
    on: inProcess(undefined, folder === undefined ? folder : filesOfPlan(folder)),
  });
  expect(failed).toEqual([]);
  return rows;
};

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "transformer-circuits-train-"));
  return () => rmSync(folder, { recursive: true });
});

/** The files in a folder, with what they hold. */
const contents = (at = folder, prefix = ""): Record<string, string> =>
  Object.assign(
    {},
    ...readdirSync(at)
      .sort()
      .map((name) =>
        statSync(join(at, name)).isDirectory()
          ? contents(join(at, name), `${prefix}${name}/`)
          : { [prefix + name]: readFileSync(join(at, name)).toString("base64") },
      ),
  ) as Record<string, string>;

const data: RecipeJSON["data"] = { kind: "repeated-tokens", batch: 4 };
const small = { steps: 12, every: 5, data };

describe("a run a seed", () => {
  test("its losses are those of train() on the recipe of that seed, at every so many steps, the first and the last", async () => {
    const rows = await rowsOf(planOf(small, [4, 9]));
    for (const seed of [4, 9]) {
      const recipe = trainingRecipe({ data, steps: 12, seed });
      const { losses } = await train(recipe.start(), recipe.data, recipe.options);
      const own = rows.filter((row) => row["seed"] === seed && row["about"] === "checkpoint");
      expect(own.map(({ step }) => step)).toEqual([0, 5, 10, 12]);
      expect(own.map(({ loss }) => loss)).toEqual([undefined, losses[4], losses[9], losses[11]]);
    }
  });

  test("its last checkpoint is the model that is saved: loss and scores of that, worked out from its logits", async () => {
    const [...rows] = await rowsOf(planOf({ ...small, save: "runs" }, [3]), folder);
    const last = rows.find(({ step }) => step === 12);
    expect(last?.["saved"]).toBe("runs/train-seed-3");
    expect(rows.filter(({ saved }) => saved !== undefined).length).toBe(1);
    const { model } = await loadFolder(join(folder, "runs/train-seed-3"));
    const recipe = trainingRecipe({ data, steps: 12, seed: 3 });
    const { tokens } = recipe.heldOut;
    const logits = model.forward(tokens);
    const [batch = 0, pos = 0] = tokens.shape;
    let [sum, count] = [0, 0];
    for (let b = 0; b < Math.min(16, batch); b++) {
      for (let p = 0; p + 1 < pos; p++) {
        const weight = recipe.heldOut.lossMask?.at(b, p) ?? 1;
        let total = 0;
        for (let id = 0; id < 32; id++) total += Math.exp(logits.at(b, p, id));
        sum += weight * (Math.log(total) - logits.at(b, p, tokens.at(b, p + 1)));
        count += weight;
      }
    }
    // rounding of float32 logits of size 1
    expect(Math.abs(Number(last?.["held_out_loss"]) - sum / count)).toBeLessThan(1e-5);
    const { repeated } = filmProbe(model.config, { data: recipe.heldOut });
    const scores = headScores(model, repeated as NonNullable<typeof repeated>);
    expect(last?.["best_previous"]).toBe(Math.max(...scores.previous.data));
    expect(last?.["best_prefix_matching"]).toBe(Math.max(...scores.prefixMatching.data));
  });

  test("what is saved is a folder of a model, its recipe and its film; again it is the same bytes", async () => {
    const plan = planOf({ ...small, name: "a/b *", save: "runs/small", keep: true, every: 6 }, [0, 1]);
    await rowsOf(plan, folder);
    const first = contents();
    const models = ["", "checkpoints/step-00000000/", "checkpoints/step-00000006/", "checkpoints/step-00000012/"];
    const files = (run: string): string[] => [
      ...models.flatMap((at) => ["config.json", "model.safetensors"].map((name) => `runs/small/${run}/${at}${name}`)),
      ...["run.json", "film.json"].map((name) => `runs/small/${run}/${name}`),
    ];
    expect(Object.keys(first).sort()).toEqual([...files("a+b%20%2A-seed-0"), ...files("a+b%20%2A-seed-1")].sort());
    const at = "runs/small/a+b%20%2A-seed-1/";
    expect(first[`${at}model.safetensors`]).toBe(first[`${at}checkpoints/step-00000012/model.safetensors`]);
    const run = JSON.parse(Buffer.from(first[`${at}run.json`] ?? "", "base64").toString()) as RecipeJSON;
    const recipe = trainingRecipe(run);
    const { model } = await train(recipe.start(), recipe.data, recipe.options);
    const { model: saved } = await loadFolder(join(folder, at));
    for (const [name, { data }] of saved.weights) expect(model.weights.get(name)?.data).toEqual(data);
    await rowsOf(plan, folder);
    expect(contents()).toEqual(first);
  });

  test("under whatever name its task has", async () => {
    const tasks = ["..", "a\ud800", "-", " ", "%2F", "é", "a@b", "CON:"].map((name) => ({ name, save: "runs" }));
    const kind = { kind: "train", steps: 1, data: { kind: "max-of-k", batch: 1, d_vocab: 4 } };
    const plan = parseJobPlan(
      { tasks: tasks.map((task) => ({ ...kind, ...task })) },
      { kinds: { train: trainingJob } },
    );
    await rowsOf(plan, folder);
    const names = ["..", "a%EF%BF%BD", "-", "%20", "%252F", "%C3%A9", "a%40b", "CON%3A"];
    expect(readdirSync(join(folder, "runs")).sort()).toEqual(names.map((name) => `${name}-seed-0`).sort());
  });

  test("of a text, with the tokenizer that is made of it, from a file or the plan", async () => {
    const content = "the cat sat on the mat. ".repeat(60);
    await filesOfPlan(folder).write("cat.txt", content);
    const task = { data: { kind: "text", vocabSize: 264, n_ctx: 8, batch: 2 }, steps: 2, every: 2, save: "runs" };
    const rows = await rowsOf(planOf({ ...task, text: { file: "cat.txt" } }), folder);
    expect(rows.map(({ step }) => step)).toEqual([0, 2]);
    const { model, tokenizer } = await loadFolder(join(folder, "runs/train-seed-0"));
    expect(tokenizer?.decode(tokenizer.encode("the mat"))).toBe("the mat");
    expect(tokenizer?.vocabSize).toBe(model.config.d_vocab);
    const given = await rowsOf(planOf({ ...task, text: { content } }), folder);
    expect(given.map(({ held_out_loss }) => held_out_loss)).toEqual(rows.map(({ held_out_loss }) => held_out_loss));
  });

  test.each([1e3, 1e6, 1e18, 1e36])(
    "that diverges at a rate of %d says where, and is no job that failed",
    async (lr) => {
      const rows = await rowsOf(planOf({ steps: 40, every: 1, optimizer: { kind: "sgd", lr }, save: "runs" }), folder);
      const last = rows.at(-1);
      expect(last).toMatchObject({ about: "diverged", rate: lr });
      expect(rows.slice(0, -1).map(({ step }) => step)).toEqual(Array.from({ length: rows.length - 1 }, (_, i) => i));
      expect(Number(last?.["step"])).toBeGreaterThanOrEqual(rows.length - 2);
      expect(contents()).toEqual({});
    },
  );

  test("stops at a signal, and tells how far it is", async () => {
    const stop = new AbortController();
    const told: number[] = [];
    const onJobProgress = (_: unknown, part: number): void => {
      told.push(part);
      stop.abort(new Error("enough"));
    };
    const plan = planOf({ steps: 100_000, every: 100_000, data: { kind: "max-of-k", batch: 2, d_vocab: 4 } });
    await expect(runJobs(plan, { on: inProcess(), signal: stop.signal, onJobProgress })).rejects.toThrow("enough");
    expect(told[0]).toBeGreaterThan(0);
    expect(told[0]).toBeLessThan(1);
  });

  test("that is to be saved where a runner has no files fails before it trains, with the way out", async () => {
    const { failed } = await runJobs(planOf({ steps: 1e9, save: "runs" }), { on: inProcess() });
    expect(failed.map(({ error }) => String(error))).toEqual([
      "InputError: runJobs: the job reads or saves files, and the runner has none. Give it some: inProcess(models, filesOfPlan(plan)).",
    ]);
  });
});

describe("what cannot be is refused before anything runs", () => {
  test.each([
    [{ stepz: 3 }, 'there is no option "stepz". Did you mean steps?'],
    [{ seed: 3 }, 'there is no option "seed"'],
    [{ steps: 0 }, "steps is 0"],
    [{ every: 0 }, "every is 0; give a whole number of at least 1"],
    [{ every: 2.5 }, "every is 2.5"],
    [{ data: { kind: "poems" } }, 'data.kind is "poems"'],
    [{ data: { kind: "max-of-k", l: 3 } }, 'there is no option "l"'],
    [{ model: { n_layers: -1 } }, "n_layers"],
    [{ init: "zeros" }, 'init is "zeros"'],
    [{ optimizer: { kind: "adamw", rate: 1 } }, 'there is no option "rate"'],
    [{ schedule: { kind: "stairs" } }, "schedule is an object"],
    [{ clip: { norm: -1 } }, "-1"],
    [{ edits: [{ edits: [{ at: "L5H0", do: "zero" }] }] }, "L5H0"],
    [{ edits: [{ from: 5, to: 2, edits: [{ at: "L0H0", do: "zero" }] }] }, "edits[0] holds from 5 to 2"],
    [{ measures: ["copying"] }, 'measures is "copying"; the choices are losses, heads, composition'],
    [{ measures: "losses" }, "measures is no list"],
    [{ save: "" }, 'save is ""; give a folder beside the plan'],
    [{ save: "../runs" }, 'save is "../runs"; give a folder beside the plan'],
    [{ save: "a/../../b" }, "give a folder beside the plan"],
    [{ save: "/scratch" }, "give a folder beside the plan"],
    [{ save: "a\0b" }, "give a folder beside the plan"],
    [{ save: "C:\\runs" }, "give a folder beside the plan"],
    [{ save: 3 }, "save is 3"],
    [{ save: "runs", keep: 1 }, "keep is 1; give true or false"],
    [{ keep: true }, "keep is for models that are saved"],
    [{ data: { kind: "text" } }, 'text is missing: name it, as text: { file: "…" }'],
    [{ text: { file: "a.txt" } }, 'text goes with data: { kind: "text" }'],
    [{ data: { kind: "text" }, text: "a.txt" }, 'text is "a.txt", not an object'],
    [{ data: { kind: "text" }, text: { file: "a.txt", content: "b" } }, "text needs one of"],
    [{ data: { kind: "text" }, text: { content: " \n" } }, "text needs one of"],
    [{ data: { kind: "text" }, text: { tokens: [1, 2] } }, "text is token ids; a run is trained on text"],
    [{ data: { kind: "text", vocabSize: 100 }, text: { file: "a.txt" } }, "vocabSize is 100. Raise it to 257"],
    [{ data: { kind: "text", heldOut: 2 }, text: { file: "a.txt" } }, "heldOut is 2"],
    [{ models: ["bundled"] }, "runs on no model. Leave models out"],
  ])("%j", (task, text) => {
    const said = refusal(() =>
      parseJobPlan({ models: ["bundled"], tasks: [{ kind: "train", ...task }] }, { kinds: { train: trainingJob } }),
    );
    expect(said).toContain('InputError: parseJobPlan: tasks[0], "train"');
    expect(said).toContain(text);
  });

  test("without the kind a plan says where it is", () => {
    expect(refusal(() => parseJobPlan({ tasks: [{ kind: "train" }] }))).toContain(
      "Give it as { kinds: { train } }: it is trainingJob of transformer-circuits/train.",
    );
  });
});
