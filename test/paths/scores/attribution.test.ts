/** One score taken apart on both sides: by source, by writer and by route, of any model and any run. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { ungroupAttention } from "../../../src/model/index.ts";
import type { PartialRun, Transformer } from "../../../src/model/index.ts";
import { attributeScore, scoreExpansion } from "../../../src/paths/index.ts";
import type { ScoreAttribution, ScoreSide } from "../../../src/paths/index.ts";
import { kinds, modelOf, tokensOf } from "../../support/families.ts";
import { expectClose } from "../../support/golden.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { editsAt, picks } from "../../support/random-edits.ts";
import { randomModel } from "../../support/random-model.ts";

const anyModel = fc.oneof(modelOptions, mlpModelOptions).filter(({ n_layers }) => n_layers > 0);
const total = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x, 0);

/** Both sums of a side. */
function sums({ tokens, positions, mlps, edits, bias, direction, writers }: ScoreSide): number[] {
  const bySource = [tokens, positions, mlps, edits].reduce((sum, part) => sum + total(part.data), bias + direction);
  return [bySource, total(writers.map(({ value }) => value))];
}

/** The size of a side's parts, which float64 rounding is relative to. */
function sizeOf({ query, key }: ScoreAttribution): number {
  return 1 + [query, key].reduce((sum, { writers }) => sum + total(writers.map(({ value }) => Math.abs(value))), 0);
}

/** That all sums are the score, and the score is the run's within the certificate, which excuses only rounding. */
function expectExact(found: ScoreAttribution): void {
  const size = sizeOf(found);
  for (const side of [found.query, found.key])
    for (const sum of sums(side)) expectClose([sum], [found.score], { atol: 1e-9 * size });
  for (const side of ["query", "key"] as const) {
    if (found[`${side}Position`] === null) continue;
    for (const options of [{}, { top: 3 }, { top: 40, maxOrder: 0 }, { top: 7, maxOrder: 1 }]) {
      const { routes, rest } = found.routes({ side, ...options });
      expectClose([rest + total(routes.map(({ value }) => value))], [found.score], { atol: 1e-9 * size });
      expect(routes.length).toBeLessThanOrEqual(options.top ?? 12);
    }
  }
  const { maxDeviation, bound, withinBound } = found.certificate();
  expect(maxDeviation).toBeLessThanOrEqual(bound);
  expect(withinBound).toBe(true);
  expect(bound).toBeLessThan(3e-3 * size);
}

/** A query, a key that it sees, a prompt and a head, of a model. */
const places = fc.record({ a: fc.nat(4), b: fc.nat(4), prompt: fc.nat(1), pick: fc.nat(30) });
const tokens = [
  [3, 1, 4, 1, 5],
  [2, 6, 5, 3, 5],
];

function placeIn(model: Transformer, { a, b, prompt, pick }: { a: number; b: number; prompt: number; pick: number }) {
  const head = model.heads[pick % model.heads.length];
  if (head === undefined) throw new Error("the model has heads");
  return { head, prompt, query: Math.max(a, b), key: Math.min(a, b) };
}

const rowsFor = (model: Transformer): number[][] => tokens.map((row) => row.map((id) => id % model.config.d_vocab));

/** The scores that a run computed, edits of them aside. */
const scoresOf = (run: PartialRun, head: { layer: number; head: number }, prompt: number) =>
  run.cache.get(`blocks.${head.layer}.attn.hook_attn_scores`).select("batch", prompt).select("head", head.head);

