/**
 * How far a process grows while it opens a checkpoint and lists its tensors, in bytes, the bytes of the files included. A small
 * checkpoint is opened first, so that what the readers themselves take does not count.
 *
 *     node --expose-gc test/io/peak.mjs [the library's file] [a small checkpoint] [the checkpoint]
 */
const [library, small, path] = process.argv.slice(2);
const { inspectPath } = await import(library);
await inspectPath(small);
globalThis.gc();
const before = process.memoryUsage.rss();
let outcome = "";
try {
  const { tensors } = await inspectPath(path);
  outcome = `${tensors.length} tensors`;
} catch (error) {
  outcome = String(error);
}
console.log(JSON.stringify({ grown: process.resourceUsage().maxRSS * 1024 - before, outcome }));
