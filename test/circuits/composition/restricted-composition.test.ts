import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compositionBaseline, compositionScores, restrictedComposition } from "../../../src/circuits/index.ts";
import type { RestrictedComposition } from "../../../src/circuits/index.ts";
import {
  readerForm,
  scoreAgainstRotations,
  usedSpace,
  writerForm,
} from "../../../src/circuits/composition/restricted/rotation-null.ts";
import { InputError } from "../../../src/errors.ts";
import { openCheckpoint, transformerFromCheckpoint } from "../../../src/io/index.ts";
import { dense } from "../../../src/linalg/index.ts";
import { rotationMatrix, ungroupAttention } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { Random } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import { changeHeadBases, rotated, stretched } from "../../support/reparametrise.ts";
import { matrix, mul, plus, randomOrthogonal, t, trace } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";

const kinds = ["Q", "K", "V"] as const;
const fields = ["share", "size", "chance", "zScores", "matching", "matchingZScores"] as const;

interface Moments {
  readonly mean: Matrix;
  readonly cov: Matrix;
}

const meanOf = (rows: Matrix): Matrix => [
  (rows[0] ?? []).map((_, j) => rows.reduce((sum, row) => sum + (row[j] as number) / rows.length, 0)),
];
const centre = (rows: Matrix): Matrix => {
  const [mean = []] = meanOf(rows);
  return rows.map((row) => row.map((x, j) => x - (mean[j] as number)));
};
const times = (a: Matrix, factor: number): Matrix => a.map((row) => row.map((x) => x * factor));
const together = (a: Matrix, b: Matrix): Matrix => times(mul(t(centre(a)), centre(b)), 1 / a.length);
const momentsOf = (rows: Matrix): Moments => ({ mean: meanOf(rows), cov: together(rows, rows) });
const sum = (a: Moments, b: Moments): Moments => ({ mean: plus(a.mean, b.mean), cov: plus(a.cov, b.cov) });
const congruent = (G: Matrix, A: Matrix): Matrix => mul(t(A), G, A);
const row = (data: ArrayLike<number>): Matrix => [Array.from(data)];

/** The linear part of a norm as a matrix, at the scale of a stream of these moments. */
function normMatrix(norm: Transformer["ln_final"], stream: Moments): Matrix {
  const d = stream.mean[0]?.length ?? 0;
  const centring = Array.from({ length: d }, (_, i) =>
    Array.from({ length: d }, (__, j) => (i === j ? 1 : 0) - (norm?.centers === true ? 1 / d : 0)),
  );
  if (norm === undefined) return centring;
  const square = trace(congruent(plus(stream.cov, mul(t(stream.mean), stream.mean)), centring)) / d;
  const scale = 1 / Math.sqrt(square + norm.eps);
  return centring.map((r) => r.map((x, j) => x * scale * ((norm.w?.data[j] as number | undefined) ?? 1)));
}

