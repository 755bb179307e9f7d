/** Kinds of characters as Hugging Face's `tokenizers` has them. */
import {
  ALSO_MARK,
  ALSO_NONSPACING,
  ALSO_PUNCTUATION,
  NOT_CONTROL,
  NOT_MARK,
  NOT_NONSPACING,
  NOT_PUNCTUATION,
  UNFORMED,
} from "./unicode-tables.ts";

/** What `\w` means where `tokenizers` uses Rust's `regex`: the inside of a class. */
export const WORD_CHARACTERS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";

/** The inside of a class, of ranges of hexadecimal code points. */
function classOf(ranges: string): string {
  return ranges.replace(/[\da-f]+/g, (point) => `\\u{${point}}`).replaceAll(" ", "");
}

/** A class of the engine's without some characters, and with some more. */
function corrected(inside: string, not: string, also: string): string {
  return `(?![${classOf(not)}])[${inside}]${also === "" ? "" : `|[${classOf(also)}]`}`;
}

export const PUNCTUATION = new RegExp(corrected("\\p{P}!-/:-@[-`{-~", NOT_PUNCTUATION, ALSO_PUNCTUATION), "gu");
const CONTROL = new RegExp(corrected("\\p{Cc}\\p{Cf}\\p{Co}", `${NOT_CONTROL} 9 a d`, ""), "u");
const MARK = new RegExp(corrected("\\p{M}", NOT_MARK, ALSO_MARK), "u");
const NONSPACING = new RegExp(corrected("\\p{Mn}", NOT_NONSPACING, ALSO_NONSPACING), "u");
const STRETCHES = new RegExp(`[^${classOf(`${UNFORMED} ${NOT_MARK}`)}]+`, "gu");

export const isControl = (character: string): boolean => CONTROL.test(character);
export const isMark = (character: string): boolean => MARK.test(character);
export const isNonspacingMark = (character: string): boolean => NONSPACING.test(character);

/** A normal form of a text: characters that `tokenizers` does not know stay, and nothing is composed across them. */
export function normalForm(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
  return text.replace(STRETCHES, (stretch) => stretch.normalize(form));
}
