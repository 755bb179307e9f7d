/** What Node prints of values: the texts are written by hand, from the rules in the head of src/show/text.ts. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { openBundledModel } from "../../src/io/bundled.ts";
import { inspect as inspectCheckpoint, openCheckpoint, writeSafetensors } from "../../src/io/index.ts";
import { compose, eigenvaluesOf, identityMap, linear, scaleMap, tensorProduct } from "../../src/linear/index.ts";
import { factoredModel, pathExpansion, scoreExpansion, termImportance, virtualHead } from "../../src/paths/index.ts";
import { findHeads, headScores } from "../../src/heads/index.ts";
import { Circuit, circuitGraph, Sweep } from "../../src/interventions/index.ts";
import { randomNormal, Tensor } from "../../src/tensor/index.ts";
import { headGrid } from "../../src/viz/index.ts";

const { model, tokenizer } = await openBundledModel();
const tokens = [0, 5, 6, 7, 5, 6, 7];

describe("a tensor in a console", () => {
  const pattern = Tensor.fromNested("query_pos key_pos", [
    [1, 0],
    [0.25, 0.75],
  ]);

  test("has its axes by name and its numbers, aligned, an exact zero without decimals", () => {
    expect(inspect(pattern)).toBe("Tensor[query_pos=2 key_pos=2] float32\n[[1.00, 0   ],\n [0.25, 0.75]]");
    expect(pattern.toText()).toBe(inspect(pattern));
  });

  test.each([
    ["one axis stands beside the title", Tensor.from("pos", [3], [1, 2, 6]), "Tensor[pos=3] float32 [1, 2, 6]"],
    ["a scalar", Tensor.from("", [], [3.5]), "Tensor[] float32 3.5"],
    ["no numbers", Tensor.zeros("pos d_model", [0, 3]), "Tensor[pos=0 d_model=3] float32 []"],
    [
      "integers",
      Tensor.from("batch pos", [2, 2], [5, 1000, -7, 0], "int32"),
      "Tensor[batch=2 pos=2] int32\n[[   5, 1000],\n [  -7,    0]]",
    ],
    [
      "NaN and infinities",
      Tensor.from("pos", [4], [NaN, 0.5, Infinity, -Infinity]),
      "Tensor[pos=4] float32 [      NaN,       0.5,  Infinity, -Infinity]",
    ],
    ["very large", Tensor.from("pos", [2], [1.5e10, 2], "float64"), "Tensor[pos=2] float64 [15000000000,           2]"],
    ["very small", Tensor.from("pos", [2], [1.25e-9, 0], "float64"), "Tensor[pos=2] float64 [1.250e-9,        0]"],
    [
      "a number too small to show beside others is no exact zero",
      Tensor.from("pos", [3], [1, 1e-9, 0]),
      "Tensor[pos=3] float32 [1.0000, 0.0000, 0     ]",
    ],
    ["as written, not as float32 has it", Tensor.from("pos", [2], [0.1, 0.2]), "Tensor[pos=2] float32 [0.1, 0.2]"],
  ])("%s", (_, tensor, text) => {
    expect(inspect(tensor)).toBe(text);
  });

  test("a view shows what it views", () => {
    const turned = pattern.permute("key_pos query_pos").select("key_pos", 0);
    expect(inspect(turned)).toBe("Tensor[query_pos=2] float32 [1.00, 0.25]");
  });

  test("a large one shows its corners, with … for what is between", () => {
    const large = Tensor.from(
      "pos d_model",
      [100, 128],
      Array.from({ length: 12_800 }, (_, i) => i),
    );
    // Numbers of 5 digits: 15 of them are wider than 80 columns, so that it is 3 and 3.
    const row = (r: number): string => {
      const cell = (c: number): string => String(128 * r + c).padStart(5);
      return `[${[0, 1, 2].map(cell).join(", ")}, …, ${[125, 126, 127].map(cell).join(", ")}]`;
    };
    const lines = [0, 1, 2, 3, undefined, 96, 97, 98, 99].map((r) => (r === undefined ? "…" : row(r)));
    expect(inspect(large)).toBe(`Tensor[pos=100 d_model=128] float32\n[${lines.join(",\n ")}]`);
  });

  test("inside another value it is shorter, further in its axes alone", () => {
    const text = inspect({ scores: pattern, deep: { deeper: { pattern } } });
    expect(text).toBe(
      "{\n  scores: Tensor[query_pos=2 key_pos=2] float32\n  [[1.00, 0   ],\n   [0.25, 0.75]],\n  deep: { deeper: { pattern: Tensor[query_pos=2 key_pos=2] float32 } }\n}",
    );
    const many = randomNormal("pos d_model", [50, 50], { seed: 1 });
    expect(inspect({ many }).split("\n").length).toBeLessThanOrEqual(8);
    expect(inspect({ many }, { depth: -1 })).not.toContain("0.");
  });

  test("takes the console's colours", () => {
    expect(inspect(Tensor.from("pos", [2], [1, 2]), { colors: true })).toBe(
      "Tensor[pos=2] float32 [\u001b[33m1\u001b[39m, \u001b[33m2\u001b[39m]",
    );
  });

  test.each([
    [[1, 8, 24, 24]],
    [[2, 2, 2, 2]],
    [[3, 3, 3, 3, 3]],
    [[1, 1, 1, 1, 1, 1, 1]],
    [[1000]],
    [[1000, 1]],
    [[1, 1000]],
    [[12, 12]],
    [[2, 9]],
    [[5, 5, 5]],
    [[40, 2, 3]],
    [[1, 40, 2]],
  ])("of shape %j takes ten lines of a hundred columns at most, brackets closed", (shape) => {
    const axes = shape.map((_, a) => `axis_${a}`).join(" ");
    const text = inspect(randomNormal(axes, shape, { seed: 3 }));
    const lines = text.split("\n");
    expect(lines.length).toBeLessThanOrEqual(10);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    const numbers = text.slice(text.indexOf("float32"));
    expect(numbers.split("[").length).toBe(numbers.split("]").length);
    if (shape.reduce((n, m) => n * m) > 150) expect(text).toContain("…");
  });
});

describe("what is not a tensor", () => {
  test("a model is a card", () => {
    expect(inspect(model)).toBe(
      [
        "Transformer of 2 layers of 8 heads, 411,648 weights",
        "  sizes      d_model=128 d_head=16 d_vocab=1024 n_ctx=128",
        "  positions  shortformer",
        "  norm       none",
        "  MLPs       none: attention-only",
        "  attention  causal",
      ].join("\n"),
    );
    expect(String(model)).toBe("Transformer of 2 layers of 8 heads, 411,648 weights");
  });

  test("a head has its circuits", () => {
    expect(inspect(model.head("L1H4"))).toBe(
      "AttentionHead L1H4\n  W_QK  Linear[d_model=128 -> d_model*=128] of rank at most 16\n  W_OV  Linear[d_model=128 -> d_model=128] of rank at most 16",
    );
  });

  test("a map has its ends and its factors", () => {
    const { W_OV } = model.head("L1H4");
    expect(inspect(compose(model.W_E, W_OV))).toBe(
      "Linear[d_vocab=1024 -> d_model=128] of rank at most 16\n  = [1024 × 128] · [128 × 16] · [16 × 128]",
    );
    expect(inspect(scaleMap(identityMap("d_model", 4), 0.5))).toBe(
      "Linear[d_model=4 -> d_model=4] of rank at most 4 the identity times 0.5",
    );
  });

  test("a cache lists hooks, those of all layers in one line", () => {
    const { cache } = model.run(tokens, { cache: (name) => name.endsWith("hook_pattern") || name === "hook_embed" });
    expect(inspect(cache)).toBe(
      "ActivationCache of 3 activations\n  hook_embed                      [batch=1 pos=7 d_model=128]\n  blocks.{0,1}.attn.hook_pattern  [batch=1 head=8 query_pos=7 key_pos=7]",
    );
  });

  test("eigenvalues are complex numbers", () => {
    const turn = linear(
      "d_model",
      "d_model",
      Tensor.fromNested("d_model d_out", [
        [0, 2],
        [-2, 0],
      ]),
    );
    expect(inspect(eigenvaluesOf(turn))).toBe(
      "2 eigenvalues\n  real  imaginary  modulus\n     0          2        2\n     0         -2        2",
    );
  });

  test("found heads are labels", () => {
    const score = (numbers: number[][]): Tensor<"layer head"> => Tensor.fromNested("layer head", numbers);
    const none = score([[0, 0]]);
    const found = findHeads({
      current: none,
      previous: score([[0.5, 0.9]]),
      first: none,
      duplicate: none,
      induction: none,
    });
    expect(inspect(found)).toBe(
      "FoundHeads with scores above 0.4\n  currentToken    none\n  previousToken   L0H1 L0H0\n  firstToken      none\n  duplicateToken  none\n  induction       none\n  prefixMatching  none",
    );
    expect(found.previousToken).toEqual([
      { layer: 0, head: 1 },
      { layer: 0, head: 0 },
    ]);
  });

  test.each([
    ["a tokenizer", () => tokenizer, 'Tokenizer of 1024 tokens, bos 0 "<|endoftext|>"'],
    ["a figure", () => headGrid({ values: [[1, 2]], title: "Scores" }), "Figure(headGrid: Scores, "],
    ["a virtual head", () => virtualHead(model, ["L0H5", "L1H4"]), "VirtualHead L0H5→L1H4"],
    ["a term of an expansion", () => pathExpansion(model, tokens).terms[1], "PathTerm L0H0"],
    ["a lumped term", () => pathExpansion(model, tokens).bias, "PathTerm bias"],
    ["a layer", () => model.layer(1), "AttentionLayer 1 of 8 heads"],
    ["a factored model", () => factoredModel(model, tokens), "FactoredModel on tokens [batch=1 pos=7]"],
    [
      "a tensor product",
      () => tensorProduct(Tensor.zeros("query_pos key_pos", [2, 2]), model.head("L0H0").W_OV),
      "TensorProduct[pos=2 -> pos=2] ⊗ [d_model=128 -> d_model=128]",
    ],
    ["scores of heads", () => headScores(model, { length: 10, batch: 1 }), "HeadScores on tokens [batch=1 pos=21]"],
    ["term importance", () => termImportance(model, tokens, { heads: false }), "TermImportance: 7 rows"],
    ["an expansion", () => pathExpansion(model, tokens), "PathExpansion on tokens [batch=1 pos=7]"],
    ["an expansion of scores", () => scoreExpansion(model, tokens, "L1H4"), "ScoreExpansion of L1H4 on tokens"],
  ])("%s begins with what it is and takes ten lines at most", (_, make, begin) => {
    const text = inspect(make());
    expect(text.startsWith(begin)).toBe(true);
    expect(text.split("\n").length).toBeLessThanOrEqual(10);
  });

  test("an expansion has its formula and its largest terms, largest first", () => {
    const text = inspect(pathExpansion(model, tokens));
    expect(text).toContain("logits = T W_E W_U + A[L0H0] T W_E W_OV[L0H0] W_U + … (82 terms)");
    const best = pathExpansion(model, tokens).rank("attribution", { k: 2 });
    const lines = text.split("\n").slice(3, 5);
    expect(lines.map((line) => line.trim().split(/\s+/)[0])).toEqual(best.map(({ term }) => term.label));
  });

  test("an expansion of a prompt of one token, which has no next one, has its formula alone", () => {
    expect(inspect(pathExpansion(model, [0])).split("\n").length).toBe(2);
  });

  test("a checkpoint and its inspection list tensors with dtype and shape", async () => {
    const bytes = writeSafetensors(new Map([["embed.W_E", Tensor.zeros("d_vocab d_model", [5, 2])]]), { dtype: "F16" });
    const row = "  tensor     dtype  shape\n  embed.W_E  F16    [5, 2]";
    const size = bytes.length.toLocaleString("en");
    expect(inspect(await inspectCheckpoint(bytes, { name: "toy" }))).toBe(
      `Inspection of toy: safetensors, ${size} bytes, 10 numbers\n${row}`,
    );
    expect(inspect(await openCheckpoint(bytes, { name: "toy" }))).toBe(
      `Checkpoint toy: safetensors, ${size} bytes\n${row}`,
    );
  });

  test("a sweep lists the changes that move its metric most", () => {
    const values = Tensor.fromNested(
      "layer head",
      [
        [1, 4],
        [3, 2.5],
      ],
      "float64",
    );
    const sweep = new Sweep({
      what: "each head left out",
      metric: "loss",
      values,
      perPrompt: Tensor.zeros("layer head batch", [2, 2, 1]),
      labels: { layer: [0, 1], head: ["H0", "H1"] },
      base: 2,
      other: undefined,
    });
    expect(inspect(sweep)).toBe(
      [
        "Sweep[layer=2 head=2] of loss, each head left out, from 2.00",
        "  layer  head  loss  change",
        "      0  H1     4.0     2.0",
        "      0  H0     1.0    -1.0",
        "      1  H0     3.0     1.0",
        "      1  H1     2.5     0.5",
      ].join("\n"),
    );
    const again = JSON.parse(JSON.stringify(sweep), Tensor.revive) as { values: Tensor };
    expect(again.values.toNested()).toEqual(values.toNested());
  });

  test("a circuit lists its edges by score", () => {
    const circuit = Circuit.from(circuitGraph(model), { edges: ["input->a0.h5<v>", "a0.h5->a1.h2<k>"] });
    expect(inspect(circuit)).toMatch(/^Circuit of 2 of 257 edges, 4 of 18 nodes\n {2}edge +score\n/);
    expect(inspect(circuit).split("\n")).toHaveLength(4);
  });

  test("results that are plain objects stay plain to all but the console", () => {
    const scores = headScores(model, { length: 10, batch: 1 });
    expect(Object.getPrototypeOf(scores)).toBe(Object.prototype);
    expect(Object.keys(scores)).toContain("inductionStrict");
    expect(Object.keys({ ...scores })).toEqual(Object.keys(scores));
  });
});
