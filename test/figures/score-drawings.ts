/** Drawings of one score taken apart, of made-up numbers. */
import { drawScoreIntensity, drawScoreSources } from "../../src/figures/index.ts";
import type { FigureToken, ScoreSources } from "../../src/figures/index.ts";
import type { Figure } from "../../src/viz/index.ts";

export function scoreDrawings(tokens: readonly FigureToken[], irregular: (i: number) => number): [string, Figure][] {
  const intensity = {
    head: { layer: 1, head: 3 },
    tokens,
    query: 6,
    key: 2,
    score: 7.25,
    querySide: Float64Array.from(tokens, (_, i) => (i === 6 ? 7 : 0.1 * irregular(i))),
    keySide: Float64Array.from(tokens, (_, i) => (i === 1 ? 6 : 0.1 * irregular(i))),
    bias: { query: 0, key: 0 },
    effect: Float64Array.from(tokens, (_, i) => (i === 0 ? NaN : 3 * irregular(i))),
  };
  const writers = Array.from({ length: 12 }, (_, i) => ({ label: `L0H${i}`, value: (i % 3 === 0 ? -6 : 9) / (i + 1) }));
  const sides: Omit<ScoreSources, "head" | "tokens" | "score"> = {
    ...{ queryPosition: 6, keyPosition: 2, against: "mean" },
    query: { sources: intensity.querySide, bias: 0, writers: writers.slice(0, 2) },
    key: { sources: intensity.keySide, bias: 0.25, writers },
  };

  return [
    ["score-intensity", drawScoreIntensity(intensity)],
    ["score-sources", drawScoreSources({ ...intensity, ...sides })],
  ];
}
