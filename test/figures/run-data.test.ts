/** The data of figures that run the model, against hand-made models and TransformerLens's numbers. */
import { describe, expect, it } from "vitest";
import {
  ablationRises,
  allHeadPatterns,
  drawAllHeadPatterns,
  attributionMap,
  compositionChance,
  compositionMaps,
  importanceByHead,
  importanceFigure,
  inductionExamples,
  inductionPatching,
  inductionStripes,
  lossOnRepeats,
  offsetRises,
  ovSample,
  pathEffects,
  positivityScatter,
  previousPattern,
  repeatedAttention,
  scoreIntensity,
  scoreParts,
  storyAttention,
} from "../../src/figures/index.ts";
import { headScores, repeatedTokens } from "../../src/heads/index.ts";
import { lossPerToken, meanLoss } from "../../src/model/index.ts";
import { headTermImportance, pathExpansion } from "../../src/paths/index.ts";
import { rawData } from "../../src/tensor/internal.ts";
import { expectClose, loadGolden } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";

/** One previous-token head and one induction head; token 0 begins every prompt. */
const planted = { model: plantedModel({ d_vocab: 30, n_ctx: 41 }), bos: 0 };
const text = [5, 6, 7, 8, 9, 5, 6, 7];
const golden = loadGolden("bundled");
const bundled = { model: golden.model, bos: 0 };
const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

describe("attention", () => {
  it("is the run's own, weighted with norms of values that are 1 in the planted model", () => {
    const { tokens, pattern, valueWeighted, resultWeighted, logProbs, selected } = storyAttention({ ...planted, text });
    expect(tokens.map(({ id }) => id)).toEqual([0, ...text]);
    expect(tokens[1]?.text).toBe("#5");
    const run = planted.model.run([0, ...text]);
    for (const layer of [0, 1]) {
      expectClose(pattern[layer] as (typeof pattern)[0], run.cache.get(`blocks.${layer}.attn.hook_pattern`), {
        atol: 0,
      });
      expectClose(
        rawData(valueWeighted[layer] as (typeof pattern)[0]),
        rawData(pattern[layer] as (typeof pattern)[0]),
        { atol: 1e-6 },
      );
    }
    // L1H0 writes 20 times what it reads.
    expect(resultWeighted[1]?.at(0, 0, 6, 2)).toBeCloseTo(20 * (pattern[1]?.at(0, 0, 6, 2) ?? 0), 4);
    expect(selected).toEqual([{ layer: 1, head: 0 }]);
    expect(logProbs[0]).toBeNaN();
    // The second 6 follows the second 5, as before.
    expect(logProbs[7]).toBeGreaterThan(-0.01);
  });

  it("is cut so that all heads together stay small, and repeats as often as asked", () => {
    const large = randomModel({ n_layers: 12, n_heads: 12, n_ctx: 400, d_vocab: 50 });
    expect(storyAttention({ model: large, text: Array.from({ length: 400 }, (_, i) => i % 50) }).tokens.length).toBe(
      83,
    );
    const { tokens } = repeatedAttention(planted, { repeats: 4, period: 9 });
    expect(tokens.length).toBe(37);
    for (const offset of [9, 18, 27]) expect(tokens[1 + offset]?.id).toBe(tokens[1]?.id);
  });
});

describe("allHeadPatterns", () => {
  it("shows each head over its own largest; the previous-token head is a sub-diagonal", () => {
    const { heads, tokens } = allHeadPatterns({ ...planted, text });
    const [previous] = heads;
    for (let i = 1; i < tokens.length; i++) expect(previous?.weighted.at(i, i - 1)).toBeCloseTo(1, 6);
    expect(heads.map(({ layer, head }) => [layer, head])).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });
});

describe("allHeadPatterns without the first token", () => {
  it.each([0, 1, 2])("takes each head over the largest of the others: seed %d", (seed) => {
    const model = randomModel({ n_layers: 2, n_heads: 3, seed });
    const input = { model, text: [1, 2, 3, 1, 2, 3, 4] };
    const [whole, rest] = [allHeadPatterns(input), allHeadPatterns(input, { skipFirst: true })];
    for (const [i, { weighted }] of rest.heads.entries()) {
      const [n = 0] = weighted.shape;
      const others = Array.from(weighted.data).filter((_, at) => at % n > 0);
      expect(Math.max(...others)).toBeCloseTo(1, 6);
      // the same pattern, in another unit
      const unit = (whole.heads[i]?.weighted.at(3, 2) ?? NaN) / weighted.at(3, 2);
      for (let q = 0; q < n; q++)
        for (let k = 0; k <= q; k++) expect(whole.heads[i]?.weighted.at(q, k)).toBeCloseTo(unit * weighted.at(q, k), 5);
    }
    expect(drawAllHeadPatterns(rest).svg).toContain("7 tokens, the first left out.");
    expect(drawAllHeadPatterns(whole).svg).not.toContain("left out");
  });
});

