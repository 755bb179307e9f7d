import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { skipTrigramBugs, skipTrigrams, topSkipTrigrams } from "../../../src/circuits/index.ts";
import type { SkipTrigramEffect } from "../../../src/circuits/index.ts";
import { map } from "../../../src/tensor/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { circuitsOfFirst, t } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const close = { atol: 1e-10, rtol: 1e-10 };

/** The k largest by sorting; ties to the lower id. */
function sortedTop(
  values: readonly number[],
  k: number,
  isLeftOut: (token: number) => boolean,
): { token: number; value: number }[] {
  return values
    .map((value, token) => ({ token, value }))
    .filter(({ token }) => !isLeftOut(token))
    .sort((a, b) => b.value - a.value || a.token - b.token)
    .slice(0, k);
}

const at = (M: Matrix, i: number, j: number): number => M[i]?.[j] as number;
const mean = (row: readonly number[]): number => row.reduce((s, x) => s + x, 0) / row.length;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

describe("skipTrigrams", () => {
  it.each(["raw", "mean", "start"] as const)(
    "lists the largest of the dense row and column, reference %s (float64, 1e-10)",
    (reference) => {
      fc.assert(
        fc.property(modelOptions, fc.nat(), fc.integer({ min: 1, max: 30 }), fc.nat(), (options, pick, k, odd) => {
          const model = randomModel({ ...options, n_layers: 1 });
          const { d_vocab } = model.config;
          const [source, start] = [pick % d_vocab, (pick + 1) % d_vocab];
          const exclude = (token: number): boolean => token === odd % d_vocab;
          const { S, OV } = circuitsOfFirst(model);
          const compared = (row: readonly number[]): number =>
            reference === "raw" ? 0 : reference === "mean" ? mean(row) : (row[start] as number);
          const column = S.map((row) => (row[source] as number) - compared(row));
          const [found] = skipTrigrams(model, "L0H0", [source], { k, reference, start, exclude });
          const expectList = (
            list: readonly { token: number; value: number }[],
            wanted: readonly { token: number; value: number }[],
          ): void => {
            expect(list.length).toBe(wanted.length);
            if (wanted.length > 0)
              expectClose(
                list.map((x) => x.value),
                wanted.map((x) => x.value),
                close,
              );
          };
          expect(found?.source).toBe(source);
          const [destination, out] = [
            sortedTop(column, k, (token) => token === start || exclude(token)),
            sortedTop(OV[source] as number[], k, exclude),
          ];
          expectList(found?.destination ?? [], destination);
          expectList(found?.out ?? [], out);
          for (const { token, value } of found?.destination ?? [])
            expectClose([column[token] as number], [value], close);
          for (const { token, value } of found?.out ?? []) expectClose([at(OV, source, token)], [value], close);
        }),
        runs(501, 40),
      );
    },
  );

  it("keeps the order of sources and gives ties to the lower id", () => {
    const model = plantedModel({ d_vocab: 5, n_ctx: 6, copyGain: 2, matchGain: 3 });
    const found = skipTrigrams(model, "L1H0", [3, 1], { k: 2 });
    // OV = 2 I; its QK circuit on tokens is zero, so that all destinations tie.
    expect(found).toEqual([
      {
        source: 3,
        destination: [
          { token: 0, value: 0 },
          { token: 1, value: 0 },
        ],
        out: [
          { token: 3, value: 2 },
          { token: 0, value: 0 },
        ],
      },
      {
        source: 1,
        destination: [
          { token: 0, value: 0 },
          { token: 1, value: 0 },
        ],
        out: [
          { token: 1, value: 2 },
          { token: 0, value: 0 },
        ],
      },
    ]);
  });

  it("divides scores by the scale of the head's own layer", () => {
    const options = { seed: 3, n_heads: 1 };
    const plain = randomModel({ ...options, config: { attn_scale: 1 } });
    const scaled = randomModel({ ...options, config: { attn_scale: 2, scale_attn_by_inverse_layer_idx: true } });
    const [a, b] = [plain, scaled].map((model) =>
      skipTrigrams(model, "L1H0", [4], { k: 3 })[0]?.destination.map((x) => x.value),
    );
    expectClose(
      b as number[],
      (a as number[]).map((x) => x / 4),
      close,
    );
  });
});

