/** The command figure, run as its own process. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { figureEntries } from "../../src/figures/index.ts";
import { randomModel } from "../support/random-model.ts";
import { declarations } from "../report/text.ts";
import { colorsOf, readPng } from "../support/read-png.ts";
import { elementsOf } from "../viz/svg.ts";
import { commandInFolder, saveModel } from "./command.ts";
import type { Outcome } from "./command.ts";

const NONE = { code: 0, signal: null, stderr: "" };
const here = commandInFolder(declarations);
const run = (...args: string[]): Promise<Outcome> => here.run("figure", ...args);
const read = (name: string): string => readFileSync(join(here.folder, name), "utf8");

describe("transformer-circuits figure", () => {
  test("--list names every figure with its title and needs", async () => {
    const outcome = await run("--list");
    expect(outcome).toMatchObject(NONE);
    const lines = outcome.stdout.trimEnd().split("\n");
    const entries = figureEntries();
    expect(lines).toHaveLength(2 * entries.length);
    for (const [i, { name, title }] of entries.entries())
      expect(lines[2 * i]?.replace(/ +/g, " ").trim()).toBe(`${name} ${title}`);
    expect(outcome.stdout).toMatch(/composition .*\n +needs two layers\n/);
    expect(outcome.stdout).toMatch(/logit-expansion .*\n +any model\n/);
    expect(outcome.stdout).toMatch(/skip-trigram-bugs .*\n +needs a text, a layer of heads, /);
  });

  test("draws the bundled model under the figure's name, and says where", async () => {
    const outcome = await run("ov-eigenvalues");
    expect(outcome).toMatchObject(NONE);
    const lines = outcome.stdout.trimEnd().split("\n");
    expect(lines.slice(0, 2)).toEqual([
      "Eigenvalues of the OV circuit of every head",
      "model        the bundled model",
    ]);
    expect(lines[2]).toContain(`figure       ${join(here.folder, "ov-eigenvalues.svg")} (`);
    expect(readdirSync(here.folder)).toEqual(["ov-eigenvalues.svg"]);
    const [root] = elementsOf(read("ov-eigenvalues.svg").replace(/<style>[^<]*<\/style>/, ""));
    expect(root?.attributes["aria-label"]).toBe("Eigenvalues of the OV circuit of every head");
    // its own kind of file is overwritten
    expect(await run("ov-eigenvalues", "--head", "L1H4")).toMatchObject(NONE);
    expect(read("ov-eigenvalues.svg")).toContain("Eigenvalues of the OV circuit of L1H4");
  });

  test("makes an image with --png or a name that ends so, and over an earlier one", async () => {
    const sizes: number[] = [];
    for (const args of [["--png"], ["-o", "ov-eigenvalues.png", "--head", "L1H4"]]) {
      expect(await run("ov-eigenvalues", ...args)).toMatchObject(NONE);
      const image = readPng(readFileSync(join(here.folder, "ov-eigenvalues.png")));
      expect(colorsOf(image)).toBeGreaterThan(20);
      sizes.push(image.width * image.height);
    }
    expect(sizes[0]).toBeGreaterThan(sizes[1] as number);
    expect(readdirSync(here.folder)).toEqual(["ov-eigenvalues.png"]);
  });

  test("a page as a drawing, and a drawing as a page", async () => {
    expect(await run("repeated-tokens", "-o", "attention.svg")).toMatchObject(NONE);
    expect(read("attention.svg")).toMatch(/^<svg /);
    expect(await run("copying-histogram", "-o", "copying.html")).toMatchObject(NONE);
    expect(read("copying.html")).toMatch(/^<!doctype html>/);
  });

  test("a text for what runs the model: the declaration files beside the command, or one's own", async () => {
    const outcome = await run("skip-trigram-bugs", "--json", "bugs.json");
    expect(outcome).toMatchObject(NONE);
    expect(outcome.stdout).toContain("text         this package’s declaration files (without comments)");
    expect(outcome.stdout).toContain(`data         ${join(here.folder, "bugs.json")}`);
    const data = JSON.parse(read("bugs.json")) as { figure: string; data: { tokens: number } };
    expect(data.figure).toBe("skip-trigram-bugs");
    writeFileSync(join(here.folder, "own.txt"), "interface Array<T> { pop(): T | undefined; }\n".repeat(3));
    expect(await run("skip-trigram-bugs", "--text", "own.txt", "--json", "bugs.json")).toMatchObject(NONE);
    const own = JSON.parse(read("bugs.json")) as typeof data;
    expect(own.data.tokens).toBeLessThan(data.data.tokens);
  });

  test("takes a folder without a tokenizer, token ids, heads, a title and a seed", async () => {
    const toy = saveModel(randomModel({ n_ctx: 16 }), join(here.folder, "toy"));
    writeFileSync(join(here.folder, "ids.txt"), "1 2 3, 4\n5 6 7 8 9 10");
    const args = ["skip-trigram-bugs", toy, "--tokens", "ids.txt", "-o", "bugs.svg", "--json", "bugs.json"];
    const outcome = await run(...args, "--head", "L0H1", "--head", "L1H2", "--title", "A toy");
    expect(outcome).toMatchObject(NONE);
    expect(outcome.stdout).toMatch(/^A toy\nmodel {8}toy\ntext {9}ids\.txt\n/);
    const { rows, tokens } = (
      JSON.parse(read("bugs.json")) as { data: { rows: { layer: number; head: number }[]; tokens: number } }
    ).data;
    expect(tokens).toBe(10);
    for (const { layer, head } of rows) expect(["L0H1", "L1H2"]).toContain(`L${layer}H${head}`);
    expect(read("bugs.svg")).toContain(">A toy<");
    const histogram = await run("copying-histogram", toy, "--json", "a.json", "--seed", "1");
    expect(histogram).toMatchObject(NONE);
    expect(await run("copying-histogram", toy, "--json", "b.json", "--seed", "1")).toMatchObject(NONE);
    expect(await run("copying-histogram", toy, "--json", "c.json", "--seed", "2")).toMatchObject(NONE);
    expect(read("a.json")).toBe(read("b.json"));
    expect(read("a.json")).not.toBe(read("c.json"));
  });

  const refusals: readonly (readonly [string, readonly string[], string])[] = [
    ["no name", [], "InputError: figure: name a figure; --list shows their names."],
    [
      "a name that is none",
      ["ov-eigenvalue"],
      'InputError: figureEntry: there is no figure "ov-eigenvalue". Nearest: ov-eigenvalues',
    ],
    [
      "two layers of a model of one",
      ["composition", "one"],
      "ConfigError: composition: this figure cannot be made of this model: it shows what heads of two layers do together, and this model has one layer (n_layers=1). Choose another figure or model.",
    ],
    [
      "texts of tokens without a tokenizer",
      ["split-token-table", "one"],
      "InputError: split-token-table: this figure is about the texts of tokens",
    ],
    [
      "a text for weights alone",
      ["ov-eigenvalues", "--text", "some.txt"],
      "InputError: figure: ov-eigenvalues takes no text; --text has no use. Leave it out.",
    ],
    [
      "a text for a model without a tokenizer",
      ["skip-trigram-bugs", "one", "--text", "some.txt"],
      "InputError: skipTrigramBugTable: a text was given, but there is no tokenizer.",
    ],
    [
      "a head that is none",
      ["ov-eigenvalues", "--head", "first"],
      'InputError: parseHead: "first" does not name a head; write it as L1H4 or 1.4.',
    ],
    [
      "a head that the model does not have",
      ["ov-eigenvalues", "one", "--head", "L3H0"],
      "InputError: head: there is no head L3H0 in this model",
    ],
    [
      "no such folder",
      ["ov-eigenvalues", "nowhere"],
      "InputError: loadFolder: cannot read nowhere: there is no such file or folder.",
    ],
    [
      "one file for two things",
      ["ov-eigenvalues", "-o", "a.svg", "--json", "./a.svg"],
      "InputError: figure: a.svg is named both for the figure and for its data. Name two files.",
    ],
    [
      "a drawing into a file that says otherwise",
      ["ov-eigenvalues", "-o", "eigenvalues.JPG"],
      "InputError: figure: a figure is a drawing (.svg), an image (.png) or a page (.html), and eigenvalues.JPG ends in .jpg. Name such a file.",
    ],
    [
      "an image into a file that says otherwise",
      ["repeated-tokens", "--png", "-o", "pattern.svg"],
      "InputError: figure: --png asks for an image, and pattern.svg ends in .svg.",
    ],
    [
      "a file that is something else",
      ["ov-eigenvalues", "-o", "some.txt"],
      "some.txt is there already and is not a figure. Name another file, or overwrite it with --force.",
    ],
    [
      "data over something else",
      ["ov-eigenvalues", "--json", "some.txt"],
      "some.txt is there already and is not a figure’s data. Name another file, or overwrite it with --force.",
    ],
    ["an output in no folder", ["ov-eigenvalues", "-o", "no/where.svg"], "there is no folder"],
  ];
  test.each(refusals)("refuses %s, in one line and with 1, and writes nothing", async (_, args, message) => {
    saveModel(randomModel({ n_layers: 1 }), join(here.folder, "one"));
    writeFileSync(join(here.folder, "some.txt"), "some text");
    const before = readdirSync(here.folder);
    const outcome = await run(...args);
    expect(outcome).toMatchObject({ code: 1, signal: null, stdout: "" });
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(readdirSync(here.folder)).toEqual(before);
    expect(read("some.txt")).toBe("some text");
  });

  test("overwrites anything with --force, and a wrong use ends with 2", async () => {
    writeFileSync(join(here.folder, "some.txt"), "some text");
    expect(await run("copying-histogram", "-o", "some.txt", "-f")).toMatchObject(NONE);
    expect(read("some.txt")).toMatch(/^<svg /);
    expect((await run("ov-eigenvalues", "a", "b")).stderr).toContain("2 paths were given");
    expect((await run("ov-eigenvalues", "--colour")).code).toBe(2);
    expect(existsSync(join(here.folder, "ov-eigenvalues.svg"))).toBe(false);
  });
});