describe("inductionExamples and scoreIntensity", () => {
  it("find where the head looks at what followed an earlier copy, and the token before it that the key is known by", () => {
    const { head, examples, effect } = inductionExamples({ ...planted, text });
    expect(head).toEqual({ layer: 1, head: 0 });
    // Positions 6 and 7 hold the second 5 and 6; after the first stood 6 (position 2) and 7 (position 3).
    expect(examples.map(({ query, key }) => [query, key]).sort()).toEqual([
      [6, 2],
      [7, 3],
    ]);
    expect(effect[0]).toBeNaN();
    expect(effect[7]).toBeCloseTo(20, 3);
    const intensity = scoreIntensity({ ...planted, text });
    // The score is beta = 40, all through the key's previous token and the query's own.
    expect(intensity.score).toBeCloseTo(40, 4);
    expect(intensity.keySide[intensity.key - 1]).toBeCloseTo(40, 4);
    expect(intensity.querySide[intensity.query]).toBeCloseTo(40, 4);
    expect(sum(intensity.keySide) + intensity.bias.key).toBeCloseTo(intensity.score, 6);
  });

  it("sides add up to the score for norms, biases, MLPs and every kind of position", () => {
    for (const position of ["standard", "shortformer", "rotary", "none"] as const) {
      const model = randomModel({ position, norm: "LN", bias: true, mlp: "gelu", n_ctx: 12 });
      const { score, querySide, keySide, bias } = scoreIntensity({ model, text: [1, 2, 3, 1, 2, 3, 4], bos: null });
      expect(sum(querySide) + bias.query).toBeCloseTo(score, 5);
      expect(sum(keySide) + bias.key).toBeCloseTo(score, 5);
    }
  });

  it("show something where no token comes twice", () => {
    expect(inductionExamples({ ...planted, text: [3, 4, 5] }).examples.length).toBe(3);
  });
});

describe("positivityScatter", () => {
  it("puts the planted induction head at (1, 1), and the bundled model's five into the corner", () => {
    const { previous, points } = positivityScatter(planted);
    expect(previous).toEqual([{ layer: 0, head: 0 }]);
    expect(points.map(({ layer, head }) => [layer, head])).toEqual([[1, 0]]);
    expectClose([points[0]?.OV ?? NaN, points[0]?.QK ?? NaN], [1, 1], { atol: 1e-6 });
    const corner = positivityScatter(bundled).points.filter(
      ({ OV, QK, induction }) => OV > 0.98 && QK > 0.98 && induction > 0.4,
    );
    expect(corner.map(({ head }) => head)).toEqual([1, 2, 3, 4, 7]);
  });

  it("reads keys through the highest head that has a later layer, where none is clearly a previous-token head", () => {
    const { previous, points } = positivityScatter({ model: randomModel({ n_layers: 3, n_ctx: 60 }) });
    expect(previous.length).toBe(1);
    expect(previous[0]?.layer).toBeLessThan(2);
    expect(points.every(({ layer }) => layer > (previous[0]?.layer ?? 9))).toBe(true);
  });
});

describe("importanceFigure", () => {
  it("has gains that sum to what the model is better than a uniform guess, and drops a shorter last window", () => {
    const model = randomModel({ n_ctx: 12 });
    const ids = Array.from({ length: 40 }, (_, i) => (i * i) % 17);
    const { rows, windows, length } = importanceFigure({ model, text: ids, bos: null });
    expect([windows, length]).toEqual([3, 12]);
    const orders = rows.filter(({ terms }) => terms.startsWith("order"));
    const prompts = Array.from({ length: 3 }, (_, w) => ids.slice(12 * w, 12 * (w + 1)));
    const { logits, tokens } = model.run(prompts);
    const total = sum(orders.map(({ gain }) => gain));
    expect(Math.abs(total - (Math.log(17) - meanLoss(logits, tokens)))).toBeLessThan(1e-5);
    expect(orders.length).toBe(3);
    expect(orders.every(({ error }) => error > 0)).toBe(true);
  });
});

