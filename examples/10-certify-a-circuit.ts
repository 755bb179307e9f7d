/**
 * 10. From a patched run to a certified circuit: which edges do it, and is that more than chance?
 *
 * Patching showed that two heads at one position bring back what induction needs (example 9). Here every edge of the model is
 * cut by itself: of repeated tokens, an edge carries what it carries where the first copy is of other tokens. The fewest edges that
 * hang together and keep the loss on the second copy are the circuit. The certificate says how much of the model they do alone,
 * what is left without them, on which prompt they do worst, and what random circuits of their size do.
 *
 * prints:
 *   edges: 53 of 257
 *   from L0H5 and L0H7 to the keys of L1H2, and to the logits: [ true, true, true ]
 *   loss of the model, and with every edge cut: 0.23 7.62
 *   of that the circuit does alone: 0.96 and without it is lost: 1.00
 *   the worst of its prompts: 0.91
 *   random circuits of its size: 100 as faithful: 0
 *   the best of them: 0.25
 */
import { repeatedTokens } from "transformer-circuits";
import { discoverCircuit, evaluateCircuit } from "transformer-circuits/interventions";
import { crossEntropy } from "transformer-circuits/model";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const kind = { length: 12, batch: 4, bos: 0, distinct: true };
const clean = repeatedTokens(model.config, { ...kind, seed: 0 });
const others = repeatedTokens(model.config, { ...kind, seed: 1 });
const corrupted = clean.map((row, b) => [...(others[b] ?? []).slice(0, 13), ...row.slice(13)]);
const mask = clean.map(() => Array.from({ length: 24 }, (_, p) => (p > 12 ? 1 : 0)));
const metric = crossEntropy(clean, { mask });

const { circuit, effects } = discoverCircuit(model, { clean, corrupted }, metric);
console.log("edges:", circuit.size, "of", circuit.graph.size);
const hypothesis = ["a0.h5->a1.h2<k>", "a0.h7->a1.h2<k>", "a1.h2->logits"] as const;
console.log(
  "from L0H5 and L0H7 to the keys of L1H2, and to the logits:",
  hypothesis.map((edge) => circuit.has(edge)),
);

const certificate = evaluateCircuit(model, circuit, { clean, corrupted }, metric, { effects, randomCount: 100 });
const { full, empty, sufficiency, necessity, random, perPrompt } = certificate;
console.log("loss of the model, and with every edge cut:", full.toFixed(2), empty.toFixed(2));
console.log("of that the circuit does alone:", sufficiency.toFixed(2), "and without it is lost:", necessity.toFixed(2));
console.log("the worst of its prompts:", perPrompt.worst[0]?.faithfulness.toFixed(2));
console.log("random circuits of its size:", random.count, "as faithful:", random.atLeastAsFaithful);
console.log("the best of them:", Math.max(...random.faithfulness).toFixed(2));
