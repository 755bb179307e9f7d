/**
 * Makes a model like the bundled one again, from text to weights: tokenizer, training, figures.
 *
 *   node scripts/train/bundled-model.mjs FOLDER [--text FOLDER_OF_DECLARATIONS] [--steps 5000]
 *
 * FOLDER receives tokenizer.json, config.json, model.safetensors and figures.json. Every 100 steps the state of the run
 * is kept there as state.safetensors; the command goes on from it. The text is all lib*.d.ts of a folder without their
 * licence headers, unless told those of the compiler that this repository has. The bundled model was trained on those of
 * typescript 5.9.3, by torch, so that weights differ and figures are alike.
 *
 * Two stages on batches of 4,096 tokens: three tenths of the steps on sequences that repeat with a period of 6 to 31 in
 * 64 positions, half of them random tokens, half cut out of the text; the rest at 128 positions, three quarters windows
 * of text and one quarter such sequences, down a cosine to 3 % of the rate.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compositionBaseline, compositionScores, restrictedComposition } from "../../dist/circuits.js";
import { findHeads, headScores, repeatedTokens } from "../../dist/heads.js";
import { headLabel, lossPerToken, meanLoss } from "../../dist/model.js";
import { loadTokenizer, trainTokenizer, writeSafetensors } from "../../dist/io.js";
import { meanAll, Random } from "../../dist/tensor.js";
import * as library from "../../dist/train.js";
import { cpuSeconds } from "./measures.mjs";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { text: { type: "string" }, steps: { type: "string", default: "5000" } },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error("Name a folder for the model: node scripts/train/bundled-model.mjs FOLDER");
  process.exit(2);
}
const steps = Number(values.steps);
const firstStage = Math.round(0.3 * steps);
const VOCABULARY = 1024;
const RATE = 3e-3;
const HELD_OUT = 2 ** 31;
const config = {
  n_layers: 2,
  d_model: 128,
  n_ctx: 128,
  d_head: 16,
  n_heads: 8,
  d_vocab: VOCABULARY,
  attn_only: true,
  positional_embedding_type: "shortformer",
  normalization_type: null,
};

/** The declarations, without their licence headers. */
async function readDeclarations() {
  const home = new URL("../../node_modules/typescript/lib/", import.meta.url);
  const from = values.text ?? fileURLToPath(home);
  const names = (await readdir(from)).filter((name) => /^lib\..*d\.ts$/.test(name)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(from, name), "utf8")));
  return texts.map((text) => text.replace(/^\/\*![^]*?\*\/\s*/, ""));
}

/** Sequences that repeat after the BOS token: half of them random tokens, half cut out of text. */
function repeatedData(text, { n_ctx, batch }) {
  return {
    name: "repeated sequences",
    d_vocab: VOCABULARY,
    n_ctx,
    batch(step) {
      const random = new Random(step);
      const windows = text.batch(step).tokens;
      const rows = Array.from({ length: batch }, (_, b) => {
        const length = 6 + random.int(26);
        const own = Array.from({ length }, () => 1 + random.int(VOCABULARY - 1));
        const pattern =
          b % 2 === 0
            ? own
            : windows
                .select("batch", b)
                .toNested()
                .slice(1, 1 + length);
        return [0, ...Array.from({ length: n_ctx - 1 }, (__, i) => pattern[i % length])];
      });
      return { tokens: rows };
    },
  };
}

/** The batch of each step, of two stages. */
function stages(ids, tokenizer) {
  const text = (n_ctx, batch, seed) => library.textData(ids, tokenizer, { n_ctx, batch, seed, heldOut: 0.05 });
  const [short, long] = [text(64, 64, 1), text(128, 24, 2)];
  const alone = repeatedData(short, { n_ctx: 64, batch: 64 });
  const beside = repeatedData(text(128, 8, 3), { n_ctx: 128, batch: 8 });
  return {
    heldOut: long.heldOut,
    data: {
      name: "repeated sequences, then text",
      d_vocab: VOCABULARY,
      n_ctx: 128,
      batch(step) {
        if (step < firstStage) return alone.batch(step);
        return { tokens: [...long.batch(step).tokens.toNested(), ...beside.batch(step).tokens] };
      },
    },
  };
}