describe("lossOnRepeats", () => {
  it("is near 0 on the planted model's second copy, and ln V is told", () => {
    const { mean, std, period, first, uniform, prompts } = lossOnRepeats({
      ...planted,
      model: plantedModel({ d_vocab: 60, n_ctx: 41 }),
    });
    expect([period, first, prompts]).toEqual([20, 1, 8]);
    expect(uniform).toBeCloseTo(Math.log(60), 12);
    expect(mean.length).toBe(40);
    expect(std.length).toBe(40);
    // Entry 20 predicts the first token of the second copy; from entry 21 on induction helps.
    expect(sum(mean.slice(0, 20)) / 20).toBeGreaterThan(1);
    expect(sum(mean.slice(21)) / 19).toBeLessThan(1);
  });
});

describe("inductionStripes", () => {
  it("is 1 for the planted induction head and 0 for the head before", () => {
    const { scores, period } = inductionStripes({ model: plantedModel({ d_vocab: 400, n_ctx: 41 }), bos: 0 });
    expect(period).toBe(20);
    // Not quite 1: of 20 tokens drawn from 400 some come twice.
    expect(scores.at(1, 0)).toBeGreaterThan(0.95);
    expect(scores.at(0, 0)).toBeLessThan(0.01);
  });
});

describe("attributionMap", () => {
  it("has components that sum to the logit of the next token", () => {
    const { attribution, tokens } = attributionMap(bundled, { seed: 3 });
    const ids = tokens.map(({ id }) => id);
    const logits = golden.model.forward(ids);
    for (const p of [0, 20, 70, 99]) {
      const total = sum(rawData(attribution.select("pos", p)));
      expect(Math.abs(total - logits.at(0, p, ids[p + 1] as number))).toBeLessThan(1e-4);
    }
  });
});

describe("ablationRises and offsetRises", () => {
  it("the planted model loses induction without either head; its previous-token head needs offset 1 alone", () => {
    const input = { model: plantedModel({ d_vocab: 60, n_ctx: 41 }), bos: 0 };
    const { zero, mean } = ablationRises(input);
    for (const rise of [zero, mean]) for (const layer of [0, 1]) expect(rise.at(layer, 0)).toBeGreaterThan(1);
    const { kept, rise, heads } = offsetRises(input);
    expect(heads).toEqual([{ layer: 0, head: 0 }]);
    expect(kept).toEqual(["none", 0, 1, 2, 3, 4, [1, 2], [1, 2, 3]]);
    // Offset 1, alone and with others.
    for (const own of [2, 6, 7]) expect(rise.at(0, own)).toBeCloseTo(0, 4);
    for (const other of [0, 1, 3, 4, 5]) expect(rise.at(0, other)).toBeGreaterThan(1);
  });

  it("keeps only offsets that short prompts have", () => {
    const model = randomModel({ n_ctx: 4 });
    expect(offsetRises({ model }).kept).toEqual(["none", 0, 1, 2, 3, [1, 2], [1, 2, 3]]);
    expect(offsetRises({ model: randomModel({ n_ctx: 3 }) }).kept).toEqual(["none", 0, 1]);
  });
});

describe("inductionPatching", () => {
  it("of the planted model: what is needed lies at A, after the previous-token head at B, and in both its heads", () => {
    // Its heads attend elsewhere with a few per cent.
    const input = { model: plantedModel({ d_vocab: 60, n_ctx: 41 }), bos: 0 };
    const { labels, stream, heads, clean, corrupted } = inductionPatching(input);
    expect(labels.join(" ")).toBe("BOS r1 r2 r3 A B r6 r7 r8 r1 r2 r3 A");
    expect(clean).toBeGreaterThan(corrupted + 1);
    for (const layer of [0, 1]) {
      for (const [p, label] of labels.entries()) {
        const isNeeded = label === (layer === 0 ? "A" : "B") && p < 9;
        expect(Math.abs(stream.at(layer, p) - Number(isNeeded))).toBeLessThan(0.1);
      }
      expect(Math.abs(heads.at(layer, 0) - 1)).toBeLessThan(0.1);
    }
  });
});

describe("ovSample", () => {
  it("is the dense circuit at the tokens drawn; the identity times the gain for the planted copier", () => {
    const { head, tokens, values } = ovSample(planted);
    expect(head).toEqual({ layer: 1, head: 0 });
    expect(tokens.length).toBe(30);
    for (let i = 0; i < 30; i++) for (let j = 0; j < 30; j++) expect(values.at(i, j)).toBeCloseTo(i === j ? 20 : 0, 6);
  });

  it("draws 200 different tokens of a large vocabulary, the same for a seed", () => {
    const model = randomModel({ d_vocab: 3000 });
    const ids = (seed: number): number[] => ovSample({ model }, { seed, heads: ["L0H1"] }).tokens.map(({ id }) => id);
    expect(new Set(ids(1)).size).toBe(200);
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
  });
});

