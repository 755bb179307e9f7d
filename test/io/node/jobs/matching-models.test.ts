/** Models of a plan by a pattern of paths: which they are, in which order, and by what results know the plan. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { readJobPlan } from "../../../../src/io/node.ts";
import type { JobPlan } from "../../../../src/jobs/index.ts";
import { parseJobPlan } from "../../../../src/jobs/index.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "transformer-circuits-models-"));
  return () => rmSync(folder, { recursive: true });
});

const tasks = [{ kind: "composition" }];

function put(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
}

async function planOf(...models: unknown[]): Promise<JobPlan> {
  writeFileSync(join(folder, "plan.json"), JSON.stringify({ models, tasks }));
  return readJobPlan(join(folder, "plan.json"));
}

const namesOf = (plan: JobPlan): (string | undefined)[] =>
  Array.from({ length: plan.size }, (_, i) => plan.job(i).model?.name);

describe("a pattern stands for", () => {
  test("the folders and the files of weights that match, and nothing else", async () => {
    put("a/model.safetensors", "b/model.safetensors", "c.pth", "d.safetensors", "e.gguf");
    put("config.json", "tokenizer.json", "notes.txt", "training_args.bin", ".hidden/model.safetensors", ".f.pth");
    symlinkSync(join(folder, "a"), join(folder, "link"));
    expect(namesOf(await planOf({ glob: "*" }))).toEqual(["a", "b", "c.pth", "d.safetensors", "e.gguf", "link"]);
    expect(namesOf(await planOf({ glob: "*.pth" }))).toEqual(["c.pth"]);
    expect(namesOf(await planOf({ glob: "./*.s*s" }))).toEqual(["./d.safetensors"]);
  });

  test("what matches in folders that match", async () => {
    for (const run of ["r1", "r2", "x1"]) put(`${run}/checkpoints/step-1/model.safetensors`, `${run}/config.json`);
    put("r3/model.safetensors", "r4");
    expect(namesOf(await planOf({ glob: "r*/checkpoints/*" }))).toEqual([
      "r1/checkpoints/step-1",
      "r2/checkpoints/step-1",
    ]);
    expect(namesOf(await planOf({ glob: "*/checkpoints" }))).toEqual(
      ["r1", "r2", "x1"].map((run) => `${run}/checkpoints`),
    );
  });

  test("paths of the root as well, and of the folder above", async () => {
    put("in/a/model.safetensors");
    const absolute = await planOf({ glob: `${folder}/i*/a` });
    expect(namesOf(absolute)).toEqual([`${folder}/in/a`]);
    writeFileSync(join(folder, "in/plan.json"), JSON.stringify({ models: [{ glob: "../in/*" }], tasks }));
    expect(namesOf(await readJobPlan(join(folder, "in/plan.json")))).toEqual(["../in/a"]);
  });

  test("names with signs that patterns of other programs know, as they are", async () => {
    put("a[1]/m.npz", "a+b/m.npz", "a?/m.npz", "a1/m.npz");
    expect(namesOf(await planOf({ glob: "a[1]*" }))).toEqual(["a[1]"]);
    expect(namesOf(await planOf({ glob: "a?*" }))).toEqual(["a?"]);
  });

  test("some of the models, between others", async () => {
    put("runs/b/model.safetensors", "runs/a/model.safetensors");
    const plan = await planOf("bundled", { glob: "runs/*" }, { name: "last", path: "runs/b" });
    expect(namesOf(plan)).toEqual(["bundled", "runs/a", "runs/b", "last"]);
  });
});

describe("the order", () => {
  test("is that of numbers, then of characters, in whatever order files were made", async () => {
    const inOrder = [
      // of equal numbers the one with more zeros has the lower codes
      ...["step-0", "step-2", "step-010", "step-10", "step-10-a", "step-10-b2", "step-10-b10"],
      ...["step-99999999999999999998", "step-99999999999999999999", "stepä", "t"],
    ];
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(inOrder, { minLength: 2 }), async (names) => {
        put(...names.map((name) => `models/${name}/model.safetensors`));
        const found = namesOf(await planOf({ glob: "models/*" }));
        rmSync(join(folder, "models"), { recursive: true });
        expect(found).toEqual(inOrder.filter((name) => names.includes(name)).map((name) => `models/${name}`));
      }),
      { seed: 1, numRuns: 20 },
    );
  });
});

describe("a plan", () => {
  test("is known by the models that match: the same as if they were listed, and another when one comes", async () => {
    put("runs/a/model.safetensors", "runs/b/model.safetensors");
    const plan = await planOf({ glob: "runs/*" });
    expect(plan.digest).toBe(parseJobPlan({ models: ["runs/a", "runs/b"], tasks }).digest);
    expect(plan.toJSON()).toEqual({ models: ["runs/a", "runs/b"], tasks });
    put("runs/c/model.safetensors");
    expect((await planOf({ glob: "runs/*" })).digest).not.toBe(plan.digest);
  });

  test.each([
    [{ glob: "runs/*" }, /models\[0\]\.glob is "runs\/\*", and no folder or file of weights in .* matches it/],
    [{ glob: "plan.json*" }, /no folder or file of weights/],
    [{ glob: "runs" }, /models\[0\]\.glob is "runs"; give a path in which \* stands for a part of a name/],
    [{ glob: "**/a" }, /models\[0\]\.glob is "\*\*\/a"; give a path/],
    [{ glob: 3 }, /models\[0\]\.glob is 3; give a path/],
    [{ glob: "*", name: "all" }, /there is no option "name"/],
  ])("with %j is refused", async (model, said) => {
    await expect(planOf(model)).rejects.toThrow(said);
  });

  test("in which a pattern matches what is listed too says so", async () => {
    put("a/model.safetensors");
    await expect(planOf("a", { glob: "*" })).rejects.toThrow('two models are called "a"');
  });
});
