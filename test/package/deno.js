/** Opens the bundled model in Deno and runs it: `deno run --allow-read test/package/deno.js src/index.ts src/io/bundled.ts`. */
import process from "node:process";

const [index, bundled] = process.argv.slice(2).map((path) => new URL(`../../${path}`, import.meta.url).href);
const { softmax } = await import(index);
const { openBundledModel } = await import(bundled);
const { model, tokenizer } = await openBundledModel();
const tokens = tokenizer.encode("interface Array<T> {");
const logits = model.forward(tokens);
const total = softmax(logits, "d_vocab").data.reduce((a, b) => a + b, 0);
if (!(Math.abs(total - tokens.length) < 1e-4))
  throw new Error(`the probabilities of ${tokens.length} rows sum to ${total}`);
console.log(`${index}: ${String(logits)}`);

// Values show themselves in Deno's console and to its notebooks.
const { Tensor } = await import(index);
const pattern = Tensor.fromNested("query_pos key_pos", [
  [1, 0],
  [0.25, 0.75],
]);
const expected = "Tensor[query_pos=2 key_pos=2] float32\n[[1.00, 0   ],\n [0.25, 0.75]]";
const printed = globalThis.Deno.inspect(pattern);
if (printed !== expected) throw new Error(`Deno prints ${printed}`);
const nested = globalThis.Deno.inspect({ scores: { of: { pattern } }, pattern });
if (nested.split("0.75").length !== 2) throw new Error(`Deno prints ${nested}`);
for (const value of [pattern, model, model.head("L1H4"), tokenizer, model.run(tokens).cache]) {
  const display = value[Symbol.for("Jupyter.display")]();
  if (display["text/plain"] !== globalThis.Deno.inspect(value))
    throw new Error(`a notebook has ${display["text/plain"]}`);
  if (!display["text/html"].startsWith("<div") || display["text/html"].length > 40_000)
    throw new Error(display["text/html"]);
}
console.log(`${index}: ${printed.split("\n")[0]}`);

const beside = (name) =>
  import(index.replace(/index\.(ts|js)$/, index.endsWith(".ts") ? `${name}/index.ts` : `${name}.js`));
const { compose, linear, topKPerRow } = await beside("linear");
const { matmul, randomNormal, useThreads } = await beside("tensor");
const a = randomNormal("pos d_model", [300, 200], { seed: 1 });
const b = randomNormal("d_model d_vocab", [200, 400], { seed: 2 });
const product = compose(linear("pos", "d_model", a), linear("d_model", "d_vocab", b));
const numbers = () => [...matmul(a, b).data, ...topKPerRow(product, 3).indices.data];
const alone = numbers();
const threads = await useThreads(2);
const together = numbers();
if (!alone.every((x, i) => x === together[i])) throw new Error("two threads give other numbers than one");
console.log(`${index}: the same numbers on ${threads} threads`);
