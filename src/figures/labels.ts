/** Texts of tokens and heads in figures. */
import type { HeadId, HeadRef, Transformer } from "../model/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { FigureTokenizer } from "./input.ts";

/**
 * A token of a figure's data: its id, and its text or `#123` where there is no tokenizer.
 * @category Figures
 */
export interface FigureToken {
  readonly id: number;
  readonly text: string;
}

/**
 * Texts of tokens, each decoded once. Tables are often padded beyond the tokenizer's vocabulary: an id without a text
 * is `#123`.
 */
export function tokenTexts(tokenizer: FigureTokenizer | undefined): (id: number) => string {
  const known = new Map<number, string>();
  const decode = (id: number): string => {
    try {
      return tokenizer === undefined ? `#${id}` : tokenizer.tokenString(id);
    } catch {
      return `#${id}`;
    }
  };
  return (id) => {
    const text = known.get(id) ?? decode(id);
    known.set(id, text);
    return text;
  };
}

/** Texts of tokens as figures show them: a part of a character, which has no text of its own, is `#123`. */
export function shownTexts(tokenizer: FigureTokenizer | undefined): (id: number) => string {
  const textOf = tokenTexts(tokenizer);
  return (id) => textOf(id).replace(/^\ufffd+$/, `#${id}`);
}

/** The heads asked for, or all; refuses those that the model does not have. */
export function chosenHeads(model: Transformer, heads: readonly HeadRef[] | undefined): HeadId[] {
  return (heads ?? model.heads).map((ref) => {
    const { layer, head } = model.head(ref);
    return { layer, head };
  });
}

/** The heads asked for, or so many of the largest copying scores. */
export function chosenCopyingHeads(
  model: Transformer,
  heads: readonly HeadRef[] | undefined,
  scores: Tensor<"layer head">,
  most: number,
): HeadId[] {
  if (heads !== undefined) return chosenHeads(model, heads);
  return chosenHeads(model, undefined)
    .sort((a, b) => scores.at(b.layer, b.head) - scores.at(a.layer, a.head))
    .slice(0, most);
}
