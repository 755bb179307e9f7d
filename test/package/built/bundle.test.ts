/** What a bundler keeps of the built package: nothing that was not asked for, and no code that makes code. */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { root } from "../../support/files.ts";
import "../../support/require-build.ts";

interface Bundle {
  readonly code: string;
  /** Bytes, minified. */
  readonly size: number;
  readonly gzipped: number;
  /** The modules that have a part in it, as paths from the root. */
  readonly inputs: readonly string[];
}

async function bundle(source: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: root, sourcefile: "app.js" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["../data/bundled-model.js"],
    metafile: true,
    write: false,
    logLevel: "error",
    outfile: "app.min.js",
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("esbuild wrote nothing");
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.entries(output?.inputs ?? {})
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => path);
  return { code: file.text, size: file.contents.length, gzipped: gzipSync(file.contents).length, inputs };
}

/** Imports names and keeps them alive. */
const using = (names: string, entry = "index"): Promise<Bundle> =>
  bundle(`import { ${names} } from "./dist/${entry}.js"; console.log(${names});`);

/** Texts of error messages, which minifying leaves as they are: signs that a part is in the bundle. */
const parts = {
  tensors: "takes rows [..., inner] and a matrix",
  weights: "not ascending up to",
  tokenizer: "added_tokens",
  hooks: "hook_attn_scores",
};
const partsIn = ({ code }: Bundle): string[] =>
  Object.entries(parts).flatMap(([part, text]) => (code.includes(text) ? [part] : []));

/** All that computes: every entry but figures, report, files of the system, the bundled model and ndarray. */
const everything = ["tensor", "linear", "model", "circuits", "paths", "heads", "interventions", "io"]
  .map((entry) => `export * from "./dist/${entry}.js";`)
  .join("\n");

describe("the computing entries in a bundle", () => {
  test("the signs of the parts are in the whole", async () => {
    const whole = await bundle(everything);
    expect(partsIn(whole)).toEqual(Object.keys(parts));
  });

  test("as a whole it holds no ndarray and nothing that compiles code at run time", async () => {
    const whole = await bundle(everything);
    expect(whole.inputs.filter((path) => /node_modules\/(cwise|ndarray)/.test(path))).toEqual([]);
    expect(whole.code).not.toMatch(/new Function\b|\bFunction\(|\beval\(/);
  });

  test("a function of axes alone brings nothing else: under 560 bytes", async () => {
    const small = await using("dual", "tensor");
    expect(partsIn(small)).toEqual([]);
    expect(small.size).toBeLessThan(560);
  });

  test("tensors bring no kernels for weights, no model, no hooks and no tokenizer: under 138 kB, most of it the kernels' WebAssembly in base64, and 8 kB of how tensors show themselves", async () => {
    const product = await using("matmul");
    expect(partsIn(product)).toEqual(["tensors"]);
    expect(product.size).toBeLessThan(138e3);
  });

  test("reading a configuration brings no tensor, no hooks and no tokenizer: under 19.5 kB, half of it the table of known fields", async () => {
    const small = await using("parseConfig");
    expect(partsIn(small)).toEqual([]);
    expect(small.size).toBeLessThan(19.5e3);
  });

  test("a model's forward pass brings no kernels for weights and no tokenizer: under 198 kB, 8 kB of it how values show themselves", async () => {
    const model = await using("Transformer");
    expect(partsIn(model)).toEqual(["tensors", "hooks"]);
    expect(model.size).toBeLessThan(198e3);
  });

  test("one analysis brings no tokenizer: under 204 kB", async () => {
    const analysis = await using("pathExpansion");
    expect(partsIn(analysis)).not.toContain("tokenizer");
    expect(analysis.size).toBeLessThan(204e3);
  });

  test("what reads a report or a film brings neither jobs nor what they run: under 56 kB and 148 kB", async () => {
    const [report, film] = await Promise.all([using("summarise", "report"), using("trainingPhases", "train")]);
    expect([...partsIn(report), ...partsIn(film)]).toEqual([]);
    expect(report.size).toBeLessThan(56e3);
    expect(film.size).toBeLessThan(148e3);
  });

  test("as a whole it stays under 925 kB, 314 kB compressed, of which the tokenizer is 35 kB, the readers of checkpoints 30 kB and the kernels of backward passes 25 kB", async () => {
    const whole = await bundle(everything);
    expect(whole.size).toBeLessThan(925e3);
    expect(whole.gzipped).toBeLessThan(314e3);
  });
});

describe("the other entries in a bundle", () => {
  test("figures bring no tensors, no model and no tokenizer", async () => {
    expect(partsIn(await bundle(`export * from "./dist/viz.js";`))).toEqual([]);
  });

  test("the entry of ndarray is the one that brings ndarray", async () => {
    const { inputs } = await bundle(`export * from "./dist/ndarray.js";`);
    expect(inputs.some((path) => path.includes("node_modules/ndarray/"))).toBe(true);
  });
});