describe("references by frequencies", () => {
  const model = randomModel({ d_vocab: 23, n_layers: 1, seed: 21 });
  const frequencies = Array.from({ length: 23 }, (_, token) => (token % 5 === 0 ? 0 : token));
  const total = frequencies.reduce((sum, x) => sum + x, 0);
  const { S } = circuitsOfFirst(model);
  const destinationsOf = (options: object): { token: number; value: number }[] => [
    ...(skipTrigrams(model, "L0H0", [4], { k: 23, ...options })[0]?.destination ?? []),
  ];
  const column = (reference: (row: readonly number[]) => number): number[] =>
    S.map((row) => (row[4] as number) - reference(row));
  const weighted = (row: readonly number[], of: (x: number) => number, weights?: readonly number[]): number =>
    row.reduce((sum, x, token) => sum + of(x) * (weights === undefined ? 1 / 23 : (weights[token] ?? 0) / total), 0);

  it.each([
    ["mean", undefined, (row: readonly number[]) => weighted(row, (x) => x)],
    ["mean", frequencies, (row: readonly number[]) => weighted(row, (x) => x, frequencies)],
    ["logMeanExp", undefined, (row: readonly number[]) => Math.log(weighted(row, Math.exp))],
    ["logMeanExp", frequencies, (row: readonly number[]) => Math.log(weighted(row, Math.exp, frequencies))],
  ] as const)("%s, frequencies %#", (reference, given, of) => {
    const found = destinationsOf({ reference, frequencies: given });
    const wanted = column(of);
    // Exponentials are float32: about 1e-6 of scores of size 1.
    const tolerance = reference === "mean" ? close : { atol: 1e-5, rtol: 1e-5 };
    for (const { token, value } of found) expectClose([value], [wanted[token] as number], tolerance);
    expect(found.length).toBe(23);
  });

  it("the exponential of a score less logMeanExp is the attention against one token of each kind, times their number", () => {
    const row = S[7] as number[];
    const weights = row.map(Math.exp);
    const share = (weights[4] as number) / weights.reduce((sum, x) => sum + x, 0);
    const found = destinationsOf({ reference: "logMeanExp" }).find(({ token }) => token === 7);
    expectClose([Math.exp(found?.value ?? 0)], [23 * share], { rtol: 1e-5, atol: 0 });
  });

  it.each([
    [[1, 2], "frequencies must be 23 numbers, none below 0 and not all 0; these are 2 with the sum 3."],
    [
      frequencies.map((x, t) => (t === 3 ? -1 : x)),
      "frequencies must be 23 numbers, none below 0 and not all 0; these are 23 with the sum NaN.",
    ],
    [
      frequencies.map(() => 0),
      "frequencies must be 23 numbers, none below 0 and not all 0; these are 23 with the sum 0.",
    ],
  ])("refuses %#", (given, text) => {
    expect(() => skipTrigrams(model, "L0H0", [4], { reference: "mean", frequencies: given })).toThrow(
      expect.objectContaining({ message: `skipTrigrams: ${text}` }),
    );
  });
});

describe("filters", () => {
  const model = randomModel({ d_vocab: 31, n_layers: 1, seed: 22 });
  const among = { source: [5, 3, 9], destination: (token: number) => token % 2 === 0, out: [1, 4, 30] };

  it("leave only the tokens given in each place", () => {
    const [list] = skipTrigrams(model, "L0H0", [3], { k: 31, among });
    const [all] = skipTrigrams(model, "L0H0", [3], { k: 31 });
    expect(list?.destination).toEqual(all?.destination.filter(({ token }) => token % 2 === 0));
    expect(list?.out).toEqual(all?.out.filter(({ token }) => among.out.includes(token)));
    const found = topSkipTrigrams(model, "L0H0", { k: 1e4, among, exclude: (token) => token === 4 });
    const wanted = topSkipTrigrams(model, "L0H0", { k: 31 ** 3, exclude: (token) => token === 4 }).filter(
      ({ source, destination, out }) =>
        among.source.includes(source) && destination % 2 === 0 && among.out.includes(out),
    );
    expect(found.length).toBeGreaterThan(10);
    expect(found).toEqual(wanted);
    expect(topSkipTrigrams(model, "L0H0", { among: { out: [] } })).toEqual([]);
  });

  it("refuse tokens that do not exist", () => {
    expect(() => topSkipTrigrams(model, "L0H0", { among: { source: [31] } })).toThrow(
      "topSkipTrigrams: among.source is 31; token ids of this model are 0 to 30.",
    );
    expect(() => skipTrigrams(model, "L0H0", [1], { among: { out: [-1] } })).toThrow(
      "skipTrigrams: among.out is -1; token ids of this model are 0 to 30.",
    );
  });
});

