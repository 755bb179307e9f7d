/**
 * Builds the WebAssembly modules of the kernels and writes them as base64 into src/kernels/wasm/binaries.ts: the tiles, whose text
 * scripts/wasm/tiles.mjs writes and wabt assembles, and src/kernels/wasm/assembly/, which AssemblyScript compiles; each with
 * fused multiply-adds (relaxed SIMD) and without. A test builds them again and compares.
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

const kernels = (features) =>
  compile(
    "src/kernels/wasm/assembly/index.ts",
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
    ],
  );

/** The text of the generated file. */
export async function generated() {
  const modules = [
    ["FUSED_TILES", "Tiles with fused multiply-adds", await assemble("fused.wat", tilesWat("fused"))],
    ["PLAIN_TILES", "Tiles without relaxed SIMD", await assemble("plain.wat", tilesWat("plain"))],
    ["FUSED_KERNELS", "The other kernels with fused multiply-adds", await kernels(["relaxed-simd"])],
    ["PLAIN_KERNELS", "The other kernels without relaxed SIMD", await kernels([])],
  ];
  return [
    "// Built by scripts/build-wasm.mjs; do not edit.",
    ...modules.flatMap(([name, what, bytes]) => [
      `/** ${what}, in base64. */`,
      `export const ${name} =`,
      `  "${Buffer.from(bytes).toString("base64")}";`,
    ]),
    "",
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL("../src/kernels/wasm/binaries.ts", import.meta.url), await generated());
}
