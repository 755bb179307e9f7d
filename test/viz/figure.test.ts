import {
  attentionExplorer,
  type Figure,
  figureStyles,
  heatmap,
  lineChart,
  table,
  tokenStrip,
} from "transformer-circuits/viz";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostileTokens } from "./gallery.ts";
import { elementsOf, hovers, withClass } from "./svg.ts";

describe("a figure", () => {
  const drawing = heatmap({ values: [[1]], title: `A "title" & <more>` });
  const page = table({ columns: [{ label: "a" }], rows: [[1]] });
  const display = (figure: Figure): Record<string, string> =>
    (figure as unknown as Record<symbol, () => Record<string, string>>)[Symbol.for("Jupyter.display")]?.call(figure) ??
    {};

  test("prints as SVG, also one that lives on pages", () => {
    expect(String(drawing)).toBe(drawing.svg);
    expect(String(page)).toBe(page.svg);
  });

  test("shows itself in a notebook, with a line of plain text", () => {
    expect(display(drawing)).toEqual({
      "text/html": drawing.html,
      "image/svg+xml": drawing.svg,
      "text/plain": `Figure(heatmap: A "title" & <more>, ${drawing.width} × ${drawing.height})`,
    });
    expect(Object.keys(display(page))).toEqual(["text/plain", "text/html"]);
  });

  test("has its name, escaped, for screen readers", () => {
    expect(drawing.fragment).toContain('aria-label="A &quot;title&quot; &amp; &lt;more&gt;"');
  });

  test("carries its styles once in html, and none in the fragment", () => {
    expect(drawing.html.match(/<style/g)).toHaveLength(1);
    expect(drawing.fragment).not.toContain("<style");
    expect(drawing.html.endsWith(drawing.fragment)).toBe(true);
  });

  test("puts a nonce on everything that a policy asks it for", () => {
    const { html } = table({ columns: [{ label: "a" }], rows: [], nonce: 'x"y' });
    expect(html.match(/<(style|script)(?! nonce="x&quot;y")/g)).toBeNull();
    expect(html).not.toMatch(/ (style|on\w+)="/);
  });
});

describe("the style sheet", () => {
  const styles = figureStyles();

  test("has both palettes, chosen by the scheme of the place, and the marks of pages over it, light ones last", () => {
    expect(styles).toContain(".tc-fig{--tc-bg:light-dark(#ffffff,#14171c);");
    const [dark, light] = ["dark", "light"].map((name) =>
      styles.indexOf(`.tc-fig[data-tc-scheme="${name}"]{color-scheme`),
    );
    expect(dark).toBeGreaterThan(styles.indexOf("light-dark(#ffffff"));
    expect(light).toBeGreaterThan(dark ?? Infinity);
    expect(styles).not.toContain("prefers-color-scheme");
  });

  test("a file follows the reader's scheme", () => {
    expect(heatmap({ values: [[1]] }).svg).toContain("svg.tc-fig:root{color-scheme:light dark}");
  });

  test("gives plain colours first, for viewers that know neither variables nor @supports", () => {
    expect(styles.indexOf(".tc-f-ink{fill:#1b1f24}")).toBeGreaterThan(0);
    expect(styles.indexOf(".tc-f-ink{fill:#1b1f24}")).toBeLessThan(styles.indexOf("@supports"));
    expect(styles.slice(0, styles.indexOf("@supports"))).not.toContain("var(");
  });

  /** Contrast of two colours, WCAG 2.2. */
  const contrast = (a: string, b: string): number => {
    const luminance = (color: string): number => {
      const [r = 0, g = 0, blue = 0] = [1, 3, 5]
        .map((i) => Number.parseInt(color.slice(i, i + 2), 16) / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
    };
    const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const pairs = [...styles.matchAll(/--tc-(\w+):light-dark\((#\w+),(#\w+)\)/g)];
  const palettes = [2, 3].map((scheme) =>
    Object.fromEntries(pairs.map((pair): [string, string] => [pair[1] ?? "", pair[scheme] ?? ""])),
  );

  test("text has a contrast of 4.5 or more with the page, lines of series and full cells of 3 or more (WCAG AA)", () => {
    expect(pairs.length).toBeGreaterThanOrEqual(15);
    for (const palette of palettes) {
      const against = (name: string): number => contrast(palette[name] ?? "", palette.bg ?? "");
      for (const name of ["ink", "muted"]) expect(against(name)).toBeGreaterThanOrEqual(4.5);
      for (const name of ["pos", "neg", "seq", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"])
        expect(against(name)).toBeGreaterThanOrEqual(3);
      for (const name of ["pos", "neg", "seq"])
        expect(contrast(palette[name] ?? "", palette.on ?? "")).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe("size", () => {
  test("an explorer of 16 heads on 96 tokens is below 150 KB", () => {
    const triangle = Float32Array.from({ length: (96 * 97) / 2 }, (_, i) => (i % 17) / 17);
    const pattern = [0, 1].map(() => Array.from({ length: 8 }, () => triangle));
    expect(attentionExplorer({ tokens: Array.from({ length: 96 }, () => "t"), pattern }).html.length).toBeLessThan(
      150_000,
    );
  });
});

describe("hostile text", () => {
  test("cannot leave a token strip, a label, a cell or the explorer", () => {
    const values = hostileTokens.map(() => 1);
    const strip = tokenStrip({ tokens: hostileTokens, values, title: "</text><script>", subtitle: "&" });
    const map = heatmap({ values: [values], rowLabels: ["</text>"], columnLabels: hostileTokens });
    const line = lineChart({
      series: [
        { name: "</path>", y: [1, 2] },
        { name: "&", y: [1, 1] },
      ],
    });
    for (const figure of [strip, map, line])
      expect(elementsOf(figure.fragment).map(({ name }) => name)).not.toContain("script");
    const cells = table({ columns: [{ label: "<i>", kind: "tokens" }], rows: [[hostileTokens]], sortable: false });
    expect(withClass(cells.fragment, "span", "tc-token")).toHaveLength(hostileTokens.length);
    const explorer = attentionExplorer({ tokens: ["</script>", "<!--"], pattern: [[[1, 0.5, 0.5]]], title: "<b>" });
    expect(explorer.fragment.match(/<script/g)).toHaveLength(2);
    expect(explorer.fragment).not.toMatch(/<b>|<!--/);
  });
});

describe("the explorer's data", () => {
  const read = (
    figure: Figure,
  ): {
    tokens: string[];
    measures: { name: string; largest: number; bytes: string }[];
    logProbs: (number | null)[] | null;
    selected: number[];
  } => JSON.parse(/<script type="application\/json">(.*)<\/script>/.exec(figure.fragment)?.[1] ?? "") as never;
  const values = [1, 0.001, 0.999, 0.25, 0.25, 0.5];

  test("come back within the square-root scale's half step, (√v + 1/510)² − v", () => {
    const { measures } = read(attentionExplorer({ tokens: ["a", "b", "c"], pattern: [[values]] }));
    const bytes = Buffer.from(measures[0]?.bytes ?? "", "base64");
    expect(bytes).toHaveLength(6);
    for (const [i, value] of values.entries()) {
      const decoded = ((bytes[i] as number) / 255) ** 2;
      expect(Math.abs(decoded - value)).toBeLessThanOrEqual((Math.sqrt(value) + 1 / 510) ** 2 - value + 1e-7);
    }
  });

  test("are the same from squares, triangles and tensors with and without a batch", () => {
    const tokens = ["a", "b", "c"];
    const flat = [1, 0, 0, 0.001, 0.999, 0, 0.25, 0.25, 0.5];
    const expected = attentionExplorer({ tokens, pattern: [[values]] }).fragment;
    for (const layer of [[flat], { shape: [1, 3, 3], data: flat }, { shape: [1, 1, 3, 3], data: flat }]) {
      expect(attentionExplorer({ tokens, pattern: [layer] }).fragment).toBe(expected);
    }
  });

  test("name the measures that are given, and carry what is picked and known", () => {
    const figure = attentionExplorer({
      tokens: ["a", "b"],
      pattern: [[[1, 1, 0]], [[1, 0, 1]]],
      resultWeighted: [[[8, 2, 0]], [[1, 0, 4]]],
      selected: [{ layer: 1, head: 0 }],
      logProbs: [NaN, -0.12345],
    });
    const data = read(figure);
    expect(data.measures.map(({ name, largest }) => [name, largest])).toEqual([
      ["attention", 1],
      ["result-weighted", 8],
    ]);
    expect(data.selected).toEqual([1]);
    expect(data.logProbs).toEqual([null, -0.123]);
  });
});

describe("a heat map without its first column", () => {
  const square = fc.integer({ min: 2, max: 5 }).chain((n) =>
    fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: n, maxLength: n }), {
      minLength: n,
      maxLength: n,
    }),
  );

  test("is the map with that column masked: the others have all of the colours", () => {
    fc.assert(
      fc.property(square, fc.boolean(), (values, isCausal) => {
        const mask = isCausal ? (row: number, column: number) => column > row : undefined;
        const given = { values, ...(mask && { mask }) };
        const left = heatmap({ ...given, skipFirst: true });
        const masked = heatmap({ ...given, mask: (row, column) => column === 0 || mask?.(row, column) === true });
        expect(left.svg).toBe(masked.svg);
        expect(hovers(left.svg).some((text) => text.includes(", 0: "))).toBe(false);
        expect(heatmap({ ...given, skipFirst: false }).svg).toBe(heatmap(given).svg);
      }),
      { seed: 6, numRuns: 40 },
    );
  });

  test("keeps a column that is the only one", () => {
    expect(hovers(heatmap({ values: [[1], [2]], skipFirst: true }).svg)).toHaveLength(2);
  });
});
