/**
 * Writes data/bundled-model.js, the model that comes with the package, of the float32 original in
 * test/fixtures/golden/bundled: `node scripts/make-bundled.mjs`. A test makes it again and compares.
 */
import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const original = new URL("test/fixtures/golden/bundled/", root);
const target = new URL("data/bundled-model.js", root);

/** The library's own reader and writer, compiled in memory: the library need not be built to build its data. */
async function loadSafetensors() {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { parseSafetensors } from "./safetensors/safetensors.ts"; export { writeSafetensors } from "./safetensors/writer.ts";`,
      resolveDir: fileURLToPath(new URL("src/io/", root)),
    },
    bundle: true,
    format: "esm",
    write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

const minified = (json) => JSON.stringify(JSON.parse(json));

/** The text of data/bundled-model.js. */
export async function bundledModule() {
  const { parseSafetensors, writeSafetensors } = await loadSafetensors();
  const read = (name, encoding) => readFile(new URL(name, original), encoding);
  const file = parseSafetensors(await read("model.safetensors"));
  const weights = new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
  const float16 = writeSafetensors(weights, { dtype: "F16" });
  const base64 = Buffer.from(float16)
    .toString("base64")
    .replace(/.{1,120}/g, "$&\n");
  return `// @ts-self-types="./bundled-model.d.ts"
// Made by scripts/make-bundled.mjs; not to be edited.
export const config = ${JSON.stringify(minified(await read("config.json", "utf8")))};
export const tokenizer = ${JSON.stringify(minified(await read("tokenizer.json", "utf8")))};
export const weights = \`
${base64}\`;
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await bundledModule());
