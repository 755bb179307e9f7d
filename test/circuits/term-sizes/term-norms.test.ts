/** Sizes of path terms, against dense products of all the maps. */
import { describe, expect, it } from "vitest";
import { logitTermNorms, scoreTermNorms } from "../../../src/circuits/index.ts";
import { pathsFromHeads, pathsToHeads } from "../../../src/circuits/term-sizes/path-cores.ts";
import { readGrams, writtenGrams } from "../../../src/circuits/term-sizes/path-grams.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { expectClose } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";
import { embeddings, fro, headMatrices, matrix, mul, t } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";

/** Root mean square of the entries, each row less its mean. */
function sizeOf(M: Matrix): number {
  const rows = M.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    return row.map((x) => x - mean);
  });
  return fro(rows) / Math.sqrt(M.length * (M[0]?.length ?? 0));
}

const root = (sizes: readonly number[]): number => Math.sqrt(sizes.reduce((sum, size) => sum + size * size, 0));
const close = { rtol: 1e-9, atol: 1e-12 };

describe("logitTermNorms", () => {
  it.each(["standard", "shortformer"] as const)(
    "is the size of every dense product and of all of an order, %s positions (float64, 1e-9)",
    (position) => {
      const model = randomModel({ n_layers: 3, n_heads: 2, position, dtype: "float64", seed: 6 });
      const { W_E, W_U } = embeddings(model);
      const { sources, counts } = logitTermNorms(model, { pairs: true });
      expect(counts).toEqual([1, 6, 12, 8]);
      expect(sources.map(({ source }) => source)).toEqual(position === "standard" ? ["embed", "pos_embed"] : ["embed"]);
      for (const { source, direct, heads, pairs, totals } of sources) {
        const X = source === "embed" ? W_E : matrix(model.weight("pos_embed.W_pos"));
        expectClose([direct, totals[0] ?? NaN], [sizeOf(mul(X, W_U)), sizeOf(mul(X, W_U))], close);
        const one = model.heads.map((head) => sizeOf(mul(X, headMatrices(model, head).OV, W_U)));
        expectClose(heads.data, one, close);
        const two: number[] = [];
        const three: number[] = [];
        for (const a of model.heads) {
          for (const b of model.heads) {
            const product = mul(X, headMatrices(model, a).OV, headMatrices(model, b).OV);
            const size = a.layer < b.layer ? sizeOf(mul(product, W_U)) : 0;
            expectClose([pairs?.at(a.layer, a.head, b.layer, b.head) ?? NaN], [size], close);
            two.push(size);
            if (a.layer !== 0 || b.layer !== 1) continue;
            for (const { head } of model.layer(2).heads)
              three.push(sizeOf(mul(product, headMatrices(model, { layer: 2, head }).OV, W_U)));
          }
        }
        expectClose(totals.slice(1), [root(one), root(two), root(three)], close);
      }
    },
  );

  it("knows the planted model: copying with gain 20 of 30 tokens", () => {
    const { sources } = logitTermNorms(plantedModel());
    // rows of 20·I less their means: √(20²·(1/30 − 1/900)); the direct path is I; L0H0 writes where nothing is read out
    const identity = Math.sqrt(1 / 30 - 1 / 900);
    expectClose(sources[0]?.heads.data ?? [], [0, 20 * identity], { atol: 1e-6 });
    expectClose(sources[0]?.totals ?? [], [identity, 20 * identity, 0], { atol: 1e-6 });
  });

  it("stops at maxOrder, lists pairs of two layers unless told not to, and takes a model without layers", () => {
    const model = randomModel({ n_layers: 3 });
    const [cut] = logitTermNorms(model, { maxOrder: 1 }).sources;
    const [whole] = logitTermNorms(model).sources;
    const { totals = [] } = whole ?? {};
    expect(cut?.pairs).toBe(undefined);
    // Longer paths are one entry; sizes of a float32 model, whose sums are float64.
    expectClose(cut?.totals ?? [], [totals[0] ?? NaN, totals[1] ?? NaN, root(totals.slice(2))], { rtol: 1e-12 });
    expect(logitTermNorms(model, { maxOrder: 1 }).counts).toEqual([1, 9, 54]);
    expect(logitTermNorms(randomModel()).sources[0]?.pairs?.shape).toEqual([2, 3, 2, 3]);
    const empty = logitTermNorms(randomModel({ n_layers: 0 }));
    expect([empty.counts, empty.sources[0]?.totals.length]).toEqual([[1], 1]);
    expect(() => logitTermNorms(model, { maxOrder: -1 })).toThrow(
      "logitTermNorms: maxOrder is -1; give a whole number of at least 0.",
    );
    expect(() => logitTermNorms(model, { signal: AbortSignal.abort(new Error("enough")) })).toThrow("enough");
  });
});