/** The definition in plain loops: variances, their shares, matching and its spread, for every pair. */
function byDefinition(model: Transformer): Map<string, { size: number; whole: number; matching: number; std: number }> {
  const { config } = model;
  const W_E = matrix(model.weight("embed.W_E"));
  const W_U = t(matrix(model.weight("unembed.W_U")));
  const W_pos = model.W_pos === undefined ? undefined : matrix(model.weight("pos_embed.W_pos"));
  const isStandard = config.positional_embedding_type === "standard";
  const rotations =
    config.positional_embedding_type === "rotary"
      ? Array.from({ length: config.n_ctx }, (_, o) => matrix(rotationMatrix(config, o)))
      : [Array.from({ length: config.d_head }, (_, i) => Array.from({ length: config.d_head }, (__, j) => +(i === j)))];
  const averaged = (f: (R: Matrix) => Matrix): Matrix =>
    rotations.map((R) => times(f(R), 1 / rotations.length)).reduce((a, b) => plus(a, b));
  let stream = momentsOf(W_E);
  if (isStandard && W_pos !== undefined) stream = sum(stream, momentsOf(W_pos));
  const writers: { layer: number; head: number; cov: Matrix; OV: Matrix; rows: Matrix }[] = [];
  const inputs = model.layers.map((layer) => {
    const G = normMatrix(layer.ln1, stream);
    const bias = layer.ln1?.b === undefined ? times(meanOf(W_E), 0) : row(layer.ln1.b.data);
    let values: Moments = { mean: plus(mul(stream.mean, G), bias), cov: congruent(stream.cov, G) };
    let rows = mul(W_E, G);
    if (layer.layer === 0 && !isStandard && layer.ln1 !== undefined) {
      rows = W_E.map((one) => mul([one], normMatrix(layer.ln1, { mean: [one], cov: times(G, 0) }))[0] ?? []);
      values = sum(momentsOf(rows), { mean: bias, cov: times(G, 0) });
    }
    const queries = isStandard || W_pos === undefined ? values : sum(values, momentsOf(W_pos));
    stream = { ...stream, mean: plus(stream.mean, row(layer.b_O.data)) };
    for (const { head } of layer.heads) {
      const [W_V, W_O] = [matrix(layer.W_V.select("head", head)), matrix(layer.W_O.select("head", head))];
      const OV = mul(W_V, W_O);
      const cov = congruent(values.cov, OV);
      writers.push({ layer: layer.layer, head, cov, OV, rows });
      const b = mul(row(layer.b_V.select("head", head).data), W_O);
      stream = sum(stream, { mean: plus(mul(values.mean, OV), b), cov });
    }
    return { layer, G, values, queries };
  });
  const final = normMatrix(model.ln_final, stream);
  const logits = together(W_U, W_U);
  const found = new Map<string, { size: number; whole: number; matching: number; std: number }>();
  for (const { layer, G, values, queries } of inputs) {
    for (const { head } of layer.heads) {
      const [W_Q, W_K, W_V, W_O] = (["W_Q", "W_K", "W_V", "W_O"] as const).map((name) =>
        matrix((layer[name] as typeof layer.W_Q).select("head", head)),
      ) as [Matrix, Matrix, Matrix, Matrix];
      const scale = layer.attnScale;
      const q = plus(mul(queries.mean, W_Q), row(layer.b_Q.select("head", head).data));
      const asked = plus(congruent(queries.cov, W_Q), mul(t(q), q));
      const told = congruent(queries.cov, W_K);
      const out = mul(W_O, final);
      const forms = {
        K: times(
          mul(
            W_K,
            averaged((R) => mul(t(R), asked, R)),
            t(W_K),
          ),
          1 / scale ** 2,
        ),
        Q: times(
          mul(
            W_Q,
            averaged((R) => mul(R, told, t(R))),
            t(W_Q),
          ),
          1 / scale ** 2,
        ),
        V: mul(W_V, out, logits, t(out), t(W_V)),
      };
      const turn = averaged((R) => R);
      for (const writer of writers.filter(({ layer: before }) => before < layer.layer)) {
        const moved = mul(writer.rows, writer.OV, G);
        const circuits = {
          K: times(mul(W_E, G, W_Q, turn, t(mul(moved, W_K))), 1 / scale),
          Q: times(mul(moved, W_Q, turn, t(mul(W_E, G, W_K))), 1 / scale),
          V: mul(moved, W_V, out, t(W_U)),
        };
        for (const kind of kinds) {
          const circuit = t(centre(t(centre(circuits[kind]))));
          const V = circuit.length;
          const squares = circuit.flat().reduce((total, x) => total + x * x, 0);
          found.set(`${kind} ${writer.layer} ${writer.head} ${layer.layer} ${head}`, {
            size: Math.sqrt(trace(mul(forms[kind], congruent(writer.cov, G)))),
            whole: Math.sqrt(trace(mul(forms[kind], kind === "V" ? values.cov : queries.cov))),
            matching: trace(circuit) / V,
            std: Math.sqrt(squares / (V * V * Math.max(1, V - 1))),
          });
        }
      }
    }
  }
  return found;
}

function inverseOf(a: Matrix): Matrix {
  const n = a.length;
  const work = a.map((r, i) => [...r, ...r.map((_, j) => +(i === j))]);
  for (let c = 0; c < n; c++) {
    const pivot = work
      .slice(c)
      .reduce(
        (best, r, i) => (Math.abs(r[c] as number) > Math.abs((work[best] as number[])[c] as number) ? c + i : best),
        c,
      );
    [work[c], work[pivot]] = [work[pivot] as number[], work[c] as number[]];
    const lead = (work[c] as number[])[c] as number;
    work[c] = (work[c] as number[]).map((x) => x / lead);
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = (work[r] as number[])[c] as number;
      work[r] = (work[r] as number[]).map((x, j) => x - factor * ((work[c] as number[])[j] as number));
    }
  }
  return work.map((r) => r.slice(n));
}

