/** Byte-pair encoding: the characters of a word, merged pair by pair in the order of the list of merges. */
import { describeValue } from "../../bytes/bytes.ts";
import type { Model, Part } from "./part.ts";

/** Ids and ranks are below 2^24, so that two of them make one exact number. */
const PACK = 2 ** 24;
/** Words kept with their ids, and the longest word that is kept. */
const KEPT_WORDS = 10_000;
const KEPT_LENGTH = 256;

const encoder = new TextEncoder();

/** The tokens `<0x0A>` of a text's bytes, where the vocabulary has them all. */
export function byteTokens(text: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const found: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    found.push(id);
  }
  return found;
}

/** The list of merges: pairs, or texts of two tokens with a space between. */
function readMerges(part: Part): [string, string][] {
  const merges = part.get("merges");
  if (!Array.isArray(merges)) throw part.fault(`"merges" is ${describeValue(merges)}, not a list.`, merges);
  const pairs: [string, string][] = [];
  for (const merge of merges as unknown[]) {
    if (typeof merge === "string" && merge.startsWith("#version")) continue;
    const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    const isPair = Array.isArray(pair) && pair.length === 2 && pair.every((token) => typeof token === "string");
    if (!isPair) throw part.fault(`merge ${pairs.length} is ${JSON.stringify(merge)}, not two tokens.`, merge);
    pairs.push(pair as [string, string]);
  }
  return pairs;
}

/** The merge of a pair of ids: its rank and the new id in one number. */
function mergeTable(part: Part, ids: ReadonlyMap<string, number>, prefix: string): Map<number, number> {
  const table = new Map<number, number>();
  for (const [rank, [left, right]] of readMerges(part).entries()) {
    const idOf = (token: string): number => {
      const id = ids.get(token);
      if (id !== undefined) return id;
      throw part.fault(`merge ${rank} needs the token ${JSON.stringify(token)}, which the vocabulary lacks.`, token);
    };
    const merged = idOf(left + right.slice(prefix.length));
    table.set(idOf(left) * PACK + idOf(right), rank * PACK + merged);
  }
  return table;
}

/** Makes a model of a part of type `BPE`. */
export function readBpe(part: Part, ids: ReadonlyMap<string, number>): Model {
  const dropout = part.get("dropout") ?? 0;
  if (dropout !== 0) {
    throw part.fault(
      `"dropout" is ${describeValue(dropout)}, by which ids are drawn by chance. Set it to null.`,
      dropout,
    );
  }
  const prefix = part.text("continuing_subword_prefix", "");
  const suffix = part.text("end_of_word_suffix", "");
  const unknownToken = part.optionalText("unk_token");
  const fuses = part.flag("fuse_unk", false);
  const fallsBack = part.flag("byte_fallback", false);
  const wholeFirst = part.flag("ignore_merges", false);
  const merges = mergeTable(part, ids, prefix);
  const unknownId = unknownToken === undefined ? undefined : ids.get(unknownToken);
  const kept = new Map<string, readonly number[]>();

  const symbols = (word: string, refuse: (text: string) => never): number[] => {
    const characters = [...word];
    const found: number[] = [];
    let unknowns = 0;
    for (const [i, character] of characters.entries()) {
      const text = (i > 0 ? prefix : "") + character + (i === characters.length - 1 ? suffix : "");
      const id = ids.get(text);
      if (id === undefined) {
        const bytes = fallsBack ? byteTokens(text, ids) : undefined;
        if (bytes !== undefined) found.push(...bytes);
        else if (unknownToken !== undefined) {
          // One unknown token waits until the next one or a known character: byte tokens go before it.
          if (unknownId === undefined) refuse(text);
          else if (unknowns > 0 && !fuses) found.push(unknownId);
          unknowns++;
        }
        continue;
      }
      if (unknowns > 0 && unknownId !== undefined) found.push(unknownId);
      unknowns = 0;
      found.push(id);
    }
    if (unknowns > 0 && unknownId !== undefined) found.push(unknownId);
    return found;
  };

  return (word, refuse) => {
    const whole = wholeFirst ? ids.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const known = kept.get(word);
    if (known !== undefined) return known;
    const merged = mergeAll(symbols(word, refuse), merges);
    if (word.length <= KEPT_LENGTH && kept.size < KEPT_WORDS) kept.set(word, merged);
    return merged;
  };
}

/** Merges the pair of lowest rank, the leftmost first, until no pair is in the table. */
function mergeAll(symbols: readonly number[], merges: ReadonlyMap<number, number>): number[] {
  const ids = [...symbols];
  const size = ids.length;
  // Neighbours that are left; a symbol that was merged away is followed by itself.
  const next = Int32Array.from(ids, (_, i) => i + 1);
  const before = Int32Array.from(ids, (_, i) => i - 1);
  const queue = new Queue();
  const targets = new Map<number, number>();
  const pairAt = (at: number): number | undefined => {
    const right = next[at] ?? size;
    return right >= size || right === at ? undefined : merges.get((ids[at] ?? 0) * PACK + (ids[right] ?? 0));
  };
  const offer = (at: number): void => {
    const merge = pairAt(at);
    if (merge === undefined) return;
    const rank = Math.floor(merge / PACK);
    targets.set(rank, merge % PACK);
    queue.push(rank * POSITIONS + at);
  };
  for (let i = 0; i + 1 < size; i++) offer(i);
  for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
    const at = top % POSITIONS;
    const merge = pairAt(at);
    // The pair may have changed since it was offered.
    if (merge === undefined || merge % PACK !== targets.get(Math.floor(top / POSITIONS))) continue;
    const right = next[at] ?? size;
    const after = next[right] ?? size;
    ids[at] = merge % PACK;
    next[at] = after;
    next[right] = right;
    if (after < size) before[after] = at;
    const left = before[at] ?? -1;
    if (left >= 0) offer(left);
    offer(at);
  }
  const merged: number[] = [];
  for (let i = 0; i < size; i = next[i] ?? size) merged.push(ids[i] ?? 0);
  return merged;
}

/** A rank and a position make one exact number: 2^24 times 2^28. */
const POSITIONS = 2 ** 28;

/** The smallest of the numbers put in: a binary heap. */
class Queue {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = heap[up] ?? 0;
      if (above <= value) break;
      heap[at] = above;
      at = up;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if ((heap[down + 1] ?? Infinity) < (heap[down] ?? Infinity)) down++;
      const below = heap[down] ?? Infinity;
      if (below >= last) break;
      heap[at] = below;
      at = down;
    }
    heap[at] = last;
    return top;
  }
}
