/** The data of figures 1 to 11: planted models, dense products and the reference results of the bundled model. */
import { openBundledModel } from "transformer-circuits/bundled";
import {
  compositionDiagram,
  copyingHistogram,
  copyingTable,
  headDump,
  logitExpansion,
  ovEigenvalues,
  positionalHeads,
  qkExpansion,
  skipTrigramBugTable,
  skipTrigramList,
  splitTokenTable,
  type FigureTokenizer,
} from "transformer-circuits/figures";
import { beforeAll, describe, expect, test } from "vitest";
import {
  compositionScores,
  fullOVCircuit,
  fullQKCircuit,
  normedTokens,
  skipTrigramBugs,
} from "../../src/circuits/index.ts";
import { toDense } from "../../src/linear/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel, withWeights } from "../support/random-model.ts";

let bundled: Awaited<ReturnType<typeof openBundledModel>>;
beforeAll(async () => {
  bundled = await openBundledModel();
});

const label = ({ layer, head }: { layer: number; head: number }): string => `L${layer}H${head}`;

/** A tokenizer of given token texts, the first of which is BOS if it is `<s>`. */
function tokenizerOf(texts: readonly string[]): FigureTokenizer {
  return {
    bos: texts[0] === "<s>" ? 0 : undefined,
    tokenString: (id) => {
      const text = texts[id];
      if (text === undefined) throw new RangeError(`no token ${id}`);
      return text;
    },
    encode: (text) => text.split("|").map((token) => texts.indexOf(token)),
  };
}

/**
 * One layer of one head over a vocabulary of one-hot embeddings, whose circuits are given outright: `qk[destination][source]` and
 * `ov[source][out]`.
 */
function tableModel(qk: readonly (readonly number[])[], ov: readonly (readonly number[])[]): Transformer {
  const n = qk.length;
  const base = randomModel({
    n_layers: 1,
    n_heads: 1,
    d_model: n,
    d_head: n,
    d_vocab: n,
    n_ctx: 12,
    dtype: "float64",
    config: { use_attn_scale: false, attn_scale: 1 },
  });
  const identity = Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const tables: Record<string, readonly number[]> = {
    "embed.W_E": identity,
    "unembed.W_U": identity,
    "blocks.0.attn.W_Q": qk.flat(),
    "blocks.0.attn.W_K": identity,
    "blocks.0.attn.W_V": ov.flat(),
    "blocks.0.attn.W_O": identity,
  };
  return withWeights(base, (name, weight) =>
    tables[name] === undefined ? weight : Tensor.from(weight.axes, weight.shape, Float64Array.from(tables[name])),
  );
}