describe("scoreTermNorms", () => {
  it.each([
    ["none", 3],
    ["rotary", 3],
    ["shortformer", 4],
    ["standard", 6],
  ] as const)("is the size of every dense product, %s positions (float64, 1e-9)", (position, components) => {
    const model = randomModel({
      n_heads: 2,
      d_head: 4,
      position,
      dtype: "float64",
      seed: 7,
      config: { attn_scale: 1.3 },
    });
    const { W_E } = embeddings(model);
    const { sides, sizes, head } = scoreTermNorms(model, "L1H1");
    expect(head).toEqual({ layer: 1, head: 1 });
    expect(sides.length).toBe(components);
    const { QK } = headMatrices(model, head);
    const rows = sides.map(({ source, head: by }) => {
      const X = source === "embed" ? W_E : matrix(model.weight("pos_embed.W_pos"));
      return by === undefined ? X : mul(X, headMatrices(model, by).OV);
    });
    const expected = rows.flatMap((q) => rows.map((k) => sizeOf(mul(q, QK, t(k))) / 1.3));
    expectClose(sizes.data, expected, close);
  });

  it("has tokens and positions alone in the first layer", () => {
    const { sides, sizes } = scoreTermNorms(randomModel(), "L0H2");
    expect(sides).toEqual([
      { source: "embed", head: undefined },
      { source: "pos_embed", head: undefined },
    ]);
    expect(sizes.shape).toEqual([2, 2]);
  });

  it("finds the planted composition: keys moved by L0H0, and nothing else", () => {
    const { sides, sizes } = scoreTermNorms(plantedModel(), "L1H0");
    expect(sides.map(({ head }) => head?.head)).toEqual([undefined, undefined, 0]);
    // 40·I less row means
    expectClose(sizes.data, [0, 0, 40 * Math.sqrt(1 / 30 - 1 / 900), 0, 0, 0, 0, 0, 0], { atol: 1e-5 });
  });

  it("counts components, stops when asked to and refuses heads that do not exist", () => {
    const steps: string[] = [];
    scoreTermNorms(randomModel({ n_heads: 1 }), "L1H0", {
      onProgress: (done, total) => steps.push(`${done}/${total}`),
    });
    expect(steps).toEqual(["1/2", "2/2"]);
    steps.length = 0;
    scoreTermNorms(randomModel(), "L0H0", { onProgress: (done, total) => steps.push(`${done}/${total}`) });
    expect(steps).toEqual(["1/1"]);
    expect(() => scoreTermNorms(randomModel(), "L1H0", { maxOrder: 0.5 })).toThrow(
      "scoreTermNorms: maxOrder is 0.5; give a whole number of at least 0.",
    );
    expect(() => scoreTermNorms(randomModel(), "L5H0")).toThrow("there is no head L5H0");
    expect(() => scoreTermNorms(randomModel(), "L1H0", { signal: AbortSignal.abort(new Error("enough")) })).toThrow(
      "enough",
    );
  });
});

/** Every path of a source through heads of some layers: its heads and the product of its maps. */
function allPaths(
  model: Transformer,
  X: Matrix,
  before: number,
): { readonly path: readonly { readonly layer: number; readonly head: number }[]; readonly X: Matrix }[] {
  let paths: ReturnType<typeof allPaths> = [{ path: [], X }];
  for (const { heads } of model.layers.slice(0, before)) {
    const longer = paths.flatMap((one) =>
      heads.map(({ layer, head }) => ({
        path: [...one.path, { layer, head }],
        X: mul(one.X, headMatrices(model, { layer, head }).OV),
      })),
    );
    paths = [...paths, ...longer];
  }
  return paths;
}

