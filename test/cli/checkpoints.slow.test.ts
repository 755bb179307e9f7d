/** Figures of training from the command line: several checkpoints, or a folder of them. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpointPaths } from "../../src/cli/checkpoints.ts";
import { map } from "../../src/tensor/index.ts";
import { declarations } from "../report/text.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import { commandInFolder, saveModel } from "./command.ts";

const here = commandInFolder(declarations);
const run = here.run;

describe("checkpointPaths", () => {
  test("a folder stands for the folders in it, in the order of their numbers", async () => {
    for (const name of ["step-1000", "step-200", "step-30", ".cache"]) mkdirSync(join(here.folder, name));
    expect(await checkpointPaths([here.folder])).toEqual(
      [30, 200, 1000].map((step) => ({ path: join(here.folder, `step-${step}`), label: `step-${step}`, step })),
    );
  });

  test("or for its files of weights", async () => {
    for (const name of ["gelu_2l_900.pth", "gelu_2l_100.pth", "config.json"])
      writeFileSync(join(here.folder, name), "");
    expect((await checkpointPaths([here.folder])).map(({ label, step }) => [label, step])).toEqual([
      ["gelu_2l_100", 100],
      ["gelu_2l_900", 900],
    ]);
  });

  test("a model's own folder, shards of one model and a single file are one checkpoint", async () => {
    writeFileSync(join(here.folder, "model.safetensors"), "");
    expect(await checkpointPaths([here.folder])).toHaveLength(1);
    for (const i of [1, 2]) writeFileSync(join(here.folder, `model-0000${i}-of-00002.safetensors`), "");
    expect(await checkpointPaths([here.folder])).toHaveLength(1);
    expect(await checkpointPaths([join(here.folder, "model.safetensors")])).toHaveLength(1);
    expect(await checkpointPaths([])).toEqual([]);
  });

  test("paths stay in the order given; without a number of its own for each there are no steps", async () => {
    const named = await checkpointPaths(["runs/b-20", "runs/a-10"]);
    expect(named.map(({ label, step }) => [label, step])).toEqual([
      ["b-20", 20],
      ["a-10", 10],
    ]);
    const steps = async (...paths: string[]): Promise<(number | undefined)[]> =>
      (await checkpointPaths(paths)).map(({ step }) => step);
    expect(await steps("run-1/first", "run-1/last")).toEqual([undefined, undefined]);
    expect(await steps("a-7", "b-7")).toEqual([undefined, undefined]);
  });
});

describe("transformer-circuits figure of training", () => {
  /** Three checkpoints of one model in a folder. */
  const training = (): string => {
    const model = randomModel({ n_ctx: 16 });
    for (const step of [0, 500, 1000]) {
      const one = withWeights(model, (name, W) => (name.endsWith("W_O") ? map(W, (x) => (x * step) / 1000) : W));
      saveModel(one, join(here.folder, "runs", `step-${step}`));
    }
    return join(here.folder, "runs");
  };

  test("takes a folder of checkpoints", async () => {
    const outcome = await run("figure", "loss-curve", training(), "-o", "loss.svg", "--json", "loss.json");
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(here.folder, "loss.svg"), "utf8")).toContain("training step");
    const { data } = JSON.parse(readFileSync(join(here.folder, "loss.json"), "utf8")) as {
      data: { checkpoints: unknown };
    };
    expect(data.checkpoints).toEqual([0, 500, 1000].map((step) => ({ label: `step-${step}`, step })));
  });

  test("takes several paths, and one where that makes sense", async () => {
    const runs = training();
    const paths = [0, 1000].map((step) => join(runs, `step-${step}`));
    expect(await run("figure", "ablation-attribution", ...paths)).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(here.folder, "ablation-attribution.svg"), "utf8")).toContain("from step-0 to step-1000");
    expect(await run("figure", "evaluator-scatter", ...paths.slice(1))).toMatchObject({ code: 0, stderr: "" });
  });

  test("says what is missing: checkpoints, or a figure that takes several", async () => {
    const runs = training();
    const paths = [0, 500].map((step) => join(runs, `step-${step}`));
    const single = await run("figure", "loss-curve", paths[0] ?? "");
    expect(single.code).toBe(1);
    expect(single.stderr).toContain(
      "loss-curve follows a model through its training: name two or more checkpoints, or a folder of them;",
    );
    expect(single.stderr).toContain("step-0 is one.");
    expect((await run("figure", "trace-over-training")).stderr).toContain("; none was named.");
    const many = await run("figure", "ov-sample", ...paths);
    expect(many.code).toBe(1);
    expect(many.stderr).toContain("ov-sample is made of one model, and 2 paths were given. Give one of them.");
  });
});
