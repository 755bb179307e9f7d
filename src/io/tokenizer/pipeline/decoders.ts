/** How tokens become text again: the decoders of `tokenizer.json`. */
import { utf8Text } from "../../bytes/bytes.ts";
import { lossyText, toBytesOfToken } from "./byte-characters.ts";
import { replaceAll } from "./normalizers.ts";
import type { Part } from "./part.ts";
import { readPrependScheme } from "./pre-tokenizers.ts";
import { readPattern } from "./split.ts";

/** Texts of tokens to texts that are joined in the end. */
export type Decoder = (tokens: string[]) => string[];

const CLEANUP = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** English without the spaces that splitting put in. */
function cleanUp(text: string): string {
  return CLEANUP.reduce((cleaned, [from, to]) => cleaned.replaceAll(from, to), text);
}

function readWordPiece(part: Part): Decoder {
  const prefix = part.text("prefix");
  const cleans = part.flag("cleanup");
  return (tokens) =>
    tokens.map((token, i) => {
      const text = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleans ? cleanUp(text) : text;
    });
}

function readCtc(part: Part): Decoder {
  const pad = part.text("pad_token");
  const delimiter = part.text("word_delimiter_token");
  const cleans = part.flag("cleanup");
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => token.replaceAll(pad, ""))
      .map((token) => (cleans ? cleanUp(token).replaceAll(delimiter, " ") : token))
      .filter((token) => token !== "");
}

function readMetaspace(part: Part): Decoder {
  const replacement = part.character("replacement");
  const dropsFirst = readPrependScheme(part) !== "never";
  return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 && dropsFirst ? "" : " "));
}

function readStrip(part: Part): Decoder {
  const content = part.character("content");
  const start = part.count("start");
  const stop = part.count("stop");
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let begin = 0;
      while (begin < start && characters[begin] === content) begin++;
      let end = characters.length;
      while (characters.length - end < stop && characters[end - 1] === content) end--;
      return characters.slice(begin, end).join("");
    });
}

/** Runs of `<0x0A>` as the text that they spell, or U+FFFD for each where they spell none. */
function byteFallback(tokens: string[]): string[] {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    const text = utf8Text(Uint8Array.from(bytes), { keepBOM: true });
    if (text === undefined) texts.push(...bytes.map(() => "\ufffd"));
    else texts.push(text);
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x(\+[\da-f]|[\da-f]{2})>$/i.exec(token)?.[1];
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else {
      flush();
      texts.push(token);
    }
  }
  flush();
  return texts;
}

function byteLevel(tokens: string[]): string[] {
  const parts = tokens.map(toBytesOfToken);
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return [lossyText(bytes)];
}

const TABLE: Readonly<Record<string, (part: Part) => Decoder>> = {
  BPEDecoder: (part) => {
    const suffix = part.text("suffix");
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
  },
  ByteFallback: () => byteFallback,
  ByteLevel: () => byteLevel,
  CTC: readCtc,
  Fuse: () => (tokens) => [tokens.join("")],
  Metaspace: readMetaspace,
  Replace: (part) => {
    const pattern = readPattern(part);
    const content = part.text("content");
    return (tokens) => tokens.map((token) => replaceAll(token, pattern, content));
  },
  Sequence: (part) => {
    const steps = part.parts("decoders").map(readDecoder);
    return (tokens) => steps.reduce((texts, step) => step(texts), tokens);
  },
  Strip: readStrip,
  WordPiece: readWordPiece,
};

/** Makes a decoder of its part of a `tokenizer.json`. */
export function readDecoder(part: Part): Decoder {
  return part.build(TABLE);
}