/** A table with some entries that are not 0. */
function table(n: number, entries: readonly (readonly [row: number, column: number, value: number])[]): number[][] {
  const rows = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  for (const [i, j, value] of entries) (rows[i] as number[])[j] = value;
  return rows;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

describe("tables of skip-trigrams, of circuits written down", () => {
  const texts = ["<s>", " keep", " in", " at", " mind", " bay", " Ralph", "R", "alph", " ralph"];
  const tokenizer = tokenizerOf(texts);
  const [START, keep, inside, at, mind, bay, whole, R, alph, ralph] = texts.map((_, id) => id) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const n = texts.length;
  // what looks at a source: [destination, source, score]; scores with the start token are 0
  const qk = table(n, [
    [inside, keep, 3],
    [at, keep, 2],
    [R, whole, 4],
    [ralph, whole, 1],
    [START, keep, 9],
  ]);
  const ov = table(n, [
    [keep, mind, 2],
    [keep, bay, 1.5],
    [whole, alph, 2.5],
    [whole, ralph, 1.25],
    [whole, whole, 1],
    [ralph, ralph, 0.5],
  ]);
  const model = tableModel(qk, ov);
  const input = { model, tokenizer };

  test("headDump: the strongest source first, its destinations and outputs by their entries, without the start token", () => {
    const { heads, reference, of } = headDump(input, { rows: 2, listed: 2 });
    expect([reference, of, heads.length]).toEqual(["start", 1, 1]);
    // σ(4)·2.5 > σ(3)·2
    expect(heads[0]?.rows).toEqual([
      {
        source: { id: whole, text: " Ralph" },
        destination: [
          { id: R, text: "R", value: 4 },
          { id: ralph, text: " ralph", value: 1 },
        ],
        out: [
          { id: alph, text: "alph", value: 2.5 },
          { id: ralph, text: " ralph", value: 1.25 },
        ],
      },
      {
        source: { id: keep, text: " keep" },
        destination: [
          { id: inside, text: " in", value: 3 },
          { id: at, text: " at", value: 2 },
        ],
        out: [
          { id: mind, text: " mind", value: 2 },
          { id: bay, text: " bay", value: 1.5 },
        ],
      },
    ]);
    // the trace of OV is 1.5; its eigenvalues 1 and 0.5
    expect(heads[0]?.copying).toBeCloseTo(1, 6);
  });

  test("skipTrigramList: outputs that are the source or a part of it are left out, with the effect σ(S)·OV", () => {
    const { trigrams, heads } = skipTrigramList(input, { rows: 1 });
    expect(heads).toEqual([{ layer: 0, head: 0 }]);
    expect(trigrams).toHaveLength(1);
    expect(trigrams[0]).toMatchObject({
      layer: 0,
      head: 0,
      source: { text: " keep" },
      out: [{ text: " mind" }, { text: " bay" }, {}, {}, {}],
    });
    expect(trigrams[0]?.effect).toBeCloseTo(2 * sigmoid(3), 12);
  });

  test("copyingTable: sources that come out in another case count as copied, and the example is the copy", () => {
    const [head] = copyingTable(input, { rows: 1, listed: 3 }).heads;
    expect(head?.rows.map(({ source }) => source.text)).toEqual([" Ralph"]);
    const { destination, out, effect } = head?.rows[0]?.example ?? {};
    expect([destination?.text, out?.text]).toEqual(["R", " ralph"]);
    expect(effect).toBeCloseTo(1.25 * sigmoid(4), 12);
  });

  test("copyingTable and headDump take sources by id", () => {
    const { heads } = copyingTable(input, { sources: [ralph] });
    expect(heads[0]?.rows.map(({ source }) => source.id)).toEqual([ralph]);
    expect(headDump(input, { sources: [bay] }).heads[0]?.rows[0]?.source.id).toBe(bay);
    expect(() => headDump(input, { sources: [n] })).toThrow("source is 10; token ids of this model are 0 to 9.");
  });

  test("splitTokenTable: the one way to write a token of this vocabulary in two", () => {
    const { splits, heads } = splitTokenTable(input);
    expect(splits).toBe(1);
    expect(heads[0]?.rows).toMatchObject([{ source: { id: whole }, destination: { id: R }, out: { id: alph } }]);
    expect(heads[0]?.rows[0]?.attention).toBeCloseTo(sigmoid(4), 12);
    expect(heads[0]?.rows[0]?.effect).toBeCloseTo(2.5 * sigmoid(4), 12);
    expect(heads[0]?.positive).toBe(1);
  });

  test("skipTrigramBugTable: keep … in → mind and keep … at → bay bring in → bay and at → mind", () => {
    const text = " keep| in| mind| at| bay";
    const { rows, tokens } = skipTrigramBugTable({ ...input, text });
    expect(tokens).toBe(5);
    expect(rows).toHaveLength(1);
    const [row] = rows;
    const said = (list: NonNullable<typeof row>["wanted"] | undefined) =>
      list?.map(({ destination, out }) => `${destination.text} →${out.text}`);
    expect([row?.source.text, said(row?.wanted), said(row?.bugs)]).toEqual([
      " keep",
      [" in → mind", " at → bay"],
      [" in → bay", " at → mind"],
    ]);
    const effects = [...(row?.wanted ?? []), ...(row?.bugs ?? [])].map(({ effect }) => effect);
    expectClose(effects, [2 * sigmoid(3), 1.5 * sigmoid(2), 1.5 * sigmoid(3), 2 * sigmoid(2)], { atol: 1e-12 });
  });

  test("skipTrigramBugTable: a pair that the text has is no bug", () => {
    const text = " keep| in| mind| at| bay| in| bay";
    expect(skipTrigramBugTable({ ...input, text }).rows).toEqual([]);
  });

  test("without a tokenizer tokens are their ids, and the destination's mean score is the reference", () => {
    const { heads, reference } = headDump({ model }, { rows: 1, listed: 1 });
    expect(reference).toBe("mean");
    expect(heads[0]?.rows[0]).toMatchObject({
      source: { text: "#6" },
      destination: [{ text: "#7" }],
      out: [{ text: "#8" }],
    });
    expect(heads[0]?.rows[0]?.destination[0]?.value).toBeCloseTo(4 - 4 / n, 12);
  });
});

describe("models with norms", () => {
  test("tables are of the embedding as the norm of each head's layer makes it, and say so", () => {
    const model = randomModel({ norm: "LN", bias: true, d_vocab: 9, seed: 12, dtype: "float64" });
    const { heads, normed } = headDump({ model }, { rows: 2, listed: 2 });
    expect([normed, headDump({ model: randomModel() }).normed]).toEqual([true, false]);
    for (const { rows, ...head } of heads) {
      const OV = toDense(fullOVCircuit(normedTokens(model, head.layer), head));
      const raw = toDense(fullOVCircuit(model, head));
      for (const { source, out } of rows) {
        const row = Array.from({ length: 9 }, (_, id) => OV.at(source.id, id)).sort((a, b) => b - a);
        expectClose(
          out.map(({ value }) => value),
          row.slice(0, 2),
          { atol: 1e-12 },
        );
        expect(Math.abs((out[0]?.value ?? 0) - raw.at(source.id, out[0]?.id ?? 0))).toBeGreaterThan(1e-6);
      }
    }
  });
});

describe("the bundled model", () => {
  test("tables list entries of its circuits", () => {
    const { model, tokenizer } = bundled;
    const [head] = copyingTable(bundled, { heads: ["L1H4"], rows: 4, listed: 3 }).heads;
    const [QK, OV] = [toDense(fullQKCircuit(model, "L1H4")), toDense(fullOVCircuit(model, "L1H4"))];
    const start = tokenizer.bos ?? NaN;
    expect(head?.rows).toHaveLength(4);
    for (const { source, destination, out } of head?.rows ?? []) {
      const scores = destination.map(({ id }) => (QK.at(id, source.id) - QK.at(id, start)) / 4);
      expectClose(
        destination.map(({ value }) => value),
        scores,
        { atol: 1e-5 },
      );
      const row = Array.from(OV.select("d_vocab_in", source.id).data);
      expect(out[0]?.value).toBeCloseTo(Math.max(...row), 5);
      expect(out.map(({ id }) => id)).toContain(source.id);
    }
  });

  test("its copying heads are those of the reference results", () => {
    const { scores, chance } = copyingHistogram(bundled);
    expectClose(scores, loadGolden("bundled").expected("ov.copying_score"), { atol: 1e-4 });
    expect([Math.abs(chance.mean) < 0.05, chance.std > 0.05, chance.std < 0.2]).toEqual([true, true, true]);
    const { heads } = ovEigenvalues(bundled);
    expect(heads.map(label)).toEqual(bundled.model.heads.map((head) => head.label));
    for (const { re, im, copying: score } of heads) {
      const moduli = re.reduce((sum, x, i) => sum + Math.hypot(x, im[i] ?? 0), 0);
      expect(re.reduce((a, b) => a + b, 0) / moduli).toBeCloseTo(score, 9);
    }
    expect(ovEigenvalues(bundled, { heads: ["L1H4", "L0H2"] }).heads.map(label)).toEqual(["L1H4", "L0H2"]);
  });

  test("its bugs are the four effects of skipTrigramBugs", () => {
    const text =
      "interface Array<T> {\n    push(...items: T[]): number;\n    pop(): T | undefined;\n    join(separator?: string): string;\n}\n";
    const { rows } = skipTrigramBugTable({ ...bundled, text });
    expect(rows.length).toBeGreaterThan(3);
    for (const { source, wanted, bugs, ...head } of rows) {
      const pairs = wanted.map(({ destination, out }) => ({ destination: destination.id, out: out.id }));
      const [first, second] = pairs as [(typeof pairs)[number], (typeof pairs)[number]];
      const found = skipTrigramBugs(bundled.model, head, source.id, [first, second], { start: bundled.tokenizer.bos });
      expectClose(
        [...wanted, ...bugs].map(({ effect }) => effect),
        [...found.wanted, ...found.bugs].map(({ effect }) => effect),
        { atol: 1e-5 },
      );
      expect(Math.min(...bugs.map(({ effect }) => effect))).toBeGreaterThan(0);
    }
  });

  test("its previous-token heads compose with its induction heads through keys, as in the reference results", () => {
    const { corrected, previousToken, induction, layers } = compositionDiagram(bundled);
    expect(layers).toEqual([0, 1]);
    expect(previousToken.map(label).sort()).toEqual(["L0H5", "L0H7"]);
    expect(induction.map(label).sort()).toEqual(["L1H1", "L1H2", "L1H3", "L1H4", "L1H7"]);
    // its weights are those of the reference rounded to float16
    for (const kind of ["Q", "K", "V"] as const)
      expectClose(corrected[kind].data, loadGolden("bundled").expected(`composition.${kind}`).data, { atol: 2e-5 });
  });

  test("its induction head reads tokens that previous-token heads moved more than anything else", () => {
    const { heads, leftOut } = qkExpansion(bundled);
    expect(leftOut).toEqual([]);
    const { head, sides, sizes } = heads[0] ?? { head: { layer: 0, head: 0 }, sides: [], sizes: undefined };
    expect(label(head)).toBe("L1H2");
    const row = sides.map((side, j) => ({ by: side.head && label(side.head), size: sizes?.at(0, j) ?? NaN }));
    row.sort((a, b) => b.size - a.size);
    expect(row.slice(0, 2).map(({ by }) => by)).toEqual(["L0H5", "L0H7"]);
  });
});

describe("positionalHeads", () => {
  test("shows the planted previous-token head, all of whose attention is at offset 1", () => {
    const { shown, profiles, positions } = positionalHeads({ model: plantedModel() });
    expect([positions, shown.map(label)]).toEqual(["embedding", ["L0H0"]]);
    expect(profiles.at(0, 0, 1)).toBeCloseTo(1, 6);
    expect(profiles.at(0, 0, 2)).toBeLessThan(1e-6);
    // L1H0 says nothing about positions: attention to each is 1/(i + 1)
    expect(profiles.at(1, 0, 0)).toBeCloseTo(
      Array.from({ length: 21 }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b, 0) / 21,
      5,
    );
    expect(shown[0]?.pattern.at(7, 6)).toBeCloseTo(1, 6);
  });

  test("takes rotary models, heads by label, fewer positions and offsets", () => {
    const { model } = loadGolden("attn-3l-rotary");
    const { shown, profiles, positions } = positionalHeads(
      { model },
      { heads: ["L2H1", "L0H0"], positions: 9, offsets: 4 },
    );
    expect([positions, shown.map(label), shown[0]?.pattern.shape]).toEqual(["rotary", ["L2H1", "L0H0"], [9, 9]]);
    expect(profiles.shape).toEqual([3, model.config.n_heads, 4]);
  });
});

describe("logitExpansion", () => {
  test("says what is no term", () => {
    expect(logitExpansion({ model: randomModel({ norm: "LN", bias: true }) }).leftOut).toEqual(["norms", "biases"]);
    expect(logitExpansion({ model: randomModel({ mlp: "relu" }) }).leftOut).toEqual(["MLPs"]);
    expect(logitExpansion({ model: randomModel() }).leftOut).toEqual([]);
  });
});

describe("compositionDiagram", () => {
  test("of many layers shows the two between which one head reads most of another", () => {
    const model = randomModel({ n_layers: 5, n_heads: 2, d_model: 16, seed: 9 });
    const { layers } = compositionDiagram({ model });
    const scores = compositionScores(model);
    const best = { value: 0, layers: [0, 0] };
    for (const kind of ["Q", "K", "V"] as const)
      for (const w of model.heads)
        for (const r of model.heads) {
          const value = scores[kind].at(w.layer, w.head, r.layer, r.head);
          if (value > best.value) Object.assign(best, { value, layers: [w.layer, r.layer] });
        }
    expect(layers).toEqual(best.layers);
    expect(compositionDiagram({ model }, { layers: [1, 2, 4] }).layers).toEqual([1, 2, 4]);
    expect(() => compositionDiagram({ model }, { layers: [2, 1] })).toThrow(
      "compositionDiagram: layers is [2, 1]; give two or more of the layers 0 to 4, in order.",
    );
  });

  test("finds no roles where there is no room for repeated tokens", () => {
    const { previousToken, induction } = compositionDiagram({ model: randomModel({ n_ctx: 4 }) });
    expect([previousToken, induction]).toEqual([[], []]);
  });
});
