/**
 * How far a process grows while it opens a checkpoint and lists its tensors, in bytes, the bytes of the files included. A small
 * checkpoint is opened first, so that what the readers themselves take does not count.
 *
 *     node --expose-gc test/io/peak.mjs [the library's file] [a small checkpoint] [the checkpoint]
 */
import { readFileSync } from "node:fs";

const [library, small, path] = process.argv.slice(2);
const { inspectPath } = await import(library);
await inspectPath(small);
globalThis.gc();
const before = process.memoryUsage.rss();
let outcome;
try {
  const { tensors } = await inspectPath(path);
  outcome = `${tensors.length} tensors`;
} catch (error) {
  outcome = String(error);
}
console.log(JSON.stringify({ grown: highest() - before, outcome }));

/** The most memory so far. `maxRSS` of a child begins with its parent's on Linux; the kernel's other mark does not. */
function highest() {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
