/** The packed package in a new project: installed by npm, imported, required, and compiled against. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../../package.json" with { type: "json" };
import { type Consumer, newConsumer } from "../../support/consumer.ts";
import { root } from "../../support/files.ts";
import { run } from "../../support/run.ts";
import "../../support/require-build.ts";

let consumer: Consumer;
let project: string;
const write = (name: string, text: string): void => {
  consumer.write(name, text);
};

beforeAll(async () => {
  consumer = await newConsumer();
  project = consumer.folder;
});
afterAll(() => {
  consumer.remove();
});

const specifiers = Object.keys(manifest.exports).map((subpath) => subpath.replace(".", manifest.name));

/** Names the size of the logits, their highest entry at the last position, and the class of an error from another entry. */
const work = `
  const { model } = await openBundledModel();
  const logits = model.forward([0, 5, 6, 7]);
  const last = Array.from(logits.data.slice(-model.config.d_vocab));
  let caught = "";
  try { model.forward([]); } catch (error) { caught = error instanceof InputError ? error.name : "another class"; }
  console.log(String(logits), last.indexOf(Math.max(...last)), caught);
`;
const printed = /^Tensor\[batch=1 pos=4 d_vocab=1024\] float32 \d+ InputError\n$/;

describe("a project that installs the package", () => {
  test("imports every entry as ESM, with one class per error among them", () => {
    write(
      "main.mjs",
      `import { InputError } from "transformer-circuits/tensor";
       import { openBundledModel } from "transformer-circuits/bundled";
       for (const name of ${JSON.stringify(specifiers.filter((name) => !name.endsWith(".json")))}) await import(name);
       ${work}`,
    );
    expect(run(process.execPath, ["main.mjs"], project)).toMatch(printed);
  });

  test("computes on two threads, which end with the process, from ESM and from CommonJS", () => {
    const text = `
      const a = randomNormal("pos d_model", [300, 200], { seed: 1 });
      const b = randomNormal("d_model d_vocab", [200, 400], { seed: 2 });
      const alone = matmul(a, b).data;
      const threads = await useThreads(2);
      const together = matmul(a, b).data;
      console.log(threads, kernelInfo().name, alone.every((x, i) => x === together[i]));`;
    const names = "kernelInfo, matmul, randomNormal, useThreads";
    write("threads.mjs", `import { ${names} } from "transformer-circuits/tensor"; ${text}`);
    write("threads.cjs", `const { ${names} } = require("transformer-circuits/tensor"); (async () => { ${text} })();`);
    for (const script of ["threads.mjs", "threads.cjs"]) {
      expect(run(process.execPath, [script], project)).toBe("2 simd true\n");
    }
  });

  test("requires every entry as CommonJS, with one class per error among them", () => {
    write(
      "main.cjs",
      `const { InputError } = require("transformer-circuits/tensor");
       const { openBundledModel } = require("transformer-circuits/bundled");
       for (const name of ${JSON.stringify(specifiers)}) require(name);
       (async () => { ${work} })();`,
    );
    expect(run(process.execPath, ["main.cjs"], project)).toMatch(printed);
  });

  test("runs the command", () => {
    const command = join(project, "node_modules", ".bin", manifest.name);
    expect(run(command, ["--version"], project).trim()).toBe(manifest.version);
  });

  test("loads the root entry where code may not be made from strings", () => {
    write(
      "strict.mjs",
      `import { Tensor, softmax } from "transformer-circuits"; softmax(Tensor.zeros("pos", [2]), "pos");`,
    );
    run(process.execPath, ["--disallow-code-generation-from-strings", "strict.mjs"], project);
  });

  const program = `
    import { type Tensor, type Transformer, matmul } from "transformer-circuits";
    import { openBundledModel } from "transformer-circuits/bundled";
    import * as ndarray from "transformer-circuits/ndarray";
    import * as ndarrayOps from "transformer-circuits/ndarray-ops";
    import * as node from "transformer-circuits/node";
    import * as report from "transformer-circuits/report";
    import * as viz from "transformer-circuits/viz";
    export const model: Promise<Transformer> = openBundledModel().then((opened) => opened.model);
    export const product = (a: Tensor<"pos d_model">, b: Tensor<"d_model d_head">): Tensor<"pos d_head"> => matmul(a, b);
    // @ts-expect-error the axes are types for users of the package too
    export const wrong = (a: Tensor<"pos d_model">, b: Tensor<"d_head d_model">) => matmul(a, b);
    export { ndarray, ndarrayOps, node, report, viz };
  `;
  const resolutions = [
    { name: "an ES module resolved as Node does", file: "main.mts", module: "nodenext", moduleResolution: "nodenext" },
    { name: "a CommonJS module resolved as Node does", file: "main.cts", module: "node16", moduleResolution: "node16" },
    { name: "a module resolved as bundlers do", file: "main.ts", module: "esnext", moduleResolution: "bundler" },
  ];
  const compilers = { "TypeScript 6": "typescript/bin/tsc", "TypeScript 7": "typescript-native/bin/tsc" };
  test.each(resolutions.flatMap((one) => Object.entries(compilers).map(([by, path]) => ({ ...one, by, path }))))(
    "compiles $name, declarations of the package included, by $by",
    ({ file, module, moduleResolution, path }) => {
      write(file, program);
      write(
        "tsconfig.json",
        JSON.stringify({
          compilerOptions: {
            module,
            moduleResolution,
            target: "es2022",
            lib: ["es2022", "dom"],
            types: [],
            strict: true,
            exactOptionalPropertyTypes: true,
            skipLibCheck: false,
            noEmit: true,
          },
          files: [file],
        }),
      );
      run(process.execPath, [`${root}/node_modules/${path}`], project);
    },
  );
});
