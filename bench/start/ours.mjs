import { compositionScores } from "../../dist/circuits.js";
import { openBundledModel } from "../../dist/bundled.js";

const { model } = await openBundledModel();
const { K } = compositionScores(model);
console.log(`L0H5 → L1H2: K-composition ${K.at(0, 5, 1, 2).toFixed(3)}`);
