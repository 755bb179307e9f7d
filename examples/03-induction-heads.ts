/**
 * 3. Where heads look: the patterns on a random sequence that is repeated find the induction heads.
 *
 * prints:
 *   previous-token heads: L0H5 L0H7
 *   induction heads: L1H2 L1H7 L1H1 L1H4 L1H3
 *   L1H2: induction 0.94
 *   L1H7: induction 0.76
 *   L1H1: induction 0.74
 *   L1H4: induction 0.74
 *   L1H3: induction 0.64
 */
import { findHeads, headLabel, headScores, repeatedTokens } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";
import { saveFigure } from "transformer-circuits/node";
import { headGrid, heatmap } from "transformer-circuits/viz";

const { model } = await openBundledModel();
const scores = headScores(model, { length: 50, batch: 4, seed: 0 });
const found = findHeads(scores);
console.log("previous-token heads:", found.previousToken.map(headLabel).join(" "));
console.log("induction heads:", found.induction.map(headLabel).join(" "));
for (const { layer, head } of found.induction) {
  console.log(`${headLabel({ layer, head })}: induction ${scores.inductionStrict.at(layer, head).toFixed(2)}`);
}

await saveFigure(
  "docs/images/induction-scores.svg",
  headGrid({ values: scores.inductionStrict, title: "Induction score", scale: "sequential" }),
);

const [tokens = []] = repeatedTokens(model.config, { length: 24, batch: 1, seed: 2, bos: 0 });
const { cache } = model.run(tokens, { cache: ["blocks.1.attn.hook_pattern"] });
const pattern = cache.get("blocks.1.attn.hook_pattern").select("batch", 0).select("head", 2);
await saveFigure(
  "docs/images/induction-pattern.svg",
  heatmap({
    values: pattern,
    title: "L1H2 on 24 random tokens, twice: it looks at what came after, the last time",
    xLabel: "attended position",
    yLabel: "position",
    scale: "sequential",
    mask: (query, key) => key > query,
  }),
);
