/**
 * How far memory grows over many questions within one task, after the first of them: that of the kernels, and the process's highest mark; in bytes.
 *
 *     node --expose-gc test/circuits/growth.mjs [the library's file] [the question] [how many times]
 */
import { readFileSync } from "node:fs";

const [library, name, times] = process.argv.slice(2);
const tc = await import(library);

const config = tc.parseConfig({
  ...{ n_layers: 2, n_heads: 2, d_model: 64, d_head: 32, n_ctx: 16, d_vocab: 8192, attn_only: true },
  ...{ positional_embedding_type: "shortformer", normalization_type: "LN" },
});
const weights = new Map(
  [...tc.expectedWeights(config)].map(([key, { axes, shape }], seed) => [
    key,
    tc.randomNormal(axes, shape, { seed, std: 0.1 }),
  ]),
);
const model = tc.Transformer.fromWeights(config, weights);
const sources = [1, 50, 8191];
const questions = {
  diagonalRanks: (head) => tc.diagonalRanks(tc.fullOVCircuit(model, head), { atMost: 5 }),
  topKPerRow: (head) =>
    tc.topKPerRow(tc.fullOVCircuit(model, head), 3, { rows: Array.from({ length: 300 }, (_, i) => i) }),
  topKOverall: (head) => tc.topKOverall(tc.fullQKCircuit(model, head), 3),
  kCompositionAccuracy: (head) =>
    tc.kCompositionAccuracy(model, { layer: 0, head: head.head }, { layer: 1, head: head.head }),
  skipTrigrams: (head) => tc.skipTrigrams(model, head, sources, { k: 3 }),
  findSkipTrigramBugs: (head) => tc.findSkipTrigramBugs(model, head, [], { k: 3, sources }),
  normedTokens: (head) => tc.skipTrigrams(tc.normedTokens(model, head.layer), head, sources, { k: 3 }),
  copyingScore: (head) => tc.copyingScore(model, head),
};

const ask = (i) => questions[name]({ layer: (i >> 1) % 2, head: i % 2 });
for (let i = 0; i < 4; i++) ask(i);
globalThis.gc();
const before = tc.kernelInfo().memoryBytes;
const resident = process.memoryUsage.rss();
for (let i = 0; i < Number(times); i++) ask(i);
console.log(JSON.stringify({ kernels: tc.kernelInfo().memoryBytes - before, process: highest() - resident }));

/** The most memory so far. `maxRSS` of a child begins with its parent's on Linux; the kernel's other mark does not. */
function highest() {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
