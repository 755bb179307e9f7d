/** Heads by evidence above chance: on models of others, on planted ones worked by hand, and on models that learned nothing. */
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findHeads, headEvidence, headScores } from "../../../src/heads/index.ts";
import type { FoundHeads } from "../../../src/heads/index.ts";
import { studentQuantile } from "../../../src/heads/scores/student.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { headLabel } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { multiply, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { narrowModel } from "../../support/narrow-model.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";

/** What was found of each kind, as labels with their positions. */
function named({ evidence }: FoundHeads): Record<string, string[]> {
  const names: Record<string, string[]> = {};
  for (const { kind, isEverywhere, positions, ...id } of evidence)
    (names[kind] ??= []).push(`${headLabel(id)}${isEverywhere ? "" : ` ${positions.join("–")}`}`);
  return names;
}

describe("a published model of eight positions, of which a threshold of 0.4 says less", () => {
  const opened = loadFolder(
    fileURLToPath(new URL("../../fixtures/two-layer/foreign/l_2_2_model.pth", import.meta.url)),
  );

  test("its previous-token head and its induction head are named, and nothing else", async () => {
    const { model } = await opened;
    const found = findHeads(headScores(model));
    expect(named(found)).toEqual({ previous: ["L0H0"], induction: ["L1H0"], prefixMatching: ["L1H0"] });
    expect(found.toText().split("\n")[0]).toBe("L0H0 attends to the previous token (1.00, chance 0.25)");
    const { evidence } = found;
    // Seven queries that hit one of 2, 3 … 8 keys, asked of 2 heads of 6 kinds.
    expect(evidence[0]?.luck).toBeCloseTo(12 / 40320, 6);
    expect(evidence[0]?.interval?.every((end) => Math.abs(end - 1) < 1e-3)).toBe(true);
  });

  test("its scores are those known of it: 1.000, 0.656, and 0.214 without L0H0, to three digits", async () => {
    const { model } = await opened;
    const scores = headScores(model, { bos: 0, length: 3 });
    expect(scores.previous.at(0, 0)).toBeCloseTo(1, 3);
    expect(scores.induction.at(1, 0)).toBeCloseTo(0.656, 3);
    const silenced = model.run(scores.tokens, {
      edits: { "blocks.0.attn.hook_z": (z) => multiply(z, Tensor.from("head", [1], [0])) },
    });
    const pattern = silenced.cache.get("blocks.1.attn.hook_pattern");
    let sum = 0;
    for (let b = 0; b < 10; b++) for (let query = 2; query < 7; query++) sum += pattern.at(b, 0, query, query - 2);
    expect(sum / 50).toBeCloseTo(0.214, 3);
  });
});

describe("a previous-token head that looks back at positions 2 to 27 alone, and three induction heads behind it", () => {
  const model = narrowModel();
  const scores = headScores(model, { seed: 3 });
  const found = findHeads(scores);

  test("have means below every usual threshold, so that 0.4 finds none", () => {
    expect(scores.previous.at(0, 2)).toBeCloseTo(0.28, 2);
    for (const head of [1, 2, 3]) expect(scores.induction.at(1, head)).toBeLessThan(0.3);
    expect(named(findHeads(scores, 0.4))).toEqual({});
    expect([findHeads(scores, 0.4).previousToken, findHeads(scores, { threshold: 0.4 }).induction]).toEqual([[], []]);
  });

  test("are named where they are what they are", () => {
    expect(found.previousToken.map(headLabel)).toEqual(["L0H2"]);
    expect(found.induction.map(headLabel).sort()).toEqual(["L1H1", "L1H2", "L1H3"]);
    expect(found.evidence[0]?.text).toBe("L0H2 attends to the previous token at positions 8–27 (0.87, chance 0.06)");
    const [, ...later] = found.evidence;
    expect(new Set(later.map(({ kind }) => kind))).toEqual(new Set(["induction", "prefixMatching"]));
    for (const { positions, score } of later.filter(({ kind }) => kind === "induction")) {
      // What it wrote at key k is read from query k + 41.
      expect(positions[0]).toBeGreaterThanOrEqual(43);
      expect(positions[1]).toBeGreaterThanOrEqual(66);
      expect(positions[1]).toBeLessThanOrEqual(69);
      expect(score).toBeGreaterThan(0.37);
    }
  });

  test("also from two prompts, and from one", () => {
    for (const batch of [1, 2]) {
      const few = findHeads(headScores(model, { seed: 3, batch }));
      expect(few.previousToken.map(headLabel)).toEqual(["L0H2"]);
      expect(few.evidence[0]?.positions).toEqual([8, 27]);
      expect(few.evidence.every(({ interval }) => interval !== null)).toBe(true);
    }
  });
});

