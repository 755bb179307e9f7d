/**
 * Compiles src/linalg/wasm/assembly and writes the module as base64 into src/linalg/wasm/binary.ts. A test compiles it again and
 * compares.
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { compile } from "./assemblyscript.mjs";

/** The text of the generated module. */
export async function generatedLinalg() {
  const bytes = await compile("src/linalg/wasm/assembly/index.ts", ["simd"]);
  return [
    "// Compiled from assembly/ by scripts/build-linalg-wasm.mjs; do not edit.",
    "/** The module of assembly/index.ts, in base64. */",
    "export const LINALG_WASM =",
    `  "${Buffer.from(bytes).toString("base64")}";`,
    "",
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL("../src/linalg/wasm/binary.ts", import.meta.url), await generatedLinalg());
}