describe("a score of any model", () => {
  test("is the sum of its sources, of its writers, and of routes with their rest, within its certificate", () => {
    fc.assert(
      fc.property(anyModel, places, (options, at) => {
        const model = randomModel(options);
        const { head, query, key, prompt } = placeIn(model, at);
        expectExact(attributeScore(model, rowsFor(model), head, { query, key, prompt }));
      }),
      runs(61, 60),
    );
  });

  test("so is that of a run with edits anywhere, padded at times", () => {
    const mask = [
      [1, 1, 1, 1, 0],
      [0, 1, 1, 1, 1],
    ];
    fc.assert(
      fc.property(anyModel, places, picks, fc.boolean(), (options, at, picked, isPadded) => {
        const model = randomModel(options);
        const rows = rowsFor(model);
        const run = isPadded
          ? model.run(rows, { attentionMask: mask })
          : model.run(rows, { edits: editsAt(model, picked, /./) });
        const { head, query, key, prompt } = placeIn(model, at);
        expectExact(attributeScore(run, head, { query, key, prompt }));
      }),
      runs(62, 60),
    );
  });

  test("against the rest of its row it is what it exceeds their mean by (2e-4 of its size against float32 scores)", () => {
    fc.assert(
      fc.property(anyModel, places, fc.constantFrom("mean" as const, "softmax" as const), (options, at, against) => {
        const model = randomModel(options);
        const run = model.run(rowsFor(model));
        const { head, query, key, prompt } = placeIn(model, at);
        if (query === 0) return;
        const found = attributeScore(run, head, { query, key, prompt, against });
        expectExact(found);
        const row = Array.from(scoresOf(run, head, prompt).select("query_pos", query).data).slice(0, query + 1);
        const others = row.filter((_, i) => i !== key);
        const weights = others.map((score) => (against === "mean" ? 1 : Math.exp(score - Math.max(...others))));
        const mean = total(others.map((score, i) => score * (weights[i] ?? 0))) / total(weights);
        expectClose([found.score], [(row[key] ?? NaN) - mean], { atol: 2e-4 * sizeOf(found) });
      }),
      runs(63, 40),
    );
  });
});

describe("writers", () => {
  test("are the parts of a score expansion by head (2e-5 of the score's size: z is float32 there)", () => {
    fc.assert(
      fc.property(anyModel, places, (options, at) => {
        const model = randomModel(options);
        const rows = rowsFor(model);
        const { head, query, key, prompt } = placeIn(model, at);
        const found = attributeScore(model, rows, head, { query, key, prompt });
        const expansion = scoreExpansion(model, rows, head);
        for (const side of ["query", "key"] as const) {
          for (const { label, value } of found[side].writers) {
            const terms = expansion.select({ [side]: label });
            const expected = total(terms.map((term) => expansion.scores(term).at(prompt, query, key)));
            expectClose([value], [expected], { atol: 2e-5 * sizeOf(found) });
          }
        }
      }),
      runs(64, 40),
    );
  });

  test("are listed from the largest, each head with its place", () => {
    const model = randomModel({ n_layers: 3 });
    const { key } = attributeScore(model, tokens, "L2H1", { query: 4, key: 2 });
    const sizes = key.writers.map(({ value }) => Math.abs(value));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    const heads = key.writers.flatMap(({ label, head }) => (head === undefined ? [] : [{ label, head }]));
    expect(heads).toHaveLength(6);
    for (const { label, head } of heads) expect(label).toBe(`L${head.layer}H${head.head}`);
  });
});

describe("routes", () => {
  test("all of them, summed over positions, are the paths of a score expansion (1e-9 of its size, float64)", () => {
    fc.assert(
      fc.property(
        anyModel.filter(({ n_layers, n_heads, bias, norm }) => n_layers * n_heads <= 6 && !bias && norm !== "LN"),
        places,
        fc.constantFrom("query" as const, "key" as const),
        (options, at, side) => {
          const model = randomModel(options);
          const rows = rowsFor(model);
          const { head, query, key, prompt } = placeIn(model, at);
          const found = attributeScore(model, rows, head, { query, key, prompt });
          const { routes, rest } = found.routes({ side, top: 3000 });
          const expansion = scoreExpansion(model, rows, head, { by: "path" });
          const size = sizeOf(found);
          expectClose([rest], [0], { atol: 1e-9 * size });
          const ofPath = new Map<string, number>();
          for (const { source, path, value } of routes) {
            const moved = path.map(({ layer, head: h }) => `L${layer}H${h}`);
            const label =
              source === "embed" && moved.length > 0 && options.position !== "standard" ? moved : [source, ...moved];
            const name = label.join("→");
            ofPath.set(name, (ofPath.get(name) ?? 0) + value);
          }
          for (const [label, value] of ofPath) {
            const terms = expansion.select({ [side]: label });
            const expected = total(terms.map((term) => expansion.scores(term).at(prompt, query, key)));
            expectClose([value], [expected], { atol: 1e-8 * size });
          }
        },
      ),
      runs(65, 40),
    );
  });

  test("planted: one route holds the score of 40 on either side, the key's through the previous-token head (1e-9)", () => {
    const r = [7, 3, 12, 25, 18, 9, 21, 4, 16, 11];
    const found = attributeScore(plantedModel(), [0, ...r, ...r], "L1H0", { query: 14, key: 5 });
    const [key] = found.routes().routes;
    const [query] = found.routes({ side: "query" }).routes;
    expect([key?.positions, key?.path, query?.label]).toEqual([[4, 5], [{ layer: 0, head: 0 }], "embed[14]"]);
    expectClose([key?.value ?? NaN, query?.value ?? NaN], [40, 40], { atol: 1e-9 });
    expect(found.key.writers[0]?.label).toBe("L0H0");
  });
});

