/** Virtual heads: against a real head with their pattern and map, dense loops, the path expansion, and the search against trying all. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  pathExpansion,
  searchVirtualHeads,
  strongestVirtualHeads,
  virtualComposition,
  virtualCopyingScore,
  virtualHead,
  virtualHeadContribution,
  virtualHeadPattern,
} from "../../../src/paths/index.ts";
import { virtualOVCircuit } from "../../../src/circuits/index.ts";
import type { VirtualHead } from "../../../src/paths/index.ts";
import { InputError } from "../../../src/errors.ts";
import { applyProduct, eigenvaluesOf, toDense } from "../../../src/linear/index.ts";
import type { HeadRef, Transformer } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { fro, headMatrices, mul } from "../../circuits/dense-reference.ts";
import type { Matrix } from "../../circuits/dense-reference.ts";
import { runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const seeds = fc.integer({ min: 0, max: 1e6 });

describe("one virtual head", () => {
  test("contributes what a real head with its pattern and its map would: A x W_OV W_U, by loops (1e-9)", () => {
    const model = randomModel({ n_layers: 3, position: "none", seed: 3 });
    const virtual = virtualHead(model, ["L0H1", "L1H0", "L2H2"]);
    expect([virtual.label, String(virtual)]).toEqual(["L0H1→L1H0→L2H2", "VirtualHead L0H1→L1H0→L2H2"]);
    const run = model.run(tokens);
    const A = virtualHeadPattern(virtual, run).toNested() as number[][][];
    const x = run.cache.get("hook_embed").toNested() as number[][][];
    const W = mul(...virtual.heads.map((head) => headMatrices(model, head).OV));
    const { resid, attribution, product } = virtualHeadContribution(virtual, tokens);
    const U = model.weight("unembed.W_U").toNested() as number[][];
    for (const b of [0, 1]) {
      const moved = mul(A[b] as Matrix, x[b] as Matrix, W);
      expectClose(resid.select("batch", b).data, moved.flat(), { atol: 1e-9 });
      const logits = mul(moved, U);
      const next = (tokens[b] ?? []).slice(1).map((id, i) => logits[i]?.[id] as number);
      expectClose(attribution.select("batch", b).data, next, { atol: 1e-9 });
    }
    expectClose(applyProduct(run.cache.get("hook_embed"), product).data, resid.data, { atol: 1e-5 });
    expectClose(toDense(virtual.W_OV).data, W.flat(), { atol: 1e-12 });
  });

  test("is the term of the path expansion, whatever norm, positions and biases the model has (1e-9 of its size)", () => {
    for (const norm of ["LN", "RMS", null] as const) {
      const model = randomModel({ n_layers: 3, norm, position: "standard", bias: true });
      const expansion = pathExpansion(model, tokens);
      const term = expansion.terms.find(({ label }) => label === "L0H2→L2H1");
      const { resid, attribution } = virtualHeadContribution(virtualHead(model, ["L0H2", "L2H1"]), tokens, {
        targets: 4,
      });
      expectClose(resid, term?.resid ?? resid, { rtol: 1e-9, atol: 1e-12 });
      const of = expansion.attribution({ targets: 4, terms: term === undefined ? [] : [term] });
      expectClose(attribution.data, of.data, { rtol: 1e-9, atol: 1e-12 });
    }
  });

  test("has a causal pattern whose rows sum to 1 (P7; 1e-6: float32 patterns); previous of previous looks two back (P8, 1e-12)", () => {
    const model = randomModel({ norm: "LN" });
    const A = virtualHeadPattern(virtualHead(model, ["L0H0", "L1H2"]), model.run(tokens));
    for (let row = 0; row < 12; row++) {
      const entries = [...A.data.subarray(row * 6, (row + 1) * 6)];
      expect(Math.abs(entries.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-6);
      expect(entries.slice((row % 6) + 1).every((x) => x === 0)).toBe(true);
    }
    const planted = plantedModel();
    const layer0 = (name: string): Tensor => planted.weight(name.replace("blocks.1", "blocks.0"));
    const twice = withWeights(planted, (name, W) => (/^blocks\.1\.attn\.W_[QK]/.test(name) ? layer0(name) : W));
    const two = virtualHeadPattern(virtualHead(twice, ["L0H0", "L1H0"]), twice.run([0, 5, 6, 7, 8, 9]));
    for (let i = 2; i < 6; i++) expect(Math.abs(two.at(0, i, i - 2) - 1)).toBeLessThan(1e-12);
  });

  test("its copying score is that of its full circuit's eigenvalues, its composition a ratio of dense norms (1e-9)", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const model = randomModel({ seed, n_layers: 3 });
        for (const heads of [
          ["L0H1", "L1H2"],
          ["L0H0", "L1H1", "L2H2"],
        ] as HeadRef[][]) {
          const virtual = virtualHead(model, heads);
          const { re, im } = eigenvaluesOf(virtual.fullOV);
          const moduli = [...re.data].map((x, i) => Math.hypot(x, im.data[i] as number));
          const total = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
          expectClose([virtualCopyingScore(virtual)], [total(re.data) / total(moduli)], { atol: 1e-7 });
          const maps = virtual.heads.map((head) => headMatrices(model, head).OV);
          const expected = fro(mul(...maps)) / maps.reduce((s, map) => s * fro(map), 1);
          expectClose([virtualComposition(virtual)], [expected], { atol: 1e-9 });
        }
        const pair = virtualHead(model, ["L0H1", "L1H2"]);
        expectClose(toDense(pair.fullOV).data, toDense(virtualOVCircuit(model, "L0H1", "L1H2")).data, { atol: 1e-12 });
      }),
      runs(701, 15),
    );
  });

  test("of a zero head scores 0", () => {
    const model = withWeights(randomModel(), (name, W) =>
      name === "blocks.0.attn.W_V" ? Tensor.zeros(W.axes, W.shape) : W,
    );
    const virtual = virtualHead(model, ["L0H1", "L1H2"]);
    expect([virtualComposition(virtual), virtualCopyingScore(virtual)]).toEqual([0, 0]);
  });
});

describe("the search", () => {
  /** All virtual heads of an order. */
  function every(model: Transformer, order: number): VirtualHead[] {
    const longer = (heads: HeadRef[], from: number): HeadRef[][] =>
      heads.length === order
        ? [heads]
        : model.layers
            .slice(from)
            .flatMap(({ layer, heads: all }) => all.flatMap((head) => longer([...heads, head], layer + 1)));
    return longer([], 0).map((heads) => virtualHead(model, heads));
  }

  test("by weights finds what trying all finds, of order 2 and 3 (1e-9)", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(2, 3), fc.integer({ min: 1, max: 6 }), (seed, order, k) => {
        const model = randomModel({ seed, n_layers: 4, n_heads: 2 });
        const all = every(model, order).map((virtual) => ({
          label: virtual.label,
          value: virtualComposition(virtual),
        }));
        all.sort((a, b) => b.value - a.value);
        const { found, total } = strongestVirtualHeads(model, { order, k });
        expect(total).toBe(all.length);
        expect(found.map(({ virtual }) => virtual.label)).toEqual(all.slice(0, k).map(({ label }) => label));
        expectClose(
          found.map(({ value }) => value),
          all.slice(0, k).map(({ value }) => value),
          { atol: 1e-9 },
        );
      }),
      runs(702, 15),
    );
  });

  test("on tokens finds the largest terms of the path expansion, by attribution and by norm, for every norm (1e-9)", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom("attribution" as const, "norm" as const),
        fc.constantFrom(2, 3),
        fc.constantFrom(null, "LN" as const, "RMS" as const),
        (seed, by, order, norm) => {
          const model = randomModel({ seed, n_layers: 3, norm, bias: true, position: "rotary" });
          const expansion = pathExpansion(model, tokens);
          const ranked = expansion.rank(by, { terms: expansion.select({ order }), k: 4 });
          const { found, total } = searchVirtualHeads(model, tokens, { order, k: 4, by });
          expect(total).toBe(27);
          expect(found.map(({ virtual }) => virtual.label)).toEqual(ranked.map(({ term }) => term.label));
          expectClose(
            found.map(({ value }) => value),
            ranked.map(({ value }) => value),
            { rtol: 1e-9, atol: 1e-12 },
          );
        },
      ),
      runs(703, 20),
    );
  });

  test("the bundled model: of 64 pairs the three largest on its golden prompts are the expansion's", () => {
    const golden = loadGolden("bundled");
    const rows = golden.tokens();
    const expansion = pathExpansion(golden.model, rows);
    const ranked = expansion.rank("attribution", { terms: expansion.select({ order: 2 }), k: 3 });
    const { found } = searchVirtualHeads(golden.model, rows, { k: 3 });
    expect(found.map(({ virtual }) => virtual.label)).toEqual(ranked.map(({ term }) => term.label));
  });

  test("progress and cancelling, by first heads", () => {
    const seen: number[][] = [];
    strongestVirtualHeads(randomModel(), { onProgress: (...at) => seen.push(at) });
    expect(seen).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error("enough"));
    expect(() => searchVirtualHeads(randomModel(), tokens, { signal: stop.signal, onProgress })).toThrow("enough");
  });
});

describe("what is refused", () => {
  const model = randomModel();
  test.each([
    [() => virtualHead(model, ["L0H0"]), "virtualHead: a virtual head is made of two heads or more; 1 given."],
    [
      () => virtualHead(model, ["L1H0", "L0H0"]),
      "virtualHead: L1H0 does not come before L0H0: only a head of an earlier layer can write what a later one reads. Swap them?",
    ],
    [
      () => strongestVirtualHeads(model, { order: 3 }),
      "strongestVirtualHeads: order is 3; a virtual head is made of at least 2 heads, of different layers, and this model has n_layers=2.",
    ],
    [() => searchVirtualHeads(model, tokens, { k: 0 }), "searchVirtualHeads: k is 0; ask for a positive whole number."],
    [
      () => searchVirtualHeads(model, tokens, { by: "size" as "norm" }),
      'searchVirtualHeads: by is "size"; the choices are attribution, norm.',
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(InputError);
    expect(call).toThrow(text);
  });
});
