/** The commands inspect and convert, run as their own process. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSafetensors } from "../../src/io/index.ts";
import { fixturePath, goldenPath } from "../io/formats.ts";
import { commandInFolder } from "./command.ts";

const here = commandInFolder("");
const run = here.run;

test("inspect prints a table, or JSON", async () => {
  const path = fixturePath("nanogpt.pt");
  const { code, stdout, stderr } = await run("inspect", path);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`${path}: torch, 6 tensors, 82 elements, 3.6 kB`);
  expect(lines[2]).toBe("name                                        dtype  shape   bytes");
  expect(lines[3]).toBe("model._orig_mod.transformer.wte.weight      F32    [5, 4]     80");
  expect(stdout).toContain('"model_args":{"n_layer":2,');
  const json = JSON.parse((await run("inspect", path, "--json")).stdout) as Record<string, unknown>;
  expect(json).toMatchObject({ format: "torch", elements: 82, values: { iter_num: 2000 } });
  const sharded = await run("inspect", goldenPath("hf-gpt2-bf16-sharded"));
  expect(sharded.stdout).toMatch(/: safetensors in 5 files, 40 tensors, 42688 elements/);
  expect(sharded.stdout).toMatch(/BF16 +\[96\] +192 {2}model-00001-of-00005\.safetensors\n/);
});

test("convert writes safetensors and config.json", async () => {
  const outcome = await run("convert", goldenPath("tl-pth-ln"), "model.safetensors", "--dtype", "BF16");
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(outcome.stdout).toMatch(
    /^weights {6}.*model\.safetensors \(30 tensors, 3\d\.\d kB\)\nconfig {7}.*config\.json\n$/,
  );
  expect(readdirSync(here.folder).sort()).toEqual(["config.json", "model.safetensors"]);
  const file = parseSafetensors(readFileSync(join(here.folder, "model.safetensors")));
  expect(file.tensors.get("embed.W_E")?.dtype).toBe("BF16");
  const again = await run("convert", goldenPath("tl-pth-ln"), "model.safetensors");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("it is there already. Name another file, or overwrite it by force.");
  expect((await run("convert", goldenPath("tl-pth-ln"), "model.safetensors", "--force")).code).toBe(0);
});

test("report takes a folder of weights in several files, and a single PyTorch file", async () => {
  for (const [path, title] of [
    [goldenPath("hf-gpt2-bf16-sharded"), "hf-gpt2-bf16-sharded, taken apart"],
    [
      join(goldenPath("tl-pth-shortformer"), "tl-pth-shortformer_final.pth"),
      "tl-pth-shortformer_final.pth, taken apart",
    ],
  ] as const) {
    const outcome = await run("report", path, "--max-tokens", "64", "-o", "report.html", "--force");
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(join(here.folder, "report.html"), "utf8")).toContain(`<title>${title}</title>`);
  }
});

test("what is wrong is said in one line, and a wrong use ends with 2", async () => {
  expect(await run("inspect", "nowhere")).toMatchObject({
    code: 1,
    stderr: "InputError: inspectPath: cannot read nowhere: there is no such file or folder.\n",
  });
  expect((await run("convert", "a", "b", "--dtype", "F8")).code).toBe(2);
  expect((await run("inspect")).code).toBe(2);
});
