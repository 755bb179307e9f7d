/** Whole questions of a model, over 64 tokens or as many as they take; runs in Node and in a page. */
import { randomWeights, sizes } from "./models.mjs";

const questions = {
  forward: (_, model, tokens) => model.forward(tokens),
  "run, all kept": (_, model, tokens) => model.run(tokens),
  "logit attribution, with its run": (library, model, tokens) => library.logitAttribution(model, tokens),
  "head scores, 10 × 101 tokens": (library, model) => library.headScores(model, { length: 50, batch: 10, bos: 0 }),
  "path expansion by order": (library, model, tokens) => library.pathTotals(model, tokens),
  report: (library, model) =>
    library.analyse(
      model,
      undefined,
      Array.from({ length: 20000 }, (_, i) => (37 * i * i + 11 * i) % model.config.d_vocab),
    ),
};

/** Their names. */
export const questionNames = Object.keys(questions);

/**
 * Asks questions of a model of random weights.
 *
 * @param {object} library
 * @param {string} size
 * @returns {(name: string) => () => unknown}
 */
export function asking(library, size) {
  const config = library.parseConfig(sizes[size]);
  const model = library.Transformer.fromWeights(config, randomWeights(library, sizes[size]));
  const tokens = Array.from({ length: 64 }, (_, i) => (37 * i + 11) % config.d_vocab);
  return (name) => () => questions[name](library, model, tokens);
}

/**
 * Calls one after the other, between which the event loop turns; the least time of them, in milliseconds.
 *
 * @param {() => unknown} run
 * @param {number} calls
 * @param {{ turn: () => Promise<void>, clock: () => number }} where
 */
export async function leastTime(run, calls, { turn, clock }) {
  let least = Infinity;
  for (let i = 0; i < calls; i++) {
    await turn();
    const before = clock();
    // By this name the profile knows what is part of a call.
    const measured = () => run();
    await measured();
    least = Math.min(least, clock() - before);
  }
  return least;
}
