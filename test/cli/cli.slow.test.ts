/** The command, run as its own process. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { randomModel } from "../support/random-model.ts";
import { filmFrame, trainingFilm } from "../../src/train/index.ts";
import { declarations } from "../report/text.ts";
import { commandInFolder, runCommand, saveModel } from "./command.ts";

const NONE = { code: 0, signal: null, stderr: "" };
const here = commandInFolder(declarations);
const run = here.run;

describe("transformer-circuits", () => {
  test("analyses the bundled model on the declaration files beside it", async () => {
    const outcome = await run();
    expect(outcome).toMatchObject(NONE);
    const lines = outcome.stdout.trimEnd().split("\n");
    expect(lines.length).toBeGreaterThanOrEqual(9);
    expect(lines.length).toBeLessThanOrEqual(15);
    expect(outcome.stdout).toMatch(/^previous .*L0H5.*L0H7/m);
    for (const label of ["L1H1", "L1H2", "L1H3", "L1H4", "L1H7"])
      expect(outcome.stdout).toContain(`${label}  attention`);
    const file = join(here.folder, "transformer-circuits-report.html");
    expect(lines[lines.length - 1]).toContain(`report       ${file} (`);
    expect(readdirSync(here.folder)).toEqual(["transformer-circuits-report.html"]);
    const page = readFileSync(file, "utf8");
    expect(page).toContain("<title>The bundled model, taken apart</title>");
    expect(page).toContain("this package’s declaration files (without comments)");
    expect(page.length).toBeLessThan(3e6);
  });

  test("prints its help with examples, and its version", async () => {
    const help = await run("--help");
    expect(help).toMatchObject(NONE);
    expect(help.stdout).toContain("Examples:");
    expect(help.stdout).toContain("report [options] [path]");
    expect((await run("report", "--help")).stdout).toContain("--max-tokens <number>");
    expect(await run("--version")).toMatchObject({ ...NONE, stdout: `${manifest.version}\n` });
  });

  test("a wrong use ends with 2", async () => {
    expect(await run("--colour")).toMatchObject({ code: 2, stdout: "", stderr: "error: unknown option '--colour'\n" });
    expect((await run("report", "a", "b")).code).toBe(2);
    for (const [word, meant] of [
      ["figur", "figure"],
      ["reprot", "report"],
      ["inspct", "inspect"],
      ["fig", "figure"],
    ] as const) {
      const outcome = await run(word, "ov-eigenvalues");
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
      expect(outcome.stderr).toBe(`error: there is no command or path '${word}'. Did you mean ${meant}?\n`);
    }
    expect(await run("--seed", "-1")).toMatchObject({ code: 2 });
    expect((await run("--seed", "4294967296")).stderr).toContain("Give a whole number from 0 to 4294967295.");
  });
});

describe("transformer-circuits report <folder>", () => {
  const model = (): string => saveModel(randomModel({ n_ctx: 16 }), join(here.folder, "toy"));

  test("a tokenizer that cannot be used is left out and told, unless a text is named for it", async () => {
    const folder = model();
    writeFileSync(join(folder, "tokenizer.json"), "{");
    writeFileSync(join(here.folder, "text.txt"), "a text");
    const outcome = await run("report", folder, "-o", "toy.html");
    expect(outcome).toMatchObject({ code: 0, signal: null });
    expect(outcome.stderr).toContain("Note: the tokenizer is not used. loadTokenizer: tokenizer.json is not JSON");
    const refused = await run("report", folder, "--text", "text.txt", "-o", "other.html");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("FormatError: loadTokenizer: tokenizer.json is not JSON");
  });

  test("takes a folder without a tokenizer, on random tokens, and says so", async () => {
    const outcome = await run(
      "report",
      model(),
      "-o",
      "toy.html",
      "--json",
      "toy.json",
      "--seed",
      "3",
      "--title",
      "A toy",
    );
    expect(outcome).toMatchObject(NONE);
    expect(outcome.stdout).toContain(`numbers      ${join(here.folder, "toy.json")}`);
    const page = readFileSync(join(here.folder, "toy.html"), "utf8");
    expect(page).toContain("<title>A toy</title>");
    expect(page).toContain("random token ids (the model has no tokenizer that can be used)");
    const data = JSON.parse(readFileSync(join(here.folder, "toy.json"), "utf8")) as { seed: number; title: string };
    expect(data).toMatchObject({ version: 1, seed: 3, title: "A toy" });
    expect(readdirSync(here.folder).sort()).toEqual(["toy", "toy.html", "toy.json"]);
  });

  test("on three threads it is the same to the bit", async () => {
    const pages = new Set<string>();
    for (const threads of ["1", "3"]) {
      const args = ["report", model(), "-o", "toy.html", "--force", "--threads", threads];
      expect(await run(...args)).toMatchObject(NONE);
      pages.add(readFileSync(join(here.folder, "toy.html"), "utf8"));
    }
    expect(pages.size).toBe(1);
    expect(await run("report", model(), "--threads", "65")).toMatchObject({ code: 2, stdout: "" });
  });

  test("has the film of the training as a section, and refuses what holds none", async () => {
    const folder = model();
    const film = trainingFilm([filmFrame(randomModel({ n_ctx: 16 }), { step: 7, measures: ["losses", "heads"] })]);
    writeFileSync(join(here.folder, "film.json"), JSON.stringify(film));
    const outcome = await run("report", folder, "-o", "toy.html", "--film", "film.json");
    expect(outcome).toMatchObject(NONE);
    expect(readFileSync(join(here.folder, "toy.html"), "utf8")).toContain('<section id="training"');
    writeFileSync(join(here.folder, "film.json"), "{");
    const refused = await run("report", folder, "-o", "other.html", "--film", "film.json");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(
      "InputError: report: film.json holds no film. Give the film.json that train writes",
    );
    const missing = await run("report", folder, "-o", "other.html", "--film", "no.json");
    expect(missing.stderr).toContain("InputError: report: cannot read no.json: there is no such file.");
  });

  test("a list, one list in brackets, and numbers are the same ids", async () => {
    const losses: unknown[] = [];
    for (const ids of ["1 2 3\n4,5, 6", "[1, 2, 3, 4, 5, 6]", "[[1,2,3,4,5,6]]", "[1,2,3,4,5,6,1,2]"]) {
      writeFileSync(join(here.folder, "ids.json"), ids);
      const args = ["report", model(), "--tokens", "ids.json", "--json", "numbers.json"];
      expect(await run(...args)).toMatchObject(NONE);
      losses.push(
        (JSON.parse(readFileSync(join(here.folder, "numbers.json"), "utf8")) as { loss: { mean: number } }).loss.mean,
      );
    }
    expect(new Set(losses.slice(0, 3)).size).toBe(1);
    expect(losses[3]).not.toBe(losses[0]);
  });

  test.each([
    ["[[1,2,3],[4,5,6]]", "2 lists, and a text is one: joined they would be another text."],
    ["[1,2,3]\n[4,5,6]\n[7]", "3 lists, and a text is one: joined they would be another text."],
    ["[1, 2", "brackets that do not fit."],
    ["[[1, 2]", "brackets that do not fit."],
    ["[1, NaN, 2]", '"NaN" where token 1 should be.'],
    ["1 0x10 2", '"0x10" where token 1 should be.'],
    ["1 2.5", '"2.5" where token 1 should be.'],
    ['["1"]', '"\\"1\\"" where token 0 should be.'],
  ])("refuses the ids %j", async (ids, why) => {
    writeFileSync(join(here.folder, "ids.json"), ids);
    for (const args of [
      ["report", model()],
      ["figure", "value-weighted-attention", model()],
    ]) {
      const outcome = await run(...args, "--tokens", "ids.json");
      expect(outcome.code).toBe(1);
      expect(outcome.stderr).toContain(`ids.json holds ${why} Give a list of token ids such as [0, 17, 5].`);
    }
  });

  test.each(["last.ckpt", "pytorch_model.ckpt"])("takes a folder whose weights are %s", async (name) => {
    const toy = model();
    renameSync(join(toy, "model.safetensors"), join(toy, name));
    expect(await run("figure", "ov-eigenvalues", toy, "-o", "e.svg")).toMatchObject(NONE);
  });

  test("takes a config.json in which Python wrote numbers that are not finite", async () => {
    const toy = model();
    const config = readFileSync(join(toy, "config.json"), "utf8");
    const added = '{"best": NaN, "worst": [Infinity, -Infinity], "log": {"loss": NaN}, ';
    writeFileSync(join(toy, "config.json"), config.replace("{", added));
    expect((await run("figure", "ov-eigenvalues", toy, "-o", "e.svg")).code).toBe(0);
    writeFileSync(join(toy, "config.json"), config.replace("{", '{"best": NaNa, '));
    expect((await run("figure", "ov-eigenvalues", toy, "-o", "f.svg")).stderr).toContain("it is not valid");
  });

  test("takes token ids from a file, and overwrites its own reports", async () => {
    writeFileSync(join(here.folder, "ids.txt"), "1 2 3, 4\n5 6 7 8 9 10");
    const args = ["report", model(), "--tokens", "ids.txt", "-o", "toy.html", "--json", "toy.json"];
    expect(await run(...args)).toMatchObject(NONE);
    const first = readFileSync(join(here.folder, "toy.html"), "utf8");
    expect(await run(...args)).toMatchObject(NONE);
    expect(readFileSync(join(here.folder, "toy.html"), "utf8")).toBe(first);
    expect(first).toContain("10 token ids");
  });

  const refusals: readonly (readonly [string, (toy: string) => string[], string])[] = [
    [
      "no such folder",
      () => ["report", "nowhere"],
      "InputError: loadFolder: cannot read nowhere: there is no such file or folder.",
    ],
    [
      "no such text",
      (toy) => ["report", toy, "--text", "nothing.txt"],
      "InputError: report: cannot read nothing.txt: there is no such file.",
    ],
    [
      "a folder as text",
      (toy) => ["report", toy, "--text", toy],
      "InputError: report: cannot read toy: it is a folder, not a file.",
    ],
    [
      "a text that is no UTF-8",
      (toy) => ["report", toy, "--text", "latin1.txt"],
      "FormatError: report: latin1.txt is not UTF-8 text. Convert it, or give token ids with --tokens.",
    ],
    [
      "an empty text",
      (toy) => ["report", toy, "--text", "empty.txt"],
      "InputError: report: empty.txt is empty. Give at least a line of what the model was trained on.",
    ],
    [
      "a text for a model without a tokenizer",
      (toy) => ["report", toy, "--text", "some.txt"],
      "InputError: analyse: a text was given, but the model has no tokenizer. Give token ids, or a folder with a tokenizer.json.",
    ],
    [
      "tokens that are no ids",
      (toy) => ["report", toy, "--tokens", "some.txt"],
      'FormatError: report: some.txt holds "some" where token 0 should be. Give a list of token ids such as [0, 17, 5].',
    ],
    [
      "text and tokens",
      (toy) => ["report", toy, "--tokens", "some.txt", "--text", "some.txt"],
      "InputError: report: --text and --tokens were both given. Give one of them.",
    ],
    [
      "an output in no folder",
      (toy) => ["report", toy, "-o", "no/where.html"],
      "InputError: report: cannot write FOLDER/no/where.html: there is no folder FOLDER/no. Make it first.",
    ],
    [
      "a folder as output",
      (toy) => ["report", toy, "-o", toy],
      "InputError: report: cannot write FOLDER/toy: it is a folder. Name a file in it.",
    ],
    [
      "one file for two things",
      (toy) => ["report", toy, "-o", "a.html", "--json", "./a.html"],
      "InputError: report: a.html is named both for the report and for the numbers. Name two files.",
    ],
    [
      "a file that is something else",
      (toy) => ["report", toy, "-o", "some.txt"],
      "InputError: report: FOLDER/some.txt is there already and is not a report. Name another file, or overwrite it with --force.",
    ],
    [
      "numbers over something else",
      (toy) => ["report", toy, "--json", "some.txt"],
      "InputError: report: FOLDER/some.txt is there already and is not a report. Name another file, or overwrite it with --force.",
    ],
  ];
  test.each(refusals)("refuses %s, in one line and with 1, and touches nothing", async (_, args, message) => {
    model();
    writeFileSync(join(here.folder, "some.txt"), "some text");
    writeFileSync(join(here.folder, "empty.txt"), " \n");
    writeFileSync(join(here.folder, "latin1.txt"), Buffer.from([0x63, 0xe9]));
    const before = readdirSync(here.folder);
    expect(await run(...args("toy"))).toEqual({
      code: 1,
      signal: null,
      stdout: "",
      stderr: `${message.replaceAll("FOLDER", here.folder)}\n`,
    });
    expect(readdirSync(here.folder)).toEqual(before);
    expect(readFileSync(join(here.folder, "some.txt"), "utf8")).toBe("some text");
  });

  test("overwrites anything with --force", async () => {
    writeFileSync(join(here.folder, "some.txt"), "some text");
    expect(await run("report", model(), "-o", "some.txt", "--force")).toMatchObject(NONE);
    expect(readFileSync(join(here.folder, "some.txt"), "utf8")).toContain("<!doctype html>");
  });

  test("leaves nothing behind when the file cannot be written", async () => {
    const place = join(here.folder, "place");
    mkdirSync(place);
    // a longer file name than file systems allow
    const name = "x".repeat(256);
    const outcome = await run("report", model(), "-o", join("place", name));
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/^InputError: report: cannot write .*ENAMETOOLONG/);
    expect(readdirSync(place)).toEqual([]);
  });

  test("Ctrl-C cancels and leaves nothing", async () => {
    const pipe = join(here.folder, "text");
    execFileSync("mkfifo", [pipe]);
    // The command waits for its text, which can be written once it reads, and computes from then on.
    const hasText = (): boolean => {
      try {
        const file = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
        writeSync(file, declarations);
        closeSync(file);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENXIO") return false;
        throw error;
      }
    };
    const { code, stdout } = await runCommand(here.command, ["report", "--text", "text"], here.folder, hasText);
    expect([code, stdout]).toEqual([130, ""]);
    expect(readdirSync(here.folder)).toEqual(["text"]);
  });
});