describe.each(["standard", "shortformer", "none"] as const)(
  "deep models, %s positions: all paths, enumerated",
  (position) => {
    const model = randomModel({ n_layers: 4, n_heads: 2, d_head: 4, position, dtype: "float64", seed: 9 });
    const { W_E, W_U } = embeddings(model);
    const W_pos = position === "none" ? undefined : matrix(model.weight("pos_embed.W_pos"));
    const moved = position === "standard" && W_pos !== undefined ? [W_E, W_pos] : [W_E];
    const table = (n_layers: number, of: (layer: number, head: number) => number): number[] =>
      Array.from({ length: n_layers * 2 }, (_, at) => of(at >> 1, at % 2));

    it("logits: totals by order, and of the paths that begin with, go through and end with a head (float64, 1e-9)", () => {
      const { sources, counts } = logitTermNorms(model);
      expect(counts).toEqual([1, 8, 24, 32, 16]);
      for (const [i, X] of moved.entries()) {
        const sized = allPaths(model, X, 4).map(({ path, X: Y }) => ({ path, size: sizeOf(mul(Y, W_U)) }));
        const of = (pick: (path: (typeof sized)[number]["path"]) => boolean): number =>
          root(sized.filter(({ path }) => pick(path)).map(({ size }) => size));
        const is = (one: { layer: number; head: number } | undefined, layer: number, head: number): boolean =>
          one?.layer === layer && one.head === head;
        const { totals, first, through, last } = sources[i] as (typeof sources)[number];
        expectClose(
          totals,
          [0, 1, 2, 3, 4].map((order) => of((path) => path.length === order)),
          close,
        );
        expectClose(
          first.data,
          table(4, (l, h) => of((path) => is(path[0], l, h))),
          close,
        );
        expectClose(
          through.data,
          table(4, (l, h) => of((path) => path.some((one) => is(one, l, h)))),
          close,
        );
        expectClose(
          last.data,
          table(4, (l, h) => of((path) => is(path.at(-1), l, h))),
          close,
        );
      }
    });

    it("scores: by last head, by order and by first head on either side, their squares summing to the same (float64, 1e-9)", () => {
      const norms = scoreTermNorms(model, "L3H1");
      const { QK } = headMatrices(model, norms.head);
      const paths = [
        ...moved.flatMap((X, i) =>
          allPaths(model, X, 3).map((one) => ({ ...one, source: i === 0 ? "embed" : "pos_embed" })),
        ),
        ...(position === "shortformer" && W_pos !== undefined ? [{ path: [], X: W_pos, source: "pos_embed" }] : []),
      ];
      const scale = model.layer(3).attnScale;
      const pairs = paths.flatMap((q) => paths.map((k) => ({ q, k, size: sizeOf(mul(q.X, QK, t(k.X))) / scale })));
      type Pair = (typeof pairs)[number];
      const of = (pick: (pair: Pair) => boolean): number => root(pairs.filter(pick).map(({ size }) => size));
      const isSide = (one: Pair["q"], { source, head }: (typeof norms.sides)[number]): boolean => {
        const end = one.path.at(-1);
        return one.source === source && end?.layer === head?.layer && end?.head === head?.head;
      };
      const sides = norms.sides.flatMap((a) => norms.sides.map((b) => of(({ q, k }) => isSide(q, a) && isSide(k, b))));
      expectClose(norms.sizes.data, sides, close);
      const orders = [0, 1, 2, 3];
      const byOrder = orders.flatMap((a) =>
        orders.map((b) => of(({ q, k }) => q.path.length === a && k.path.length === b)),
      );
      expectClose(norms.orders.data, byOrder, close);
      expect(norms.counts).toEqual([1, 6, 12, 8]);
      const begins = (side: "q" | "k") => (layer: number, head: number) =>
        of((pair) => pair[side].path[0]?.layer === layer && pair[side].path[0].head === head);
      expectClose(norms.queryFirst.data, table(3, begins("q")), close);
      expectClose(norms.keyFirst.data, table(3, begins("k")), close);
      expectClose([root(Array.from(norms.sizes.data))], [root(Array.from(norms.orders.data))], close);
      // Longer paths as one entry on either side.
      const cut = scoreTermNorms(model, "L3H1", { maxOrder: 1 });
      const group = ({ length }: readonly unknown[]): number => Math.min(length, 2);
      const grouped = [0, 1, 2].flatMap((a) =>
        [0, 1, 2].map((b) => of(({ q, k }) => group(q.path) === a && group(k.path) === b)),
      );
      expectClose(cut.orders.data, grouped, close);
      expect(cut.counts).toEqual([1, 6, 20]);
    });
  },
);

