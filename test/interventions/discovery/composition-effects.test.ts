import { describe, expect, it } from "vitest";
import { compositionEffects, pathPatching } from "../../../src/interventions/index.ts";
import { crossEntropy } from "../../../src/model/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

const prompts = [
  [1, 2, 3, 1, 2],
  [4, 0, 5, 4, 0],
];
const inputs = { Q: "q", K: "k", V: "v" } as const;

describe("compositionEffects", () => {
  it.each(["standard", "shortformer", "rotary"] as const)(
    "has for each pair what patching the path to one input of the reader gives, %s positions (2e-5)",
    (position) => {
      const model = randomModel({ n_layers: 3, position, norm: "LN", bias: true, seed: 6 });
      const metric = crossEntropy(prompts);
      const found = compositionEffects(model, prompts, metric, { ablation: "zero" });
      for (const kind of ["Q", "K", "V"] as const) {
        for (const reader of ["L1H0", "L2H1"] as const) {
          const { layer, head } = model.head(reader);
          const swept = pathPatching(model, prompts, {
            metric,
            put: "zero",
            receivers: [{ head: reader, input: inputs[kind] }],
          });
          for (const writer of model.heads.filter((one) => one.layer < layer)) {
            const patched = swept.values.at(writer.layer, writer.head) as number;
            expectClose([found[kind].at(writer.layer, writer.head, layer, head)], [patched - swept.base], {
              atol: 2e-5,
            });
          }
        }
        expect(found[kind].at(1, 0, 1, 1)).toBe(0);
        expect(found[kind].at(2, 0, 1, 1)).toBe(0);
      }
    },
  );
});
