/**
 * Edits of every hook against TransformerLens 3.9's `run_with_hooks`, on random models of every kind of positions, norm
 * and MLP: random selections and actions at each hook of each model, written as JSON by test/fixtures/edits/make.py.
 *
 * Both sides store float32 and sum in different orders; engines with fused multiply-add round in yet another. Some edits
 * make scores so large that softmax amplifies a rounding (2.5e-5 was seen under Node 22, below 1e-5 under Node 20).
 * 5e-5 of the largest logit is far below what one wrong element does.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseSafetensors, transformerFromTensors } from "../../../src/io/index.ts";
import { parseEdits } from "../../../src/interventions/index.ts";
import { hookNames } from "../../../src/model/index.ts";
import { expectClose } from "../../support/golden.ts";
import { readText, root } from "../../support/files.ts";

interface Case {
  readonly config: Readonly<Record<string, unknown>>;
  readonly edits: readonly { readonly at: { readonly hook: string }; readonly do: unknown }[];
}

const folder = "test/fixtures/edits";
const { tokens, other, cases } = JSON.parse(readText(`${folder}/cases.json`)) as {
  readonly tokens: number[][];
  readonly other: number[][];
  readonly cases: Readonly<Record<string, Case>>;
};
const file = parseSafetensors(readFileSync(`${root}/${folder}/models.safetensors`));
const largestOf = (data: ArrayLike<number>): number => Math.max(...Array.from(data, Math.abs));

describe.each(Object.entries(cases))("%s", (kind, { config, edits }) => {
  const names = [...file.tensors.keys()].filter((name) => name.startsWith(`${kind}/`) && !name.endsWith("/logits"));
  const tensors = new Map(names.map((name) => [name.slice(kind.length + 1), file.read(name)]));
  const model = transformerFromTensors({ config, tensors });
  const expected = file.read(`${kind}/logits`);
  const reference = model.run(other);
  const clean = model.forward(tokens);

  test("logits agree within 5e-5 of the largest", () => {
    const failed: string[] = [];
    for (const [i, given] of edits.entries()) {
      const theirs = expected.select(expected.names[0] ?? "", i);
      const text = JSON.stringify(given);
      const runs = text.includes('"other"') ? { other: reference } : {};
      const { logits } = model.run(tokens, { edits: parseEdits(text, runs), cache: [] });
      try {
        expectClose(logits, theirs, { atol: 5e-5 * largestOf(theirs.data) });
      } catch (error) {
        failed.push(`${text}: ${String(error)}`);
      }
    }
    expect(failed).toEqual([]);
  });

  test("every hook is edited, and most edits change the logits", () => {
    const hooks = parseEdits([...edits], { other: reference }).flatMap((one) => Object.keys(one.toEdits(model.config)));
    expect([...new Set(hooks)].sort()).toEqual([...hookNames(model.config)].sort());
    const differing = edits.filter((_, i) => {
      const theirs = expected.select(expected.names[0] ?? "", i).data;
      return clean.data.some((x, j) => Math.abs(x - (theirs[j] ?? 0)) > 1e-3 * largestOf(clean.data));
    });
    expect(differing.length).toBeGreaterThan(0.7 * edits.length);
  });
});
