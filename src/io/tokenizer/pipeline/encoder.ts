/** The whole way from a text to ids and back, of the parts of a `tokenizer.json`. */
import type { CheckedTokenizer } from "../json.ts";
import { finderOf } from "./added-tokens.ts";
import type { AddedToken, Finder } from "./added-tokens.ts";
import { readDecoder } from "./decoders.ts";
import type { Decoder } from "./decoders.ts";
import { readModel } from "./models.ts";
import { noNormalizer, readNormalizer } from "./normalizers.ts";
import type { Normalizer } from "./normalizers.ts";
import { Part } from "./part.ts";
import type { Model } from "./part.ts";
import { readPreTokenizer } from "./pre-tokenizers.ts";
import type { Piece, PreTokenizer } from "./pre-tokenizers.ts";

/** The translation between text and ids. */
export interface Encoder {
  /** The ids of a text; `refuse` is called with what has no token and the number of tokens before it. */
  encode(text: string, refuse: (text: string, before: number) => never): number[];
  /** The text of ids, all of which are tokens. */
  decode(ids: readonly number[]): string;
}

/** Makes an encoder of a checked `tokenizer.json`, refusing by name the parts that are not read. */
export function readEncoder(checked: CheckedTokenizer, operation: string): Encoder {
  const { json, modelIds, tokens, added } = checked;
  const partOf = (name: string): Part | undefined =>
    (json[name] ?? undefined) === undefined ? undefined : new Part(json[name], name, operation);
  const read = <T>(name: string, reader: (part: Part) => T): T | undefined => {
    const part = partOf(name);
    return part === undefined ? undefined : reader(part);
  };
  const normalizer: Normalizer = read("normalizer", readNormalizer) ?? noNormalizer;
  const preTokenizer: PreTokenizer = read("pre_tokenizer", readPreTokenizer) ?? ((pieces) => [...pieces]);
  const decoder: Decoder = read("decoder", readDecoder) ?? ((texts) => [texts.join(" ")]);
  const model: Model = readModel(new Part(checked.model, "model", operation), modelIds);
  const spellings = new Map(tokens);
  const addedTokens: AddedToken[] = added.map((token) => {
    const searched = token.normalized ? normalizer.run(token.content) : token.content;
    if (token.normalized) spellings.set(token.id, searched);
    return { ...token, searched };
  });
  const searched = (normalized: boolean): Finder =>
    finderOf(addedTokens.filter((token) => token.normalized === normalized && token.searched !== ""));
  const inText = searched(false);
  const inNormalized = searched(true);

  const encode: Encoder["encode"] = (text, refuse) => {
    const ids: number[] = [];
    const words = (piece: Piece): void => {
      for (const word of preTokenizer([piece])) {
        if (word.text !== "") ids.push(...model(word.text, (unknown) => refuse(unknown, ids.length)));
      }
    };
    // What is half a character is none: it becomes U+FFFD, as everywhere where text becomes bytes.
    for (const section of inText(text.replace(/\p{Surrogate}/gu, "\ufffd"))) {
      if (section.id !== undefined) {
        ids.push(section.id);
        continue;
      }
      const isFront = section.start === 0 && normalizer.keepsFront(section.text);
      for (const { id, start, text: part } of inNormalized(normalizer.run(section.text))) {
        if (id !== undefined) ids.push(id);
        else words({ text: part, isFirst: isFront && start === 0 });
      }
    }
    return ids;
  };
  return { encode, decode: (ids) => decoder(ids.map((id) => spellings.get(id) ?? "")).join("") };
}
