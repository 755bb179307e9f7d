/**
 * The model as a product of its layers, paths as tensor products, biases as sources, groups, and totals without enumeration. All in
 * float64 over the patterns of a float32 run: 1e-9 unless said.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { factoredModel, frozenAblationLoss, pathExpansion, pathTotals } from "../../src/paths/index.ts";
import type { PathTerm } from "../../src/paths/index.ts";
import { applyProduct, applySum, countTerms, expandSums, positionMatrixOf, toDense } from "../../src/linear/index.ts";
import type { TensorProduct } from "../../src/linear/index.ts";
import { meanLoss } from "../../src/model/index.ts";
import { add, maxAbsDifference, subtract, type Tensor } from "../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { modelOptions, runs } from "../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));
const tight = { atol: 1e-9, rtol: 1e-9 };
type Stream = Tensor<"batch pos d_model">;

const applied = (term: PathTerm): Stream =>
  applyProduct(term.input as Stream, term.product as TensorProduct<"d_model", "d_model">);

describe("the product of layers", () => {
  test("is the model without its biases: the logits less the term `bias`, for every norm and kind of positions", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const factored = factoredModel(model, prompts(options.d_vocab));
        const end = factored.layers.reduce<Stream>((x, layer) => applySum(x, layer), factored.embedding);
        const logits = applyProduct(end, factored.unembed);
        const expansion = pathExpansion(factored);
        const scale = Math.max(1, ...expansion.all.map(({ resid }) => Math.max(...[...resid.data].map(Math.abs))));
        // The run is float32.
        expectClose(logits, subtract(factored.modelLogits, expansion.logits(expansion.bias)), { atol: 1e-4 * scale });
        expect(countTerms(factored.layers)).toBe(options.n_layers === 0 ? 1 : expansion.terms.length);
      }),
      runs(801, 40),
    );
  });

  test("expandSums writes the layers out into the same paths as the expansion, in the same order", () => {
    const factored = factoredModel(randomModel({ n_layers: 3, n_heads: 2, norm: "LN" }), tokens);
    const expanded = expandSums(factored.layers);
    const { terms } = pathExpansion(factored);
    expect(["direct", ...expanded.slice(1).map(({ label }) => label)]).toEqual(terms.map(({ label }) => label));
    for (const [t, { product }] of expanded.entries()) {
      const ofPath = terms[t]?.product;
      if (ofPath === undefined) throw new Error("a path is one product");
      // The path goes through the final norm as well, which moves no position but scales it.
      const [A, B] = [positionMatrixOf(product, 6).data, positionMatrixOf(ofPath, 6).data];
      const ratios = [...A].map((a, i) => (a === 0 ? NaN : (B[i] as number) / a)).filter((r) => !Number.isNaN(r));
      expect(ratios.every((r) => r > 0)).toBe(true);
      expect(applyProduct(factored.embedding, product).shape).toEqual([2, 6, 12]);
    }
  });
});

describe("paths as tensor products", () => {
  test("a term is its product applied to what it begins with, biases included (1e-9)", () => {
    fc.assert(
      fc.property(modelOptions, fc.boolean(), (options, splitBiases) => {
        const expansion = pathExpansion(randomModel(options), prompts(options.d_vocab), { splitBiases });
        for (const term of expansion.terms) {
          const size = Math.max(1, ...[...term.resid.data].map(Math.abs));
          expectClose(applied(term), term.resid, { atol: 1e-9 * size });
        }
      }),
      runs(802, 40),
    );
  });

  test("a virtual head is one pattern and one map: A₂A₁ and W_OV¹ W_OV²", () => {
    const model = randomModel({ position: "rotary" });
    const expansion = pathExpansion(model, tokens);
    const [term] = expansion.select({ order: 2, head: "L0H1", last: "L1H2" });
    const { cache } = model.run(tokens);
    const A = (layer: 0 | 1, head: number): number[][][] =>
      cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head).toNested() as number[][][];
    const [first, then] = [A(0, 1), A(1, 2)];
    const product = term?.product as TensorProduct;
    const found = positionMatrixOf(product);
    for (let i = 0; i < 6; i++) {
      for (let k = 0; k < 6; k++) {
        const by = [0, 1, 2, 3, 4, 5].reduce((s, j) => s + (then[1]?.[i]?.[j] ?? 0) * (first[1]?.[j]?.[k] ?? 0), 0);
        expect(Math.abs(found.at(1, i, k) - by)).toBeLessThan(1e-12);
      }
    }
    const W = (ref: "L0H1" | "L1H2"): number[][] => toDense(model.head(ref).W_OV).toNested() as number[][];
    const [W1, W2] = [W("L0H1"), W("L1H2")];
    const dense = W1.map((row) => (W2[0] ?? []).map((_, c) => row.reduce((s, x, r) => s + x * (W2[r]?.[c] ?? 0), 0)));
    expectClose(toDense(product.features).data, dense.flat(), { atol: 1e-12 });
  });
});

describe("biases as sources", () => {
  test("every model: with every bias a source the terms sum to the logits, and the biases' paths to the one term (1e-9)", () => {
    fc.assert(
      fc.property(modelOptions, fc.integer({ min: 0, max: 3 }), (options, maxOrder) => {
        const model = randomModel({ ...options, bias: true });
        const rows = prompts(options.d_vocab);
        const split = pathExpansion(model, rows, { splitBiases: true, maxOrder });
        expect(split.certificate().withinBound).toBe(true);
        const whole = pathExpansion(model, rows, { splitBiases: true });
        expect(whole.certificate()).toMatchObject({ withinBound: true, complete: true });
        const lumped = pathExpansion(model, rows);
        const parts = [...whole.terms.filter(({ source }) => source !== "direct"), whole.bias];
        const summed = parts.map(({ resid }) => resid).reduce((a, b) => add(a, b));
        const size = Math.max(1, ...[...summed.data].map(Math.abs));
        expectClose(summed, lumped.bias.resid, { atol: 1e-9 * size });
      }),
      runs(803, 40),
    );
  });

  const model = randomModel({ n_layers: 2, n_heads: 2, norm: "LN", position: "standard", bias: true });
  const expansion = pathExpansion(model, tokens, { splitBiases: true, splitPositions: true });

  test("labels, counts and places: b_O enters after its layer, b_V and the norm's bias through a head of it", () => {
    const from = (source: PathTerm["source"]): string =>
      expansion
        .select({ source })
        .map(({ label }) => label)
        .join(" ");
    expect(from("b_O[0]")).toBe("b_O[0] b_O[0]→L1H0 b_O[0]→L1H1");
    expect(from("b_O[1]")).toBe("b_O[1]");
    expect(from("b_V[1]")).toBe("b_V[1]→L1H0 b_V[1]→L1H1");
    expect(from("ln1.b[0]")).toBe(
      "ln1.b[0]→L0H0 ln1.b[0]→L0H1 ln1.b[0]→L0H0→L1H0 ln1.b[0]→L0H0→L1H1 ln1.b[0]→L0H1→L1H0 ln1.b[0]→L0H1→L1H1",
    );
    expect(from("ln_final.b")).toBe("ln_final.b");
    expect(expansion.labels.at(-1)).toBe("b_U");
    // 2 embeddings x 9, b_O 3 + 1, b_V and ln1.b 6 + 2 each, ln_final.b, b_U.
    expect(expansion.all).toHaveLength(18 + 4 + 16 + 1 + 1);
    expect(expansion.certificate()).toMatchObject({ withinBound: true, terms: 40 });
  });

  test("attribution of every term is its logit of the correct next token (1e-9)", () => {
    const attribution = expansion.attribution({ precision: "float64" });
    for (const [t, term] of expansion.all.entries()) {
      const logits = expansion.logits(term);
      const next = tokens.flatMap((row, b) => row.slice(1).map((id, p) => logits.at(b, p, id)));
      expectClose(attribution.select("term", t).data, next, tight);
    }
  });

  test("formulas name the bias, and its head where it is a value", () => {
    const formula = (label: string, format: "text" | "latex" = "text"): string =>
      expansion.formula(
        format,
        expansion.all.find((term) => term.label === label),
      );
    expect(formula("b_O[0]→L1H1")).toBe("ln_final(A[L1H1] ln_1(1 b_O[0]) W_OV[L1H1]) W_U");
    expect(formula("b_V[0]→L0H1→L1H0")).toBe("ln_final(A[L1H0] ln_1(A[L0H1] 1 b_V[L0H1] W_O[L0H1]) W_OV[L1H0]) W_U");
    expect(formula("ln1.b[1]→L1H0")).toBe("ln_final(A[L1H0] 1 ln1.b[1] W_OV[L1H0]) W_U");
    expect(formula("ln_final.b")).toBe("1 ln_final.b W_U");
    expect(formula("b_U")).toBe("1 b_U");
    expect(formula("b_V[0]→L0H1", "latex")).toBe(
      "\\mathrm{ln}_{final}\\left(A^{0.1} \\mathbf{1}\\,b_V^{0.1} W_O^{0.1}\\right) W_U",
    );
    expect(formula("b_U", "latex")).toBe("\\mathbf{1} b_U");
  });

  test("biases that are zero begin no paths", () => {
    const plain = pathExpansion(randomModel({ bias: false }), tokens, { splitBiases: true });
    expect(plain.terms.every(({ source }) => source === "direct")).toBe(true);
    expect(plain.bias.label).toBe("b_U");
  });

  test("they count towards maxTerms", () => {
    expect(() => pathExpansion(model, tokens, { splitBiases: true, maxTerms: 20 })).toThrow(
      "pathExpansion: there are 30 paths of at most 2 heads through n_layers=2 layers of n_heads=2, more than maxTerms=20.",
    );
  });
});

describe("groups", () => {
  const model = randomModel({ n_layers: 3, n_heads: 2, bias: true });
  const expansion = pathExpansion(model, tokens);

  test("by order, ends, source, layers or a function: sums of their members, which still sum to the logits", () => {
    const labels = (by: Parameters<typeof expansion.group>[0]): string[] =>
      expansion.group(by).map(({ label }) => label);
    expect(labels("order")).toEqual(["order 0", "order 1", "order 2", "order 3", "bias"]);
    expect(labels("last")).toEqual(["direct", "L0H0", "L0H1", "L1H0", "L1H1", "L2H0", "L2H1", "bias"]);
    expect(labels("first")).toEqual(["direct", "L0H0", "L0H1", "L1H0", "L1H1", "L2H0", "L2H1", "bias"]);
    expect(labels("source")).toEqual(["direct", "bias"]);
    expect(labels("layers")).toEqual("direct L0 L1 L2 L0→L1 L0→L2 L1→L2 L0→L1→L2 bias".split(" "));
    expect(labels(({ order }) => (order < 2 ? "short" : "long"))).toEqual(["short", "long", "bias"]);
    for (const by of ["order", "last", "first", "source", "layers"] as const) {
      const groups = expansion.group(by);
      expect(expansion.certificate(groups)).toMatchObject({ withinBound: true, terms: groups.length });
    }
  });

  test("are attributed and ranked like terms (1e-9)", () => {
    const groups = expansion.group("last");
    const whole = expansion.attribution({ precision: "float64" });
    expect(() => expansion.attribution({ precision: "float16" as "float32" })).toThrow(
      'attribution: precision is "float16"; the choices are float32, float64.',
    );
    const found = expansion.attribution({ terms: groups });
    expect(found.shape).toEqual([8, 2, 5]);
    for (const [g, { label }] of groups.entries()) {
      const members = expansion.all.flatMap((term, t) =>
        (term.path.length === 0 ? term.label : term.label.split("→").at(-1)) === label ? [whole.select("term", t)] : [],
      );
      const summed = members.reduce((a, b) => add(a, b));
      expectClose(found.select("term", g).data, summed.data, tight);
    }
    expect(expansion.rank("norm", { terms: groups })).toHaveLength(8);
    expect(expansion.formula("text", groups[1])).toBe("(L0H0)");
    expect(expansion.formula("latex", expansion.group(() => "a_b")[0])).toBe("\\left(\\text{a\\_b}\\right)");
    expect(() => expansion.group("head" as "last")).toThrow(
      'group: by is "head"; the choices are order, first, last, source, layers.',
    );
  });
});

describe("totals without enumeration", () => {
  test("are the sums over enumerated paths, by order and by head (1e-9 of their scale)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const rows = prompts(options.d_vocab);
        const expansion = pathExpansion(model, rows);
        const attribution = expansion.attribution({ precision: "float64" });
        const mean = (t: number): number => [...attribution.select("term", t).data].reduce((a, b) => a + b, 0) / 10;
        const means = expansion.terms.map((_, t) => mean(t));
        const scale = Math.max(1, ...means.map(Math.abs));
        const { byOrder, byHead, throughHead } = pathTotals(model, rows);
        const sumWhere = (keep: (term: PathTerm) => boolean): number =>
          expansion.terms.reduce((s, term, t) => s + (keep(term) ? (means[t] as number) : 0), 0);
        for (let order = 0; order <= options.n_layers; order++) {
          expectClose([byOrder.at(order)], [sumWhere((term) => term.order === order)], { atol: 1e-9 * scale });
          for (const { layer, head } of model.heads) {
            const through = ({ path }: PathTerm): boolean => path.some((h) => h.layer === layer && h.head === head);
            expectClose([byHead.at(order, layer, head)], [sumWhere((t) => t.order === order && through(t))], {
              atol: 1e-9 * scale,
            });
            if (order === 0) expectClose([throughHead.at(layer, head)], [sumWhere(through)], { atol: 1e-9 * scale });
          }
        }
      }),
      runs(804, 30),
    );
  });

  test("12 layers of 12 heads: orders sum to the logits, each head's orders to its total, heads of an order to p times it (1e-9)", () => {
    const model = randomModel({ n_layers: 12, n_heads: 12, d_model: 24, d_head: 4, norm: "LNPre" });
    const { byOrder, byHead, throughHead } = pathTotals(model, tokens);
    const { logits, tokens: ids } = model.run(tokens);
    const correct = tokens.flatMap((row, b) => row.slice(1).map((_, p) => logits.at(b, p, ids.at(b, p + 1))));
    const mean = correct.reduce((a, b) => a + b, 0) / correct.length;
    // The model has no biases; the run is float32.
    expectClose([[...byOrder.data].reduce((a, b) => a + b, 0)], [mean], { atol: 1e-4 });
    const scale = Math.max(...[...byOrder.data].map(Math.abs));
    for (let order = 0; order <= 12; order++) {
      const heads = [...byHead.select("order", order).data].reduce((a, b) => a + b, 0);
      expectClose([heads], [order * byOrder.at(order)], { atol: 1e-9 * scale * 12 });
    }
    expect(throughHead.shape).toEqual([12, 12]);
  });

  test("progress and cancelling; prompts without a next token", () => {
    const model = randomModel({ n_layers: 2 });
    const seen: number[] = [];
    pathTotals(model, tokens, { onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([1, 2, 3, 4]);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error("enough"));
    expect(() => pathTotals(model, tokens, { signal: stop.signal, onProgress })).toThrow("enough");
    expect(() => pathTotals(model, [1])).toThrow(
      "pathTotals: a prompt of one token has no next token to explain. Give more tokens, or targets.",
    );
    expect(pathTotals(model, [1], { targets: 3 }).byOrder.shape).toEqual([3]);
  });
});

test("the bundled model: removing L0H5 with patterns held takes away what the totals say, and the biases' paths through it (1e-5)", () => {
  const golden = loadGolden("bundled");
  const rows = golden.tokens().map((row) => row.slice(0, 24));
  const expansion = pathExpansion(golden.model, rows);
  for (const term of expansion.terms.filter((_, t) => t % 9 === 0)) {
    expect(maxAbsDifference(applied(term), term.resid)).toBeLessThan(1e-9);
  }
  const { throughHead } = pathTotals(golden.model, rows);
  const without = expansion.terms.filter(({ path }) => !path.some(({ layer, head }) => layer === 0 && head === 5));
  const logits = [...without, expansion.bias].map((term) => expansion.logits(term)).reduce((a, b) => add(a, b));
  const correct = (t: Tensor<"batch pos d_vocab">): number => {
    const values = rows.flatMap((row, b) => row.slice(1).map((id, p) => t.at(b, p, id)));
    return values.reduce((a, b) => a + b, 0) / values.length;
  };
  expectClose([throughHead.at(0, 5)], [correct(expansion.modelLogits) - correct(logits)], { atol: 1e-5 });
  // The ablation takes what biases send through the head away as well: their paths are those of the head too.
  const split = pathExpansion(golden.model, rows, { splitBiases: true });
  const left = split.terms.filter(({ path }) => !path.some(({ layer, head }) => layer === 0 && head === 5));
  const ablated = [...left, split.bias].map((term) => split.logits(term)).reduce((a, b) => add(a, b));
  expectClose([frozenAblationLoss(golden.model, rows, { heads: ["L0H5"] })], [meanLoss(ablated, split.tokens)], {
    atol: 1e-5,
  });
});
