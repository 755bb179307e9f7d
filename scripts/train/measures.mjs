/** What `experiments.mjs` and the tests read off a checkpoint. */

const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The largest score among the heads of a layer. */
const most = (scores, layer) => Math.max(...scores.select("layer", layer).toNested());

/**
 * A model of Markov chains against the three predictors: its loss, by how much it is above the optimum at all positions and from 50 on, and the mean
 * divergence of each predictor's probabilities from its own, in nats; the mean attention of the first layer on the
 * previous symbol and of the second on what followed the present one.
 *
 * @returns {{ loss: number, excess: number, lateExcess: number, divergences: Record<string, number>, previous: number,
 * matching: number }}
 */
export function markovMeasures(library, model, data, step) {
  const { tokens } = data.batch(step);
  const patterns = ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"];
  const { logits, cache } = model.run(tokens, { cache: patterns });
  const loss = library.meanLoss(logits, tokens);
  const logProbabilities = library.logSoftmax(logits, "d_vocab").data;
  const divergence = (p) => {
    const { data: q } = p;
    let sum = 0;
    for (let i = 0; i < q.length; i++) sum += Math.exp(logProbabilities[i]) * (logProbabilities[i] - Math.log(q[i]));
    return (sum * p.shape[2]) / q.length;
  };
  const optimum = data.optimum(step);
  const [first, second] = patterns.map((name) => cache.get(name));
  return {
    loss,
    excess: loss - mean([...optimum.data]),
    lateExcess:
      mean([...library.lossPerToken(logits, tokens).slice("pos", 50).data]) - mean([...optimum.slice("pos", 50).data]),
    divergences: Object.fromEntries(Object.entries(data.predictions(step)).map(([name, p]) => [name, divergence(p)])),
    previous: library.previousTokenScores(first).at(0),
    matching: library.prefixMatchingScores(second, tokens).at(0),
  };
}

/** The predictor that a model of Markov chains is nearest to. */
export function phaseOf({ divergences }) {
  return Object.entries(divergences).reduce((best, entry) => (entry[1] < best[1] ? entry : best))[0];
}

/**
 * A model of repeated tokens: its loss above the optimum; the best previous-token head of the first layer and induction
 * head of the second; the K-composition of the best pair in the directions that are used.
 */
export function repeatedMeasures(library, model, data, step) {
  const { tokens } = data.batch(step);
  const loss = library.meanLoss(model.run(tokens).logits, tokens);
  const scores = library.headScores(model, { length: 20, batch: 8, seed: 5 });
  const { K } = library.restrictedComposition(model);
  const pairs = (score) => score.select("writer_layer", 0).select("reader_layer", 1);
  const best = (score) => Math.max(...pairs(score).toNested().flat());
  return {
    loss,
    excess: loss - mean([...data.optimum(step).data]),
    previous: most(scores.previous, 0),
    induction: most(scores.inductionStrict, 1),
    share: best(K.share),
    chance: mean(pairs(K.chance).toNested().flat()),
    matchingZ: best(K.matchingZScores),
  };
}

/** How often the largest of k numbers has the largest logit, over batches from a step on. */
export function maxAccuracy(model, data, { from, batches }) {
  let right = 0;
  let all = 0;
  for (let step = from; step < from + batches; step++) {
    const { tokens, targets } = data.batch(step);
    const last = model.run(tokens).logits.select("pos", -1);
    const [batch, d_vocab] = last.shape;
    for (let b = 0; b < batch; b++) {
      const row = last.data.subarray(b * d_vocab, (b + 1) * d_vocab);
      if (row.indexOf(Math.max(...row)) === targets.at(b, data.n_ctx - 1)) right++;
      all++;
    }
  }
  return right / all;
}

/** Seconds of processor time since the process began. */
export function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
