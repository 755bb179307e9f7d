/** Shares of the terms of a score where the scores themselves say nothing. */
import { expect, test } from "vitest";
import { scoreExpansion } from "../../../src/paths/index.ts";
import { randomModel } from "../../support/random-model.ts";

// One token alone makes every query and every key the same; a norm of one coordinate reads 0 everywhere.
const models = [{ position: "none" }, { position: "none", norm: "LN", d_model: 1, d_head: 2 }] as const;

test.each(models)(
  "scores that are equal along every row leave nothing to share: NaN, no quotient of roundings: %j",
  (options) => {
    const same = randomModel({ ...options, d_vocab: 1, bias: true, seed: 5 });
    for (const head of ["L0H0", "L1H1"] as const) {
      const one = scoreExpansion(same, [0, 0, 0, 0, 0, 0, 0], head);
      for (const statistics of [one.statistics(), one.statistics({ entries: (q, k) => q === k })]) {
        expect(statistics.length).toBeGreaterThan(1);
        for (const { share, max } of statistics) expect([share, Number.isFinite(max)]).toEqual([NaN, true]);
      }
    }
  },
);
