/** Tokens that are found in a text before it is split: those that `tokenizer.json` adds to its model's. */
import { inPattern } from "../../in-pattern.ts";
import { trimmedEnd } from "./normalizers.ts";
import { WORD_CHARACTERS } from "./unicode.ts";

/** An added token. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** What is looked for: the content, normalized where the token is. */
  readonly searched: string;
  /** Whether it counts only where no letter or digit touches it. */
  readonly singleWord: boolean;
  /** Whether white space before it, or after it, belongs to it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Whether it is looked for in the normalized text. */
  readonly normalized: boolean;
}

/** A stretch of a text that is an added token, or that has none. */
export interface Section {
  readonly start: number;
  readonly text: string;
  readonly id: number | undefined;
}

/** Finds added tokens in a text: the leftmost, the longest of those that begin there. */
export type Finder = (text: string) => Section[];

const WORD = new RegExp(`[${WORD_CHARACTERS}]`, "u");

function touchesWord(text: string, start: number, end: number): boolean {
  const left = [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? "";
  return WORD.test(left) || WORD.test(String.fromCodePoint(text.codePointAt(end) ?? 0));
}

/** Makes the finder of tokens that are all looked for in the same text. */
export function finderOf(tokens: readonly AddedToken[]): Finder {
  const byText = new Map(tokens.map((token) => [token.searched, token]));
  if (byText.size === 0) return (text) => (text === "" ? [] : [{ start: 0, text, id: undefined }]);
  const longestFirst = [...byText.keys()].sort((a, b) => b.length - a.length);
  const expression = new RegExp(longestFirst.map(inPattern).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    const add = (start: number, end: number, id: number | undefined): void => {
      if (start < end) sections.push({ start, text: text.slice(start, end), id });
    };
    for (const { 0: match, index } of text.matchAll(expression)) {
      const token = byText.get(match);
      let start = index;
      let end = index + match.length;
      if (token === undefined || (token.singleWord && touchesWord(text, start, end))) continue;
      if (token.lstrip) start = Math.max(trimmedEnd(text.slice(0, start)), done);
      if (token.rstrip) end += /^\p{White_Space}*/u.exec(text.slice(end))?.[0].length ?? 0;
      add(done, start, undefined);
      add(start, end, token.id);
      done = end;
    }
    add(done, text.length, undefined);
    return sections;
  };
}