describe("sums over paths between heads", () => {
  const options = { n_layers: 4, n_heads: 3, d_model: 13, d_head: 5, d_vocab: 7, dtype: "float64", seed: 15 } as const;
  const model = randomModel(options);
  const { W_E, W_U } = embeddings(model);
  const flat = (M: Matrix): Float64Array => Float64Array.from(M.flat());
  const [S, B] = [mul(t(W_E), W_E), mul(W_U, t(W_U))];
  const read = { direct: model.layers.map((layer) => readGrams(flat(S), layer)) };
  const written = { direct: model.layers.map((layer) => writtenGrams(flat(B), layer)) };
  /** `[head, d_head, d_head]` of a layer, of the sums over the paths that are picked: by their heads before the layer, or after it. */
  const expected = (at: number, isForward: boolean, pick: (length: number) => boolean): number[] => {
    const square = (X: Matrix): Matrix => mul(t(X), X);
    const added = (sum: Matrix, M: Matrix): Matrix => sum.map((row, i) => row.map((x, j) => x + (M[i]?.[j] ?? NaN)));
    return model.layer(at).heads.flatMap((head) => {
      const { W_V, W_O } = headMatrices(model, head);
      const ends = isForward
        ? allPaths(model, W_E, at).map(({ path, X }) => ({ length: path.length, M: mul(X, W_V) }))
        : waysOut(at + 1).map(({ length, M }) => ({ length, M: t(mul(W_O, M)) }));
      return ends
        .filter(({ length }) => pick(length))
        .map(({ M }) => square(M))
        .reduce(added)
        .flat();
    });
  };
  /** `W_OV ⋯ W_U` through some of the heads of the layers from one on. */
  const waysOut = (from: number): { length: number; M: Matrix }[] => {
    if (from === options.n_layers) return [{ length: 0, M: W_U }];
    const later = waysOut(from + 1);
    const { heads } = model.layer(from);
    const through = heads.flatMap((head) =>
      later.map(({ length, M }) => ({ length: length + 1, M: mul(headMatrices(model, head).OV, M) })),
    );
    return [...later, ...through];
  };

  it.each([0, 1, 2, 3, 9])("of every path, enumerated; up to %s heads told apart (float64, 1e-9)", (longest) => {
    const toHeads = pathsToHeads(model.layers, [
      { ...read, longest },
      { ...read, longest: 0 },
    ]);
    const [fromHeads = []] = pathsFromHeads(model.layers, [{ ...written, longest }]);
    for (const at of [0, 1, 2, 3]) {
      for (const [isForward, sums, most] of [
        [true, toHeads[0]?.[at] ?? [], at],
        [false, fromHeads[at] ?? [], 3 - at],
      ] as const) {
        expect(sums.length).toBe(Math.min(longest, most) + 1);
        for (const [p, sum] of sums.entries()) {
          const isPicked = (length: number): boolean => (p === longest ? length >= p : length === p);
          expectClose(sum, expected(at, isForward, isPicked), close);
        }
      }
      expect(toHeads[1]?.[at]?.length).toBe(1);
      expectClose(
        toHeads[1]?.[at]?.[0] ?? [],
        expected(at, true, () => true),
        close,
      );
    }
  });
});
