/** The analysis of the bundled model: the heads that it is known to have, with evidence that hangs together. */
import { beforeAll, describe, expect, test } from "vitest";
import { openBundledModel } from "../../src/io/bundled.ts";
import type { BundledModel } from "../../src/io/bundled.ts";
import { analyse, summarise } from "../../src/report/index.ts";
import type { ReportData, ReportProgress } from "../../src/report/index.ts";
import { declarations } from "./text.ts";

let bundled: BundledModel;
let data: ReportData;
const progress: ReportProgress[] = [];
beforeAll(async () => {
  bundled = await openBundledModel();
  data = await analyse(bundled.model, bundled.tokenizer, declarations, {
    title: "A report",
    source: "some declarations",
    onProgress: (state) => progress.push(state),
  });
});

describe("analyse on the bundled model", () => {
  test("finds its previous-token and induction heads", () => {
    expect(data.found.previousToken).toEqual(["L0H5", "L0H7"]);
    expect(data.found.induction).toEqual(["L1H1", "L1H2", "L1H3", "L1H4", "L1H7"]);
    expect(data.heads.filter((head) => head.roles.includes("induction")).map((head) => head.label)).toEqual(
      data.found.induction,
    );
  });

  test("every induction head K-composes with both previous-token heads, by 0.16 to 0.21 where chance is 1/√128", () => {
    const { baseline, heads } = data.induction ?? { baseline: { mean: 0, std: 0 }, heads: [] };
    expect(Math.abs(baseline.mean - 1 / Math.sqrt(128))).toBeLessThan(0.002);
    expect(heads.map(({ label }) => label)).toEqual(data.found.induction);
    for (const { partners } of heads) {
      expect(partners.map(({ label }) => label).sort()).toEqual(["L0H5", "L0H7"]);
      for (const { k, z } of partners) {
        expect(k).toBeGreaterThan(0.155);
        expect(k).toBeLessThan(0.21);
        expect(z).toBeGreaterThan(10);
      }
    }
  });

  test("induction heads copy, match, and lose their aim without the previous-token heads", () => {
    for (const head of data.induction?.heads ?? []) {
      expect(head.copying).toBeGreaterThan(0.98);
      expect(head.qkPositivity).toBeGreaterThan(0.98);
      expect(head.strict).toBeGreaterThan(0.5);
      expect(head.scoreWithoutPrevious).toBeLessThan(0.05);
    }
    const [asIs, withoutInduction, withoutPrevious] = data.induction?.ablated ?? [];
    expect(asIs?.loss).toBeLessThan(0.5);
    expect(withoutInduction?.delta).toBeGreaterThan(3);
    expect(withoutPrevious?.delta).toBeGreaterThan(3);
  });

  test("the second copy of random tokens costs little, the first more than a uniform guess", () => {
    expect(data.repeated?.second).toBeLessThan(0.5);
    expect(data.repeated?.first).toBeGreaterThan(Math.log(1024));
    expect(data.loss.uniform).toBe(Math.log(1024));
  });

  test("the terms of the expansion sum to the logits within the certificate's bound", () => {
    const { paths, terms, maxDeviation, bound, withinBound } = data.expansion;
    expect({ paths, terms, withinBound }).toEqual({ paths: 81, terms: 82, withinBound: true });
    expect(maxDeviation).toBeLessThanOrEqual(bound);
    expect(maxDeviation).toBeGreaterThan(0);
  });

  test("attention rows are probabilities, to 1e-3 (four digits are kept)", () => {
    expect(data.samples.map(({ kind }) => kind)).toEqual(["text", "repeats"]);
    for (const { tokens, pattern } of data.samples) {
      const n = tokens.length;
      expect(pattern.map(({ shape }) => shape)).toEqual([1, 2].map(() => [1, 8, n, n]));
      for (const { data: numbers } of pattern) {
        for (let row = 0; row < numbers.length; row += n) {
          const sum = numbers.slice(row, row + n).reduce<number>((a, b) => a + (b ?? NaN), 0);
          expect(Math.abs(sum - 1)).toBeLessThan(1e-3);
        }
      }
    }
  });

  test("the examples in the text are inductions: the key follows an earlier copy of the query's token", () => {
    const { tokens = [], examples = [] } = data.induction?.examples ?? {};
    expect(examples.length).toBeGreaterThan(0);
    for (const { query, key, attention } of examples) {
      expect(tokens[key - 1]?.id).toBe(tokens[query]?.id);
      expect(attention[key]).toBeGreaterThan(0.3);
    }
    const [best] = examples;
    expect(tokens[best?.key ?? 0]?.id).toBe(tokens[(best?.query ?? 0) + 1]?.id);
  });

  test("skip-trigrams are readable, three to a list, and never of the start token", () => {
    expect(data.skipTrigrams?.heads).toHaveLength(16);
    for (const { source, destination, out } of (data.skipTrigrams?.heads ?? []).flatMap(({ rows }) => rows)) {
      expect([destination.length, out.length]).toEqual([3, 3]);
      const tokens = [source, ...destination, ...out].map(({ text }) => text);
      expect(tokens).not.toContain("<|endoftext|>");
      expect(tokens.join("").replace(/[\n\t\r]/g, "")).not.toMatch(/\ufffd|\p{Cc}/u);
    }
  });

  test("random tokens that are shown are readable", () => {
    const texts = (data.samples[1]?.tokens ?? []).map(({ text }) => text);
    expect(texts.length).toBeGreaterThan(20);
    expect(texts.join("").replace(/[\n\t\r]/g, "")).not.toMatch(/\ufffd|\p{Cc}/u);
  });

  test("pairs are led by what cutting them does; the largest score of all moves little attention", () => {
    const effects = data.pairs.map(({ effect }) => effect ?? NaN);
    expect(effects).toEqual([...effects].sort((a, b) => b - a));
    const [first] = data.pairs;
    expect(first).toMatchObject({ kind: "K", writer: "L0H5", reader: "L1H2" });
    expect(first?.effect).toBeGreaterThan(0.2);
    expect(first?.evidence?.share).toBeGreaterThan(1.3 * (first?.evidence?.chance ?? 1));
    expect(first?.evidence?.matchingZ).toBeGreaterThan(50);
    expect(first?.moved?.repeats).toBeGreaterThan(0.25);
    const strongest = data.pairs.reduce((a, b) => (b.score > a.score ? b : a));
    expect(strongest).toMatchObject({ kind: "K", writer: "L0H0", reader: "L1H5" });
    expect(strongest.effect).toBeLessThan(0.1);
    expect(strongest.moved?.text).toBeLessThan(0.1);
    expect(strongest.moved?.repeats).toBeLessThan(0.1);
    // what it adds to scores follows how much L0H0 rests on the first token: a position, not a token
    expect(strongest.follows).toBeGreaterThan(0.7);
  });

  test("progress begins at 0, never goes back and ends at 1", () => {
    const fractions = progress.map(({ fraction }) => fraction);
    expect(fractions[0]).toBe(0);
    expect(fractions[fractions.length - 1]).toBe(1);
    expect(fractions.every((fraction, i) => i === 0 || fraction >= (fractions[i - 1] ?? 0))).toBe(true);
    expect(new Set(progress.map(({ step }) => step)).size).toBeGreaterThan(8);
  });

  test("the same input gives the same data, and JSON keeps all of it", async () => {
    const again = await analyse(bundled.model, bundled.tokenizer, declarations, {
      title: "A report",
      source: "some declarations",
    });
    expect(JSON.stringify(again)).toBe(JSON.stringify(data));
    expect(JSON.parse(JSON.stringify(data))).toEqual(data);
  });
});

describe("summarise", () => {
  test("names the heads with the evidence, in about a dozen lines of plain text", () => {
    const lines = summarise(data).split("\n");
    expect(lines.length).toBeGreaterThanOrEqual(8);
    expect(lines.length).toBeLessThanOrEqual(14);
    expect(lines.find((line) => line.startsWith("previous"))).toMatch(/L0H5.*L0H7/);
    for (const label of data.found.induction) {
      expect(lines.find((line) => line.slice(13).startsWith(label))).toMatch(
        /attention 0\.\d\d, copying [01]\.\d\d, K-composition with L0H5 0\.\d{3} \(chance 0\.088, z \+\d+\)/,
      );
    }
    expect(lines[lines.length - 1]).toMatch(/82 terms sum to the logits within/);
    expect(lines.join("")).not.toMatch(/undefined|NaN|null|\p{Cc}/u);
  });
});
