/**
 * The bundled model on repeated tokens, from discovery to certificate. Cut edges carry what they carry where the first
 * copy is of
 * other tokens, so that nothing is repeated.
 */
import { describe, expect, test } from "vitest";
import { discoverCircuit, evaluateCircuit, readCircuit } from "../../../src/interventions/index.ts";
import { repeatedTokens } from "../../../src/heads/index.ts";
import { openBundledModel } from "../../../src/io/bundled.ts";
import { crossEntropy } from "../../../src/model/index.ts";

const L = 16;
const { model } = await openBundledModel();
const draw = (seed: number): number[][] =>
  repeatedTokens(model.config, { length: L, batch: 8, seed, bos: 0, distinct: true });
const clean = draw(0);
const other = draw(1);
const corrupted = clean.map((row, b) => [...(other[b] ?? []).slice(0, L + 1), ...row.slice(L + 1)]);
const mask = clean.map(() => Array.from({ length: 2 * L }, (_, p) => (p > L ? 1 : 0)));
const metric = crossEntropy(clean, { mask });
const prompts = { clean, corrupted };

describe("the circuit of repeated tokens", () => {
  const { circuit, effects, faithfulness } = discoverCircuit(model, prompts, metric);
  // What the heads are: findHeads on this model, and data/README.
  const induction = [1, 2, 3, 4, 7];

  test("has the previous-token heads, their K-edges into the induction heads, and those heads' edges to the logits", () => {
    for (const previous of ["a0.h5", "a0.h7"]) {
      expect(circuit.has(`input->${previous}<v>`)).toBe(true);
      for (const head of [1, 2, 4, 7])
        expect(circuit.has(`${previous}->a1.h${head}<k>`), `${previous} ${head}`).toBe(true);
    }
    for (const head of induction) expect(circuit.has(`a1.h${head}->logits`), `a1.h${head}`).toBe(true);
  });

  test("ranks K-edges from L0H5 and L0H7 above every other edge between heads but two of a hundred", () => {
    const between = effects.circuit.ranking().filter(({ from, to }) => from.startsWith("a0") && to.startsWith("a1"));
    const first = between.slice(0, 10);
    const known = first.filter(
      ({ from, to, input }) => /h[57]$/.test(from) && input === "k" && induction.some((head) => to === `a1.h${head}`),
    );
    expect(known.length).toBeGreaterThanOrEqual(8);
  });

  test("is a quarter of the edges at most, and faithful", () => {
    expect(circuit.size).toBeLessThanOrEqual(64);
    expect(Math.abs(1 - faithfulness)).toBeLessThanOrEqual(0.05);
  });

  test("the certificate: alone it loses less than 0.25 nats of 7.15, without it more than half is gone, and no random circuit of 200 comes near", () => {
    const reports: number[] = [];
    const certificate = evaluateCircuit(model, circuit, prompts, metric, {
      effects,
      onProgress: (done, total) => reports.push(done / total),
    });

    expect(certificate.empty - certificate.full).toBeGreaterThan(7);
    const mean = certificate.perPrompt.circuit.reduce((a, b) => a + b, 0) / 8;
    expect(Math.abs(mean - certificate.full)).toBeLessThan(0.25);
    expect(certificate.necessity).toBeGreaterThan(0.5);
    expect(certificate.random.count).toBe(200);
    expect(certificate.random.atLeastAsFaithful).toBe(0);
    expect(certificate.random.summary.max).toBeLessThan(0.5);
    expect(certificate.grid.cells.length).toBe(32);
    expect(new Set(certificate.grid.cells.map((c) => [c.unit, c.ablation, c.positions, c.kept].join())).size).toBe(32);
    expect(certificate.perPrompt.worst.length).toBe(5);
    expect(certificate.stability?.jaccard.mean).toBeGreaterThan(0.5);
    expect(reports.at(-1)).toBe(1);
    expect(reports.every((share, i) => i === 0 || share > (reports[i - 1] ?? 0))).toBe(true);
    // All of it is plain data, and the circuit in it is a circuit again.
    const back = JSON.parse(JSON.stringify(certificate)) as { circuit: object; grid: { cells: unknown[] } };
    expect(back.grid.cells.length).toBe(32);
    expect(readCircuit(back.circuit).edges).toEqual(certificate.circuit.edges);
  });

  test("stops where it is told to", () => {
    const controller = new AbortController();
    const stop = (done: number): void => {
      if (done === 5) controller.abort(new Error("enough"));
    };
    expect(() =>
      evaluateCircuit(model, circuit, prompts, metric, { effects, signal: controller.signal, onProgress: stop }),
    ).toThrow("enough");
  });
});
