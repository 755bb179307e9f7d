/**
 * 1. The zero-layer model inside: what the direct path W_E W_U says comes after a token.
 *
 * prints:
 */
import { directPathCircuit, topKOfRow } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model, tokenizer } = await openBundledModel();
const bigrams = directPathCircuit(model);
console.log(String(bigrams));

for (const text of ["interface", " extends", "string"]) {
  const source = tokenizer.toSingleToken(text);
  const likely = topKOfRow(bigrams, source, 5).map(({ col }) => JSON.stringify(tokenizer.tokenString(col)));
  console.log(`${JSON.stringify(text)} → ${likely.join(" ")}`);
}
