/**
 * Builds the WebAssembly modules and writes them as base64 into the files of src/ that hold them. Those of the kernels: the
 * tiles, whose text scripts/wasm/tiles.mjs writes and wabt assembles, and the modules of src/kernels/wasm/assembly/, which
 * AssemblyScript compiles, each with fused multiply-adds (relaxed SIMD) and without. That of the decompositions:
 * src/linalg/wasm/assembly/.
 *
 *     node scripts/build-wasm.mjs           writes them
 *     node scripts/build-wasm.mjs --check   says which are not what their sources build to; then it ends with 1
 */
import { readFileSync, writeFileSync } from "node:fs";
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
const CONSTANTS_OF_GRADIENTS = 24_576;

/** The texts of the generated files, by path. */
async function generated() {
  return {
    "src/kernels/wasm/binaries.ts": textOf([
      ["FUSED_TILES", "Tiles with fused multiply-adds", await assemble("fused.wat", tilesWat("fused"))],
      ["PLAIN_TILES", "Tiles without relaxed SIMD", await assemble("plain.wat", tilesWat("plain"))],
      ["FUSED_KERNELS", "The other kernels with fused multiply-adds", await kernels("index", CONSTANTS, FUSED)],
      ["PLAIN_KERNELS", "The other kernels without relaxed SIMD", await kernels("index", CONSTANTS, PLAIN)],
    ]),
    "src/kernels/wasm/weights-binaries.ts": textOf([
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
    "src/kernels/wasm/gradient-binaries.ts": textOf([
      [
        "FUSED_GRADIENTS",
        "Kernels of backward passes with fused multiply-adds",
        await kernels("gradients", CONSTANTS_OF_GRADIENTS, FUSED),
      ],
      [
        "PLAIN_GRADIENTS",
        "Kernels of backward passes without relaxed SIMD",
        await kernels("gradients", CONSTANTS_OF_GRADIENTS, PLAIN),
      ],
    ]),
    "src/linalg/wasm/binary.ts": textOf([
      ["LINALG_WASM", "The module of assembly/index.ts", await compile("src/linalg/wasm/assembly/index.ts", ["simd"])],
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

const check = process.argv.includes("--check");
for (const [path, text] of Object.entries(await generated())) {
  const file = new URL(`../${path}`, import.meta.url);
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path} is not what its sources build to: run \`npm run build:wasm\` and commit it.`);
    process.exitCode = 1;
  }
}
