/** Attention scores of deep models by paths in groups: against the enumerated paths, and where these are too many against the run's own scores. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scoreExpansion } from "../../../src/paths/index.ts";
import type { ScoreExpansion, ScoreTerm } from "../../../src/paths/index.ts";
import { headLabel } from "../../../src/model/index.ts";
import type { HeadId } from "../../../src/model/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));

describe("paths grouped by order and by first head", () => {
  test("are the sums of the enumerated paths, MLPs included (float64, 1e-9)", () => {
    const deep = fc.oneof(modelOptions, mlpModelOptions).map((options) => ({ ...options, n_layers: 4, n_heads: 2 }));
    fc.assert(
      fc.property(deep, (options) => {
        const model = randomModel(options);
        const prompt = prompts(options.d_vocab);
        const paths = scoreExpansion(model, prompt, "L3H1", { by: "path", maxTerms: 1e6 });
        const labels = paths.labels.map((label, i) => ({ label, i, path: pathOf(paths, label) }));
        const size = paths.queries.size / labels.length;
        const sumsOf = (
          side: "queries" | "keys",
          pick: (path: readonly HeadId[], label: string) => boolean,
        ): Float64Array => {
          const out = new Float64Array(size);
          const { data } = paths[side];
          for (const { label, i, path } of labels)
            if (pick(path, label))
              for (let t = 0; t < size; t++) out[t] = (out[t] ?? 0) + (data[i * size + t] as number);
          return out;
        };
        for (const by of ["order", "firstHead"] as const) {
          const groups = scoreExpansion(model, prompt, "L3H1", { by });
          for (const [g, label] of groups.labels.entries()) {
            const heads = /^(\d) heads?$/.exec(label)?.[1];
            const first = /^(L\dH\d)⋯$/.exec(label)?.[1];
            const pick = (path: readonly HeadId[], own: string): boolean => {
              if (heads !== undefined) return path.length === Number(heads);
              return first === undefined ? own === label : path[0] !== undefined && headLabel(path[0]) === first;
            };
            for (const side of ["queries", "keys"] as const) {
              const found = groups[side].select("component", g).data;
              const scale = Math.max(1, ...Array.from(groups[side].data, Math.abs));
              expectClose(found, sumsOf(side, pick), { atol: 1e-9 * scale });
            }
          }
        }
      }),
      runs(77, 25),
    );
  });

  const model = randomModel({
    n_layers: 12,
    n_heads: 3,
    d_model: 12,
    d_head: 4,
    norm: "LN",
    bias: true,
    position: "rotary",
  });
  const prompt = [1, 5, 3, 5, 2];

  test("of a deep model, which no list of paths could hold: 4^11 of them", () => {
    expect(() => scoreExpansion(model, prompt, "L11H2", { by: "path" })).toThrow("have up to 4194305 parts each");
    const orders = scoreExpansion(model, prompt, "L11H2", { by: "order" });
    const names = Array.from({ length: 10 }, (_, i) => `${i + 2} heads`);
    expect(orders.labels).toEqual(["embed", "1 head", ...names, "bias"]);
    expect(orders.certificate()).toMatchObject({ withinBound: true, terms: 169 });
    const first = scoreExpansion(model, prompt, "L11H2", { by: "firstHead" });
    expect(first.labels.slice(0, 2)).toEqual(["embed", "L0H0⋯"]);
    expect(first.certificate()).toMatchObject({ withinBound: true, terms: 35 ** 2 });
    expect(first.terms[1]).toMatchObject({ composition: "K", keyPath: [{ layer: 0, head: 0 }] });
  });

  test("longer ones as a remainder, which is moved by heads", () => {
    const cut = scoreExpansion(model, prompt, "L11H2", { by: "order", maxOrder: 2 });
    expect(cut.labels).toEqual(["embed", "1 head", "2 heads", "remainder", "bias"]);
    expect(cut.certificate().withinBound).toBe(true);
    expect(cut.select({ composition: "both" }).map(({ label }) => label)).toContain("remainder · 2 heads");
    expect(cut.select({ composition: "none" })).toHaveLength(4);
    const whole = scoreExpansion(model, prompt, "L1H0", { by: "order", maxOrder: 0 });
    expect(whole.labels).toEqual(["embed", "remainder", "bias"]);
  });

  test("have no circuit or formula of their own", () => {
    const expansion = scoreExpansion(model, prompt, "L2H0", { by: "order" });
    const [term] = expansion.select({ query: "embed", key: "2 heads" }) as [ScoreTerm];
    const text =
      'the part "2 heads" is a sum over paths, each with a circuit of its own. Expand the scores by path (by: "path").';
    expect(() => expansion.circuit(term)).toThrow(`circuit: ${text}`);
    expect(() => expansion.formula(term)).toThrow(`formula: ${text}`);
  });

  test.each([
    ["a later head", randomModel({ n_layers: 3 }), "L2H0", "L1H1", "L1H1"],
    [
      "a first head that reads positions in the stream",
      randomModel({ position: "standard" }),
      "L1H0",
      "L0H1",
      "pos_embed→L0H1",
    ],
  ] as const)("what %s wrote has no circuit of its own; each of its paths has one", (_, model, head, written, path) => {
    const byHead = scoreExpansion(model, prompt, head);
    const [term] = byHead.select({ query: "embed", key: written }) as [ScoreTerm];
    const text = `the part "${written}" is a sum over paths, each with a circuit of its own. Expand the scores by path (by: "path").`;
    expect(() => byHead.circuit(term)).toThrow(`circuit: ${text}`);
    expect(() => byHead.formula(term)).toThrow(`formula: ${text}`);
    const byPath = scoreExpansion(model, prompt, head, { by: "path" });
    const [one] = byPath.select({ query: "embed", key: path }) as [ScoreTerm];
    expect(byPath.formula(one)).toBe(
      path === "L1H1"
        ? "Id ⊗ A[L1H1] ⊗ W_E W_QK[L2H0] W_OV[L1H1]ᵀ W_Eᵀ"
        : "Id ⊗ A[L0H1] ⊗ W_E W_QK[L1H0] W_OV[L0H1]ᵀ W_posᵀ",
    );
  });
});

function pathOf(expansion: ScoreExpansion, label: string): readonly HeadId[] {
  return expansion.terms.find(({ query }) => query === label)?.queryPath ?? [];
}
