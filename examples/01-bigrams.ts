/**
 * 1. The zero-layer model inside: what the direct path W_E W_U says comes after a token.
 *
 * prints:
 *   Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 128
 *   "interface" → " Array" "ode" " Read" " W" " Audio"
 *   " extends" → " keyof" " Event" " W" " ArrayBuffer" " CSS"
 *   " readonly" → " length" " C" " R" " prototype" " U"
 */
import { directPathCircuit, topKOfRow } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model, tokenizer } = await openBundledModel();
const bigrams = directPathCircuit(model);
console.log(String(bigrams));

for (const text of ["interface", " extends", " readonly"]) {
  const source = tokenizer.toSingleToken(text);
  const likely = topKOfRow(bigrams, source, 5).map(({ column }) => JSON.stringify(tokenizer.tokenString(column)));
  console.log(`${JSON.stringify(text)} → ${likely.join(" ")}`);
}
