/**
 * Gradients at every hook and by every parameter against TransformerLens's autograd in float64, on small random models of
 * every kind; test/fixtures/gradients/make.py computed them.
 *
 * This side is float32, of sums of some dozen terms: 2e-5 of the largest entry of a tensor is some hundred roundings.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseSafetensors } from "../../src/io/index.ts";
import { expectedWeights, gradients, hookNames, parseConfig, Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";

const folder = new URL("../fixtures/gradients/", import.meta.url);
const kinds = JSON.parse(readFileSync(new URL("kinds.json", folder), "utf8")) as Record<
  string,
  Record<string, unknown>
>;
const file = parseSafetensors(readFileSync(new URL("kinds.safetensors", folder)), { name: "kinds.safetensors" });
const largest = (t: Tensor): number => Math.max(...t.data.map(Math.abs));

describe.each(Object.keys(kinds))("%s", (kind) => {
  const config = parseConfig(kinds[kind] ?? {});
  const weights = new Map(
    [...expectedWeights(config).keys()].map((name) => [name, file.read(`${kind}/weight/${name}`)]),
  );
  const model = Transformer.fromWeights(config, weights);
  const tokens = file.read(`${kind}/tokens`).toNested() as number[][];
  const given = Tensor.from("batch pos d_vocab", file.read(`${kind}/given`).shape, file.read(`${kind}/given`).data);
  const seeds = { "unembed.hook_out": given };
  const found = gradients(model, tokens, seeds, { at: () => true, parameters: true });
  const hooks = hookNames(config).slice(1);

  test("every hook and every parameter has a gradient to compare with", () => {
    expect(found.names).toEqual(hooks);
    expect(hooks.filter((name) => !file.tensors.has(`${kind}/grad/${name}`))).toEqual([]);
    expect([...weights.keys()].filter((name) => !file.tensors.has(`${kind}/param/${name}`))).toEqual([]);
  });

  test.each(hooks)("the gradient at %s agrees within 2e-5 of its largest entry", (name) => {
    const expected = file.read(`${kind}/grad/${name}`);
    expectClose(found.at(name), expected, { atol: 2e-5 * largest(expected) });
  });

  test.each([...weights.keys()])("the gradient by %s agrees within 2e-5 of its largest entry", (name) => {
    const expected = file.read(`${kind}/param/${name}`);
    // A bias of keys moves all scores of a query alike: its gradient is rounding around 0, unless attention is rotary.
    const isZero = name.endsWith("b_K") && largest(expected) < 1e-6;
    expectClose(found.parameters.get(name) as Tensor, expected, { atol: isZero ? 1e-5 : 2e-5 * largest(expected) });
  });
});
