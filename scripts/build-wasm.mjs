/**
 * Builds the WebAssembly modules of the kernels and writes them, deflated and as base64, into src/kernels/wasm/binaries.ts: the tiles, whose text
 * scripts/wasm/tiles.mjs writes and wabt assembles, and assembly/index.ts there, which AssemblyScript compiles; and into weights-binaries.ts that
 * of assembly/weights.ts. Each is built with fused multiply-adds (relaxed SIMD) and without. A test builds them again and compares.
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { deflateSync } from "fflate";
import wabt from "wabt";
import { compile } from "./assemblyscript.mjs";
import { tilesWat } from "./wasm/tiles.mjs";

/** Assembles a module's text. */
async function assemble(name, text) {
  const { parseWat } = await wabt();
  const module = parseWat(name, text, { simd: true, relaxed_simd: true, threads: true });
  const bytes = module.toBinary({}).buffer;
  module.destroy();
  if (!WebAssembly.validate(bytes) && !text.includes("relaxed")) throw new Error(`${name} is not a valid module`);
  return bytes;
}

/** Compiles a module of assembly/, its constants from an address on: all modules have one memory. */
const kernels = (entry, memoryBase, features) =>
  compile(
    `src/kernels/wasm/assembly/${entry}.ts`,
    ["simd", "threads", ...features],
    [
      "--use",
      "abort=",
      "--importMemory",
      "--sharedMemory",
      "--noExportMemory",
      "--initialMemory",
      "1",
      "--maximumMemory",
      "65536",
      "--memoryBase",
      `${memoryBase}`,
    ],
  );

/** Features that fused kernels take, and plain ones. */
const FUSED = ["relaxed-simd"];
const PLAIN = [];
/** Where constants lie: below the jobs of src/kernels/wasm/memory.ts. */
const CONSTANTS = 1024;
const CONSTANTS_OF_WEIGHTS = 16_384;

/** The texts of the generated files, by name. */
export async function generated() {
  const tiles = {
    fused: await assemble("fused.wat", tilesWat("fused")),
    plain: await assemble("plain.wat", tilesWat("plain")),
  };
  return {
    "binaries.ts": textOf(
      ["KERNELS", "The tiles and the kernels"],
      [tiles.fused, await kernels("index", CONSTANTS, FUSED)],
      [tiles.plain, await kernels("index", CONSTANTS, PLAIN)],
    ),
    "weights-binaries.ts": textOf(
      ["WEIGHTS", "The kernels for weights"],
      [await kernels("weights", CONSTANTS_OF_WEIGHTS, FUSED)],
      [await kernels("weights", CONSTANTS_OF_WEIGHTS, PLAIN)],
    ),
  };
}

/** A generated file: modules in two kinds that hardly differ, so that the one is deflated with the other as its dictionary. */
function textOf([name, what], fused, plain) {
  const dictionary = Buffer.concat(fused);
  return [
    "// Built by scripts/build-wasm.mjs; do not edit.",
    'import type { PackedModules } from "./modules.ts";',
    "",
    `/** ${what} with fused multiply-adds. */`,
    constant(`FUSED_${name}`, fused),
    `/** ${what} without relaxed SIMD; their dictionary is the bytes of {@link FUSED_${name}}. */`,
    constant(`PLAIN_${name}`, plain, dictionary),
    "",
  ].join("\n");
}

function constant(name, modules, dictionary) {
  // By fflate, whose output does not depend on the version of Node as that of node:zlib does.
  const deflated = deflateSync(Buffer.concat(modules), { level: 9, mem: 12, ...(dictionary && { dictionary }) });
  return [
    `export const ${name}: PackedModules = {`,
    `  sizes: [${modules.map(({ length }) => length).join(", ")}],`,
    `  deflated:`,
    `    "${Buffer.from(deflated).toString("base64")}",`,
    "};",
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [name, text] of Object.entries(await generated())) {
    writeFileSync(new URL(`../src/kernels/wasm/${name}`, import.meta.url), text);
  }
}
