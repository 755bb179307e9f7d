/** The command train, run as its own process: stopped and taken up again, interrupted, refused. */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadFolder } from "../../src/io/node.ts";
import { train, trainingFilmFromJSON, trainingRecipe } from "../../src/train/index.ts";
import { commandInFolder } from "./command.ts";

const command = commandInFolder("export {};\n");
const at = (...path: string[]): string => join(command.folder, ...path);
const bytes = (...path: string[]): Buffer => readFileSync(at(...path));

/** A run of a second or two. */
const SMALL = ["--data", "markov-chains", "--context", "16", "--d-model", "8", "--batch", "4", "--steps", "120"];

/** Runs until a file is there, and stops the run; says how it ended, which may be before that. */
async function stoppedOnce(
  args: readonly string[],
  file: string,
  signal: NodeJS.Signals,
): Promise<{ readonly how: number | NodeJS.Signals | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [command.command, ...args], { cwd: command.folder });
  let stderr = "";
  child.stderr.on("data", (part: Buffer) => (stderr += part.toString()));
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.on("close", (code, killed) => resolve(killed ?? code)),
  );
  while (!existsSync(file) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill(signal);
  return { how: await ended, stderr };
}

/** Files that a run leaves. */
const LEFT = ["model.safetensors", "training-state.safetensors", "config.json", "run.json", "losses.csv", "film.json"];

describe("a run", () => {
  test("gives the model of the library's train with the same recipe, and what report and figures take", async () => {
    const { code, stderr, stdout } = await command.run("train", ...SMALL, "-o", "run", "--keep", "--every", "40");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^steps {8}0 to 120, loss \d\.\d{3}\nmodel {8}.*run.model\.safetensors\ncheckpoints {2}.*checkpoints\n$/,
    );
    const recipe = trainingRecipe({
      data: { kind: "markov-chains", batch: 4 },
      model: { n_ctx: 16, d_model: 8 },
      steps: 120,
    });
    const expected = await train(recipe.start(), recipe.data, recipe.options);
    const { model } = await loadFolder(at("run"));
    for (const [name, weight] of expected.model.weights) expect(model.weights.get(name)?.data).toEqual(weight.data);
    const lines = bytes("run", "losses.csv").toString().trim().split("\n");
    expect(lines[0]).toBe("step,loss,gradient_norm,rate");
    expect(lines.slice(1).map((line) => line.split(",").map(Number))).toEqual(
      [...expected.losses].map((loss, step) => [step, loss, expected.gradientNorms[step], 0.02]),
    );
    const steps = ["00000000", "00000040", "00000080", "00000120"].map((step) => `step-${step}`);
    expect(readdirSync(at("run", "checkpoints"))).toEqual(steps);
    const report = await command.run("report", "run", "-o", "report.html");
    expect(report).toMatchObject({ code: 0, stderr: "" });
    const figure = await command.run("figure", "loss-by-index", "run/checkpoints", "-o", "losses.svg");
    expect(figure).toMatchObject({ code: 0, stderr: "" });
  });

  test("on a text trains its tokenizer too, and goes on only on the same text", async () => {
    writeFileSync(at("text.txt"), "the cat sat on the mat. the dog sat on the log. ".repeat(40));
    const args = ["train", "-t", "text.txt", "--vocab", "280", "--context", "12", "--d-model", "16", "-o", "run"];
    expect((await command.run(...args, "--steps", "3")).code).toBe(0);
    const { model, tokenizer } = await loadFolder(at("run"));
    expect(model.config.d_vocab).toBe(tokenizer?.vocabSize);
    expect(tokenizer?.decode(tokenizer.encode("the dog sat"))).toBe("the dog sat");
    expect((await command.run("train", "-o", "run", "--steps", "4")).stdout).toContain("3 to 4, loss");
    writeFileSync(at("text.txt"), "another text altogether. ".repeat(80));
    expect((await command.run("train", "-o", "run", "--steps", "5")).stderr).toMatch(
      /run holds another run: text\.sha256 is .* there and .* here/,
    );
  });

  test("of a file of JSON: a recipe, as run.json is one, or a configuration; options say more", async () => {
    const config = { n_layers: 1, n_heads: 2, d_model: 8, d_vocab: 12, n_ctx: 10, attn_only: true };
    writeFileSync(at("config.json"), JSON.stringify(config));
    const first = await command.run("train", "config.json", "--steps", "5", "--schedule", "cosine", "--warmup", "2");
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const rates = bytes("training-run", "losses.csv").toString().trim().split("\n").slice(1);
    const expected = [0, 0.5, 1, 0.75, 0.25].map((factor) => 0.01 * factor);
    for (const [i, line] of rates.entries()) expect(Number(line.split(",")[3])).toBeCloseTo(expected[i] ?? NaN, 12);
    expect((await command.run("train", "training-run/run.json", "-o", "again")).code).toBe(0);
    const same = bytes("again", "model.safetensors").equals(bytes("training-run", "model.safetensors"));
    expect(same).toBe(true);
    const json = JSON.parse(bytes("training-run", "run.json").toString()) as { model: object };
    expect(json.model).toMatchObject({ n_layers: 1, d_vocab: 12, n_ctx: 10 });
  });
});

