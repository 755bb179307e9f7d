/** Models begin as TransformerLens's do: each weight of the distribution, and of the scale, that it draws of. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/model/index.ts";
import { initialModel } from "../../src/train/index.ts";
import type { Initialization, InitialModelOptions } from "../../src/train/index.ts";

type Drawn = readonly ["uniform" | "normal" | "constant", number];

const { configs, cases } = JSON.parse(
  readFileSync(new URL("../fixtures/training/initialisations.json", import.meta.url), "utf8"),
) as {
  configs: Record<string, object>;
  cases: { config: string; mode: string; scale: number | null; drawn: Record<string, Drawn> }[];
};

/** What TransformerLens calls `gpt2` is its own way; its `initializer_range` is a deviation there, a gain elsewhere. */
function optionsOf(mode: string, scale: number | null, seed: number): InitialModelOptions {
  const own = mode === "gpt2";
  return {
    seed,
    init: own ? "transformer-lens" : (mode as Initialization),
    ...(scale === null ? {} : own ? { std: scale } : { gain: scale }),
  };
}

describe.each(Object.keys(configs))("%s", (name) => {
  const config = parseConfig(configs[name]);
  const ours = cases.filter((each) => each.config === name);

  test.each(ours)("$mode with the scale $scale draws every weight as TransformerLens 3.9", ({ mode, scale, drawn }) => {
    const { weights } = initialModel(config, optionsOf(mode, scale, 11));
    expect([...weights.keys()].sort()).toEqual(Object.keys(drawn).sort());
    for (const [weight, tensor] of weights) {
      const data = Array.from(tensor.data);
      const [distribution, of] = drawn[weight] ?? ["constant", NaN];
      if (distribution === "constant") {
        expect(new Set(data), weight).toEqual(new Set([of]));
        continue;
      }
      const deviation = distribution === "uniform" ? of / Math.sqrt(3) : of;
      const moment = (power: number): number =>
        data.reduce((sum, x) => sum + (x / deviation) ** power, 0) / data.length;
      // Five standard errors of each moment; those of a normal distribution's are the larger: 1, 2 and 96 over n, roots.
      const error = 5 / Math.sqrt(data.length);
      expect(Math.abs(moment(1)), weight).toBeLessThan(error);
      expect(Math.abs(moment(2) - 1), weight).toBeLessThan(Math.SQRT2 * error);
      // Of 960 numbers and more a normal distribution's largest is above, a uniform one's just below the root of 3.
      const largest = Math.max(...data.map(Math.abs)) / deviation;
      if (distribution === "normal") expect(largest, weight).toBeGreaterThan(2.4);
      else {
        expect(largest, weight).toBeGreaterThan(0.98 * Math.sqrt(3));
        expect(largest, weight).toBeLessThan(1.000001 * Math.sqrt(3));
        // The fourth moment of uniform numbers of the variance 1, and about five of its standard errors.
        expect(Math.abs(moment(4) - 9 / 5), weight).toBeLessThan(2 * error);
      }
    }
  });
});
