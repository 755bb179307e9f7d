/** How a text is changed before it is split: the normalizers of `tokenizer.json`. */
import { toByteCharacters } from "./byte-characters.ts";
import type { Part } from "./part.ts";
import { readPattern } from "./split.ts";
import type { Pattern } from "./split.ts";
import { isControl, isMark, isNonspacingMark, normalForm } from "./unicode.ts";

/** A change of a text. */
export interface Normalizer {
  readonly run: (text: string) => string;
  /** Whether what the text begins with is still there afterwards. */
  readonly keepsFront: (text: string) => boolean;
}

const always = (): boolean => true;
const plain = (run: (text: string) => string): Normalizer => ({ run, keepsFront: always });

/** A change of each character by itself. */
function byCharacter(change: (character: string) => string): Normalizer {
  const run = (text: string): string => {
    let changed = "";
    for (const character of text) changed += change(character);
    return changed;
  };
  return { run, keepsFront: (text) => change(String.fromCodePoint(text.codePointAt(0) ?? 0)) !== "" };
}

function inOrder(steps: readonly Normalizer[]): Normalizer {
  return {
    run: (text) => steps.reduce((changed, step) => step.run(changed), text),
    keepsFront: (text) => {
      let changed = text;
      for (const step of steps) {
        if (!step.keepsFront(changed)) return false;
        changed = step.run(changed);
      }
      return true;
    },
  };
}

const form = (name: "NFC" | "NFD" | "NFKC" | "NFKD"): Normalizer => plain((text) => normalForm(text, name));

/** Each character by itself, so that sigma at the end of a word becomes the same letter as elsewhere. */
const lowercase = byCharacter((character) => character.toLowerCase());
const whitespace = /\p{White_Space}/u;

/** The field `pattern` replaced by the field `content`. */
export function replaceAll(text: string, pattern: Pattern, content: string): string {
  let replaced = "";
  for (const { start, end, matches } of pattern(text)) replaced += matches ? content : text.slice(start, end);
  return replaced;
}

function readReplace(part: Part): Normalizer {
  const pattern = readPattern(part);
  const content = part.text("content");
  return {
    run: (text) => replaceAll(text, pattern, content),
    keepsFront: (text) => {
      const first = pattern(text)[0];
      return content !== "" || first?.matches !== true || first.end === first.start;
    },
  };
}

function readStrip(part: Part): Normalizer {
  const left = part.flag("strip_left");
  const right = part.flag("strip_right");
  return {
    run: (text) => {
      const start = left ? text.replace(/^\p{White_Space}+/u, "") : text;
      return right ? start.slice(0, trimmedEnd(start)) : start;
    },
    keepsFront: (text) => !left || !whitespace.test(text.slice(0, 1)),
  };
}

/** Where a text ends without the white space at its end; no white space lies beyond the basic plane. */
export function trimmedEnd(text: string): number {
  let end = text.length;
  while (end > 0 && whitespace.test(text.charAt(end - 1))) end--;
  return end;
}

const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/u;

function readBert(part: Part): Normalizer {
  const steps: Normalizer[] = [];
  const lower = part.flag("lowercase");
  if (part.flag("clean_text")) {
    steps.push(byCharacter((c) => (c === "\0" || c === "\ufffd" || isControl(c) ? "" : whitespace.test(c) ? " " : c)));
  }
  if (part.flag("handle_chinese_chars")) steps.push(plain((text) => text.replace(new RegExp(CHINESE, "gu"), " $& ")));
  if (part.flag("strip_accents", lower)) {
    steps.push(
      form("NFD"),
      byCharacter((c) => (isNonspacingMark(c) ? "" : c)),
    );
  }
  if (lower) steps.push(lowercase);
  return inOrder(steps);
}

// eslint-disable-next-line no-control-regex -- control characters are what it drops.
const NMT_DROPPED = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/;
const NMT_SPACE = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/;

const TABLE: Readonly<Record<string, (part: Part) => Normalizer>> = {
  BertNormalizer: readBert,
  ByteLevel: () => plain(toByteCharacters),
  Lowercase: () => lowercase,
  NFC: () => form("NFC"),
  NFD: () => form("NFD"),
  NFKC: () => form("NFKC"),
  NFKD: () => form("NFKD"),
  Nmt: () => byCharacter((c) => (NMT_DROPPED.test(c) ? "" : NMT_SPACE.test(c) ? " " : c)),
  Prepend: (part) => {
    const prepend = part.text("prepend");
    return plain((text) => (text === "" ? text : prepend + text));
  },
  Replace: readReplace,
  Sequence: (part) => inOrder(part.parts("normalizers").map(readNormalizer)),
  Strip: readStrip,
  StripAccents: () => byCharacter((c) => (isMark(c) ? "" : c)),
};

/** Makes a normalizer of its part of a `tokenizer.json`. */
export function readNormalizer(part: Part): Normalizer {
  return part.build(TABLE);
}

/** The normalizer of a `tokenizer.json` that has none. */
export const noNormalizer: Normalizer = plain((text) => text);
