/**
 * 4. The logits as a sum of paths, with the certificate that they add up.
 *
 * prints:
 *   82 terms; within the bound of rounding: true
 *   deviation below 1e-4 logits: true, bound below 1: true
 *   direct       1.35 logits to the right token, on average
 *   L1H6         1.20 logits to the right token, on average
 *   L1H0         0.51 logits to the right token, on average
 *   L1H5         0.44 logits to the right token, on average
 *   L0H4→L1H5    0.26 logits to the right token, on average
 */
import { pathExpansion } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model, tokenizer } = await openBundledModel();
const text = "interface Array<T> { readonly length: number; } interface Array<T";
const tokens = tokenizer.encode(text, { bos: true });
const expansion = pathExpansion(model, tokens);
const { terms, maxDeviation, bound, withinBound } = expansion.certificate();
console.log(`${terms} terms; within the bound of rounding: ${withinBound}`);
console.log(`deviation below 1e-4 logits: ${maxDeviation < 1e-4}, bound below 1: ${bound < 1}`);

for (const { term, value } of expansion.rank("attribution").slice(0, 5)) {
  console.log(`${term.label.padEnd(12)} ${value.toFixed(2)} logits to the right token, on average`);
}
