/** In-context learning scores, slopes, and what losses of several snapshots say. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  beforeAndAfterAttribution,
  inContextLearningScore,
  logIndexDerivative,
  lossTrajectory,
} from "../../../src/heads/index.ts";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { runs } from "../../support/model-arbitrary.ts";

/** Losses `[batch, pos]` of tokens 2, 3, … of prompts. */
const losses = (batch: number, tokens: number, of: (token: number, b: number) => number): Tensor<"batch pos"> =>
  Tensor.from(
    "batch pos",
    [batch, tokens - 1],
    Float64Array.from({ length: batch * (tokens - 1) }, (_, i) =>
      of((i % (tokens - 1)) + 2, Math.floor(i / (tokens - 1))),
    ),
  );

describe("inContextLearningScore", () => {
  it("is 0 for a constant loss, and -c ln 10 for one that falls with c ln of the place", () => {
    expect(inContextLearningScore(losses(3, 512, () => 4))).toBe(0);
    expectClose([inContextLearningScore(losses(2, 512, (n, b) => b - 0.7 * Math.log(n)))], [-0.7 * Math.log(10)], {
      atol: 1e-12,
    });
  });

  it("takes exactly the tokens named, from 1, and with a window those that end there", () => {
    const loss = losses(1, 20, (n) => n * n);
    expect(inContextLearningScore(loss, { early: 2, late: 20 })).toBe(400 - 4);
    expect(inContextLearningScore(loss, { early: 4, late: 20, window: 3 })).toBeCloseTo(
      (18 ** 2 + 19 ** 2 + 20 ** 2) / 3 - (4 + 9 + 16) / 3,
      10,
    );
  });

  it.each([
    [{}, "the loss of token 50 over a window of 1 does not exist: prompts have 20 tokens"],
    [{ early: 10 }, "the loss of token 500 over a window of 1 does not exist: prompts have 20 tokens"],
    [{ early: 1, late: 20 }, "the loss of token 1 over a window of 1 does not exist"],
    [{ early: 0, late: 20 }, "early is 0; ask for a positive whole number."],
    [{ early: 5, late: 20, window: 6 }, "the loss of token 5 over a window of 6 does not exist"],
  ])("refuses %j of 20 tokens", (options, message) => {
    expect(() =>
      inContextLearningScore(
        losses(1, 20, () => 1),
        options,
      ),
    ).toThrow(`inContextLearningScore: ${message}`);
  });
});

describe("logIndexDerivative", () => {
  it("is the slope where the loss is linear in the logarithm, at every place", () => {
    const slopes = logIndexDerivative(losses(1, 600, (n) => 6 - 0.25 * Math.log(n)).select("batch", 0));
    expectClose(slopes, new Array<number>(599).fill(-0.25), { atol: 1e-9 });
  });

  it("sees where a loss stops falling", () => {
    const slopes = logIndexDerivative(losses(1, 600, (n) => -Math.log(Math.min(n, 60))).select("batch", 0), 1.2);
    expect(slopes.at(20)).toBeCloseTo(-1, 9);
    expect(slopes.at(300)).toBeCloseTo(0, 9);
  });

  it("refuses a factor that reaches nowhere", () => {
    const loss = losses(1, 5, () => 1).select("batch", 0);
    expect(() => logIndexDerivative(loss, 1)).toThrow(
      "logIndexDerivative: factor is 1; the fit reaches from n / factor",
    );
  });
});

describe("lossTrajectory", () => {
  it("recovers a path in a plane, up to rotation: distances are kept, and nothing is left over", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 8 }), fc.integer({ min: 0, max: 1e6 }), (count, seed) => {
        const random = new Random(seed);
        const path = Array.from({ length: count }, () => [random.normal(), random.normal()] as const);
        // Two orthonormal directions over 40 tokens.
        const rows = path.map(([x, y]) =>
          Array.from(
            { length: 40 },
            (_, t) => 5 + (t % 2 === 0 ? x : 0) / Math.sqrt(20) + (t % 2 === 1 ? y : 0) / Math.sqrt(20),
          ),
        );
        const { points, variance } = lossTrajectory(Tensor.fromNested("snapshot token", rows, "float64"));
        expectClose([variance.at(0) + variance.at(1)], [1], { atol: 1e-9 });
        for (let a = 0; a < count; a++) {
          for (let b = 0; b < a; b++) {
            const expected = Math.hypot(
              (path[a]?.[0] as number) - (path[b]?.[0] as number),
              (path[a]?.[1] as number) - (path[b]?.[1] as number),
            );
            const actual = Math.hypot(points.at(a, 0) - points.at(b, 0), points.at(a, 1) - points.at(b, 1));
            expect(Math.abs(actual - expected)).toBeLessThan(1e-6);
          }
        }
      }),
      runs(502, 30),
    );
  });

  it("has no direction where nothing changes", () => {
    const { points, variance } = lossTrajectory(
      Tensor.fromNested(
        "snapshot token",
        [
          [1, 2],
          [1, 2],
        ],
        "float64",
      ),
    );
    expect([...points.data].every((x) => x === 0)).toBe(true);
    expect([...variance.data]).toEqual([0, 0]);
  });

  it("refuses fewer snapshots than components", () => {
    expect(() => lossTrajectory(Tensor.fromNested("snapshot token", [[1, 2]]))).toThrow(
      "lossTrajectory: 2 components need as many snapshots and a token; losses are [snapshot=1 token=2]",
    );
    expect(() => lossTrajectory(Tensor.fromNested("snapshot token", [[1, 2]]), 0)).toThrow(
      "lossTrajectory: components is 0; ask for a positive whole number.",
    );
  });
});

describe("beforeAndAfterAttribution", () => {
  const loss = (values: number[]): Tensor<"token"> => Tensor.from("token", [values.length], values, "float64");

  it("is the ablation's effect along the unit vector of the change", () => {
    // The change is (-3, -4) / 5.
    const change = { before: loss([4, 6]), after: loss([1, 2]) };
    expectClose(
      beforeAndAfterAttribution(change, [loss([1, 2]), loss([4, 6]), loss([2, 2]), loss([1, 1])]),
      [0, -5, -0.6, 0.8],
      {
        atol: 1e-12,
      },
    );
  });

  it("is 0 where nothing changed, and refuses losses of other tokens", () => {
    expect([...beforeAndAfterAttribution({ before: loss([1]), after: loss([1]) }, [loss([5])])]).toEqual([0]);
    expect(() => beforeAndAfterAttribution({ before: loss([1]), after: loss([1, 2]) }, [])).toThrow(
      "beforeAndAfterAttribution: before has 1 losses but after has 2; they are of the same tokens.",
    );
    expect(() => beforeAndAfterAttribution({ before: loss([1, 2]), after: loss([1, 2]) }, [loss([1])])).toThrow(
      "beforeAndAfterAttribution: ablation 0 has 1 losses but after has 2",
    );
  });
});
