/** Compiles AssemblyScript, the language of the WebAssembly sources, to bytes. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The WebAssembly module of an AssemblyScript entry.
 * @param {string} entry a path from the repository's root
 * @param {readonly string[]} [features] as `asc --enable` names them, such as "simd"
 * @param {readonly string[]} [more] further options of the compiler
 * @returns {Promise<Uint8Array>}
 */
export async function compile(entry, features = [], more = []) {
  /** @type {Uint8Array | undefined} */
  let binary;
  const enabled = features.flatMap((feature) => ["--enable", feature]);
  const options = [
    "--outFile",
    "module.wasm",
    "-O3",
    "--converge",
    "--runtime",
    "stub",
    "--noAssert",
    ...enabled,
    ...more,
  ];
  const { error, stderr } = await asc.main([entry, ...options], {
    readFile(name) {
      // Imports name their files with .ts, as everywhere in the repository; the compiler appends another.
      const path = root + name.replace(/\.ts\.ts$/, ".ts");
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    },
    writeFile(_name, contents) {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) throw new Error(`${entry} does not compile: ${stderr.toString()}`);
  return binary;
}
