/**
 * The algebra of paths in models with MLPs, whose outputs are sources beside embeddings and biases: products of layers, paths as tensor
 * products, totals, attention scores, importance. Compared with enumerated paths, with the run itself, and with runs whose MLP outputs are
 * forced by edits.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attributeScore,
  compositionImportance,
  factoredModel,
  headTermImportance,
  layerTermImportance,
  lossByMaxOrder,
  pathExpansion,
  pathTotals,
  scoreExpansion,
  searchVirtualHeads,
  termImportance,
  virtualHead,
  virtualHeadContribution,
} from "../../src/paths/index.ts";
import type { PathTerm, TermImportanceRow } from "../../src/paths/index.ts";
import { applyProduct, applySum } from "../../src/linear/index.ts";
import type { TensorProduct } from "../../src/linear/index.ts";
import { combineEdits, editAt, meanLoss } from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { add, stack, subtract } from "../../src/tensor/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { mlpModelOptions, runs } from "../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));
const withLayers = mlpModelOptions.filter(({ n_layers }) => n_layers > 0);
const maxOf = (values: ArrayLike<number>): number => Math.max(1, ...Array.from(values, Math.abs));
const total = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
type Stream = Tensor<"batch pos d_model">;

const sequential = randomModel({ n_layers: 3, n_heads: 2, norm: "LN", position: "standard", bias: true, mlp: "gelu" });
const parallel = randomModel({
  n_layers: 3,
  n_heads: 2,
  norm: "RMS",
  position: "rotary",
  bias: true,
  mlp: "silu",
  parallel: true,
});
const models: [string, Transformer][] = [
  ["after", sequential],
  ["beside", parallel],
];

describe("the product of layers", () => {
  test("with what MLPs wrote added after each, is the model without its biases, for every model (float32 runs)", () => {
    fc.assert(
      fc.property(mlpModelOptions, (options) => {
        const factored = factoredModel(randomModel(options), prompts(options.d_vocab));
        const end = factored.layers.reduce<Stream>(
          (x, layer, l) => add(applySum(x, layer), factored.mlpOutputs[l] as Stream),
          factored.embedding,
        );
        const expansion = pathExpansion(factored);
        const scale = maxOf(expansion.all.flatMap(({ resid }) => [...resid.data]));
        const wanted = subtract(factored.modelLogits, expansion.logits(expansion.bias));
        expectClose(applyProduct(end, factored.unembed), wanted, { atol: 1e-4 * scale });
      }),
      runs(1201, 40),
    );
  });

  test("an attention-only model has nothing to add", () => {
    expect(factoredModel(randomModel(), tokens).mlpOutputs).toEqual([undefined, undefined]);
  });
});

describe("paths from MLP outputs and from biases", () => {
  test("every model: each term is its product applied to what it begins with; biases' paths sum to the one term (1e-9)", () => {
    fc.assert(
      fc.property(mlpModelOptions, (options) => {
        const model = randomModel({ ...options, bias: true });
        const rows = prompts(options.d_vocab);
        const split = pathExpansion(model, rows, { splitBiases: true });
        expect(split.certificate()).toMatchObject({ withinBound: true, complete: true });
        for (const term of split.terms) {
          const product = term.product as TensorProduct<"d_model", "d_model">;
          const applied = applyProduct(term.input as Stream, product);
          expectClose(applied, term.resid, { atol: 1e-9 * maxOf(term.resid.data) });
        }
        const parts = split.terms.filter(({ source }) => /^(b_|ln)/.test(source)).map(({ resid }) => resid);
        const summed = [...parts, split.bias.resid].reduce((a, b) => add(a, b));
        expectClose(summed, pathExpansion(model, rows).bias.resid, { atol: 1e-9 * maxOf(summed.data) });
      }),
      runs(1202, 30),
    );
  });

  const split = pathExpansion(sequential, tokens, { splitBiases: true });

  test("MLPs stand between embeddings and biases; cut at an order, the remainder holds both kinds, certified", () => {
    expect(split.labels.slice(0, 7).join(" ")).toBe("direct 0_mlp_out 1_mlp_out 2_mlp_out b_O[0] b_O[1] b_O[2]");
    const cut = pathExpansion(sequential, tokens, { splitBiases: true, maxOrder: 1 });
    expect(cut.certificate()).toMatchObject({ withinBound: true, complete: false });
    const longer = split.terms.filter(({ order }) => order > 1).map(({ resid }) => resid);
    expectClose(
      (cut.remainder as PathTerm).resid,
      longer.reduce((a, b) => add(a, b)),
      { atol: 1e-10 },
    );
  });

  test("attribution of all paths at once is that of each by itself (1e-9)", () => {
    const together = split.attribution({ precision: "float64" });
    const apart = split.attribution({ terms: split.all });
    expectClose(together.data, apart.data, { atol: 1e-9 });
  });

  test("groups by source keep MLPs apart, and are certified", () => {
    const groups = pathExpansion(sequential, tokens).group("source");
    expect(groups.map(({ label }) => label)).toEqual(["direct", "0_mlp_out", "1_mlp_out", "2_mlp_out", "bias"]);
    expect(pathExpansion(sequential, tokens).certificate(groups).withinBound).toBe(true);
  });

  test("totals without enumeration are the sums over enumerated paths, by order and by head (1e-9 of their scale)", () => {
    fc.assert(
      fc.property(mlpModelOptions, (options) => {
        const model = randomModel(options);
        const rows = prompts(options.d_vocab);
        const expansion = pathExpansion(model, rows);
        const attribution = expansion.attribution({ precision: "float64" });
        const means = expansion.terms.map((_, t) => total(attribution.select("term", t).data) / 10);
        const close = { atol: 1e-9 * maxOf(means) };
        const { byOrder, byHead } = pathTotals(model, rows);
        const sumWhere = (keep: (term: PathTerm) => boolean): number =>
          expansion.terms.reduce((s, term, t) => s + (keep(term) ? (means[t] as number) : 0), 0);
        for (let order = 0; order <= options.n_layers; order++) {
          expectClose([byOrder.at(order)], [sumWhere((term) => term.order === order)], close);
          for (const { layer, head } of model.heads) {
            const through = ({ path }: PathTerm): boolean => path.some((h) => h.layer === layer && h.head === head);
            const wanted = sumWhere((term) => term.order === order && through(term));
            expectClose([byHead.at(order, layer, head)], [wanted], close);
          }
        }
      }),
      runs(1203, 25),
    );
  });

  test("a virtual head contributes its path from the embedding, and the search ranks those paths (1e-9)", () => {
    const expansion = pathExpansion(sequential, tokens);
    const paths = expansion.select({ order: 2, source: "direct" });
    const [term] = expansion.select({ source: "direct", order: 2, head: "L0H1", last: "L2H0" });
    const { resid } = virtualHeadContribution(virtualHead(sequential, ["L0H1", "L2H0"]), tokens);
    expectClose(resid, (term as PathTerm).resid, { atol: 1e-9 });
    const ranked = expansion.rank("norm", { terms: paths, k: 4 });
    const { found, total: count } = searchVirtualHeads(sequential, tokens, { by: "norm", k: 4 });
    expect(found.map(({ virtual }) => virtual.label)).toEqual(ranked.map(({ term: { label } }) => label));
    expect(count).toBe(paths.length);
  });
});

describe("attention scores", () => {
  test("sum over all terms to the scores of the run within the bound, for every model and way of taking apart", () => {
    fc.assert(
      fc.property(withLayers, fc.constantFrom("head" as const, "path" as const), fc.nat(), (options, by, pick) => {
        const model = randomModel(options);
        const head = model.heads[pick % model.heads.length];
        if (head === undefined) throw new Error("the model has heads");
        const expansion = scoreExpansion(model, prompts(options.d_vocab), head, { by });
        const { bound, ...rest } = expansion.certificate();
        expect(rest).toMatchObject({ withinBound: true, terms: expansion.labels.length ** 2 });
        expect(bound).toBeLessThan(2e-3 * maxOf(expansion.total().data) * options.d_model);
        expect(expansion.labels.filter((label) => label.endsWith("_mlp_out"))).toHaveLength(head.layer);
      }),
      runs(1204, 60),
    );
  });

  test("parts by head and by path, and a cut; each that is missing is noticed", () => {
    const byHead = scoreExpansion(parallel, tokens, "L2H1");
    expect(byHead.labels.join(" ")).toBe("embed L0H0 L0H1 L1H0 L1H1 0_mlp_out 1_mlp_out bias");
    const paths = scoreExpansion(parallel, tokens, "L2H1", { by: "path" });
    expect(paths.labels.slice(0, 3)).toEqual(["embed", "0_mlp_out", "1_mlp_out"]);
    expect(paths.labels.filter((label) => label.includes("_mlp_out→")).join(" ")).toBe("0_mlp_out→L1H0 0_mlp_out→L1H1");
    const cut = scoreExpansion(parallel, tokens, "L2H1", { by: "path", maxOrder: 1 });
    expect(cut.labels.includes("remainder")).toBe(true);
    expect(cut.certificate().withinBound).toBe(true);
    for (const part of ["0_mlp_out", "1_mlp_out"]) {
      expect(byHead.certificate(byHead.terms.filter(({ key }) => key !== part)).withinBound, part).toBe(false);
    }
    // 1 + 2 embedding's, 2 + 4 longer, 1 + 2 and 1 of MLPs, bias.
    expect(paths.labels).toHaveLength(9 + 3 + 1 + 1);
    expect(() => scoreExpansion(parallel, tokens, "L2H1", { by: "path", maxTerms: 195 })).toThrow(
      "queries and keys of L2H1 have up to 14 parts each, 196 terms, more than maxTerms=195",
    );
  });

  test("a term of an MLP has no composition by itself, a formula, and no circuit", () => {
    const expansion = scoreExpansion(sequential, tokens, "L2H1", { by: "path" });
    const [plain] = expansion.select({ query: "1_mlp_out", key: "embed" });
    const [moved] = expansion.select({ query: "embed", key: "0_mlp_out→L1H0" });
    if (plain === undefined || moved === undefined) throw new Error("both are terms");
    expect([plain.composition, moved.composition]).toEqual(["none", "K"]);
    expect(expansion.formula(plain)).toBe("Id ⊗ Id ⊗ MLP[1] W_QK[L2H1] W_Eᵀ");
    expect(expansion.formula(moved)).toBe("Id ⊗ A[L1H0] ⊗ W_E W_QK[L2H1] W_OV[L1H0]ᵀ MLP[0]ᵀ");
    expect(expansion.formula(moved, "latex")).toBe(
      "\\mathrm{Id} \\otimes A^{1.0} \\otimes W_E W_{QK}^{2.1} (W_{OV}^{1.0})^\\top (\\mathrm{MLP}^{0})^\\top",
    );
    expect(() => expansion.circuit(moved)).toThrow(
      'the part "0_mlp_out→L1H0" is no token or position moved by heads, so that it has no circuit.',
    );
  });

  test("one score by source tokens: both sides sum to it (1e-9 of its scale; 2e-4 against float32), for every model", () => {
    fc.assert(
      fc.property(withLayers, fc.nat(), fc.nat({ max: 5 }), fc.nat({ max: 5 }), (options, pick, a, b) => {
        const model = randomModel(options);
        const head = model.heads[pick % model.heads.length];
        if (head === undefined) throw new Error("the model has heads");
        const at = { query: Math.max(a, b), key: Math.min(a, b), prompt: 1 };
        const rows = prompts(options.d_vocab);
        const found = attributeScore(model, rows, head, at);
        const whole = scoreExpansion(model, rows, head).total();
        const scale = maxOf(whole.data);
        for (const { tokens: ofTokens, positions, mlps, bias } of [found.query, found.key]) {
          const sum = total(ofTokens.data) + total(positions.data) + total(mlps.data) + bias;
          expectClose([sum], [found.score], { atol: 1e-9 * scale });
        }
        expectClose([found.score], [whole.at(1, at.query, at.key)], { atol: 2e-4 * scale });
      }),
      runs(1205, 40),
    );
  });

  test.each(models)(
    "MLPs %s the attention: their part of a score is that of all paths from them (1e-9)",
    (_, model) => {
      const { query, key } = attributeScore(model, tokens, "L2H0", { query: 4, key: 2 });
      const expansion = scoreExpansion(model, tokens, "L2H0", { by: "path" });
      const ofMlps = (side: "query" | "key"): number =>
        total(expansion.terms.filter((t) => t[side].includes("_mlp_out")).map((t) => expansion.scores(t).at(0, 4, 2)));
      expectClose([total(query.mlps.data), total(key.mlps.data)], [ofMlps("query"), ofMlps("key")], { atol: 1e-9 });
      expect(Math.abs(total(key.mlps.data))).toBeGreaterThan(1e-3);
    },
  );
});

describe.each(models)("importance with MLPs %s the attention", (_, model) => {
  const { n_layers } = model.config;

  test("the table's gains are those of orders, layers and heads (1e-9, float64)", () => {
    const rows = termImportance(model, tokens, { resamples: 4 });
    const find = (terms: string, relativeTo: string): number =>
      rows.find((row: TermImportanceRow) => row.terms === terms && row.relativeTo === relativeTo)?.gain ?? NaN;
    const { marginalGain } = lossByMaxOrder(model, tokens);
    const layers = layerTermImportance(model, tokens);
    const heads = headTermImportance(model, tokens);
    const close = { atol: 1e-9 };
    for (let order = 0; order <= n_layers; order++) {
      const relativeTo = order === 0 ? "uniform" : "orders below";
      expectClose([find(`order ${order}`, relativeTo)], [marginalGain.at(order)], close);
    }
    for (const { layer } of model.layers) {
      expectClose([find(`L${layer}`, "direct")], [layers.addedToDirect.at(layer)], close);
      expectClose([find(`L${layer}`, "direct and other layers")], [layers.addedToOthers.at(layer)], close);
    }
    for (const { label, layer, head } of model.heads) {
      expectClose([find(label, "direct")], [heads.addedToDirect.at(layer, head)], close);
      expectClose([find(label, "full")], [heads.removedFromFull.at(layer, head)], close);
    }
  });

  test("composition of all orders is the model's own loss (3e-5: float32 runs)", () => {
    const { Q, K, both, fullLoss } = compositionImportance(model, tokens);
    const { logits, tokens: ids } = model.run(tokens);
    const own = meanLoss(logits, ids);
    const last = n_layers - 1;
    expectClose([Q.at(last), K.at(last), both.at(last), fullLoss], [own, own, own, own], { atol: 3e-5 });
    expect(Math.abs(K.at(0) - own)).toBeGreaterThan(1e-4);
  });
});

test.each([
  ["after", false],
  ["beside", true],
] as const)(
  "without composition layer 1 reads embedding and first MLP alone, MLPs %s the attention: an edit of a run whose MLP outputs are held (2e-5)",
  (_, isParallel) => {
    const model = randomModel({ position: "standard", seed: 12, mlp: "gelu", parallel: isParallel });
    const { cache } = model.run(tokens);
    const read = add(cache.get("blocks.0.hook_resid_pre"), cache.get("blocks.0.hook_mlp_out"));
    const held = ([0, 1] as const).map((l) =>
      editAt(`blocks.${l}.hook_mlp_out`, () => cache.get(`blocks.${l}.hook_mlp_out`)),
    );
    const lossOf = (sides: readonly ("q" | "k")[]): number => {
      const inputs = sides.map((side) =>
        editAt(`blocks.1.hook_${side}_input`, (input) =>
          stack(
            "head",
            Array.from({ length: input.sizeOf("head") }, () => read),
          ).permute("batch pos head d_model"),
        ),
      );
      const run = model.run(tokens, { cache: [], edits: combineEdits(...held, ...inputs) });
      return meanLoss(run.logits, run.tokens);
    };
    const { Q, K, both } = compositionImportance(model, tokens);
    expectClose([Q.at(0), K.at(0), both.at(0)], [lossOf(["q"]), lossOf(["k"]), lossOf(["q", "k"])], { atol: 2e-5 });
    expect(Math.abs(lossOf(["k"]) - lossOf([]))).toBeGreaterThan(1e-4);
  },
);