describe("directions of one's own", () => {
  const units = (width: number) =>
    Array.from({ length: width }, (_, e) => Array.from({ length: width }, (__, i) => +(i === e)));

  test("in d_head read each coordinate of the other side's vector, within the certificate (2e-5)", () => {
    for (const position of ["standard", "shortformer", "rotary"] as const) {
      const model = randomModel({ position, n_layers: 2, norm: "LN", bias: true });
      const run = model.run(tokens);
      const expansion = scoreExpansion(run, "L1H1");
      const scale = model.layer(1).attnScale;
      for (const [side, stacked] of [
        ["key", expansion.keys],
        ["query", expansion.queries],
      ] as const) {
        const vectors = stacked.select("batch", 1).select("pos", 3);
        for (const [e, unit] of units(4).entries()) {
          const direction = { d_head: unit };
          const found = attributeScore(
            run,
            "L1H1",
            side === "key" ? { query: direction, key: 3, prompt: 1 } : { query: 3, key: direction, prompt: 1 },
          );
          expectExact(found);
          const expected = total(vectors.select("d_head", e).data) / scale;
          expectClose([found.score], [expected], { atol: 2e-5 });
          const given = side === "key" ? found.query : found.key;
          expect([given.direction, given.writers[0]?.label]).toEqual([found.score, "direction"]);
        }
      }
    }
  });

  test("a token as a query is the query of that token where it stands alone, at any position (1e-9)", () => {
    for (const norm of [null, "LNPre", "RMS"] as const) {
      const model = randomModel({ position: "rotary", n_layers: 1, norm });
      const rows = [[3, 1, 4, 1, 5]];
      const own = attributeScore(model, rows, "L0H2", { query: 4, key: 1 });
      const found = attributeScore(model, rows, "L0H2", { query: { token: 5, at: 4 }, key: 1 });
      expectClose([found.score], [own.score], { atol: 1e-6 });
      const key = attributeScore(model, rows, "L0H2", { query: 4, key: { token: 1, at: 1 } });
      expectClose([key.score], [own.score], { atol: 1e-6 });
    }
  });

  test("in d_model are read by the head's weights, the rest of the row taken away where asked", () => {
    const model = randomModel({ position: "none", n_layers: 2 });
    const resid = model.run(tokens).cache.get("blocks.1.hook_resid_pre");
    const direction = { d_model: resid.select("batch", 0).select("pos", 4), at: 4 };
    for (const against of [undefined, "mean", "softmax"] as const) {
      const own = attributeScore(model, tokens, "L1H0", { query: 4, key: 2, against });
      const found = attributeScore(model, tokens, "L1H0", { query: direction, key: 2, against });
      expectClose([found.score], [own.score], { atol: 1e-5 });
      expectExact(found);
    }
  });
});

