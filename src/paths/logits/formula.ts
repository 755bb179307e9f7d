/**
 * Paths written as formulas, with row vectors: the path through L0H1 and then L1H2 is
 * $A^{1.2} A^{0.1}\,T W_E W_{OV}^{0.1} W_{OV}^{1.2} W_U$, $T$ being the one-hot tokens. The pattern of the later head
 * comes first, its OV matrix last. A frozen norm stands as a function, `ln_1(…)`; what the MLP of layer 0 wrote as
 * `MLP[0]`.
 */
import { headLabel } from "../../model/index.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { isEditLabel, mlpLayerOf } from "./sources.ts";
import type { PathTerm } from "./terms.ts";

/**
 * How formulas are written.
 * @category Path expansion
 */
export type FormulaFormat = "text" | "latex";

type BiasName = "b_O" | "b_V" | "ln1.b" | "ln_final.b";

interface Notation {
  readonly sources: Readonly<Record<"direct" | "embed" | "pos_embed", string>>;
  readonly mlp: (layer: number) => string;
  /** What an edit added, by its label. */
  readonly edit: (label: string) => string;
  /**
   * A bias, the same at every position: $b_O$, $b_V$ of a head, the bias of the norm of a layer, or of the final one.
   */
  readonly constant: (name: BiasName, layer: number, head: HeadId | undefined) => string;
  readonly sum: (parts: string) => string;
  readonly pattern: (head: HeadId) => string;
  readonly map: (head: HeadId) => string;
  readonly norm: (name: string, inner: string) => string;
  readonly writer: (head: HeadId) => string;
  readonly one: string;
  readonly W_U: string;
  readonly bias: string;
  readonly remainder: (order: number) => string;
  readonly group: (name: string) => string;
}

const NOTATIONS: Readonly<Record<FormulaFormat, Notation>> = {
  text: {
    sources: { direct: "T W_E + W_pos", embed: "T W_E", pos_embed: "W_pos" },
    mlp: (layer) => `MLP[${layer}]`,
    edit: (label) => label,
    sum: (parts) => `(${parts})`,
    pattern: (head) => `A[${headLabel(head)}]`,
    map: (head) => `W_OV[${headLabel(head)}]`,
    norm: (name, inner) => `${name}(${inner})`,
    constant: (name, layer, head) => {
      const at = name === "b_V" && head !== undefined ? headLabel(head) : layer;
      return name === "ln_final.b" ? "1 ln_final.b" : `1 ${name}[${at}]`;
    },
    writer: (head) => `W_O[${headLabel(head)}]`,
    one: "1",
    W_U: "W_U",
    bias: "bias",
    remainder: (order) => `(paths of order ≥ ${order})`,
    group: (name) => `(${name})`,
  },
  latex: {
    sources: { direct: "T W_E + W_{pos}", embed: "T W_E", pos_embed: "W_{pos}" },
    mlp: (layer) => `\\mathrm{MLP}^{${layer}}`,
    edit: (label) => `\\text{${label.replace(/_/g, "\\_")}}`,
    sum: (parts) => `\\left(${parts}\\right)`,
    pattern: ({ layer, head }) => `A^{${layer}.${head}}`,
    map: ({ layer, head }) => `W_{OV}^{${layer}.${head}}`,
    norm: (name, inner) => `\\mathrm{${name.replace("_", "}_{")}}\\left(${inner}\\right)`,
    constant: (name, layer, head) => {
      const symbols: Record<BiasName, string> = {
        b_O: `b_O^{${layer}}`,
        b_V: `b_V^{${layer}.${head?.head}}`,
        "ln1.b": `b_{\\mathrm{ln}_{${layer}}}`,
        "ln_final.b": "b_{\\mathrm{ln}_{final}}",
      };
      return `\\mathbf{1}\\,${symbols[name]}`;
    },
    writer: ({ layer, head }) => `W_O^{${layer}.${head}}`,
    one: "\\mathbf{1}",
    W_U: "W_U",
    bias: "\\mathrm{bias}",
    group: (name) => `\\left(\\text{${name.replace(/_/g, "\\_")}}\\right)`,
    remainder: (order) => `\\sum_{p \\ge ${order}} \\mathrm{paths}_p`,
  },
};

/** The formula of one term. */
export function termFormula(model: Transformer, term: PathTerm, format: FormulaFormat): string {
  const notation = NOTATIONS[format];
  if (term.kind === "bias") return term.source === "b_U" ? `${notation.one} b_U` : notation.bias;
  if (term.kind === "remainder") return notation.remainder(term.order);
  if (term.kind === "group") return notation.group(term.label);
  const bias = biasOf(term.source);
  const isFinalEdit = term.source === "edit[unembed.hook_in]" || term.source === "edit[ln_final.hook_normalized]";
  if (isFinalEdit) return `${notation.edit(term.source)} ${notation.W_U}`;
  if (bias?.name === "ln_final.b") return `${notation.constant(bias.name, 0, undefined)} ${notation.W_U}`;
  const entersStream = model.config.positional_embedding_type === "standard";
  const isSum = term.source === "direct" && entersStream;
  const isInside = model.ln_final !== undefined && term.path.length === 0;
  const source =
    bias === undefined
      ? sourceOf(notation, term.source, entersStream)
      : notation.constant(bias.name, bias.layer, term.path[0]);
  let patterns: string[] = [];
  let maps: string[] = [];
  let inner = isSum && !isInside ? notation.sum(source) : source;
  for (const [i, head] of term.path.entries()) {
    const entersHere = i === 0 && (bias?.name === "b_V" || bias?.name === "ln1.b");
    if (model.layer(head.layer).ln1 !== undefined && !entersHere) {
      const whole = patterns.length === 0 && isSum ? source : [...patterns, inner, ...maps].join(" ");
      inner = notation.norm(`ln_${head.layer}`, whole);
      [patterns, maps] = [[], []];
    }
    patterns = [notation.pattern(head), ...patterns];
    maps = [...maps, entersHere && bias.name === "b_V" ? notation.writer(head) : notation.map(head)];
  }
  const whole = [...patterns, inner, ...maps].join(" ");
  return `${model.ln_final === undefined ? whole : notation.norm("ln_final", whole)} ${notation.W_U}`;
}

/** What embeds tokens or positions, what an MLP wrote, or what an edit added. */
function sourceOf({ sources, mlp, edit }: Notation, source: PathTerm["source"], entersStream: boolean): string {
  const layer = mlpLayerOf(source);
  if (layer !== undefined) return mlp(layer);
  if (isEditLabel(source)) return edit(source);
  if (source === "pos_embed") return sources.pos_embed;
  return source === "direct" && entersStream ? sources.direct : sources.embed;
}

function biasOf(source: PathTerm["source"]): { readonly name: BiasName; readonly layer: number } | undefined {
  if (source === "ln_final.b") return { name: source, layer: 0 };
  const match = /^(b_O|b_V|ln1\.b)\[(\d+)\]$/.exec(source);
  return match === null ? undefined : { name: match[1] as BiasName, layer: Number(match[2]) };
}
