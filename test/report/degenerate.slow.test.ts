/** The page of models that do nothing, or attend to everything alike: sentences without NaN. */
import { expect, test } from "vitest";
import { Transformer, type Weights } from "../../src/model/index.ts";
import { analyse, renderReport } from "../../src/report/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";
import { pieceWith } from "../viz/svg.ts";

const model = randomModel({ n_ctx: 16 });

test.each([
  ["nothing", /./],
  ["even attention", /[Wb]_Q$/],
  ["no output", /[Wb]_O$/],
  ["no embedding", /^embed/],
  ["no unembedding", /^unembed/],
] as const)("a model of %s", async (_, names) => {
  const weights = new Map(model.weights) as Weights & Map<string, Tensor>;
  for (const [name, W] of weights) if (names.test(name)) weights.set(name, Tensor.zeros(W.axes, W.shape));
  const one = Transformer.fromWeights(model.config, weights);
  const text = Array.from({ length: 60 }, (__, i) => (i * i + 3) % model.config.d_vocab);
  const page = renderReport(await analyse(one, undefined, text));
  const said = page.replace(/<style[^]*?<\/style>|<script[^]*?<\/script>|base64,[^"]*/g, "");
  expect(pieceWith(said, /undefined|Infinity|="[^"]*NaN/)).toBeUndefined();
  // A score of nothing has no value, and a cell may say so; sentences may not.
  expect(/<p[^>]*>[^<]*NaN[^<]*|[^<>]* NaN [^<>]*/.exec(said)?.[0]).toBeUndefined();
});
