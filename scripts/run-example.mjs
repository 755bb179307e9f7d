/**
 * Runs one of the examples, `npm run example 03`, on any Node that the package supports: the TypeScript is stripped of
 * its types and imports the built package.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transformSync } from "esbuild";

const folder = fileURLToPath(new URL("../examples/", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".ts"));
const asked = process.argv[2] ?? "";
const found = names.find((name) => asked !== "" && name.startsWith(asked));
if (found === undefined) {
  console.error(`Name an example by its first letters: ${names.join(", ")}.`);
  process.exit(2);
}
const { code } = transformSync(readFileSync(folder + found, "utf8"), { loader: "ts", format: "esm", target: "es2022" });
const script = `${folder}.${found}.mjs`;
writeFileSync(script, code);
try {
  await import(pathToFileURL(script).href);
} finally {
  rmSync(script, { force: true });
}
