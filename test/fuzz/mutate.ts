/** Damaged copies of sound files, each decided by a seed. */
import { joined } from "../io/torch/pickles.ts";

/** A small generator of 32-bit numbers (splitmix32). */
export function generator(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x9e3779b9) | 0;
    let t = state ^ (state >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    t ^= t >>> 15;
    return Math.floor(((t >>> 0) / 2 ** 32) * below);
  };
}

/** Numbers at which sizes and offsets break. */
const LIMITS = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const WIDTHS = [1, 2, 4, 8] as const;

/** The bytes with one to six changes: bytes, numbers, holes, repetitions, swaps, a cut or something behind the end. */
export function mutate(sound: Uint8Array, seed: number): Uint8Array {
  const below = generator(seed);
  let bytes: Uint8Array = sound.slice();
  for (let changes = 1 + below(6); changes > 0 && bytes.length > 0; changes--) bytes = change(bytes, below);
  return bytes;
}

function change(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  const at = below(bytes.length);
  const length = 1 + below(Math.min(64, bytes.length - at));
  switch (below(9)) {
    case 0:
    case 1:
    case 2:
      bytes[at] = below(256);
      return bytes;
    case 3:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
      return bytes;
    case 4: {
      const limit = LIMITS[below(LIMITS.length)] ?? 0n;
      for (let i = 0; i < (WIDTHS[below(4)] ?? 1) && at + i < bytes.length; i++)
        bytes[at + i] = Number((limit >> BigInt(8 * i)) & 0xffn);
      return bytes;
    }
    case 5:
      return joined([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6:
      return joined([bytes.subarray(0, at + length), bytes.subarray(at, at + length), bytes.subarray(at + length)]);
    case 7:
      bytes.copyWithin(at, below(bytes.length), below(bytes.length));
      return bytes;
    default:
      return below(4) > 0 ? bytes.slice(0, at) : joined([bytes, bytes.slice(at, at + length)]);
  }
}