/** The rate's factor: up in 50 steps, level, then down along a cosine to 3 %. */
function factor(step) {
  if (step < firstStage) return Math.min(1, (step + 1) / 50);
  const share = (step - firstStage) / (steps - firstStage);
  return 0.03 + 0.97 * 0.5 * (1 + Math.cos(Math.PI * share));
}

/** What a model like the bundled one shows, in numbers. */
function figuresOf(model, heldOut) {
  const losses = Array.from({ length: 8 }, (_, i) => {
    const { tokens } = heldOut.batch(HELD_OUT + i);
    return meanLoss(model.run(tokens).logits, tokens);
  });
  const prompts = repeatedTokens(model.config, { bos: 0, length: 50, batch: 16, seed: 1 });
  const onRepeats = lossPerToken(model.run(prompts).logits, prompts);
  const scores = headScores(model, { bos: 0, length: 50, batch: 16, seed: 2 });
  const found = findHeads(scores);
  const paper = compositionScores(model).K;
  const { K } = restrictedComposition(model);
  const pairs = found.previousToken
    .filter(({ layer }) => layer === 0)
    .flatMap((writer) => found.induction.filter(({ layer }) => layer === 1).map((reader) => [writer, reader]));
  return {
    heldOutNats: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    repeatedFirstNats: meanAll(onRepeats.slice("pos", 0, 50)),
    repeatedSecondNats: meanAll(onRepeats.slice("pos", 51)),
    previousToken: found.previousToken.map(headLabel),
    induction: found.induction.map(headLabel),
    chanceOfKComposition: compositionBaseline(model.config).mean,
    composition: pairs.map(([writer, reader]) => {
      const at = [writer.layer, writer.head, reader.layer, reader.head];
      const of = (score) => Number(score.at(...at).toFixed(3));
      const pair = `${headLabel(writer)} to ${headLabel(reader)}`;
      return { pair, paper: of(paper), restricted: of(K.share), itsChance: of(K.chance) };
    }),
  };
}

await mkdir(folder, { recursive: true });
const write = async (name, content) => {
  // Never half a file, where a run is stopped.
  await writeFile(join(folder, `${name}.part`), content);
  await rename(join(folder, `${name}.part`), join(folder, name));
};

const texts = await readDeclarations();
const json = trainTokenizer(texts, { vocabSize: VOCABULARY });
const tokenizer = loadTokenizer(json);
await write("tokenizer.json", JSON.stringify(json));
const ids = texts.map((text) => tokenizer.encode(text));
console.log(`${texts.length} files, ${ids.reduce((sum, { length }) => sum + length, 0)} tokens`);

// Texts are encoded once.
const encoded = { encode: (index) => ids[index], vocabSize: VOCABULARY, bos: 0 };
const { data, heldOut } = stages([...ids.keys()], encoded);
const kept = join(folder, "state.safetensors");
const start = existsSync(kept)
  ? library.trainingStateFromSafetensors(await readFile(kept))
  : library.initialModel(config, { seed: 0 });
const begun = cpuSeconds();
const { model, losses } = await library.train(start, data, {
  steps,
  optimizer: library.adamW({ lr: RATE, betas: [0.9, 0.98], weightDecay: 0.01 }),
  schedule: factor,
  clip: { norm: 1 },
  checkpoints: 100,
  onCheckpoint: async ({ step, loss, state }) => {
    console.log(step, loss?.toFixed(3) ?? "", `${(cpuSeconds() - begun).toFixed(0)} s`);
    await write("state.safetensors", library.trainingStateToSafetensors(state));
  },
});
await write("config.json", JSON.stringify({ ...config, bos_token_id: 0 }, null, 1));
await write("model.safetensors", writeSafetensors(model.weights));
const figures = { steps, lastLoss: losses.at(-1), ...figuresOf(model, heldOut) };
await write("figures.json", JSON.stringify(figures, null, 2));
console.log(figures);
console.log(
  `${dirname(kept)}: a model of ${steps} steps, ${(cpuSeconds() - begun).toFixed(0)} s of processor time in this run`,
);
