/** How a text is split into words before the model sees it: the pre-tokenizers of `tokenizer.json`. */
import { toByteCharacters } from "./byte-characters.ts";
import type { Part } from "./part.ts";
import { BEHAVIORS, inverted, literal, patternOf, readPattern, split } from "./split.ts";
import type { Behavior, Pattern } from "./split.ts";
import { PUNCTUATION, WORD_CHARACTERS } from "./unicode.ts";

/** A piece of a text, and whether the whole text begins with it. */
export interface Piece {
  readonly text: string;
  readonly isFirst: boolean;
}

/** Splits pieces further. */
export type PreTokenizer = (pieces: readonly Piece[]) => Piece[];

function splitPiece({ text, isFirst }: Piece, pattern: Pattern, behavior: Behavior): Piece[] {
  return split(text, pattern, behavior).map(({ start, end }) => ({
    text: text.slice(start, end),
    isFirst: isFirst && start === 0,
  }));
}

const splitting =
  (pattern: Pattern, behavior: Behavior): PreTokenizer =>
  (pieces) =>
    pieces.flatMap((piece) => splitPiece(piece, pattern, behavior));

const NUMERIC = patternOf(/\p{N}/gu);
const WHITESPACE = patternOf(/\p{White_Space}/gu);
const punctuation = patternOf(PUNCTUATION);
const WORDS = patternOf(new RegExp(`[${WORD_CHARACTERS}]+|[^${WORD_CHARACTERS}\\p{White_Space}]+`, "gu"));
const GPT2_WORDS = patternOf(
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu,
);

function readByteLevel(part: Part): PreTokenizer {
  const prefix = part.flag("add_prefix_space");
  const words = part.flag("use_regex", true);
  return (pieces) =>
    pieces.flatMap((piece) => {
      const text = prefix && !piece.text.startsWith(" ") ? ` ${piece.text}` : piece.text;
      const parts = words ? splitPiece({ ...piece, text }, GPT2_WORDS, "Isolated") : [{ ...piece, text }];
      return parts.map((word) => ({ ...word, text: toByteCharacters(word.text) }));
    });
}

/** How a Metaspace part puts its character for the space before a text. */
export function readPrependScheme(part: Part): "first" | "never" | "always" {
  const scheme = part.oneOf("prepend_scheme", ["first", "never", "always"], "always");
  if (part.get("add_prefix_space") === false && scheme !== "never") {
    throw part.fault(`"add_prefix_space" is false but "prepend_scheme" is "${scheme}"; Hugging Face refuses it too.`);
  }
  return scheme;
}

function readMetaspace(part: Part): PreTokenizer {
  const replacement = part.character("replacement");
  const scheme = readPrependScheme(part);
  const pattern = part.flag("split", true) ? literal(replacement) : undefined;
  return (pieces) =>
    pieces.flatMap((piece) => {
      const text = piece.text.replaceAll(" ", () => replacement);
      const prepends = !text.startsWith(replacement) && (scheme === "always" || (scheme === "first" && piece.isFirst));
      const whole = { ...piece, text: prepends ? replacement + text : text };
      return pattern === undefined ? [whole] : splitPiece(whole, pattern, "MergedWithNext");
    });
}

function readFixedLength(part: Part): PreTokenizer {
  const length = part.count("length", 5);
  if (length === 0) throw part.fault('"length" is 0; a piece has at least 1 character.', length);
  return splitting(patternOf(new RegExp(`[^]{1,${length}}`, "gu")), "Isolated");
}

const TABLE: Readonly<Record<string, (part: Part) => PreTokenizer>> = {
  BertPreTokenizer: () => inOrder([splitting(WHITESPACE, "Removed"), splitting(punctuation, "Isolated")]),
  ByteLevel: readByteLevel,
  CharDelimiterSplit: (part) => splitting(literal(part.character("delimiter")), "Removed"),
  Digits: (part) => splitting(NUMERIC, part.flag("individual_digits") ? "Isolated" : "Contiguous"),
  FixedLength: readFixedLength,
  Metaspace: readMetaspace,
  Punctuation: (part) => splitting(punctuation, part.oneOf("behavior", BEHAVIORS, "Isolated")),
  Sequence: (part) => inOrder(part.parts("pretokenizers").map(readPreTokenizer)),
  Split: (part) => {
    const pattern = readPattern(part);
    return splitting(part.flag("invert", false) ? inverted(pattern) : pattern, part.oneOf("behavior", BEHAVIORS));
  },
  Whitespace: () => splitting(inverted(WORDS), "Removed"),
  WhitespaceSplit: () => splitting(WHITESPACE, "Removed"),
};

function inOrder(steps: readonly PreTokenizer[]): PreTokenizer {
  return (pieces) => steps.reduce<Piece[]>((split, step) => step(split), [...pieces]);
}

/** Makes a pre-tokenizer of its part of a `tokenizer.json`. */
export function readPreTokenizer(part: Part): PreTokenizer {
  return part.build(TABLE);
}