describe("topSkipTrigrams on a vocabulary that is large enough for bounds", () => {
  /** The best triples of all, from the sorted attentions and logits of each source. */
  function best(model: Transformer, k: number, start: number): number[] {
    const { S, OV } = circuitsOfFirst(model);
    const largest = (values: readonly number[]): number[] => [...Float64Array.from(values).sort().slice(-k)];
    const looks = t(
      S.filter((_, destination) => destination !== start).map((row) => row.map((x) => x - at([row], 0, start))),
    );
    const effects = OV.flatMap((row, source) => {
      if (source === start) return [];
      const logits = largest(row);
      return largest(looks[source] ?? []).flatMap((look) => logits.map((logit) => sigmoid(look) * logit));
    });
    return largest(effects).reverse();
  }

  it.each([300, 700])("of %i tokens: random heads, and one that attends sharply (float64, 1e-10)", (d_vocab) => {
    for (const gain of [1, 30]) {
      const model = withWeights(randomModel({ d_vocab, n_layers: 1, n_heads: 1, d_model: 12, seed: 23 }), (name, W) =>
        name.endsWith("W_Q") ? map(W, (x) => gain * x) : W,
      );
      const found = topSkipTrigrams(model, "L0H0", { k: 25, start: 2 });
      expectClose(
        found.map(({ effect }) => effect),
        best(model, 25, 2),
        close,
      );
    }
  });
});

describe("topSkipTrigrams", () => {
  /** Every triple with its effect, sorted, at most `perPair` of them of one source and output. */
  function bruteForce(
    model: Transformer,
    k: number,
    perPair: number,
    start: number | undefined,
    exclude: (token: number) => boolean,
  ): number[] {
    const { S, OV } = circuitsOfFirst(model);
    const isNoContext = (token: number): boolean => token === start || exclude(token);
    const effects: number[] = [];
    for (const [source, row] of OV.entries()) {
      if (isNoContext(source)) continue;
      const attentions = S.flatMap((scores, destination) => {
        const rival = start === undefined ? mean(scores) : (scores[start] as number);
        return isNoContext(destination) ? [] : [sigmoid((scores[source] as number) - rival)];
      });
      for (const [out, logit] of row.entries()) {
        const ofPair = exclude(out) || logit <= 0 ? [] : attentions.map((attention) => attention * logit);
        effects.push(...ofPair.sort((a, b) => b - a).slice(0, perPair));
      }
    }
    return effects.sort((a, b) => b - a).slice(0, k);
  }

  it("finds what going through all triples finds (float64, 1e-10)", () => {
    fc.assert(
      fc.property(
        modelOptions,
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom(1, 3, 1000),
        fc.option(fc.nat(), { nil: undefined }),
        fc.nat(),
        (options, k, perPair, pick, odd) => {
          const model = randomModel({ ...options, n_layers: 1 });
          const { d_vocab } = model.config;
          const start = pick === undefined ? undefined : pick % d_vocab;
          const exclude = (token: number): boolean => token === odd % d_vocab;
          const found = topSkipTrigrams(model, "L0H0", { k, perPair, start, exclude });
          const wanted = bruteForce(model, k, perPair, start, exclude);
          expect(found.length).toBe(wanted.length);
          if (wanted.length > 0)
            expectClose(
              found.map((x) => x.effect),
              wanted,
              close,
            );
          const { S, OV } = circuitsOfFirst(model);
          for (const { source, destination, out, attention, effect } of found) {
            const rival = start === undefined ? mean(S[destination] as number[]) : at(S, destination, start);
            expectClose(
              [attention, effect],
              [sigmoid(at(S, destination, source) - rival), attention * at(OV, source, out)],
              close,
            );
          }
          const triples = found.map(({ source, destination, out }) => [source, destination, out].join());
          expect(new Set(triples).size).toBe(found.length);
        },
      ),
      runs(502, 50),
    );
  });

  it("attention is the source's share against the start token in a real pattern (float32 run, 1e-5)", () => {
    const model = randomModel({ n_layers: 1, n_heads: 1, position: "none", seed: 8 });
    for (const { source, destination, attention } of topSkipTrigrams(model, "L0H0", { k: 5, start: 0 })) {
      const pattern = model.run([0, source, destination]).cache.get("blocks.0.attn.hook_pattern");
      const [rest, looked] = [pattern.at(0, 0, 2, 0), pattern.at(0, 0, 2, 1)];
      expectClose([looked / (looked + rest)], [attention], { atol: 1e-5 });
    }
  });

  it("gives equal effects in the order of their sources", () => {
    const model = plantedModel({ d_vocab: 4, n_ctx: 5, copyGain: 2 });
    const found = topSkipTrigrams(model, "L1H0", { k: 3, start: 0 });
    const copies = (destination: number): SkipTrigramEffect => ({
      source: 1,
      destination,
      out: 1,
      attention: 0.5,
      effect: 1,
    });
    expect(found).toEqual([copies(1), copies(2), copies(3)]);
  });

  it("has nothing to show for a head without effect, and for a vocabulary that is left out", () => {
    expect(topSkipTrigrams(plantedModel({ d_vocab: 4, n_ctx: 5 }), "L0H0")).toEqual([]);
    expect(topSkipTrigrams(randomModel(), "L0H0", { exclude: () => true })).toEqual([]);
  });

  it("goes through the vocabulary in bands, reports them and stops when asked to", () => {
    const model = randomModel({ d_vocab: 3000, n_layers: 1, n_heads: 1 });
    const seen: number[] = [];
    topSkipTrigrams(model, "L0H0", { k: 2, onProgress: (done, total) => seen.push(done, total) });
    expect(seen.length).toBeGreaterThan(4);
    expect(seen.slice(-2)).toEqual([3000, 3000]);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(new Error("enough"));
    expect(() => topSkipTrigrams(model, "L0H0", { signal: controller.signal, onProgress })).toThrow("enough");
  });

  it("shows other pairs when each may appear once", () => {
    const model = loadGolden("bundled").model;
    const pairsOf = (perPair: number): number =>
      new Set(topSkipTrigrams(model, "L0H3", { k: 10, perPair, start: 0 }).map(({ source, out }) => `${source} ${out}`))
        .size;
    expect(pairsOf(10)).toBeLessThan(5);
    expect(pairsOf(1)).toBe(10);
  });
});

