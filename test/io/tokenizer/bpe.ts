/** Byte-level BPE in its simplest form, to check the tokenizer against: merge the pair of lowest rank until none is left. */

interface BpeJson {
  readonly model: {
    readonly vocab: Record<string, number>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

/** GPT-2's spelling of bytes: printable ones as themselves, the others as the characters from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

/** GPT-2's pattern of words. */
const WORD = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export function encodeBpe({ model: { vocab, merges } }: BpeJson, text: string): number[] {
  const characters = byteCharacters();
  const ranks = new Map(merges.map((pair, rank) => [typeof pair === "string" ? pair : pair.join(" "), rank]));
  const ids: number[] = [];
  for (const [word] of text.matchAll(WORD)) {
    let parts = [...new TextEncoder().encode(word)].map((b) => characters[b] ?? "");
    for (;;) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) break;
      const pair = parts.slice(at, at + 2);
      const merged: string[] = [];
      for (let i = 0; i < parts.length; i++) {
        const isPair = parts[i] === pair[0] && parts[i + 1] === pair[1];
        merged.push(isPair ? pair.join("") : (parts[i] ?? ""));
        if (isPair) i++;
      }
      parts = merged;
    }
    for (const part of parts) ids.push(vocab[part] ?? -1);
  }
  return ids;
}
