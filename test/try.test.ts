import { test } from "vitest";
import { inspect } from "node:util";
import { openBundledModel } from "../src/io/bundled.ts";
import * as tc from "../src/index.ts";
import { factoredModel } from "../src/paths/index.ts";
import { inspect as inspectFile } from "../src/io/index.ts";
import { headGrid } from "../src/viz/index.ts";
test("x", async () => {
  const show = (x: unknown) => { const j = Reflect.get(x as object, Symbol.for("Jupyter.display")); process.stdout.write(inspect(x) + `\n--- json ${JSON.stringify(x).slice(0, 150)}\n--- html ${j ? j.call(x)["text/html"]?.length : ""}\n\n`); };
  const bundled = await openBundledModel();
  const { model, tokenizer } = bundled;
  show(bundled); show(model); show(model.head("L1H2")); show(tc.fullOVCircuit(model, "L1H2")); show(tokenizer); show(model.layer(0)); show(model.config);
  const tokens = tc.repeatedTokens(model.config, { length: 10, seed: 1, bos: 0 });
  show(model.run(tokens)); show(model.run(tokens).cache); show(tc.pathExpansion(model, tokens)); show(tc.scoreExpansion(model, tokens, "L1H4"));
  show(tc.virtualHead(model, ["L0H5", "L1H4"])); show(tc.eigenvaluesOf(tc.fullOVCircuit(model, "L1H2")));
  const s = tc.headScores(model); show(s); show(tc.findHeads(s)); show(tc.termImportance(model, tokens, { resamples: 10, heads: false }));
  show(factoredModel(model, tokens)); show(factoredModel(model, tokens).layers[0]);
  show(await inspectFile(tc.writeSafetensors(model.weights)));
  show(headGrid({ values: [[1, 2]] })); show(tc.pathExpansion(model, tokens).rank("attribution", { k: 3 }));
  show(tc.headAblation(model, tokens)); show(tc.kComposition(model.head("L0H5"), model.head("L1H4"))); show(tc.compositionScores(model));
  const c = await tc.openCheckpoint(tc.writeSafetensors(model.weights)); show(c); show(tc.skipTrigrams(model, 'L1H2')); show(tc.pathExpansion(model,tokens).bias)
  console.log(Reflect.get(tc.headScores(model).induction, Symbol.for("Jupyter.display")).call(s.induction)["text/html"].slice(0, 900));
});