describe("refusals", () => {
  const model = randomModel({ d_vocab: 9, config: { d_vocab_out: 6 } });
  const pairs = [
    { destination: 2, out: 5 },
    { destination: 7, out: 3 },
  ] as const;
  it.each([
    [() => skipTrigrams(model, "L0H0", [9]), "skipTrigrams: source is 9; token ids of this model are 0 to 8."],
    [() => skipTrigrams(model, "L0H0", [1], { k: 0 }), "skipTrigrams: k is 0; ask for a positive whole number."],
    [
      () => skipTrigrams(model, "L0H0", [1], { start: -1 }),
      "skipTrigrams: start is -1; token ids of this model are 0 to 8.",
    ],
    [
      () => skipTrigrams(model, "L0H0", [1], { reference: "start" }),
      "skipTrigrams: scores can be compared with the start token only if it is known. Give `start`, the model's BOS token.",
    ],
    [
      () => skipTrigrams(model, "L0H0", [1], { reference: "N2" as never }),
      'skipTrigrams: reference is "N2"; the choices are raw, mean, start, logMeanExp.',
    ],
    [() => topSkipTrigrams(model, "L0H0", { k: 1.5 }), "topSkipTrigrams: k is 1.5; ask for a positive whole number."],
    [
      () => topSkipTrigrams(model, "L0H0", { perPair: 0 }),
      "topSkipTrigrams: perPair is 0; ask for a positive whole number.",
    ],
    [
      () => topSkipTrigrams(model, "L0H0", { start: 9 }),
      "topSkipTrigrams: start is 9; token ids of this model are 0 to 8.",
    ],
    [
      () => skipTrigramBugs(model, "L0H0", 9, pairs),
      "skipTrigramBugs: source is 9; token ids of this model are 0 to 8.",
    ],
    [
      () => skipTrigramBugs(model, "L0H0", 1, [pairs[0], { destination: 9, out: 0 }]),
      "skipTrigramBugs: destination is 9; token ids of this model are 0 to 8.",
    ],
    [
      () => skipTrigramBugs(model, "L0H0", 1, [pairs[0], { destination: 0, out: 6 }]),
      "skipTrigramBugs: out is 6; token ids of this model are 0 to 5.",
    ],
    [
      () => skipTrigrams(model, "L5H0", [1]),
      "head: there is no head L5H0 in this model of n_layers=2 and n_heads=3, both counted from 0.",
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });
});
