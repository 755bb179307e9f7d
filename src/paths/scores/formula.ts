/**
 * Terms of attention scores written as tensors: $A_q \otimes A_k \otimes W$, what moved the query's part, what moved
 * the key's, and the circuit between the two sources (*A Mathematical Framework for Transformer Circuits*, "Path
 * expansion of attention scores QK circuit"). Row vectors: the paper's $W$ is the same, as a bilinear form.
 */
import { InputError } from "../../errors.ts";
import { linear, transpose } from "../../linear/index.ts";
import { composeMaps } from "../../linear/internal.ts";
import type { Linear } from "../../linear/index.ts";
import { headLabel, rotationMatrix } from "../../model/index.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import type { FormulaFormat } from "../logits/formula.ts";
import { mlpLayerOf } from "../logits/sources.ts";
import type { ScoreTerm } from "./terms.ts";

/** The formula of one term; norms are left out of it, as their scales are numbers. */
export function scoreFormula(model: Transformer, head: HeadId, term: ScoreTerm, format: FormulaFormat): string {
  const isText = format === "text";
  const at = (symbol: string, { layer, head: index }: HeadId): string =>
    isText ? `${symbol}[${headLabel({ layer, head: index })}]` : `${latex(symbol)}^{${layer}.${index}}`;
  const pattern = (path: readonly HeadId[]): string =>
    path.length === 0
      ? isText
        ? "Id"
        : "\\mathrm{Id}"
      : [...path]
          .reverse()
          .map((h) => at("A", h))
          .join(" ");
  const moved = (path: readonly HeadId[]): string[] => path.map((h) => at("W_OV", h));
  const source = (label: string): string => sourceOf(label, isText);
  const transposed = (name: string): string =>
    isText ? `${name}ᵀ` : name.includes("^") ? `(${name})^\\top` : `${name}^\\top`;
  const isRotary = model.config.positional_embedding_type === "rotary";
  const rotation = isText ? "R[i-j]" : "R_{i-j}";
  const middle = isRotary
    ? [at("W_Q", head), rotation, isText ? `${at("W_K", head)}ᵀ` : `(${at("W_K", head)})^\\top`]
    : [at("W_QK", head)];
  const key = [source(term.key), ...moved(term.keyPath)].reverse().map(transposed);
  const W = [source(term.query), ...moved(term.queryPath), ...middle, ...key].join(" ");
  const product = isText ? " ⊗ " : " \\otimes ";
  return [pattern(term.queryPath), pattern(term.keyPath), W].join(product);
}

function sourceOf(label: string, isText: boolean): string {
  const first = label.split("→")[0] ?? label;
  const name = /^L\d+H\d+$/.test(first) ? "embed" : first;
  if (name === "embed") return "W_E";
  if (name === "pos_embed") return isText ? "W_pos" : "W_{pos}";
  const mlp = mlpLayerOf(name);
  if (mlp !== undefined) return isText ? `MLP[${mlp}]` : `\\mathrm{MLP}^{${mlp}}`;
  return isText ? name : `\\mathrm{${name}}`;
}

const latex = (symbol: string): string => symbol.replace(/_(\w{2,})$/, "_{$1}");

/** The circuit between the sources of a term, unscaled, raw weights. */
export function scoreCircuit(model: Transformer, head: HeadId, term: ScoreTerm, offset: number): Linear {
  if (!Number.isSafeInteger(offset)) {
    throw new InputError(`offset is ${offset}; give a whole number of positions from key to query.`, {
      operation: "circuit",
      argument: "offset",
      expected: "an integer",
      actual: offset,
    });
  }
  const { W_Q, W_K } = model.head(head);
  const isRotary = model.config.positional_embedding_type === "rotary";
  const rotation = isRotary ? [linear("d_head", "d_head", rotationMatrix(model.config, offset))] : [];
  const side = (label: string, path: readonly HeadId[], read: Linear): Linear[] => [
    sourceMap(model, label),
    ...path.map((each) => model.head(each).W_OV as Linear),
    read,
  ];
  const key = side(term.key, term.keyPath, W_K)
    .reverse()
    .map((map) => transpose(map));
  return composeMaps([...side(term.query, term.queryPath, W_Q), ...rotation, ...key]);
}

function sourceMap(model: Transformer, label: string): Linear {
  const name = sourceOf(label, true);
  if (name === "W_E") return model.W_E;
  if (name === "W_pos" && model.W_pos !== undefined) return model.W_pos;
  throw new InputError(`the part "${label}" is no token or position moved by heads, so that it has no circuit.`, {
    operation: "circuit",
    argument: "term",
    actual: label,
  });
}
