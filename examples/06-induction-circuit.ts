/**
 * 6. The induction circuit from weights alone: previous-token head → K-composition → copying.
 *
 * The circuit W_E W_QK (W_OV of the previous-token head)ᵀ W_Eᵀ asks: does a query attend to keys whose *previous* token is its own?
 *
 * prints:
 */
import { copyingScores, diagonalTopK, inductionPositivity, kCompositionCircuit } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const matching = inductionPositivity(model, { previous: ["L0H5", "L0H7"] });
const copying = copyingScores(model);
for (const head of [1, 2, 3, 4, 7]) {
  console.log(`L1H${head}: QK positivity ${matching.qk.at(1, head).toFixed(2)}, OV positivity ${copying.at(1, head).toFixed(2)}`);
}
const circuit = kCompositionCircuit(model, "L0H5", "L1H4");
console.log(`L1H4 matches its own token first for ${(100 * diagonalTopK(circuit, 1)).toFixed(0)} % of all tokens`);
