/**
 * 6. The induction circuit from weights alone: previous-token head → K-composition → copying.
 *
 * The circuit W_E W_QK (W_OV of the previous-token head)ᵀ W_Eᵀ asks: does a query attend to keys whose *previous* token is its own?
 *
 * prints:
 *   L1H1: QK positivity 1.00, OV positivity 1.00
 *   L1H2: QK positivity 1.00, OV positivity 1.00
 *   L1H3: QK positivity 1.00, OV positivity 0.99
 *   L1H4: QK positivity 1.00, OV positivity 0.99
 *   L1H7: QK positivity 1.00, OV positivity 1.00
 *   L1H2 through L0H5: the query token itself is among the top 5 matches for 80 % of the vocabulary
 *   L1H2 through L0H0: the query token itself is among the top 5 matches for 1 % of the vocabulary
 */
import { diagonalTopK } from "transformer-circuits/linear";
import { inductionPositivity, kCompositionCircuit } from "transformer-circuits/circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const { OV, QK } = inductionPositivity(model, { previous: ["L0H5", "L0H7"] });
for (const head of [1, 2, 3, 4, 7]) {
  console.log(
    `L1H${head}: QK positivity ${QK.score.at(1, head).toFixed(2)}, OV positivity ${OV.score.at(1, head).toFixed(2)}`,
  );
}
for (const previous of ["L0H5", "L0H0"] as const) {
  const circuit = kCompositionCircuit(model, previous, "L1H2");
  const share = (100 * diagonalTopK(circuit, 5)).toFixed(0);
  console.log(
    `L1H2 through ${previous}: the query token itself is among the top 5 matches for ${share} % of the vocabulary`,
  );
}
