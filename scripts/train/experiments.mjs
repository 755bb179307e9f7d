/**
 * The experiments of docs/training.md, on the built package:
 *
 *   node scripts/train/experiments.mjs markov [SEEDS]      in-context Markov chains: uniform, unigram, bigram
 *   node scripts/train/experiments.mjs repeated [SEEDS]    repeated tokens: induction heads
 *   node scripts/train/experiments.mjs clamped [SEEDS]     the same, nothing of layer 0 looking at the previous token
 *   node scripts/train/experiments.mjs max [SEEDS]         the largest of four
 *
 * SEEDS is how many, 1 unless given; a third argument is the first of them, 0 unless given. With several, runs on
 * repeated tokens end at the checkpoint at which an induction head has formed. Times are of training alone, in seconds
 * of processor time; the library runs on one thread.
 */
import * as circuits from "../../dist/circuits.js";
import * as heads from "../../dist/heads.js";
import { edit } from "../../dist/interventions.js";
import * as model from "../../dist/model.js";
import { logSoftmax } from "../../dist/tensor.js";
import * as train from "../../dist/train.js";
import { cpuSeconds, markovMeasures, maxAccuracy, phaseOf, repeatedMeasures } from "./measures.mjs";
import { runSetup, setups } from "./setups.mjs";

const library = { ...train, ...model, ...heads, ...circuits, logSoftmax };
const HELD_OUT = 2 ** 31;
const [name, seeds = "1", from = "0"] = process.argv.slice(2);
const SEVERAL = Number(seeds) > 1;

/** Runs a setup, measures at checkpoints and prints; gives the seconds of training and what was measured. */
async function run(setup, measure, { checkpoints, isDone, ...options }) {
  const rows = [];
  let seconds = 0;
  let since = cpuSeconds();
  await runSetup(library, setup, {
    ...options,
    checkpoints,
    onStep: () => (isDone?.(rows.at(-1)) === true ? "stop" : undefined),
    onCheckpoint: ({ step, model }) => {
      seconds += cpuSeconds() - since;
      const row = measure(model);
      rows.push({ step, ...row });
      console.log(String(step).padStart(5), `${seconds.toFixed(1)} s`.padStart(8), shown(row));
      since = cpuSeconds();
    },
  });
  return { seconds, rows };
}

function shown(row) {
  const texts = Object.entries(row).map(([name, value]) =>
    typeof value === "number" ? `${name} ${value.toFixed(3)}` : typeof value === "string" ? value : shown(value),
  );
  return texts.join("  ");
}

const experiments = {
  async markov(seed) {
    const held = train.markovChainData({ ...setups.markov.data[1], batch: 128, seed: 0 });
    const measure = (model) => {
      const measures = markovMeasures(library, model, held, HELD_OUT);
      return { ...measures, phase: phaseOf(measures) };
    };
    const checkpoints = (step) => step % 50 === 0 || (step <= 200 && step % 10 === 0);
    const { seconds, rows } = await run(setups.markov, measure, { seed, checkpoints });
    const { excess, lateExcess } = rows.at(-1);
    const first = (holds) => rows.find(holds)?.step;
    const phases = ["uniform", "unigram", "bigram"].map((name) => `${name} ${first((row) => row.phase === name)}`);
    const plateau = rows.find((row) => row.phase === "unigram")?.excess;
    const formed = first((row) => row.previous > 3 * rows[0].previous);
    const dropped = first((row) => row.excess < plateau / 2);
    const above = `${excess.toFixed(4)} nats above the optimum (${lateExcess.toFixed(4)} from position 50 on)`;
    const order = `nearest first at ${phases.join(", ")}; previous-token head at ${formed}, drop at ${dropped}`;
    return `${above}; ${order}; ${seconds.toFixed(1)} s`;
  },
  async repeated(seed, edits) {
    const held = train.repeatedTokenData({ ...setups.repeated.data[1], batch: 64, seed: 0 });
    const measure = (model) => repeatedMeasures(library, model, held, HELD_OUT);
    const isDone = SEVERAL ? ({ induction }) => induction > 0.5 : undefined;
    const { seconds, rows } = await run(setups.repeated, measure, { seed, checkpoints: 50, edits, isDone });
    const last = rows.at(-1);
    const drop = rows.slice(1).map((row, i) => ({ step: row.step, by: rows[i].loss - row.loss }));
    const bump = drop.reduce((most, each) => (each.by > most.by ? each : most));
    const above = `${last.excess.toFixed(3)} nats above the optimum`;
    return `${above}, induction ${last.induction.toFixed(2)}, steepest before step ${bump.step}, ${last.step} steps; ${seconds.toFixed(1)} s`;
  },
  clamped: (seed) => experiments.repeated(seed, edit({ hook: "pattern", layer: 0, offset: 1 }, "zero")),
  async max(seed) {
    const held = train.maxOfKData({ ...setups.max.data[1], batch: 4096, seed: 0 });
    const measure = (model) => ({ accuracy: maxAccuracy(model, held, { from: HELD_OUT, batches: 16 }) });
    const { seconds, rows } = await run(setups.max, measure, { seed, checkpoints: 500 });
    return `${(100 * rows.at(-1).accuracy).toFixed(3)} % of ${16 * 4096}; ${seconds.toFixed(1)} s`;
  },
};

if (!Object.hasOwn(experiments, name ?? "")) {
  console.error(`Name an experiment: ${Object.keys(experiments).join(", ")}.`);
  process.exit(2);
}
const results = [];
for (let seed = Number(from); seed < Number(from) + Number(seeds); seed++) {
  console.log(`seed ${seed}`);
  results.push(`seed ${seed}: ${await experiments[name](seed)}`);
  console.log(results.at(-1));
}
if (results.length > 1) console.log(`\n${results.join("\n")}`);