describe("previousPattern", () => {
  it("is 1 one position back for the planted head, and is made of rotary models too", () => {
    const { head, previous } = previousPattern(planted);
    expect(head).toEqual({ layer: 0, head: 0 });
    expect(previous).toBeCloseTo(1, 6);
    expect(previousPattern({ model: randomModel({ position: "rotary", n_ctx: 30 }) }).pattern.shape).toEqual([30, 30]);
  });
});

describe("scoreParts", () => {
  it("finds that the planted head's queries are the embedding and its keys the previous-token head's", () => {
    const { head, labels, strongest, share, stripe, first, period, queryNorms, keyNorms } = scoreParts(planted);
    expect(head).toEqual({ layer: 1, head: 0 });
    expect(labels).toEqual(["embed", "pos_embed", "L0H0"]);
    expect(strongest).toEqual({ query: "embed", key: "L0H0" });
    expect(share.at(0, 2)).toBeCloseTo(1, 6);
    for (let query = first + period; query < 2 * period + first; query++)
      expect(stripe.at(query, query - period + 1)).toBeCloseTo(40, 3);
    // Queries are 40 times the token; keys the previous token, of norm 1.
    expect(queryNorms.at(0, 5)).toBeCloseTo(40, 4);
    expect(keyNorms.at(2, 5)).toBeCloseTo(1, 4);
    expect(keyNorms.at(0, 5)).toBe(0);
  });

  it("tiles are scores less their mean over the keys seen, of the 14 parts that vary most", () => {
    const model = randomModel({ n_layers: 3, n_heads: 8, n_ctx: 20 });
    const { labels, tiled, tiles, tokens } = scoreParts({ model }, { heads: ["L2H1"] });
    expect(labels.length).toBe(2 + 16);
    expect(tiled.length).toBe(14);
    const n = tokens.length;
    for (const i of [0, 3, n - 1]) {
      let mean = 0;
      for (let j = 0; j <= i; j++) mean += tiles.at(1, 2, i, j);
      expect(Math.abs(mean)).toBeLessThan(1e-9);
    }
  });
});

describe("compositionMaps and compositionChance", () => {
  it("hold TransformerLens's scores, and random heads near 1 / sqrt(d_model)", () => {
    const { K, baseline } = compositionMaps(bundled);
    expectClose(K, golden.expected("composition.K"), { atol: 1e-6 });
    const { samples, mean, expected, largest } = compositionChance(bundled);
    expect(samples.length).toBe(300);
    expect(expected).toBe(baseline);
    expect(Math.abs(mean - 1 / Math.sqrt(128))).toBeLessThan(0.002);
    expectClose([largest.K], [Math.max(...rawData(golden.expected("composition.K")))], { atol: 1e-6 });
  });
});

it("scores that heads are picked by are those of headScores", () => {
  const { scores } = inductionStripes(bundled, { seed: 4 });
  const own = headScores(golden.model, { length: 50, batch: 10, seed: 4, bos: 0 });
  expectClose(scores, own.inductionStrict, { atol: 1e-12 });
});

describe("logit attribution on a text", () => {
  it("is of the text's first tokens, and adds up to the logits of its next tokens", () => {
    const model = randomModel({ n_ctx: 30, norm: "LN", bias: true });
    const text = [3, 1, 4, 1, 5, 9, 2, 6];
    const { tokens, first, period, attribution } = attributionMap({ model, text, bos: 0 });
    expect(tokens.map(({ id }) => id)).toEqual([0, ...text]);
    expect([first, period]).toEqual([1, undefined]);
    const { logits } = model.run([0, ...text]);
    const [components = 0, pos = 0] = attribution.shape;
    expect(pos).toBe(text.length);
    for (let t = 0; t < pos; t++) {
      let sum = 0;
      for (let c = 0; c < components; c++) sum += attribution.at(c, t);
      expect(sum).toBeCloseTo(logits.at(0, t, text[t] as number), 4);
    }
  });

  it("without one is of random tokens and their repetition", () => {
    expect(attributionMap({ model: randomModel({ n_ctx: 30 }), bos: 0 }).period).toBe(14);
  });
});

