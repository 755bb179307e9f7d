import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findSkipTrigramBugs, skipTrigramBugs } from "../../../src/circuits/index.ts";
import type { SkipTrigramEffect } from "../../../src/circuits/index.ts";
import { map } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { circuitsOfFirst } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const close = { atol: 1e-10, rtol: 1e-10 };

const at = (M: Matrix, i: number, j: number): number => M[i]?.[j] as number;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

describe("skipTrigramBugs", () => {
  const pairs = [
    { destination: 2, out: 5 },
    { destination: 7, out: 3 },
  ] as const;

  it("is the product of a share of attention and a logit, for both pairs and both crossings", () => {
    const model = randomModel({ seed: 9 });
    const { S, OV } = circuitsOfFirst(model);
    const effect = (b: number, c: number): number => sigmoid(at(S, b, 4) - at(S, b, 0)) * at(OV, 4, c);
    const { wanted, bugs } = skipTrigramBugs(model, "L0H0", 4, pairs, { start: 0 });
    expectClose(
      [...wanted, ...bugs].map((x) => x.effect),
      [effect(2, 5), effect(7, 3), effect(2, 3), effect(7, 5)],
      close,
    );
    expect(bugs.map(({ source, destination, out }) => [source, destination, out])).toEqual([
      [4, 2, 3],
      [4, 7, 5],
    ]);
  });

  it("has rank 1: wanted and unwanted effects have the same product (P20)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, n_layers: 1, d_vocab: 19 });
        const { wanted, bugs } = skipTrigramBugs(model, "L0H0", 4, pairs);
        const product = ([a, b]: readonly SkipTrigramEffect[]): number => (a?.effect ?? 0) * (b?.effect ?? 0);
        expectClose([product(bugs)], [product(wanted)], { atol: 1e-15, rtol: 1e-12 });
      }),
      runs(503),
    );
  });

  it("and so have the effects of a source in real runs, over destinations and outputs (P20; float32, 1e-4)", () => {
    const model = randomModel({ n_layers: 1, n_heads: 1, position: "none", seed: 10 });
    const { OV } = circuitsOfFirst(model);
    const effects = [2, 7].map((destination) => {
      const pattern = model.run([0, 4, destination]).cache.get("blocks.0.attn.hook_pattern");
      return [5, 3].map((out) => pattern.at(0, 0, 2, 1) * at(OV, 4, out));
    });
    const minor = at(effects, 0, 0) * at(effects, 1, 1) - at(effects, 0, 1) * at(effects, 1, 0);
    expect(Math.abs(minor)).toBeLessThan(1e-12);
    // The runs contain these effects: moving weight onto the source changes the logits along its OV row.
    const silent = withWeights(model, (name, W) => (name.endsWith("W_V") ? map(W, () => 0) : W));
    const prompt = [4];
    const difference = [5, 3].map((out) => model.forward(prompt).at(0, 0, out) - silent.forward(prompt).at(0, 0, out));
    expectClose(difference, [at(OV, 4, 5), at(OV, 4, 3)], { atol: 1e-4 });
  });
});

describe("findSkipTrigramBugs", () => {
  const model = randomModel({ d_vocab: 20, n_layers: 1, seed: 24 });
  const { S, OV } = circuitsOfFirst(model);
  const attested = [
    { source: 4, destination: 2, out: 5 },
    { source: 4, destination: 7, out: 3 },
    { source: 1, destination: 2, out: 5 },
  ];
  const effect = (a: number, b: number, c: number): number => sigmoid(at(S, b, a) - at(S, b, 0)) * at(OV, a, c);

  it("lists the crossings of the largest destinations and outputs that are not attested, with their effects", () => {
    const bugs = findSkipTrigramBugs(model, "L0H0", attested, { k: 20, start: 0 });
    const wanted = [1, 4].flatMap((source) =>
      Array.from({ length: 20 * 19 }, (_, t) => ({
        source,
        destination: 1 + (t % 19),
        out: Math.floor(t / 19),
      })).filter(
        ({ destination, out }) =>
          effect(source, destination, out) > 0 &&
          !attested.some((x) => x.source === source && x.destination === destination && x.out === out),
      ),
    );
    const name = ({ source, destination, out }: (typeof attested)[number]): string => [source, destination, out].join();
    expect(new Set(bugs.map(name))).toEqual(new Set(wanted.map(name)));
    expect(bugs.length).toBe(wanted.length);
    for (const bug of bugs) expectClose([bug.effect], [effect(bug.source, bug.destination, bug.out)], close);
    expect(bugs.every((bug, t) => t === 0 || bug.effect <= (bugs[t - 1]?.effect ?? 0))).toBe(true);
  });

  it("brings the two crossings of two attested trigrams, where only their tokens are looked at", () => {
    const signed = attested.slice(0, 2).every(({ source, destination, out }) => effect(source, destination, out) > 0);
    const bugs = findSkipTrigramBugs(model, "L0H0", attested.slice(0, 2), {
      start: 0,
      among: { destination: [2, 7], out: [5, 3] },
    });
    const { bugs: crossed } = skipTrigramBugs(model, "L0H0", 4, [attested[0], attested[1]] as never, { start: 0 });
    const positive = crossed.filter((bug) => bug.effect > 0).sort((a, b) => b.effect - a.effect);
    const places = positive.map(({ source, destination, out }) => ({ source, destination, out }));
    expect(bugs).toMatchObject(places);
    expect(bugs.length).toBe(places.length);
    // The two functions multiply other blocks, which engines that fuse round otherwise in float64: a few units of 2^-53.
    for (const key of ["attention", "effect"] as const) {
      expectClose(
        bugs.map((bug) => bug[key]),
        positive.map((bug) => bug[key]),
        { atol: 1e-14, rtol: 1e-14 },
      );
    }
    expect(signed ? bugs.length : 2).toBe(2);
  });

  it("looks at the sources asked for, reports them and stops when asked to", () => {
    const seen: number[] = [];
    const onProgress = (done: number, total: number): void => void seen.push(done, total);
    const bugs = findSkipTrigramBugs(model, "L0H0", [], { sources: [9, 8], k: 2, onProgress });
    expect(new Set(bugs.map(({ source }) => source))).toEqual(new Set([8, 9]));
    expect(seen).toEqual([1, 2, 2, 2]);
    const signal = AbortSignal.abort(new Error("never"));
    expect(() => findSkipTrigramBugs(model, "L0H0", attested, { signal })).toThrow("never");
  });

  it.each([
    [() => findSkipTrigramBugs(model, "L0H0", attested, { k: 0 }), "k is 0; ask for a positive whole number."],
    [
      () => findSkipTrigramBugs(model, "L0H0", [{ source: 20, destination: 1, out: 1 }]),
      "source is 20; token ids of this model are 0 to 19.",
    ],
    [
      () => findSkipTrigramBugs(model, "L0H0", [], { sources: [20] }),
      "source is 20; token ids of this model are 0 to 19.",
    ],
  ])("refuses %#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: `findSkipTrigramBugs: ${text}` }));
  });
});
