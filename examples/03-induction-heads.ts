/**
 * 3. Where heads look: the patterns on a random sequence that is repeated find the induction heads.
 *
 * prints:
 */
import { findHeads, headLabel, headScores } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";
import { saveFigure } from "transformer-circuits/node";
import { headGrid } from "transformer-circuits/viz";

const { model } = await openBundledModel();
const scores = headScores(model, { length: 50, batch: 4, seed: 0 });
const found = findHeads(scores);
console.log("previous-token heads:", found.previousToken.map(headLabel).join(" "));
console.log("induction heads:", found.induction.map(headLabel).join(" "));
for (const { layer, head } of found.induction) {
  console.log(`${headLabel({ layer, head })}: induction ${scores.inductionStrict.at(layer, head).toFixed(2)}`);
}
const values = [0, 1].map((layer) => Array.from(scores.inductionStrict.select("layer", layer).data));
await saveFigure("induction-scores.svg", headGrid({ values, title: "Induction score", scale: "sequential" }));