test("a head that looks back at some positions only is found there, wherever they are", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 55 }), fc.integer({ min: 14, max: 28 }), (first, length) => {
      const last = first + length - 1;
      const profile = (query: number): number => (query >= first && query <= last ? 0.9 : 1 / (query + 1));
      const found = findHeads(headScores(narrowModel(profile), { batch: 4 }));
      const [one] = found.evidence.filter(({ kind }) => kind === "previous");
      expect(one?.positions).toEqual([first, last]);
      expect(one?.score).toBeCloseTo(0.9, 5);
    }),
    { seed: 5, numRuns: 12 },
  );
});

test("a previous-token head is no induction head where the period is 2, though it looks at the same places", () => {
  const model = plantedModel({ d_vocab: 30, n_ctx: 20 });
  const scores = headScores(model, { length: 2, repeats: 9, bos: null });
  expect(scores.inductionStrict.at(0, 0)).toBeGreaterThan(0.99);
  const [evidence] = headEvidence(scores, "induction").filter(({ layer }) => layer === 0);
  expect(evidence?.found).toBe(false);
  expect(evidence?.chance).toBeGreaterThan(0.99);
  expect(findHeads(scores).previousToken.map(headLabel)).toEqual(["L0H0"]);
});

test("chance is what even attention gives: of keys in sight, in models that see windows or both ways too", () => {
  const at = (model: Transformer): number[] => {
    const { byQuery } = headScores(model, { batch: 1, bos: null, length: 4, distinct: true });
    return (["current", "previous", "duplicate", "induction"] as const).map((kind) => byQuery[kind].chance.at(0, 0, 6));
  };
  expectClose(at(randomModel({ n_ctx: 8 })), [1 / 7, 1 / 7, 1 / 7, 1 / 7], { atol: 1e-12 });
  expectClose(at(randomModel({ n_ctx: 8, config: { attention_dir: "bidirectional" } })), Array(4).fill(1 / 8), {
    atol: 1e-12,
  });
  const local = { use_local_attn: true, window_size: 5, attn_types: ["local", "global"] };
  expectClose(at(randomModel({ n_ctx: 8, config: local })), [1 / 5, 1 / 5, 1 / 5, 1 / 5], { atol: 1e-12 });
  const even = findHeads(headScores(randomModel({ n_ctx: 64, config: { attn_scale: 1e9 } })));
  expect(even.evidence).toEqual([]);
});

test("of 144 models of random weights, of any positions, norms, sizes and sharpness, at most one has a head named", () => {
  const models = [10, 24, 64].flatMap((n_ctx) =>
    (["standard", "shortformer", "rotary"] as const).flatMap((position) =>
      ([null, "LN"] as const).flatMap((norm) =>
        [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
          const d_head = [4, 8][seed % 2] ?? 4;
          const config = { attn_scale: Math.sqrt(d_head) / (seed % 3 === 0 ? 4 : 1), bos_token_id: 0 };
          const sizes = { n_heads: 4, d_head, d_model: 4 * d_head, d_vocab: 20 + seed, n_ctx };
          return { ...sizes, position, norm, seed: 100 + seed, bias: seed % 4 === 0, config };
        }),
      ),
    ),
  );
  const named = models.filter(
    (options) =>
      findHeads(headScores(randomModel(options), { batch: options.seed % 2 === 0 ? 2 : 10 })).evidence.length > 0,
  );
  expect(models).toHaveLength(144);
  expect(named.length).toBeLessThanOrEqual(1);
});

test("heads of the trained model rank without a threshold; the sentence, the console and JSON say the same", () => {
  const model = narrowModel();
  const scores = headScores(model, { batch: 3 });
  const ranked = headEvidence(scores, "previous");
  expect(ranked).toHaveLength(8);
  expect(ranked.map(({ overall }) => overall)).toEqual(ranked.map(({ overall }) => overall).sort((a, b) => b - a));
  expect(headEvidence(scores)).toHaveLength(48);
  const found = findHeads(scores);
  expect(JSON.parse(JSON.stringify(found))).toEqual({ ...found });
  expect(structuredClone({ ...found }).evidence).toEqual(found.evidence);
  expect(findHeads(scores, { excess: 0.95 }).evidence).toEqual([]);
  expect(() => headEvidence(scores, "future" as never)).toThrow('headEvidence: kind is "future"; the choices are');
});

test("Student's quantiles: closed forms of one and two degrees of freedom, and the tables' of more (last digit)", () => {
  for (const tail of [0.3, 0.05, 1e-4]) {
    expect(studentQuantile(tail, 1)).toBeCloseTo(Math.tan(Math.PI * (0.5 - tail)), 4);
    const a = 1 - 2 * tail;
    expect(studentQuantile(tail, 2)).toBeCloseTo(a * Math.sqrt(2 / (1 - a * a)), 6);
  }
  const table = [
    [0.025, 7, 2.3646],
    [0.0005, 9, 4.7809],
    [0.005, 20, 2.8453],
    [0.05, 30, 1.6973],
    [0.001, 5, 5.8934],
  ] as const;
  for (const [tail, freedom, t] of table) expect(studentQuantile(tail, freedom)).toBeCloseTo(t, 3);
});
