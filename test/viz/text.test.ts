import { escapeHtml, formatNumber, heatmap, visibleToken } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { labelText, textWidth, truncate, wrapText } from "../../src/viz/parts/text.ts";
import { hovers, withClass } from "./svg.ts";

describe("escapeHtml", () => {
  test.each([
    ["a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"],
    [`"it's"`, "&quot;it&#39;s&quot;"],
    ["</title><script>", "&lt;/title&gt;&lt;script&gt;"],
    ["tab\tand\nline", "tab\tand\nline"],
    ["null \u0000, bell \u0007, C1 \u0085", "null \ufffd, bell \ufffd, C1 \ufffd"],
    ["lone \ud800 and \udc00, pair \ud83d\ude00", "lone \ufffd and \ufffd, pair \ud83d\ude00"],
    ["\ufffe\uffff", "\ufffd\ufffd"],
  ])("%j", (text, expected) => {
    expect(escapeHtml(text)).toBe(expected);
  });
});

describe("visibleToken", () => {
  test.each([
    [" the", "·the"],
    ["a b", "a·b"],
    ["\n\n", "↵↵"],
    ["\t", "→"],
    ["\r", "\\r"],
    ["\u0000\u001b", "\\u{0}\\u{1b}"],
    ["\u007f", "\\u{7f}"],
    ["\u0085", "\\u{85}"],
    ["\u00a0", "\\u{a0}"],
    ["\u202eabc", "\\u{202e}abc"],
    ["\u200b\ufeff", "\\u{200b}\\u{feff}"],
    ["\u2028", "\\u{2028}"],
    ["x\ud800", "x\ufffd"],
    ["שלום", "שלום"],
    ["日本", "日本"],
    ["", "∅"],
  ])("%j is drawn as %s", (token, expected) => {
    expect(visibleToken(token)).toBe(expected);
  });
});

describe("formatNumber", () => {
  test.each([
    [0, "0"],
    [-0, "0"],
    [1, "1"],
    [0.5, "0.5"],
    [0.08838, "0.0884"],
    [-0.12, "−0.12"],
    [12.345, "12.3"],
    [999.4, "999"],
    [999.6, "1,000"],
    [1024, "1,024"],
    [1234567, "1,234,567"],
    [0.0001, "0.0001"],
    [0.00001234, "1.23e−5"],
    [-1e-10, "−1e−10"],
    [1e20, "1e20"],
    [Infinity, "∞"],
    [-Infinity, "−∞"],
    [NaN, "NaN"],
  ])("%f as it is: %s", (value, expected) => {
    expect(formatNumber(value)).toBe(expected);
  });

  test.each([
    [0.914, { decimals: 2 }, "0.91"],
    [1.5, { decimals: 0 }, "2"],
    [-0.001, { decimals: 2 }, "0.00"],
    [0.001, { decimals: 2, sign: true }, "0.00"],
    [0.25, { sign: true }, "+0.25"],
    [0, { sign: true }, "0"],
    [12345.678, { decimals: 1 }, "12,345.7"],
    [0.0123456, { significant: 5 }, "0.012346"],
  ] as const)("%f with %j: %s", (value, format, expected) => {
    expect(formatNumber(value, format)).toBe(expected);
  });
});

test("truncated text fits its width and ends in an ellipsis", () => {
  expect(truncate("short", 100, 10)).toBe("short");
  const cut = truncate("a long label that does not fit", 60, 10);
  expect(cut.endsWith("…")).toBe(true);
  expect(textWidth(cut, 10)).toBeLessThanOrEqual(60);
});

test("wrapped lines fit their width, lose no word, and a word longer than a line stands alone", () => {
  const words = "one two three four extraordinarily-long-word five".split(" ");
  const lines = wrapText(words.join(" "), 80, 10);
  expect(lines.join(" ").split(" ")).toEqual(words);
  for (const line of lines.filter((text) => text.includes(" "))) expect(textWidth(line, 10)).toBeLessThanOrEqual(80);
});

test("labels of axes show the whitespace at their ends and what cannot be seen; inner spaces stay", () => {
  const labels = [" declare", "declare", " ", "\n", "L0H3 query", "a\nb", "", "·x"];
  expect(labels.map(labelText)).toEqual(["·declare", "declare", "·", "↵", "L0H3 query", "a↵b", "", "·x"]);
  const { fragment } = heatmap({ values: [[1, 2]], rowLabels: [" a"], columnLabels: ["\n", " "] });
  expect(withClass(fragment, "text", "tc-tick").map(({ text }) => text)).toEqual(
    expect.arrayContaining(["·a", "↵", "·"]),
  );
  expect(hovers(fragment)).toEqual(["·a, ↵: 1", "·a, ·: 2"]);
});
