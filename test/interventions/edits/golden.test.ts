/** Ablation and activation patching by edits, against TransformerLens on the golden cases. */
import { describe, test } from "vitest";
import { edit } from "../../../src/interventions/index.ts";
import type { ActivationEdit } from "../../../src/interventions/index.ts";
import { lossPerToken } from "../../../src/model/index.ts";
import { gather, meanAll } from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s", (name) => {
  const golden = loadGolden(name);
  const { model } = golden;

  test.each(["zero", "mean"] as const)("%s ablation of each head (float32 losses on both sides, 2e-5)", (action) => {
    const tokens = golden.tokens("repeated_tokens");
    const from = ((tokens[0]?.length ?? 0) - 1) / 2;
    const loss = (edits: ActivationEdit[]): number => {
      const run = model.run(tokens, { edits, cache: [] });
      return meanAll(lossPerToken(run.logits, run.tokens).slice("pos", from));
    };
    const clean = loss([]);
    const rises = model.heads.map((head) => loss([edit({ hook: "result", head }, action)]) - clean);
    expectClose(rises, golden.expected(`ablation.${action}_delta_loss`).data, { atol: 2e-5 });
  });

  const [clean = [], corrupted = []] = golden.tokens();
  const { answer, wrong } = golden.labels.patching_metric as { readonly answer: number; readonly wrong: number };
  const layers = model.layers.map(({ layer }) => layer);
  // A few suffice here: sweeps are compared at all of them.
  const positions = corrupted.map((_, pos) => pos).filter((pos) => pos % 7 === 2);
  const source = model.run(clean);
  const patched = (one: ActivationEdit): number => {
    const last = model.run(corrupted, { edits: one, cache: [] }).logits.select("batch", 0).select("pos", -1);
    return last.at(answer) - last.at(wrong);
  };
  const copy = { copyFrom: source, name: "clean" };

  test("activation patching agrees within 1e-5 absolute plus 1e-5 relative", () => {
    const close = (key: string, values: number[]): void => {
      const all: Tensor = golden.expected(`patching.${key}`);
      const axis = all.shape[1] === corrupted.length ? all.names[1] : undefined;
      const theirs = axis === undefined ? all : gather(all, axis, positions);
      expectClose(values, theirs.data, { atol: 1e-5, rtol: 1e-5 });
    };
    const stream = layers.flatMap((layer) =>
      positions.map((pos) => patched(edit({ hook: "resid_pre", layer, pos }, copy))),
    );
    close("resid_pre", stream);
    const byPos = layers.flatMap((layer) =>
      positions.flatMap((pos) => model.layer(layer).heads.map(({ head }) => patched(edit({ layer, pos, head }, copy)))),
    );
    close("head_out_by_pos", byPos);
    close(
      "head_out_all_pos",
      model.heads.map((head) => patched(edit({ head }, copy))),
    );
    close(
      "head_pattern",
      model.heads.map((head) => patched(edit({ hook: "pattern", head }, copy))),
    );
    close(
      "head_v",
      model.heads.map((head) => patched(edit({ hook: "v", head }, copy))),
    );
  });
});