const all = (scores: RestrictedComposition): number[] =>
  kinds.flatMap((kind) => fields.flatMap((field) => [...scores[kind][field].data]));

describe("restrictedComposition", () => {
  it("is the definition written out, over kinds of model (float64 1e-9, float32 2e-5 of the largest)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const scores = restrictedComposition(model);
        const expected = byDefinition(model);
        const rtol = options.dtype === "float64" ? 1e-9 : 2e-5;
        for (const [key, { size, whole, matching, std }] of expected) {
          const [kind, ...places] = key.split(" ") as [(typeof kinds)[number], string, string, string, string];
          const at = places.map(Number) as [number, number, number, number];
          const of = scores[kind];
          expectClose([of.size.at(...at)], [size], { atol: rtol * whole + 1e-12 });
          if (whole > 1e-6) expectClose([of.share.at(...at)], [size / whole], { atol: 10 * rtol });
          expectClose([of.matching.at(...at)], [matching], { atol: rtol * (std * 20 + whole) + 1e-12 });
          if (std > 1e-3 * whole) expectClose([of.matchingZScores.at(...at)], [matching / std], { atol: 2e3 * rtol });
        }
      }),
      runs(811, 25),
    );
  });

  it("does not change with coordinates: any invertible map of the stream, any basis inside heads (P17, P18; 1e-6)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, norm: null, dtype: "float64", d_vocab: 19 });
        const scores = restrictedComposition(model);
        const seed = options.seed;
        const isFree = options.position !== "rotary";
        const variants = [
          rotated(model, seed),
          stretched(model, seed),
          ...(isFree ? [changeHeadBases(model, seed)] : []),
        ];
        for (const variant of variants) {
          for (const kind of kinds) {
            for (const field of ["share", "size", "matching"] as const) {
              const expected = scores[kind][field];
              const largest = Math.max(...expected.data, 1);
              if (expected.size > 0)
                expectClose(restrictedComposition(variant)[kind][field].data, expected.data, { atol: 1e-6 * largest });
            }
          }
        }
      }),
      runs(812, 8),
    );
  });

  it("keeps its null under a stretch of the stream, which the paper's score does not survive (P17; 1e-6)", () => {
    const model = randomModel({ dtype: "float64", d_vocab: 30, seed: 5 });
    const [K, other] = [model, stretched(model, 6)].map((one) => restrictedComposition(one).K);
    expectClose((other as typeof K)?.chance.data ?? [], K?.chance.data ?? [], { atol: 1e-6 });
    expectClose((other as typeof K)?.zScores.data ?? [], K?.zScores.data ?? [], { atol: 1e-5 });
    const [paper, changed] = [model, stretched(model, 6)].map((one) => compositionScores(one).K.data);
    expect(Math.max(...Array.from(paper ?? [], (x, i) => Math.abs(x - (changed?.[i] as number))))).toBeGreaterThan(
      0.05,
    );
  });

  it("gives shared keys and values the scores of the model that has them written out (1e-9)", () => {
    const model = randomModel({
      n_heads: 4,
      norm: "RMS",
      position: "rotary",
      config: { n_key_value_heads: 2 },
      seed: 3,
    });
    expectClose(all(restrictedComposition(model)), all(restrictedComposition(ungroupAttention(model))), { atol: 1e-9 });
  });

  it("scores the readers asked for as among all, and no others", () => {
    const model = randomModel({ n_layers: 3, seed: 8 });
    const [some, whole] = [restrictedComposition(model, { readers: ["L2H1"] }), restrictedComposition(model)];
    for (const kind of kinds) {
      for (const writer of model.heads.filter(({ layer }) => layer < 2)) {
        expect(some[kind].share.at(writer.layer, writer.head, 2, 1)).toBe(
          whole[kind].share.at(writer.layer, writer.head, 2, 1),
        );
        expect(some[kind].share.at(writer.layer, writer.head, 2, 0)).toBe(0);
      }
    }
    expect(() => restrictedComposition(model, { readers: ["L3H0"] })).toThrow(InputError);
  });

  it("stays finite for zero heads, zero embeddings, one token, one layer and none", () => {
    for (const options of [{ d_vocab: 1 }, { n_layers: 1 }, { n_layers: 0 }, { d_vocab: 2, norm: "LN" }] as const) {
      expect(all(restrictedComposition(randomModel(options))).every(Number.isFinite)).toBe(true);
    }
  });
});

