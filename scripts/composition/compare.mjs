/**
 * Which score of composition finds the pairs that matter? The tables of docs/composition.md: the paper's score, the
 * restricted ones and the causal effect of cutting the path, for the bundled model, the fixtures of two layers, and the
 * models of a folder besides.
 *
 *   node scripts/composition/compare.mjs [FOLDER]
 *
 * test/fixtures/two-layer/make.py makes the folder.
 */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBundledModel } from "../../dist/bundled.js";
import { compositionScores, ovDiagonal, restrictedComposition } from "../../dist/circuits.js";
import { repeatedTokens } from "../../dist/heads.js";
import { compositionEffects } from "../../dist/interventions.js";
import { crossEntropy } from "../../dist/model.js";
import { loadFolder } from "../../dist/node.js";
import { compositionOnText } from "../../dist/paths.js";
import { add, editAt, matmul, mean, subtract, Tensor } from "../../dist/index.js";

const PROMPTS = 24;
const fixtures = fileURLToPath(new URL("../../test/fixtures/two-layer/", import.meta.url));

/** Every two-layer model at hand, by name. */
async function models() {
  const found = new Map();
  found.set("bundled", (await openBundledModel()).model);
  found.set("published, one head", (await loadFolder(`${fixtures}foreign/l_2_2_model.pth`)).model);
  for (const folder of [fixtures, ...process.argv.slice(2)]) {
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder).sort()) {
      const name = file.replace(/\.safetensors$/, "");
      if (name === file || found.has(name)) continue;
      found.set(name, (await loadFolder(`${folder}/${file}`)).model);
    }
  }
  return found;
}

/** Random tokens given twice, and the cross entropy of the second copy, its first token left out. */
function repeats(model, name) {
  const bos = name === "bundled" ? 0 : null;
  const before = bos === null ? 0 : 1;
  const length = Math.floor((Math.min(60, model.config.n_ctx) - before) / 2);
  const prompts = repeatedTokens(model.config, { batch: PROMPTS, length, seed: 0, bos, distinct: true });
  const mask = prompts.map((prompt) => prompt.slice(1).map((_, p) => (p >= length + before ? 1 : 0)));
  return { prompts, metric: crossEntropy(prompts, { mask }), length, before };
}

/** By how much the reader's induction score falls when its keys lack what the writer says, its mean kept. */
function inductionDrops(model, { prompts, length, before }) {
  const layer = model.layer(1);
  const hooks = ["blocks.1.hook_resid_pre", "blocks.1.attn.hook_pattern", "blocks.0.attn.hook_z"];
  const { cache } = model.run(prompts, { cache: hooks });
  const [resid, patterns, z] = hooks.map((hook) => cache.get(hook));
  const stripe = (pattern, head) => {
    let sum = 0;
    for (let b = 0; b < PROMPTS; b++) {
      for (let i = before + length; i < before + 2 * length; i++) sum += pattern.at(b, head, i, i - length + 1);
    }
    return sum / (PROMPTS * length);
  };
  const { n_heads } = model.config;
  return pairs(n_heads, (writer, reader) => {
    const written = matmul(z.select("head", writer), model.layer(0).W_O.select("head", writer));
    const without = subtract(resid, subtract(written, mean(mean(written, "batch"), "pos")));
    const read = layer.ln1 === undefined ? without : layer.ln1.apply(without);
    const isBeside = model.config.positional_embedding_type === "shortformer";
    const placed = isBeside ? add(read, model.weight("pos_embed.W_pos").slice("pos", 0, read.sizeOf("pos"))) : read;
    const keys = add(matmul(placed, layer.W_K.select("head", reader)), layer.b_K.select("head", reader));
    const edit = editAt("blocks.1.attn.hook_k", (value) => {
      const [, pos, heads, d] = value.shape;
      const data = value.data.slice();
      for (let t = 0; t < keys.size; t++) {
        const [place, e] = [Math.floor(t / d), t % d];
        data[(place * heads + reader) * d + e] = keys.at(Math.floor(place / pos), place % pos, e);
      }
      return Tensor.from(value.axes, value.shape, data);
    });
    const cut = model.run(prompts, { cache: [hooks[1]], edits: edit }).cache.get(hooks[1]);
    return stripe(patterns, reader) - stripe(cut, reader);
  });
}

/** A number for each pair of a head of layer 0 and one of layer 1. */
const pairs = (n, of) => Array.from({ length: n * n }, (_, i) => of(Math.floor(i / n), i % n));

const listOf = (scores) => pairs(scores.shape[1], (writer, reader) => scores.at(0, writer, 1, reader));

function rankOf(list, at) {
  return list.filter((x) => x > list[at]).length + 1;
}

const topOf = (list) => list.indexOf(Math.max(...list));

