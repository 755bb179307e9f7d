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
    const [asIs, withoutInduction, withoutPrevious] = data.induction?.silenced ?? [];
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
    expect(data.samples.map(({ kind }) => kind)).toEqual(["text", "repeated"]);
    for (const { tokens, layers } of data.samples) {
      for (const triangle of layers.flatMap((layer) => layer.pattern)) {
        expect(triangle).toHaveLength((tokens.length * (tokens.length + 1)) / 2);
        const last = triangle.slice(-tokens.length).reduce((sum, x) => sum + x, 0);
        expect(Math.abs(last - 1)).toBeLessThan(1e-3);
      }
    }
  });

  test("the example in the text is an induction: the key follows an earlier copy of the query's token", () => {
    const example = data.induction?.example;
    expect(example?.tokens[example.key - 1]).toBe(example?.tokens[example.query]);
    expect(example?.tokens[example.key]).toBe(example?.next);
    expect(example?.onKey).toBeGreaterThan(0.3);
  });

  test("skip-trigrams are readable, five to a list, and never of the start token", () => {
    expect(data.skipTrigrams).toHaveLength(16);
    for (const { source, destination, out } of data.skipTrigrams.flatMap(({ sources }) => sources)) {
      expect([destination.length, out.length]).toEqual([5, 5]);
      const tokens = [source, ...[...destination, ...out].map(({ token }) => token)];
      expect(tokens).not.toContain("<|endoftext|>");
      expect(tokens.join("").replace(/[\n\t\r]/g, "")).not.toMatch(/\ufffd|\p{Cc}/u);
    }
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
