/** Path expansion: the terms, what they sum to, and how they are picked, ranked and written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decomposeResid, FactoredModel, logitsByOrder, pathExpansion } from "../../../src/paths/index.ts";
import type { PathExpansion, PathTerm } from "../../../src/paths/index.ts";
import { InputError, ShapeError } from "../../../src/errors.ts";
import { headLabel } from "../../../src/model/index.ts";
import type { Edits } from "../../../src/model/index.ts";
import { add, map, sum, Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));

describe("the certificate (P1)", () => {
  test("every model: the terms sum to the logits within the bound, and the bound stays below 1e-4 of the logits' scale", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const expansion = pathExpansion(model, prompts(options.d_vocab));
        const { maxDeviation, bound, withinBound, terms, complete, maxOrder } = expansion.certificate();
        expect(maxDeviation).toBeLessThanOrEqual(bound);
        expect({ withinBound, terms, complete, maxOrder }).toEqual({
          withinBound: true,
          terms: (1 + options.n_heads) ** options.n_layers + 1,
          complete: true,
          maxOrder: options.n_layers,
        });
        // A position's normalised stream may be as small as its scale makes it large: norms of near-constant streams amplify.
        const scale = Math.max(1, ...expansion.all.map(({ resid }) => Math.max(...[...resid.data].map(Math.abs))));
        expect(bound).toBeLessThan(1e-4 * scale * options.d_model);
      }),
      runs(1, 80),
    );
  });

  const model = randomModel({ n_layers: 2, norm: "LN", position: "standard", bias: true });
  const expansion = pathExpansion(model, tokens);
  const { bound, maxDeviation } = expansion.certificate();
  const replaced = (term: PathTerm, resid: PathTerm["resid"]): PathTerm => ({
    label: term.label,
    kind: term.kind,
    source: term.source,
    path: term.path,
    order: term.order,
    resid,
  });

  test("the deviation is not zero and the bound not vacuous: between 1 and 200 times the deviation here", () => {
    expect(maxDeviation).toBeGreaterThan(1e-8);
    expect(bound / maxDeviation).toBeGreaterThan(1);
    expect(bound / maxDeviation).toBeLessThan(200);
  });

  test.each(expansion.all.map((term, t) => [term.label, t] as const))("a missing %s is noticed", (_, t) => {
    const { withinBound } = expansion.certificate(expansion.all.filter((__, other) => other !== t));
    expect(withinBound).toBe(false);
  });

  test("a term off by one part in a thousand, in one number, or given twice, is noticed", () => {
    const [first, ...rest] = expansion.all as [PathTerm, ...PathTerm[]];
    const check = (term: PathTerm): boolean => expansion.certificate([term, ...rest]).withinBound;
    expect(check(first)).toBe(true);
    expect(
      check(
        replaced(
          first,
          map(first.resid, (x) => 1.001 * x),
        ),
      ),
    ).toBe(false);
    const { data, axes, shape } = first.resid;
    const nudged = Float64Array.from(data, (x, i) => (i === 5 ? x + 0.01 : x));
    expect(check(replaced(first, Tensor.from(axes, shape, nudged)))).toBe(false);
    expect(expansion.certificate([first, first, ...rest]).withinBound).toBe(false);
  });

  test("NaN in a term is never within the bound", () => {
    const [first, ...rest] = expansion.all as [PathTerm, ...PathTerm[]];
    expect(
      expansion.certificate([
        replaced(
          first,
          map(first.resid, () => NaN),
        ),
        ...rest,
      ]).withinBound,
    ).toBe(false);
  });

  test("a forward pass that computes something else is not excused: a stream off by 1e-3 does not widen the bound", () => {
    const model = randomModel({ n_layers: 2, position: "standard", bias: true });
    const expansionOf = (edits: Edits): PathExpansion => {
      const frozen = { model, run: model.run(tokens, { edits }) };
      return pathExpansion(new FactoredModel(frozen));
    };
    const right = expansionOf({}).certificate();
    const wrong = expansionOf({ "blocks.0.hook_resid_post": (x) => add(x, 1e-3) }).certificate();
    expect(right.withinBound).toBe(true);
    expect(wrong.withinBound).toBe(false);
    // What float32 sums of 12 products reach at these weights is about 1e-4 logits; the stream moved by 35 times as much.
    expect(wrong.bound).toBeLessThan(2e-4);
    expect(wrong.maxDeviation).toBeGreaterThan(3 * wrong.bound);
  });

  test("a term of other sizes is refused", () => {
    const [first] = expansion.all as [PathTerm];
    const call = (): unknown => expansion.certificate([replaced(first, Tensor.zeros("batch pos d_model", [1, 6, 12]))]);
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(
      "certificate: the term direct is [batch=1 pos=6 d_model=12] but the run's residual stream has shape [2, 6, 12].",
    );
  });

  test("the bundled model: 82 terms, deviation between 1e-8 and 1e-5 logits, bound below 1e-3", () => {
    const golden = loadGolden("bundled");
    const certificate = pathExpansion(golden.model, golden.tokens()).certificate();
    expect(certificate.terms).toBe(82);
    expect(certificate.withinBound).toBe(true);
    expect(certificate.maxDeviation).toBeGreaterThan(1e-8);
    expect(certificate.maxDeviation).toBeLessThan(1e-5);
    expect(certificate.bound).toBeLessThan(1e-3);
  });
});

describe("cutting at maxOrder", () => {
  test("the remainder stands for all longer paths: the certificate holds and says so; it is the sum of their terms (1e-10, float64)", () => {
    fc.assert(
      fc.property(modelOptions, fc.integer({ min: 0, max: 3 }), (options, maxOrder) => {
        const model = randomModel(options);
        const whole = pathExpansion(model, prompts(options.d_vocab));
        const cut = pathExpansion(model, prompts(options.d_vocab), { maxOrder });
        const certificate = cut.certificate();
        expect(certificate.withinBound).toBe(true);
        expect(certificate.complete).toBe(maxOrder >= options.n_layers);
        expect(certificate.maxOrder).toBe(Math.min(maxOrder, options.n_layers));
        expect(cut.terms.map(({ label }) => label)).toEqual(
          whole.terms.filter(({ order }) => order <= maxOrder).map(({ label }) => label),
        );
        const longer = whole.terms.filter(({ order }) => order > maxOrder);
        expect(cut.remainder === undefined).toBe(longer.length === 0);
        if (cut.remainder === undefined) return;
        expect(cut.labels.at(-1)).toBe("remainder");
        expect(cut.remainder.order).toBe(maxOrder + 1);
        const summed = longer.map(({ resid }) => resid).reduce((a, b) => add(a, b));
        expectClose(cut.remainder.resid, summed, { atol: 1e-10, rtol: 1e-10 });
      }),
      runs(2, 40),
    );
  });

  test("without its remainder a cut expansion is not certified", () => {
    const cut = pathExpansion(randomModel(), tokens, { maxOrder: 1 });
    expect(cut.certificate([...cut.terms, cut.bias]).withinBound).toBe(false);
  });

  test("the paths of an order sum to logitsByOrder, which rounds to float32 (1e-6 relative)", () => {
    const model = randomModel({ n_layers: 3, n_heads: 2, norm: "RMS", position: "rotary", bias: true });
    const expansion = pathExpansion(model, tokens);
    const byOrder = logitsByOrder(model, tokens);
    for (let order = 0; order <= 3; order++) {
      const parts = expansion.select({ order }).map((term) => expansion.logits(term));
      if (order === 0) parts.push(expansion.logits(expansion.bias));
      expectClose(
        byOrder.select("order", order),
        parts.reduce((a, b) => add(a, b)),
        { atol: 1e-6, rtol: 1e-6 },
      );
    }
  });
});

describe("what is refused", () => {
  const deep = randomModel({ n_layers: 3, n_heads: 3 });

  test("too many paths, with the numbers and the ways out", () => {
    const call = (): unknown => pathExpansion(deep, tokens, { maxTerms: 50 });
    expect(call).toThrow(InputError);
    expect(call).toThrow(
      "pathExpansion: there are 64 paths of at most 3 heads through n_layers=3 layers of n_heads=3, more than maxTerms=50. " +
        "Keep the short ones with maxOrder (maxOrder=2 has 37; the others become one remainder), sum each order without writing it out with logitsByOrder, each head's with pathTotals, or raise maxTerms.",
    );
    expect(pathExpansion(deep, tokens, { maxTerms: 64 }).terms).toHaveLength(64);
    expect(pathExpansion(deep, tokens, { maxTerms: 40, maxOrder: 2 }).terms).toHaveLength(37);
  });

  test("depth is counted without enumerating: 13^12 paths are refused at once", () => {
    const model = randomModel({ n_layers: 12, n_heads: 12, d_model: 2, d_head: 2 });
    expect(() => pathExpansion(model, tokens)).toThrow("there are 23298085122481 paths of at most 12 heads");
    expect(() => pathExpansion(model, tokens)).toThrow("(maxOrder=1 has 145;");
  });

  test.each([-1, 0.5, NaN])("maxOrder %s", (maxOrder) => {
    expect(() => pathExpansion(deep, tokens, { maxOrder })).toThrow(
      `pathExpansion: maxOrder is ${maxOrder}; it counts the heads on a path, from 0 to n_layers=3.`,
    );
  });

  test.each(["shortformer", "rotary", "none"] as const)("splitting %s positions off", (position) => {
    const model = randomModel({ position });
    expect(() => pathExpansion(model, tokens, { splitPositions: true })).toThrow(
      `pathExpansion: splitPositions asks for the paths of the positional embedding, but ${position} positions do not enter the residual stream: they act on patterns alone. Leave it out.`,
    );
  });

  test("tokens that the model cannot run, in the name of the operation", () => {
    expect(() => pathExpansion(deep, [99])).toThrow("pathExpansion: token 99 at position 0 of prompt 0");
    expect(() => pathExpansion(deep, tokens).select({ head: "L9" as "L0H0" })).toThrow('"L9" does not name a head');
  });
});

describe("splitting token and position", () => {
  const model = randomModel({ position: "standard", norm: "LNPre", bias: true });
  const split = pathExpansion(model, tokens, { splitPositions: true });
  const whole = pathExpansion(model, tokens);

  test("every path comes twice, labelled by its source, and the certificate holds", () => {
    expect(split.terms).toHaveLength(2 * whole.terms.length);
    expect(split.labels.slice(0, 4)).toEqual(["embed", "pos_embed", "embed→L0H0", "embed→L0H1"]);
    expect(split.certificate()).toMatchObject({ withinBound: true, terms: 33, complete: true });
  });

  test("the two sum to the path of the whole stream (1e-12, float64)", () => {
    const label = (term: PathTerm): string => term.path.map(headLabel).join("→");
    for (const term of whole.terms) {
      const halves = split.terms.filter((each) => label(each) === label(term)).map(({ resid }) => resid);
      expect(halves).toHaveLength(2);
      expectClose(
        halves.reduce((a, b) => add(a, b)),
        term.resid,
        { atol: 1e-12 },
      );
    }
  });
});

describe("stopping and watching", () => {
  const expansion = pathExpansion(randomModel(), tokens);

  test("certificate and attribution report every term and stop when asked to", () => {
    for (const work of ["certificate", "attribution"] as const) {
      const run = (options: object): unknown =>
        work === "certificate" ? expansion.certificate(expansion.all, options) : expansion.attribution(options);
      const seen: number[] = [];
      run({ onProgress: (done: number, total: number) => seen.push(done / total) });
      expect(seen).toHaveLength(17);
      expect(seen.at(-1)).toBe(1);
      const stop = new AbortController();
      const count: number[] = [];
      const abort = (done: number): void => {
        count.push(done);
        if (done === 3) stop.abort(new Error("enough"));
      };
      expect(() => run({ signal: stop.signal, onProgress: abort })).toThrow("enough");
      expect(count).toEqual([1, 2, 3]);
    }
    expect(() => pathExpansion(randomModel(), tokens, { signal: AbortSignal.abort(new Error("before")) })).toThrow(
      "before",
    );
  });
});

test("one position, one head, one token: the smallest model has its two paths", () => {
  const model = randomModel({ n_layers: 1, n_heads: 1, d_model: 2, d_head: 2, d_vocab: 2, n_ctx: 1, bias: true });
  const expansion = pathExpansion(model, [1]);
  expect(expansion.labels).toEqual(["direct", "L0H0", "bias"]);
  expect(expansion.certificate().withinBound).toBe(true);
  const { components } = decomposeResid(model, model.run([1]), { by: "head" });
  expectClose(
    sum(components, "component").data,
    expansion.all.map(({ resid }) => resid).reduce((a, b) => add(a, b)).data,
    { atol: 1e-6 },
  );
});