/** Causal is an effect above a tenth of the largest, and above 0.02. */
const causalOf = (effects) => effects.map((x) => x > Math.max(0.1 * Math.max(...effects), 0.02));

/** The share of pairs (causal, not causal) that a score has in order; NaN where all are one. */
function auroc(scores, isCausal) {
  let [right, count] = [0, 0];
  for (const [i, a] of scores.entries()) {
    for (const [j, b] of scores.entries()) {
      if (!isCausal[i] || isCausal[j]) continue;
      right += a > b ? 1 : a === b ? 0.5 : 0;
      count += 1;
    }
  }
  return right / count;
}

function spearman(a, b) {
  const ranks = (list) => list.map((x) => list.filter((y) => y < x).length);
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (x.length - 1) / 2;
  const sum = (f) => x.reduce((total, _, i) => total + f(x[i] - middle, y[i] - middle), 0);
  return sum((p, q) => p * q) / Math.sqrt(sum((p) => p * p) * sum((_, q) => q * q));
}

const number = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits).replace("-", "−") : "–");
const label = (n, at) => `L0H${Math.floor(at / n)} → L1H${at % n}`;
const line = (cells) => `| ${cells.join(" | ")} |`;

const SCORES = ["paper", "share", "matching", "size"];
const tables = { K: [], V: [], drops: [] };
const found = { value: [], rank: [] };

for (const [name, model] of await models()) {
  const text = repeats(model, name);
  const n = model.config.n_heads;
  const effects = compositionEffects(model, text.prompts, text.metric, { ablation: "mean" });
  const [paper, weights, heard] = [
    compositionScores(model),
    restrictedComposition(model),
    compositionOnText(model, text.prompts),
  ];
  for (const kind of ["K", "V"]) {
    const effect = listOf(effects[kind]);
    const isCausal = causalOf(effect);
    if (!isCausal.includes(true)) continue;
    const top = topOf(effect);
    const lists = {
      paper: listOf(paper[kind]),
      share: listOf(weights[kind].share),
      matching: listOf(weights[kind].matching),
      size: listOf(heard[kind].size),
    };
    const cells = SCORES.map((score) => {
      const list = lists[score];
      const first = isCausal[topOf(list)] ? "" : ` (${label(n, topOf(list))} first)`;
      return `${number(list[top])}: ${rankOf(list, top)}${first}; ${number(auroc(list, isCausal))}`;
    });
    const count = isCausal.filter(Boolean).length;
    tables[kind].push(line([name, `${label(n, top)}, ${number(effect[top])}`, `${count} of ${n * n}`, ...cells]));
    if (kind === "V") continue;
    const z = [listOf(weights.K.chance)[top], listOf(weights.K.zScores)[top], listOf(weights.K.matchingZScores)[top]];
    const onText = [listOf(heard.K.share)[top], listOf(heard.K.chance)[top], listOf(heard.K.zScores)[top]];
    const chance = 1 / Math.sqrt(model.config.d_model);
    found.value.push(
      line([
        name,
        label(n, top),
        ...[lists.paper[top], chance, lists.share[top], ...z, ...onText].map((x) => number(x)),
      ]),
    );
    const drops = inductionDrops(model, text);
    const falls = causalOf(drops);
    const copying = model.layer(1).heads.map((head) => ovDiagonal(model, head).meanDiagonal);
    const worth = lists.matching.map((x, i) => x * copying[i % n]);
    tables.drops.push(
      line([
        name,
        `${label(n, topOf(drops))}, ${number(drops[topOf(drops)])}`,
        `${falls.filter(Boolean).length} of ${n * n}`,
        ...SCORES.map((score) => `${rankOf(lists[score], topOf(drops))}; ${number(auroc(lists[score], falls))}`),
        ...SCORES.map((score) => number(spearman(lists[score], effect))),
        `${rankOf(worth, top)}; ${number(auroc(worth, isCausal))}`,
      ]),
    );
  }
}

const head = ["model", "largest effect", "causal", "paper's", "share", "matching", "size on text"];
const printed = (title, columns, rows) => {
  console.log(`\n${title}\n\n${line(columns)}\n${line(columns.map(() => "---"))}\n${rows.join("\n")}`);
};
printed("K-composition, by the rise of the loss", head, tables.K);
printed("V-composition, by the rise of the loss", head, tables.V);
printed(
  "K-composition, by the fall of the reader's induction score",
  ["model", "largest fall", "causal", ...head.slice(3), ...SCORES.map((score) => `ρ ${score}`), "matching × copying"],
  tables.drops,
);
printed(
  "The pairs of largest effect against chance",
  ["model", "pair", "paper's", "chance", "share", "chance", "z", "matching z", "share on text", "chance", "z"],
  found.value,
);