describe("rotation null", () => {
  it("has the mean and variance of drawn rotations in the units of the stream (5 standard errors of 4,000 draws)", () => {
    const random = new Random(4);
    const [d, k, draws] = [5, 2, 4000];
    const normal = (rows: number, cols: number): Matrix =>
      Array.from({ length: rows }, () => Array.from({ length: cols }, () => random.normal()));
    const root = normal(d, d);
    const covariance = mul(t(root), root);
    const [P, F] = [normal(k, d), normal(k, d)];
    const flat = (m: Matrix): ReturnType<typeof dense> => dense(m.length, m[0]?.length ?? 0, m.flat());
    const space = usedSpace(flat(covariance));
    const found = scoreAgainstRotations(readerForm(flat(P), space), writerForm(flat(F), space), space);
    // With Σ = rootᵀ root, x root⁻¹ has the units of the stream: a reader P rootᵀ, a writer F root⁻¹.
    const inverse = inverseOf(root);
    const [A, B] = [congruent(mul(t(P), P), t(root)), congruent(mul(t(F), F), inverse)];
    const samples = Array.from({ length: draws }, (_, s) => {
      const R = randomOrthogonal(d, s + 1);
      return trace(mul(A, R, B, t(R)));
    });
    const mean = samples.reduce((total, x) => total + x, 0) / draws;
    const std = Math.sqrt(samples.reduce((total, x) => total + (x - mean) ** 2, 0) / (draws - 1));
    const exactMean = (trace(A) * trace(B)) / d;
    const exactStd = (found.size ** 2 - exactMean) / found.zScores;
    expect(space.rank).toBe(d);
    expect(found.size ** 2).toBeCloseTo(trace(mul(A, B)), 9);
    expect(found.chance).toBeCloseTo(Math.min(1, Math.sqrt(trace(B) / d)), 9);
    expect(Math.abs(mean - exactMean)).toBeLessThan((5 * std) / Math.sqrt(draws));
    expect(exactStd / std).toBeGreaterThan(0.9);
    expect(exactStd / std).toBeLessThan(1.1);
  });

  it("counts directions that nothing is written to as unused", () => {
    const covariance = dense(3, 3, [2, 0, 0, 0, 1, 0, 0, 0, 0]);
    const space = usedSpace(covariance);
    expect(space.rank).toBe(2);
    expectClose(space.inverse.data, [0.5, 0, 0, 0, 1, 0, 0, 0, 0], { atol: 1e-14 });
  });
});

describe("a published model whose pair the paper's score puts below chance", () => {
  it("has its pair far above chance, by keys alone", async () => {
    const bytes = readFileSync(new URL("../../fixtures/two-layer/foreign/l_2_2_model.pth", import.meta.url));
    const loaded = await transformerFromCheckpoint(await openCheckpoint(bytes));
    const paper = compositionScores(loaded).K.at(0, 0, 1, 0);
    expect(paper).toBeCloseTo(0.06, 3);
    expect(paper).toBeLessThan(compositionBaseline(loaded.config).mean);
    const { Q, K, V } = restrictedComposition(loaded);
    expect(K.share.at(0, 0, 1, 0)).toBeGreaterThan(0.99);
    expect(K.zScores.at(0, 0, 1, 0)).toBeGreaterThan(20);
    // Of 26 tokens the diagonal has 92.9 and the rest −3.6, before the division by 8 (float64, by other means).
    expect(K.matching.at(0, 0, 1, 0)).toBeCloseTo(((92.9 + 3.6) / 8) * (25 / 26), 1);
    for (const other of [Q, V]) {
      expect(other.share.at(0, 0, 1, 0)).toBeLessThan(0.05);
      expect(other.zScores.at(0, 0, 1, 0)).toBeLessThan(0);
      expect(other.matching.at(0, 0, 1, 0)).toBeLessThan(0.1);
    }
  });
});