describe("stopped and taken up again", () => {
  const args = ["train", ...SMALL, "--film", "--keep", "--every", "30", "--zero", "L0H0"];

  test("by Ctrl-C and by a kill: the same files as if never stopped, to the bit", async () => {
    expect((await command.run(...args, "-o", "whole")).code).toBe(0);
    const how = [await stoppedAt(30, "SIGINT"), await stoppedAt(60, "SIGKILL"), await stoppedAt(90, "SIGTERM")];
    console.log(`stopped by ${how.join(", ")}`);
    expect((await command.run(...args, "-o", "cut")).code).toBe(0);
    for (const name of [...LEFT, "checkpoints/step-00000060/model.safetensors"])
      expect(bytes("cut", name).equals(bytes("whole", name)), name).toBe(true);
    expect(readdirSync(at("cut")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const film = trainingFilmFromJSON(bytes("cut", "film.json").toString());
    expect(film.frames.map(({ step }) => step)).toEqual([0, 30, 60, 90, 120]);
  });

  /** Runs until the model of a step is kept, and stops it; says how it ended, which may be before that. */
  async function stoppedAt(step: number, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const model = at("cut", "checkpoints", `step-${String(step).padStart(8, "0")}`, "model.safetensors");
    const { how } = await stoppedOnce([...args, "-o", "cut"], model, signal);
    expect([0, 130, "SIGKILL"]).toContain(how);
    return how;
  }

  test("a cancel says that it can go on", async () => {
    const args = ["train", "--steps", "1000000", "-o", "cut"];
    const run = await stoppedOnce(args, at("cut", "run.json"), "SIGINT");
    const stderr = "Cancelled; what was done is kept, and the same command goes on with the rest.\n";
    expect(run).toEqual({ how: 130, stderr });
  });

  test("more steps go on; one that has them says so", async () => {
    expect((await command.run("train", ...SMALL, "-o", "whole")).code).toBe(0);
    expect((await command.run("train", ...SMALL, "-o", "cut", "--steps", "50")).code).toBe(0);
    expect((await command.run("train", "-o", "cut", "--steps", "120")).stdout).toContain("50 to 120, loss");
    expect(bytes("cut", "model.safetensors").equals(bytes("whole", "model.safetensors"))).toBe(true);
    expect((await command.run("train", "-o", "cut")).stdout).toContain("120 were made before");
  });
});

describe("what goes wrong is said, and what was done is kept", () => {
  test.each([
    [["--data", "nothing"], 2, /argument 'nothing' is invalid/],
    [["--steps", "0"], 2, /whole number from 1/],
    [["--lr", "-1"], 2, /Give a number of at least 0/],
    [["--heads", "3"], 1, /ConfigError: .*d_model=32 is no multiple of n_heads=3/],
    [["--zero", "L9H9"], 1, /InputError: edit: there is no head L9H9/],
    [["missing.json"], 1, /InputError: train: cannot read missing\.json: there is no such file/],
    [["broken.json"], 1, /FormatError: train: broken\.json is no JSON/],
    [["odd.json"], 1, /InputError: trainingRecipe: there is no option "stepz"\. Did you mean steps\?/],
    [["-t", "missing.txt"], 1, /InputError: train: cannot read missing\.txt/],
    [["--lr", "1e30", "--optimizer", "sgd"], 1, /TrainingError: train: step \d+: .* Take a lower rate/],
  ] as const)("%j", async (args, code, said) => {
    writeFileSync(at("broken.json"), "{");
    writeFileSync(at("odd.json"), '{"stepz":3}');
    const run = await command.run("train", ...args);
    expect(run).toMatchObject({ code, stdout: "" });
    expect(run.stderr).toMatch(said);
    expect(existsSync(at("training-run", "training-state.safetensors"))).toBe(false);
  });

  test("a folder of another run, or of a model that is none, unless by force", async () => {
    expect((await command.run("train", ...SMALL, "--steps", "4", "-o", "run")).code).toBe(0);
    const before = bytes("run", "model.safetensors");
    const other = await command.run("train", ...SMALL, "--steps", "4", "--lr", "0.5", "-o", "run");
    expect(other.stderr).toContain("run holds another run: optimizer.lr is 0.02 there and 0.5 here.");
    expect((await command.run("train", "-o", "run", "--steps", "3")).stderr).toContain("steps is 4 there and 3 here");
    expect(bytes("run", "model.safetensors").equals(before)).toBe(true);
    expect((await command.run("train", ...SMALL, "--lr", "0.5", "--steps", "4", "-o", "run", "--force")).code).toBe(0);
    expect(bytes("run", "model.safetensors").equals(before)).toBe(false);
    mkdirSync(at("model"));
    writeFileSync(at("model", "model.safetensors"), "a model of someone");
    const foreign = await command.run("train", ...SMALL, "-o", "model");
    expect(foreign.stderr).toMatch(/model\.safetensors is there already and is of no run of training/);
    expect(bytes("model", "model.safetensors").toString()).toBe("a model of someone");
  });

  test.each(["training-state.safetensors", "losses.csv", "run.json", "film.json"])(
    "a damaged %s, cut anywhere",
    async (name) => {
      const args = ["train", ...SMALL, "--film", "-o", "run", "--steps"];
      expect((await command.run(...args, "6")).code).toBe(0);
      cpSync(at("run"), at("whole"), { recursive: true });
      const whole = bytes("run", name);
      for (const share of [0.3, 0.97]) {
        writeFileSync(at("run", name), whole.subarray(0, Math.floor(share * whole.length)));
        const { code, stderr } = await command.run(...args, "8");
        expect(code, stderr).toBe(1);
        expect(stderr).toMatch(/^(FormatError|InputError): .*(Put back a whole one|no JSON|JSON\.stringify)/);
        for (const other of LEFT)
          if (other !== name && other !== "run.json")
            expect(bytes("run", other).equals(bytes("whole", other)), other).toBe(true);
        cpSync(at("whole"), at("run"), { recursive: true });
      }
      expect((await command.run(...args, "8")).stdout).toContain("6 to 8");
    },
  );

  // A small disk, where the system lets us have one.
  const disk = (): string => at("disk");
  const mount = (): boolean => {
    mkdirSync(disk());
    return spawnSync("mount", ["-t", "tmpfs", "-o", "size=200k", "tmpfs", disk()]).status === 0;
  };
  test("a disk that is full: a typed error, and the rest once there is room", async () => {
    if (!mount()) return;
    try {
      const args = ["train", ...SMALL, "-o", "disk/run", "--keep", "--every", "2"];
      expect((await command.run(...args, "--steps", "4")).code).toBe(0);
      const full = await command.run(...args);
      expect(full.code).toBe(1);
      expect(full.stderr).toMatch(
        /ResourceError: train: cannot write .*: the disk is full\. The run is kept up to step 4/,
      );
      spawnSync("mount", ["-o", "remount,size=64M", disk()]);
      expect((await command.run(...args)).stdout).toContain("4 to 120, loss");
      expect((await command.run("train", ...SMALL, "-o", "whole")).code).toBe(0);
      expect(bytes("disk", "run", "model.safetensors").equals(bytes("whole", "model.safetensors"))).toBe(true);
    } finally {
      spawnSync("umount", [disk()]);
      rmSync(disk(), { recursive: true, force: true });
    }
  });
});
