/**
 * Paths written as formulas, with row vectors: the path through L0H1 and then L1H2 is
 * $A^{1.2} A^{0.1}\,T W_E W_{OV}^{0.1} W_{OV}^{1.2} W_U$, $T$ being the one-hot tokens. The pattern of the later head comes first, its
 * OV matrix last. A frozen norm stands as a function, `ln_1(…)`; what the MLP of layer 0 wrote as `MLP[0]`.
 */
import { headLabel } from "../model/index.ts";
import type { HeadId, Transformer } from "../model/index.ts";
import type { PathSource, PathTerm } from "./path-terms.ts";

/**
 * How formulas are written.
 * @category Path expansion
 */
export type FormulaFormat = "text" | "latex";

interface Notation {
  readonly sources: Readonly<Record<Exclude<PathSource, `${number}_mlp_out`>, string>>;
  readonly mlp: (layer: string) => string;
  readonly sum: (parts: string) => string;
  readonly pattern: (head: HeadId) => string;
  readonly map: (head: HeadId) => string;
  readonly norm: (name: string, inner: string) => string;
  readonly W_U: string;
  readonly bias: string;
  readonly remainder: (order: number) => string;
}

const NOTATIONS: Readonly<Record<FormulaFormat, Notation>> = {
  text: {
    sources: { direct: "T W_E + W_pos", embed: "T W_E", pos_embed: "W_pos" },
    mlp: (layer) => `MLP[${layer}]`,
    sum: (parts) => `(${parts})`,
    pattern: (head) => `A[${headLabel(head)}]`,
    map: (head) => `W_OV[${headLabel(head)}]`,
    norm: (name, inner) => `${name}(${inner})`,
    W_U: "W_U",
    bias: "bias",
    remainder: (order) => `(paths of order ≥ ${order})`,
  },
  latex: {
    sources: { direct: "T W_E + W_{pos}", embed: "T W_E", pos_embed: "W_{pos}" },
    mlp: (layer) => `\\mathrm{MLP}^{${layer}}`,
    sum: (parts) => `\\left(${parts}\\right)`,
    pattern: ({ layer, head }) => `A^{${layer}.${head}}`,
    map: ({ layer, head }) => `W_{OV}^{${layer}.${head}}`,
    norm: (name, inner) => `\\mathrm{${name.replace("_", "}_{")}}\\left(${inner}\\right)`,
    W_U: "W_U",
    bias: "\\mathrm{bias}",
    remainder: (order) => `\\sum_{p \\ge ${order}} \\mathrm{paths}_p`,
  },
};

/** The formula of one term. */
export function termFormula(model: Transformer, term: PathTerm, format: FormulaFormat): string {
  const notation = NOTATIONS[format];
  if (term.kind === "bias") return notation.bias;
  if (term.kind === "remainder") return notation.remainder(term.order);
  const sourceOf = (source: PathSource): string =>
    source === "direct" || source === "embed" || source === "pos_embed"
      ? notation.sources[source]
      : notation.mlp(source.slice(0, source.indexOf("_")));
  const entersStream = model.config.positional_embedding_type === "standard";
  const isSum = term.source === "direct" && entersStream;
  const source = sourceOf(term.source === "direct" && !entersStream ? "embed" : term.source);
  const isInside = model.ln_final !== undefined && term.path.length === 0;
  let patterns: string[] = [];
  let maps: string[] = [];
  let inner = isSum && !isInside ? notation.sum(source) : source;
  for (const head of term.path) {
    if (model.layer(head.layer).ln1 !== undefined) {
      const whole = patterns.length === 0 && isSum ? source : [...patterns, inner, ...maps].join(" ");
      inner = notation.norm(`ln_${head.layer}`, whole);
      [patterns, maps] = [[], []];
    }
    patterns = [notation.pattern(head), ...patterns];
    maps = [...maps, notation.map(head)];
  }
  const whole = [...patterns, inner, ...maps].join(" ");
  return `${model.ln_final === undefined ? whole : notation.norm("ln_final", whole)} ${notation.W_U}`;
}