describe.each(Object.keys(kinds))("%s", (kind) => {
  const model = modelOf(kind);
  const rows = tokensOf(kind);
  const last = (rows[0]?.length ?? 0) - 1;

  test("scores of every head of the last layer, certified; windows bound the row", () => {
    for (const { label, layer, head } of model.layer(1).heads) {
      const found = attributeScore(model, rows, label, { query: last, key: last - 1, against: "mean" });
      expectExact(found);
      const run = model.run(rows);
      const row = Array.from(scoresOf(run, { layer, head }, 0).select("query_pos", last).data);
      const others = row.filter((score, i) => i !== last - 1 && score !== -Infinity);
      expectClose([found.score], [(row[last - 1] ?? NaN) - total(others) / others.length], {
        atol: 1e-5 * sizeOf(found),
      });
    }
  });

  test("as of the model whose heads share nothing (1e-9 of their size, float64)", () => {
    const [a, b] = [model, ungroupAttention(model)].map((each) =>
      attributeScore(each, rows, "L1H3", { query: last, key: 1 }),
    ) as [ScoreAttribution, ScoreAttribution];
    expectClose(a.key.tokens, b.key.tokens, { atol: 1e-5 * sizeOf(a) });
    expect(a.key.writers.map(({ label }) => label).sort()).toEqual(b.key.writers.map(({ label }) => label).sort());
  });

  test("score expansions beyond windows keep their certificate, and shares of the seen scores sum to 1 (1e-6)", () => {
    for (const { label } of model.heads) {
      const expansion = scoreExpansion(model, rows, label);
      expect(expansion.certificate().withinBound).toBe(true);
      expectClose([total(expansion.statistics().map(({ share }) => share))], [1], { atol: 1e-6 });
    }
  });
});

test("a display lists the largest writers of both sides; JSON holds the numbers", () => {
  const found = attributeScore(randomModel(), tokens, "L1H0", { query: 4, key: 2, against: "mean" });
  expect(found.toText()).toMatch(/^ScoreAttribution of L1H0 from 4 to 2: .*, less the mean of the row\n/);
  expect(found.toText().split("\n").length).toBeLessThan(13);
  const json = JSON.parse(JSON.stringify(found)) as { score: number; key: { tokens: number[]; writers: object[] } };
  expect([json.score, json.key.tokens.length, json.key.writers.length]).toEqual([
    found.score,
    5,
    found.key.writers.length,
  ]);
});

test.each([
  [{ query: 5, key: 0 }, "attributeScore: query is 5; there are 5, counted from 0."],
  [{ query: 1, key: 0, prompt: 2 }, "attributeScore: prompt is 2; there are 2, counted from 0."],
  [
    { query: 0, key: 0, against: "mean" },
    "attributeScore: the query at 0 sees no key but 0, so that there is nothing to compare with. Leave against out.",
  ],
  [{ query: 1, key: 0, against: "most" }, 'attributeScore: against is "most"; the choices are mean, softmax.'],
  [
    { query: { token: 1 }, key: { token: 2 } },
    "attributeScore: query and key are both directions, so that nothing of the run is in their score. Give a position for one.",
  ],
  [
    { query: 1, key: { token: 2 }, against: "mean" },
    "attributeScore: the key is a direction and has no row of other keys. Leave against out.",
  ],
  [{ query: { token: 2 }, key: 1, against: "mean" }, "attributeScore: query.at is -1; there are 5, counted from 0."],
  [{ query: { token: 17 }, key: 1 }, "attributeScore: query.token is 17; ids of tokens go from 0 to 16."],
  [{ query: { d_head: [1, 2] }, key: 1 }, "attributeScore: query.d_head holds 2 numbers; give 4 finite ones."],
  [
    { query: { d_model: Array(12).fill(NaN) }, key: 1 },
    "attributeScore: query.d_model holds 12 numbers; give 12 finite ones.",
  ],
  [
    { query: {}, key: 1 },
    "attributeScore: query has no direction. Give a position, or one of { d_head }, { d_model } and { token }.",
  ],
  [
    { query: 1, key: { token: 1, d_head: [1, 2, 3, 4] } },
    "attributeScore: key has d_head and token. Give a position, or one of { d_head }, { d_model } and { token }.",
  ],
])("refused: %#", (options, text) => {
  const call = (): unknown => attributeScore(randomModel(), tokens, "L1H0", options as never);
  expect(call).toThrow(InputError);
  expect(call).toThrow(text);
});

test("refused: routes and pairs of a direction, counts that are none", () => {
  const found = attributeScore(randomModel(), tokens, "L1H0", { query: { token: 1 }, key: 1 });
  expect(() => found.routes({ side: "query" })).toThrow(
    "routes: the query is a direction of one's own: no source of the run feeds it. Take the other side.",
  );
  expect(() => found.pairs).toThrow("pairs: the query is a direction");
  expect(() => found.routes({ top: 0 })).toThrow("routes: top is 0; give a whole number of at least 1.");
  expect(() => found.routes({ side: "keys" as "key" })).toThrow('routes: side is "keys"; the choices are query, key.');
});
