/** Unigram: the way to write a word in tokens whose scores have the largest sum. */
import { byteTokens } from "./bpe.ts";
import type { Model, Part } from "./part.ts";

/** How far below the least score a character scores that no token spells. */
const UNKNOWN_PENALTY = 10;

/** Makes a model of a part of type `Unigram`. */
export function readUnigram(part: Part, ids: ReadonlyMap<string, number>): Model {
  const scores = new Map<string, number>();
  for (const [token, score] of part.get("vocab") as readonly (readonly [string, unknown])[]) {
    if (typeof score !== "number") throw part.fault(`token ${JSON.stringify(token)} has no score.`, score);
    scores.set(token, score);
  }
  const unknownId = (part.get("unk_id") ?? undefined) === undefined ? undefined : part.count("unk_id");
  if (unknownId !== undefined && unknownId >= (part.get("vocab") as unknown[]).length)
    throw part.fault(`"unk_id" is ${unknownId}, which is no token.`, unknownId);
  const fallsBack = part.flag("byte_fallback", false);
  let unknownScore = Infinity;
  let longest = 1;
  for (const [token, score] of scores) {
    unknownScore = Math.min(unknownScore, score - UNKNOWN_PENALTY);
    longest = Math.max(longest, token.length);
  }

  /** Pieces of the best way, neighbouring unknown characters as one. */
  const pieces = (word: string, refuse: (text: string) => never): string[] => {
    const total = new Float64Array(word.length + 1);
    const from = new Int32Array(word.length + 1).fill(-1);
    const isUnknown = new Uint8Array(word.length + 1);
    const offer = (start: number, end: number, score: number, unknown: boolean): void => {
      const sum = score + (total[start] ?? 0);
      if (from[end] !== -1 && sum <= (total[end] ?? 0)) return;
      total[end] = sum;
      from[end] = start;
      isUnknown[end] = unknown ? 1 : 0;
    };
    for (let start = 0; start < word.length;) {
      const width = (word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1;
      for (let end = start + width; end <= Math.min(word.length, start + longest); end++) {
        const token = word.slice(start, end);
        const score = scores.get(token);
        if (score !== undefined) offer(start, end, score, unknownId !== undefined && ids.get(token) === unknownId);
      }
      if (!scores.has(word.slice(start, start + width))) {
        if (unknownId === undefined) refuse(word.slice(start, start + width));
        offer(start, start + width, unknownScore, true);
      }
      start += width;
    }
    const found: string[] = [];
    let joins = false;
    for (let end = word.length; end > 0;) {
      const start = from[end] ?? 0;
      const unknown = isUnknown[end] === 1;
      const text = word.slice(start, end);
      if (unknown && joins) found.push(text + (found.pop() ?? ""));
      else found.push(text);
      joins = unknown;
      end = start;
    }
    return found.reverse();
  };

  return (word, refuse) =>
    pieces(word, refuse).flatMap((text) => {
      const id = scores.has(text) ? ids.get(text) : undefined;
      if (id !== undefined) return [id];
      return (fallsBack ? byteTokens(text, ids) : undefined) ?? [unknownId ?? refuse(text)];
    });
}
