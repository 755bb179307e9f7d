/** From a fresh process to its first printed result, in turns. */
import { spawn } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { summarise } from "./statistics.mjs";

const script = (name) => fileURLToPath(new URL(`../start/${name}`, import.meta.url));

/** @param {string} python */
export const startContenders = (python) => [
  { id: "node", label: "node alone, printing a word", command: [process.execPath, script("node.mjs")] },
  {
    id: "ours",
    label: "ours: the bundled model's K-composition",
    command: [process.execPath, script("ours.mjs")],
  },
  { id: "tfjs", label: "tfjs-wasm: a 64³ product", command: [process.execPath, script("tfjs.mjs")] },
  { id: "torch", label: "torch: a 64³ product", command: [python, script("first_product.py")] },
];

/** Milliseconds from the start of the process to the first bytes on its standard output. */
function once([program, ...args]) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let first;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stdout.once("data", () => (first = performance.now() - start)).resume();
    child.stderr.on("data", (text) => (errors += text));
    child.on("error", reject);
    child.on("close", (code) => {
      if (first !== undefined && code === 0) resolve(first);
      else reject(new Error(errors.trim().split("\n").at(-1) || `status ${code}`));
    });
  });
}

/** @returns outcomes by contender, as `measureCase` gives them */
export async function measureStart(contenders, count) {
  const samples = new Map(contenders.map(({ id }) => [id, []]));
  const outcomes = {};
  // The first round only brings files into the page cache.
  for (let round = -1; round < count; round++) {
    for (const { id, command } of contenders) {
      if (outcomes[id] !== undefined) continue;
      try {
        const ms = await once(command);
        if (round >= 0) samples.get(id).push(ms);
      } catch (error) {
        outcomes[id] = { skip: error.message };
      }
    }
  }
  for (const [id, list] of samples) outcomes[id] ??= summarise(list);
  return outcomes;
}
