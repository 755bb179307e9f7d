/** Large matrices: the size of their figures, and what is left of single cells. */
import { heatmap } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";

describe("size", () => {
  test("a 2,048-position causal pattern is below 80 KB and an 8-bit checkerboard of 540 below 450 KB", () => {
    const n = 2048;
    const data = new Float32Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++) data[i * n + j] = j === i - 1 ? 0.7 : j === 0 ? 0.2 : 0.1 / n;
    expect(heatmap({ values: { rows: n, cols: n, data }, mask: (i, j) => j > i }).html.length).toBeLessThan(80_000);
    const noise = Float64Array.from({ length: 540 * 540 }, (_, i) => ((i * 2654435761) % 4294967296) / 4294967296);
    expect(heatmap({ values: { rows: 540, cols: 540, data: noise } }).html.length).toBeLessThan(450_000);
  });

  test("single cells survive when a matrix is drawn in blocks", () => {
    const n = 1081;
    const data = new Float64Array(n * n);
    const empty = heatmap({ values: { rows: n, cols: n, data }, limit: 1 }).fragment;
    data[700 * n + 33] = -1;
    const one = heatmap({ values: { rows: n, cols: n, data }, limit: 1, scale: "diverging" }).fragment;
    expect(one).toContain("block of 3 × 3");
    expect(one).not.toBe(empty);
    expect(one).not.toBe(
      heatmap({ values: { rows: n, cols: n, data: new Float64Array(n * n) }, limit: 1, scale: "diverging" }).fragment,
    );
  });
});
