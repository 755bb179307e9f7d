/**
 * 9. From a hypothesis to a patched run: is it the previous-token heads' output that induction looks for?
 *
 * The weights say so: heads of layer 1 read by their keys what L0H5 and L0H7 wrote (example 5). The prompts repeat 20 random
 * tokens; the last token stands for the second time, and what followed it the first time is the answer. In the corrupted
 * prompts another token stood there the first time, so that nothing is found. If the hypothesis holds, the old outputs of
 * two heads at one position bring the answer back, by way of the keys alone, and no others do.
 *
 * prints:
 *   log-probability of the answer, clean prompts: -0.51
 *   corrupted, the token before the answer another one: -7.35
 *   with L0H5 and L0H7 of the clean run at the answer: -0.67
 *   with the keys of layer 1 there: -0.54
 *   with all other heads of layer 0 there: -7.35
 *   clean, but without what L0H5 and L0H7 write there: -7.42
 *   [{"at":{"head":["L0H5","L0H7"],"pos":20},"do":{"copyFrom":"clean"}}]
 */
import { repeatedTokens } from "transformer-circuits";
import { edit, parseEdits } from "transformer-circuits/interventions";
import type { ActivationEdit } from "transformer-circuits/interventions";
import { logProbability } from "transformer-circuits/model";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const length = 20;
const texts = repeatedTokens(model.config, { length, batch: 16, seed: 0, bos: 0 });
const clean = texts.map((text) => text.slice(0, -1));
const corrupted = clean.map((text) => text.map((token, i) => (i === length - 1 ? (token + 1) % 1000 : token)));
const metric = logProbability({ answer: texts.map((text) => text.at(-1) ?? 0) });

const measured = (tokens: number[][], ...edits: ActivationEdit[]): string => {
  const values = metric.values(model.run(tokens, { edits, cache: [] }).logits);
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(2);
};
const copy = { copyFrom: model.run(clean), name: "clean" };
const previous = ["L0H5", "L0H7"] as const;
const outputs = edit({ head: previous, pos: length }, copy);
const keys = edit({ hook: "k", layer: 1, pos: length }, copy);
const others = edit({ layer: 0, head: { not: previous }, pos: length }, copy);

console.log("log-probability of the answer, clean prompts:", measured(clean));
console.log("corrupted, the token before the answer another one:", measured(corrupted));
console.log("with L0H5 and L0H7 of the clean run at the answer:", measured(corrupted, outputs));
console.log("with the keys of layer 1 there:", measured(corrupted, keys));
console.log("with all other heads of layer 0 there:", measured(corrupted, others));
console.log("clean, but without what L0H5 and L0H7 write there:", measured(clean, edit(outputs.at, "zero")));

// The edit as it would be sent to someone who has the model and the prompts.
const text = JSON.stringify([outputs]);
console.log(text);
if (measured(corrupted, ...parseEdits(text, { clean: copy.copyFrom })) !== measured(corrupted, outputs))
  throw new Error("the edit read back does otherwise");
