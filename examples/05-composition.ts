/**
 * 5. Which heads read what others write: composition scores against the baseline of random heads.
 *
 * prints:
 *   a random pair of heads: 0.088 ± 0.004
 *   K-composition with L0H5: 0.10 0.20 0.20 0.19 0.20 0.04 0.08 0.19
 *   K-composition with L0H7: 0.09 0.16 0.17 0.16 0.16 0.04 0.07 0.17
 */
import { compositionScores } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";
import { saveFigure } from "transformer-circuits/node";
import { subtract } from "transformer-circuits/tensor";
import { heatmap } from "transformer-circuits/viz";

const { model } = await openBundledModel();
const { K, baseline } = compositionScores(model);
console.log(`a random pair of heads: ${baseline.mean.toFixed(3)} ± ${baseline.std.toFixed(3)}`);

const layer0to1 = K.select("writer_layer", 0).select("reader_layer", 1);
const heads = Array.from({ length: model.config.n_heads }, (_, head) => head);
for (const writer of [5, 7]) {
  console.log(
    `K-composition with L0H${writer}:`,
    heads.map((reader) => layer0to1.at(writer, reader).toFixed(2)).join(" "),
  );
}
await saveFigure(
  "docs/images/k-composition.svg",
  heatmap({
    values: subtract(layer0to1, baseline.mean),
    rowLabels: heads.map((h) => `L0H${h}`),
    columnLabels: heads.map((h) => `L1H${h}`),
    title: "K-composition above the baseline",
    xLabel: "reader",
    yLabel: "writer",
    scale: "diverging",
  }),
);
