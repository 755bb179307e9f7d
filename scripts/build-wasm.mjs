/**
 * Builds the WebAssembly modules of the kernels and writes them as base64 into src/kernels/wasm/binaries.ts: the tiles, whose text
 * scripts/wasm/tiles.mjs writes and wabt assembles, and assembly/index.ts there, which AssemblyScript compiles; and into weights-binaries.ts that
 * of assembly/weights.ts. Each is built with fused multiply-adds (relaxed SIMD) and without. A test builds them again and compares.
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
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
  return {
    "binaries.ts": textOf([
      ["FUSED_TILES", "Tiles with fused multiply-adds", await assemble("fused.wat", tilesWat("fused"))],
      ["PLAIN_TILES", "Tiles without relaxed SIMD", await assemble("plain.wat", tilesWat("plain"))],
      ["FUSED_KERNELS", "The other kernels with fused multiply-adds", await kernels("index", CONSTANTS, FUSED)],
      ["PLAIN_KERNELS", "The other kernels without relaxed SIMD", await kernels("index", CONSTANTS, PLAIN)],
    ]),
    "weights-binaries.ts": textOf([
      [
        "FUSED_WEIGHTS",
        "Kernels for weights with fused multiply-adds",
        await kernels("weights", CONSTANTS_OF_WEIGHTS, FUSED),
      ],
      [
        "PLAIN_WEIGHTS",
        "Kernels for weights without relaxed SIMD",
        await kernels("weights", CONSTANTS_OF_WEIGHTS, PLAIN),
      ],
    ]),
  };
}

const textOf = (modules) =>
  [
    "// Built by scripts/build-wasm.mjs; do not edit.",
    ...modules.flatMap(([name, what, bytes]) => [
      `/** ${what}, in base64. */`,
      `export const ${name} =`,
      `  "${Buffer.from(bytes).toString("base64")}";`,
    ]),
    "",
  ].join("\n");

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [name, text] of Object.entries(await generated())) {
    writeFileSync(new URL(`../src/kernels/wasm/${name}`, import.meta.url), text);
  }
}
