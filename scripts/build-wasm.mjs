/**
 * Assembles src/kernels/wasm/tiles.wat and writes it as base64 into src/kernels/wasm/tiles-binary.ts. A test assembles it again and
 * compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import wabt from "wabt";

const folder = new URL("../src/kernels/wasm/", import.meta.url);

/** The text of the generated module. */
export async function generated() {
  const { parseWat } = await wabt();
  const module = parseWat("tiles.wat", readFileSync(new URL("tiles.wat", folder), "utf8"), { simd: true });
  module.validate();
  const bytes = module.toBinary({}).buffer;
  module.destroy();
  return [
    "// Assembled from tiles.wat by scripts/build-wasm.mjs; do not edit.",
    "/** The module of tiles.wat, in base64. */",
    "export const TILES_WASM =",
    `  "${Buffer.from(bytes).toString("base64")}";`,
    "",
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL("tiles-binary.ts", folder), await generated());
}
