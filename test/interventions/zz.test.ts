import { test } from "vitest";
import {
  edgeAttribution,
  exactEdges,
  topEdges,
  greedyEdges,
  circuitFaithfulness,
  evaluateCircuit,
  rankAgreement,
  Circuit,
} from "../../src/interventions/index.ts";
import { repeatedTokens } from "../../src/heads/index.ts";
import { crossEntropy } from "../../src/model/index.ts";
import { openBundledModel } from "../../src/io/bundled.ts";
test("x", async () => {
  const { model } = await openBundledModel();
  const L = 16,
    B = 8;
  const clean = repeatedTokens(model.config, { length: L, batch: B, seed: 0, bos: 0, distinct: true });
  const other = repeatedTokens(model.config, { length: L, batch: B, seed: 1, bos: 0, distinct: true });
  const c = Array.from({ length: B }, (_, b) => [...(clean as any)[b]] as number[]);
  const corrupted = c.map((row, b) => row.map((t, p) => (p > 0 && p <= L ? (other as any)[b][p] : t)));
  const mask = c.map(() => Array.from({ length: 2 * L }, (_, p) => (p > L ? 1 : 0)));
  const metric = crossEntropy(c, { mask });
  for (const ablation of ["counterfactual", "mean", "zero"] as const) {
    let t = performance.now();
    const cpu = process.cpuUsage();
    const exact = exactEdges(model, { clean: c, corrupted }, metric, { ablation });
    const d = process.cpuUsage(cpu);
    console.log(ablation, "exact ms", performance.now() - t, "cpu", (d.user + d.system) / 1000);
    console.log(
      exact.circuit
        .ranking()
        .slice(0, 28)
        .map((e) => `${e.name} ${e.score.toFixed(3)}`)
        .join("  "),
    );
    for (const method of ["eap", "eap-ig-inputs", "eap-ig-activations"] as const) {
      const a = edgeAttribution(model, { clean: c, corrupted }, metric, { ablation, method, exact });
      console.log(method, JSON.stringify(a.agreement));
    }
    const f = circuitFaithfulness(model, exact.circuit, { clean: c, corrupted }, metric, { ablation });
    console.log(
      f.full,
      f.empty,
      "cpr",
      f.cpr,
      "cmd",
      f.cmd,
      f.absolute.faithfulness.map((x) => x.toFixed(2)).join(" "),
      f.signed.faithfulness.map((x) => x.toFixed(2)).join(" "),
      f.absolute.edges.join(),
    );
    const g = circuitFaithfulness(model, exact.circuit, { clean: c, corrupted }, metric, {
      ablation,
      shares: [0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4],
      select: "greedy",
    });
    console.log(
      "greedy",
      g.absolute.faithfulness.map((x) => x.toFixed(2)).join(" "),
      g.signed.faithfulness.map((x) => x.toFixed(2)).join(" "),
      g.absolute.edges.join(),
    );
  }
}, 300000);
