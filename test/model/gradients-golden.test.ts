/**
 * Gradients of the mean loss against TransformerLens's autograd on the golden cases.
 *
 * Both sides store float32 and sum in different orders. A gradient is a sum of terms that may cancel: its error goes with
 * the largest entry of its tensor, of which 2e-5 is some hundred roundings; 1e-3 of an entry is what a wrong factor or a
 * forgotten term exceeds by far.
 */
import { describe, expect, test } from "vitest";
import { crossEntropy, gradients, hookNames, meanLoss } from "../../src/model/index.ts";
import type { HookName } from "../../src/model/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../support/golden.ts";

const largest = (t: Tensor): number => Math.max(...t.data.map(Math.abs));

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s", (name) => {
  const golden = loadGolden(name);
  const tokens = golden.tokens();
  const found = gradients(golden.model, tokens, crossEntropy(tokens), { at: () => true, parameters: true });
  const keys = golden.names.filter((key) => key.startsWith("grad."));

  test("the value is the mean loss within 1e-6 nats", () => {
    const { logits, tokens: ids } = golden.model.run(tokens, { cache: [] });
    expectClose([found.value], [meanLoss(logits, ids)], { atol: 1e-6 });
    expect(found.values).toHaveLength(tokens.length);
  });

  test("there is a gradient at every hook but the tokens, and by every weight", () => {
    expect(found.names).toEqual(hookNames(golden.model.config).slice(1));
    expect([...found.parameters.keys()]).toEqual([...golden.model.weights.keys()]);
  });

  test.runIf(keys.length > 0).each(keys)("%s agrees within 2e-5 of its largest entry", (key) => {
    const expected = golden.expected(key);
    const actual = key.startsWith("grad.param.")
      ? found.parameters.get(key.slice("grad.param.".length))
      : found.at(key.slice("grad.".length) as HookName);
    const scale = largest(expected);
    // Keys' biases move all scores of a query alike: their gradient is rounding around 0.
    const atol = key.endsWith("b_K") ? 1e-7 : 2e-5 * scale;
    expectClose(actual as Tensor, expected, { atol });
  });
});
