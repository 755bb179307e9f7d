// Builds dist/ when an output is missing or older than a source. Runs before `start`, `example` and `pack`, and before the
// tests of the built package.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** @returns {string[]} every path under `value` that package.json promises */
function targets(value) {
  return typeof value === "string" ? [value] : Object.values(value).flatMap(targets);
}

const outputs = targets({ exports: manifest.exports, bin: manifest.bin }).filter((path) => path.includes("dist/"));

const sources = [
  "tsup.config.ts",
  "tsconfig.json",
  ...readdirSync(join(root, "src"), { recursive: true }).map((path) => join("src", path)),
];

export function isFresh() {
  if (!outputs.every((path) => existsSync(join(root, path)))) return false;
  const modified = (path) => statSync(join(root, path)).mtimeMs;
  return Math.min(...outputs.map(modified)) >= Math.max(...sources.map(modified));
}

/** Standard output is left to the program that runs after the build: `npm start > report.txt` holds the report alone. */
export function ensureBuild() {
  if (isFresh()) return;
  const tsup = createRequire(import.meta.url).resolve("tsup/dist/cli-default.js");
  const { status, stdout } = spawnSync(process.execPath, [tsup, "--silent"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) {
    process.stderr.write(stdout ?? "");
    throw new Error("The build failed: run `npm run build`.");
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    ensureBuild();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
