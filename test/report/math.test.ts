/** Formulas of the report: MathML with the LaTeX that it is. */
import { describe, expect, test } from "vitest";
import {
  bars,
  circuit,
  display,
  fraction,
  inline,
  norm,
  num,
  op,
  row,
  sub,
  sumOver,
  sup,
  text,
  v,
} from "../../src/report/page/math.ts";
import { equation } from "../../src/viz/index.ts";

const titleOf = (markup: string): string | undefined => /title="([^"]*)"/.exec(markup)?.[1];
const sourcesOf = (markup: string): string[] =>
  [...markup.matchAll(/<annotation encoding="application\/x-tex">([^<]*)</g)].map(([, tex]) => tex ?? "");

describe("a formula", () => {
  test.each([
    [[v("W_E"), v("W_U")], "W_{E} W_{U}"],
    [[v("T"), op("="), text("Id"), op("⊗"), v("W_OV")], "T = \\text{Id} \\otimes W_{\\text{OV}}"],
    [[circuit("QK", "h"), op("+"), circuit("OV", "prev")], "W_{\\text{QK}}^{h} + W_{\\text{OV}}^{\\text{prev}}"],
    [[sumOver(v("h")), sup(v("A"), v("h"))], "\\sum_{h} A^{h}"],
    [[fraction(v("λ"), bars(v("λ"))), op("∈"), num("1")], "\\frac{\\lambda}{|\\lambda|} \\in 1"],
    [[norm(row(v("A"), v("B")))], "\\|A B\\|_F"],
    [[sub(v("Loss"), row(v("p"), op("−"), num("1")))], "\\text{Loss}_{p - 1}"],
  ])("of parts %# has its source in a title, and in an annotation", (parts, tex) => {
    const [line, block] = [String(inline(...parts)), String(display(...parts))];
    expect([titleOf(line), titleOf(block)]).toEqual([tex, tex]);
    expect(sourcesOf(line)).toEqual([tex]);
    expect(sourcesOf(block).join(" ")).toBe(tex);
  });

  test("may break before each sign, which stays one between two parts", () => {
    const block = String(display(v("T"), op("="), v("A"), op("+"), v("B"), op("−"), v("C")));
    expect(block.match(/<wbr>/g)).toHaveLength(3);
    expect(block.match(/<mo form="infix">/g)).toHaveLength(3);
    expect(sourcesOf(block)).toEqual(["T", "= A", "+ B", "- C"]);
  });
});

test.each([
  ["W_E W_U", "W_{E} W_{U}"],
  ["Σ_h A^h ⊗ W_{OV}^h W_U", "\\sum_{h} A^{h} \\otimes W_{\\mathrm{OV}}^{h} W_{U}"],
  ["Id ⊗ X W_{QK} X^⊤", "\\mathrm{Id} \\otimes X W_{\\mathrm{QK}} X^{\\top}"],
  ["Σ_{g<h} A^g", "\\sum_{g&lt;h} A^{g}"],
])("the term %s of an equation shows its LaTeX on hover", (formula, tex) => {
  expect(equation({ left: "T", terms: [{ formula }] }).svg).toContain(`<title>${tex}</title>`);
});
