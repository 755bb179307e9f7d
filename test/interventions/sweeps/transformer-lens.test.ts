/**
 * Sweeps and path patching against TransformerLens 3.9 on tiny models of several kinds: every `get_act_patch_*`, and
 * path patching by hooks as it is published; `test/fixtures/sweeps/make.py` made the numbers. Both sides are float32,
 * logits are below 20: 2e-5.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pathPatching, sweep } from "../../../src/interventions/index.ts";
import type { PathPatchingOptions, PathSender } from "../../../src/interventions/index.ts";
import { logitDifference } from "../../../src/model/index.ts";
import type { PartialSite } from "../../../src/model/index.ts";
import { filledModel } from "../../support/filled-model.ts";
import { expectClose } from "../../support/golden.ts";

interface Case {
  readonly config: Readonly<Record<string, unknown>>;
  readonly clean: number;
  readonly corrupted: number;
  readonly values: Readonly<Record<string, readonly number[]>>;
  readonly paths: Readonly<Record<string, readonly number[]>>;
  readonly senders: readonly (readonly ("embed" | "pos_embed" | readonly ["mlp" | number, number])[])[];
  readonly others: Readonly<Record<string, readonly number[]>>;
}

const { cases, answer, wrong, clean, corrupted } = JSON.parse(
  readFileSync(new URL("../../fixtures/sweeps/expected.json", import.meta.url), "utf8"),
) as {
  cases: Readonly<Record<string, Case>>;
  answer: number;
  wrong: number;
  clean: number[][];
  corrupted: number[][];
};

const every = ["z", "q", "k", "v", "pattern"] as const;
const family: Readonly<Record<string, { at: PartialSite | readonly PartialSite[]; over: string }>> = {
  resid_pre: { at: "resid_pre", over: "layer pos" },
  resid_mid: { at: "resid_mid", over: "layer pos" },
  attn_out: { at: "attn_out", over: "layer pos" },
  mlp_out: { at: "mlp_out", over: "layer pos" },
  attn_head_out_by_pos: { at: "z", over: "layer pos head" },
  attn_head_q_by_pos: { at: "q", over: "layer pos head" },
  attn_head_k_by_pos: { at: "k", over: "layer pos head" },
  attn_head_v_by_pos: { at: "v", over: "layer pos head" },
  attn_head_pattern_by_pos: { at: "pattern", over: "layer head query_pos" },
  attn_head_pattern_dest_src_pos: { at: "pattern", over: "layer head query_pos key_pos" },
  attn_head_out_all_pos: { at: "z", over: "layer head" },
  attn_head_q_all_pos: { at: "q", over: "layer head" },
  attn_head_k_all_pos: { at: "k", over: "layer head" },
  attn_head_v_all_pos: { at: "v", over: "layer head" },
  attn_head_pattern_all_pos: { at: "pattern", over: "layer head" },
  attn_head_all_pos_every: { at: every, over: "layer head" },
  attn_head_by_pos_every: { at: every, over: "layer pos head" },
  block_every: { at: ["resid_pre", "attn_out", "mlp_out"], over: "layer pos" },
};

const paths: Readonly<Record<string, Omit<PathPatchingOptions, "metric">>> = {
  logits: {},
  "logits, MLPs frozen": { mlps: "frozen" },
  "logits through L1H0": { through: ["L1H0"], mlps: "frozen" },
  "logits through L1H0 and L2H1": { through: ["L1H0", "L2H1"] },
  "stream 2": { receivers: { stream: 2 } },
  "q of L2H1": { receivers: { head: "L2H1", input: "q" } },
  "k of L1H0 and L2H0": {
    receivers: [
      { head: "L1H0", input: "k" },
      { head: "L2H0", input: "k" },
    ],
  },
  "v of L2H0, MLPs frozen": { receivers: { head: "L2H0", input: "v" }, mlps: "frozen" },
  "q and k of L2H1 through L1H1": {
    receivers: [
      { head: "L2H1", input: "q" },
      { head: "L2H1", input: "k" },
    ],
    through: ["L1H1"],
  },
};

describe.each(Object.entries(cases))(
  "%s (2e-5)",
  (_, { config, values, paths: published, senders, others, ...ends }) => {
    const model = filledModel(config, 0.6);
    const metric = logitDifference({ answer, wrong });

    it.each(Object.entries(values))("get_act_patch_%s", (name, expected) => {
      const what = family[name];
      if (what === undefined) throw new Error(`${name} is not of the family`);
      const found =
        typeof what.at === "string"
          ? sweep(model, { clean, corrupted }, { at: what.at, over: what.over, metric })
          : sweep(model, { clean, corrupted }, { at: what.at, over: what.over, metric });
      expectClose(found.values, expected, { atol: 2e-5 });
      expect(Math.abs(found.base - ends.corrupted)).toBeLessThan(2e-5);
      expect(Math.abs((found.other ?? NaN) - ends.clean)).toBeLessThan(2e-5);
    });

    it.each(Object.entries(published))("path patching of each head to %s", (name, expected) => {
      const found = pathPatching(model, { clean, corrupted }, { ...paths[name], metric });
      expect(found.values.axes).toBe("layer head");
      expectClose(found.values, expected, { atol: 2e-5 });
    });

    it.each(Object.entries(others))("path patching of embeddings, MLPs and groups to %s", (name, expected) => {
      const groups = senders.map((group) =>
        group.map((one): PathSender => {
          if (typeof one === "string") return one;
          return one[0] === "mlp" ? { mlp: one[1] } : { layer: one[0], head: one[1] };
        }),
      );
      for (const [i, group] of groups.entries()) {
        // The position embedding is the same on both sides, and gives nothing here.
        const put = group[0] === "pos_embed" ? "zero" : "copy";
        const found = pathPatching(model, { clean, corrupted }, { ...paths[name], put, senders: [group], metric });
        expectClose(found.values, [expected[i] ?? NaN], { atol: 2e-5 });
      }
      const together = pathPatching(
        model,
        { clean, corrupted },
        { ...paths[name], senders: groups.slice(0, 1), metric },
      );
      expect(together.labels["sender"]).toEqual(["embed"]);
    });
  },
);
