/** Where patterns match in a text, and how a text is split there, as Hugging Face's `tokenizers` has both. */
import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { describeValue } from "../../bytes/bytes.ts";
import { isFields } from "../../json/plain.ts";
import { inPattern } from "../../in-pattern.ts";
import type { Part } from "./part.ts";

/** A stretch of a text, and whether the pattern matches it or it lies between matches. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly matches: boolean;
}

/** The stretches of a text that a pattern matches and those between; together they are the text. */
export type Pattern = (text: string) => Span[];

/** The fate of matches when a text is split at them. */
export const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behavior = (typeof BEHAVIORS)[number];

/**
 * The pattern of a global regular expression. An empty match right after a match does not count; nothing matches in no
 * text.
 */
export function patternOf(expression: RegExp): Pattern {
  return (text) => {
    const spans: Span[] = [];
    if (text === "") return spans;
    let done = 0;
    let last = -1;
    for (const { 0: match, index } of text.matchAll(expression)) {
      const end = index + match.length;
      if (match === "" && last === end) continue;
      if (done < index) spans.push({ start: done, end: index, matches: false });
      spans.push({ start: index, end, matches: true });
      done = last = end;
    }
    if (done < text.length) spans.push({ start: done, end: text.length, matches: false });
    return spans;
  };
}

/** The pattern of a text that stands for itself. */
export function literal(text: string): Pattern {
  return patternOf(new RegExp(inPattern(text), "gu"));
}

/** The field `pattern`: a text, or a regular expression in Oniguruma's spelling, which the library translates. */
export function readPattern(part: Part): Pattern {
  const pattern = part.get("pattern");
  if (isFields(pattern) && typeof pattern["String"] === "string") return literal(pattern["String"]);
  const source = isFields(pattern) ? pattern["Regex"] : undefined;
  if (typeof source !== "string") {
    throw part.fault(`"pattern" is ${describeValue(pattern)}, not {"String": …} or {"Regex": …}.`, pattern);
  }
  // Where the match before ended, which no expression of JavaScript's knows.
  if (/(?<!\\)(?:\\\\)*\\G/.test(source))
    throw part.fault(`the regular expression ${describeValue(source)} has \\G, which is not read.`, source);
  // Newer engines compile these with JavaScript's meaning: Oniguruma's m lets the dot match line breaks.
  const modifier = /(?<!\\)(?:\\\\)*\(\?(?!i:)[a-zA-Z]*(?:[a-zA-Z]|-[a-zA-Z]*)[:)]/.exec(source)?.[0];
  if (modifier !== undefined)
    throw part.fault(
      `the regular expression ${describeValue(source)} has ${modifier}, and of modifiers only (?i: is read.`,
      source,
    );
  try {
    const { pattern: expression } = new SplitPreTokenizer({
      type: "Split",
      pattern: { Regex: withFolds(source) },
      behavior: "Isolated",
      invert: false,
    });
    if (expression !== null) return patternOf(expression);
  } catch (cause) {
    throw part.fault(
      `the regular expression ${describeValue(source)} is not read: ${(cause as Error).message}.`,
      source,
    );
  }
  throw part.fault(`the regular expression ${describeValue(source)} is not read.`, source);
}

/** Letters without case: the library takes those of ASCII alone, where s is also U+017F and k the Kelvin sign. */
function withFolds(source: string): string {
  return source.replaceAll(/\(\?i:((?:[a-zA-Z'|]|\[[a-zA-Z]+\])*)\)|\(\?i:/g, (group, inside: string | undefined) => {
    if (inside === undefined || /ss|st|ff|fi|fl/i.test(inside.replaceAll(/\[.*?\]/g, "|"))) {
      throw new SyntaxError(
        `groups that begin ${group.slice(0, 9)} are read if they have letters of ASCII alone and no ligature`,
      );
    }
    const folded = inside.replaceAll(/\[([a-zA-Z]+)\]|[sk]/gi, (part, letters: string | undefined) => {
      const others = (/s/i.test(part) ? "\u017f" : "") + (/k/i.test(part) ? "\u212a" : "");
      return others === "" ? part : `[${letters ?? part}${others}]`;
    });
    return `(?i:${folded})`;
  });
}

/** The same stretches with matches and the rest exchanged. */
export function inverted(pattern: Pattern): Pattern {
  return (text) => pattern(text).map((span) => ({ ...span, matches: !span.matches }));
}

/** The pieces of a text split at a pattern; none is empty. */
export function split(text: string, pattern: Pattern, behavior: Behavior): Span[] {
  const spans = pattern(text);
  return joined(spans, behavior).filter(({ start, end }) => start < end);
}

function joined(spans: Span[], behavior: Behavior): Span[] {
  switch (behavior) {
    case "Isolated":
      return spans;
    case "Removed":
      return spans.filter(({ matches }) => !matches);
    case "MergedWithNext": {
      const mirrored = merge([...spans].reverse(), (matches, previous) => matches && !previous);
      return mirrored.reverse();
    }
    case "MergedWithPrevious":
      return merge(spans, (matches, previous) => matches && !previous);
    case "Contiguous":
      return merge(spans, (matches, previous) => matches === previous);
  }
}

/** Joins a stretch to the one before where the rule says so of it and of that one. */
function merge(spans: readonly Span[], joins: (matches: boolean, previous: boolean) => boolean): Span[] {
  const merged: Span[] = [];
  let previous = false;
  for (const span of spans) {
    const before = merged.at(-1);
    if (before !== undefined && joins(span.matches, previous)) {
      const start = Math.min(before.start, span.start);
      merged[merged.length - 1] = { start, end: Math.max(before.end, span.end), matches: false };
    } else merged.push(span);
    previous = span.matches;
  }
  return merged;
}