it("induction scores are the strict ones and ARENA's, which counts two queries more that see no repeat", () => {
  const { scores, arena, period } = inductionStripes({ model: plantedModel({ d_vocab: 400, n_ctx: 41 }), bos: 0 });
  // Not quite 1: of 20 tokens drawn from 400 some come twice.
  expect(scores.at(1, 0)).toBeGreaterThan(0.95);
  // L of its L + 2 entries are inside the repeat.
  expect(arena?.at(1, 0)).toBeGreaterThan((0.95 * period) / (period + 2));
  expect(arena?.at(1, 0)).toBeLessThan(0.97);
});

describe("the paths of the largest effect", () => {
  it("are, of the planted model, its induction head on repeats, and their effects add up to the right logits", () => {
    const { top, paths, terms, withinBound, on } = pathEffects(planted);
    expect({ paths, terms, withinBound, on }).toEqual({ paths: 4, terms: 5, withinBound: true, on: "second copy" });
    expect(top[0]).toMatchObject({ label: "L1H0", kind: "path", order: 1 });
    const [prompt = []] = repeatedTokens(planted.model.config, { length: 20, seed: 0, bos: 0 });
    const { logits } = planted.model.run([prompt]);
    // tokens 22 to 40, each predicted from the position before it
    const right = prompt.slice(22).map((id, i) => logits.at(0, 21 + i, id));
    expect(sum(top.map(({ mean }) => mean))).toBeCloseTo(sum(right) / right.length, 3);
  });

  it("are measured on the text where no two copies fit, and refused without one", () => {
    const model = randomModel({ n_ctx: 3 });
    const { on, positions, top } = pathEffects({ model, text: [1, 5, 3], bos: null });
    expect({ on, positions }).toEqual({ on: "text", positions: 3 });
    const expansion = pathExpansion(model, [1, 5, 3]);
    expect(top.map(({ label, mean }) => [label, mean])).toEqual(
      expansion
        .rank()
        .slice(0, 16)
        .map(({ term, value }) => [term.label, value]),
    );
    expect(() => pathEffects({ model, bos: null })).toThrow("a sequence of two or more is needed");
  });
});

it("term importance by head is that of the text's first tokens", () => {
  const model = randomModel({ n_ctx: 30, norm: "LN", bias: true });
  const { predictions, addedToDirect, removedFromFull } = importanceByHead({ model, text, bos: 0 });
  const expected = headTermImportance(model, [[0, ...text]]);
  expect(predictions).toBe(text.length);
  expectClose(addedToDirect, expected.addedToDirect, { atol: 0 });
  expectClose(removedFromFull, expected.removedFromFull, { atol: 0 });
});

describe("attention on repeated tokens", () => {
  it("is first looked at where the head attends most to the token after an earlier copy", () => {
    const { tokens, pattern, selected, focus = -1 } = repeatedAttention(planted, { repeats: 2, period: 12 });
    const ids = tokens.map(({ id }) => id);
    const after = ids.lastIndexOf(ids[focus] as number, focus - 1) + 1;
    expect(after).toBeGreaterThan(0);
    const [{ layer, head } = { layer: 0, head: 0 }] = selected;
    expect(pattern[layer]?.at(0, head, focus, after)).toBeGreaterThan(0.9);
  });

  it("is of tokens that can be read, where their texts are known", () => {
    const tokenizer = { bos: 0, encode: () => [], tokenString: (id: number) => (id % 3 === 0 ? "\ufffd" : `t${id}`) };
    const { tokens } = repeatedAttention({ ...planted, tokenizer }, { repeats: 2, period: 12 });
    const texts = tokens.slice(1).map(({ text: one }) => one);
    expect(texts.every((one) => /^t\d+$/.test(one))).toBe(true);
    expect(texts.slice(0, 12)).toEqual(texts.slice(12));
    expect(new Set(texts).size).toBeGreaterThan(5);
  });
});

it("the loss on repeats is of as many prompts as asked for", () => {
  const { mean, prompts } = lossOnRepeats(planted, { prompts: 2, seed: 3 });
  const run = planted.model.run(repeatedTokens(planted.model.config, { length: 20, batch: 2, seed: 3, bos: 0 }));
  const losses = lossPerToken(run.logits, run.tokens);
  expect(prompts).toBe(2);
  expectClose(
    mean,
    Array.from({ length: 40 }, (_, t) => (losses.at(0, t) + losses.at(1, t)) / 2),
    { atol: 1e-5 },
  );
});
