/** CPR and CMD against MIB's own code on EAP-IG's scores. */
import { describe, expect, test } from "vitest";
import { Circuit, circuitFaithfulness } from "../../../src/interventions/index.ts";
import type { EdgeAblation } from "../../../src/interventions/index.ts";
import { eapIgModels } from "../discovery/eap-ig.ts";

const ablations: Record<string, EdgeAblation> = { patching: "counterfactual", zero: "zero", "mean-positional": "mean" };

describe.each(eapIgModels.map((stored) => [stored.name, stored] as const))("%s", (_, stored) => {
  const { model, graph, clean, corrupted, difference, scores, areas } = stored;
  const scored = Circuit.from(graph, { scores: scores["eap-ig-inputs"] ?? [] });

  test.each(Object.entries(ablations))(
    "%s: CPR, CMD and faithfulness at each size agree within 1e-4 (float32 against float64, quotients)",
    (name, ablation) => {
      const found = circuitFaithfulness(model, scored, { clean, corrupted }, difference, { ablation });
      for (const mode of ["signed", "absolute"] as const) {
        const expected = areas[`${name}-${mode}`];
        expect(found[mode].edges).toEqual(expected?.counts);
        for (const [i, f] of (expected?.faithfulness ?? []).entries())
          expect(Math.abs((found[mode].faithfulness[i] ?? NaN) - f), `${mode} ${i}`).toBeLessThan(1e-4);
        expect(Math.abs(found[mode].cpr - (expected?.cpr ?? NaN))).toBeLessThan(1e-4);
        expect(Math.abs(found[mode].cmd - (expected?.cmd ?? NaN))).toBeLessThan(1e-4);
      }
      expect(found.cpr).toBe(found.signed.cpr);
      expect(found.cmd).toBe(found.absolute.cmd);
    },
  );
});
