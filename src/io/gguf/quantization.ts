/**
 * How GGUF files pack numbers: blocks of 32 or 256 small integers with scales, and in some kinds minima, of their own.
 * Each decoder gives float32 to the bit as the package `gguf` does; products are exact in float64, so that each number
 * is rounded once.
 * Formats: https://github.com/ggml-org/llama.cpp, ggml/src/ggml-common.h
 */
import { FLOAT16, tableOf } from "../bytes/dtype.ts";

/**
 * How numbers are packed in a GGUF file.
 * @category Files
 */
export type GgufQuantization = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0" | "Q2_K" | "Q3_K" | "Q4_K" | "Q5_K" | "Q6_K";

/** A kind of blocks: numbers and bytes of each, and how one becomes numbers. */
interface Blocks {
  readonly numbers: number;
  readonly bytes: number;
  /** Writes the numbers of the block that begins at a byte. */
  readonly decode: (from: Uint8Array, at: number, out: Float32Array, to: number) => void;
}

const half = (from: Uint8Array, at: number): number =>
  tableOf(FLOAT16)[(from[at] as number) | ((from[at + 1] as number) << 8)] as number;
const signed = (byte: number): number => (byte << 24) >> 24;

/**
 * 32 numbers of four bits, the low halves of 16 bytes first, with a fifth bit of each where there is one. What each of
 * a block's 16 or 32 integers stands for is computed once: half as long as number by number.
 */
function nibbles(hasMinimum: boolean, hasFifthBit: boolean): Blocks["decode"] {
  const offset = hasMinimum ? 0 : hasFifthBit ? 16 : 8;
  const values = new Float32Array(hasFifthBit ? 32 : 16);
  return (from, at, out, to) => {
    const d = half(from, at);
    const m = hasMinimum ? half(from, at + 2) : 0;
    for (let q = 0; q < values.length; q++) {
      const scaled = d * (q - offset);
      values[q] = hasMinimum ? scaled + m : scaled;
    }
    const fifth = at + (hasMinimum ? 4 : 2);
    const start = fifth + (hasFifthBit ? 4 : 0);
    for (let i = 0; i < 16; i++) {
      const byte = from[start + i] as number;
      const low = hasFifthBit ? fifthBit(from, fifth, i) << 4 : 0;
      const high = hasFifthBit ? fifthBit(from, fifth, i + 16) << 4 : 0;
      out[to + i] = values[low | (byte & 15)] as number;
      out[to + i + 16] = values[high | (byte >> 4)] as number;
    }
  };
}

/** One bit of the four bytes that hold the fifth of each number. */
const fifthBit = (from: Uint8Array, at: number, i: number): number => ((from[at + (i >> 3)] as number) >> (i & 7)) & 1;

/** The eight scales and minima of six bits that Q4_K and Q5_K keep in twelve bytes. */
function scaleAndMinimum(from: Uint8Array, at: number, i: number): readonly [scale: number, minimum: number] {
  const byte = (k: number): number => from[at + k] as number;
  if (i < 4) return [byte(i) & 63, byte(i + 4) & 63];
  return [(byte(i + 4) & 15) | ((byte(i - 4) >> 2) & 0x30), (byte(i + 4) >> 4) | ((byte(i) >> 2) & 0x30)];
}

/** Sixteen scales of four bits with as many minima, then two bits a number. */
function decodeQ2K(from: Uint8Array, at: number, out: Float32Array, to: number): void {
  const [d, min] = [half(from, at + 80), half(from, at + 82)];
  for (let i = 0; i < 256; i++) {
    const scale = from[at + (i >> 4)] as number;
    // Of each 32 bytes the lowest bits first, then the next.
    const q = ((from[at + 16 + (i >> 7) * 32 + (i & 31)] as number) >> (((i >> 5) & 3) * 2)) & 3;
    out[to + i] = d * (scale & 15) * q - min * (scale >> 4);
  }
}

/** A mask of third bits, two bits a number, and sixteen scales of six bits in twelve bytes. */
function decodeQ3K(from: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(from, at + 108);
  for (let i = 0; i < 256; i++) {
    const group = i >> 4;
    const low = ((from[at + 96 + (group & 7)] as number) >> (group < 8 ? 0 : 4)) & 15;
    const high = ((from[at + 104 + (group & 3)] as number) >> ((group >> 2) * 2)) & 3;
    const scale = (low | (high << 4)) - 32;
    const bits = ((from[at + 32 + (i >> 7) * 32 + (i & 31)] as number) >> (((i >> 5) & 3) * 2)) & 3;
    // The offset is 0 where the mask's bit is 1.
    const isSet = ((from[at + (i & 31)] as number) >> (i >> 5)) & 1;
    out[to + i] = d * scale * (bits - (isSet === 1 ? 0 : 4));
  }
}

/** Eight scales and minima, and four bits a number, with a fifth where there is one. */
function kNibbles(hasFifthBit: boolean): Blocks["decode"] {
  return (from, at, out, to) => {
    const [d, min] = [half(from, at), half(from, at + 2)];
    const start = at + (hasFifthBit ? 48 : 16);
    for (let group = 0; group < 8; group++) {
      const [scale, minimum] = scaleAndMinimum(from, at + 4, group);
      const [step, base] = [d * scale, min * minimum];
      for (let i = 0; i < 32; i++) {
        const byte = from[start + (group >> 1) * 32 + i] as number;
        const low = (group & 1) === 0 ? byte & 15 : byte >> 4;
        const high = hasFifthBit ? (((from[at + 16 + i] as number) >> group) & 1) << 4 : 0;
        out[to + group * 32 + i] = step * (low | high) - base;
      }
    }
  };
}

/** Four low and two high bits a number, and sixteen scales of eight bits. */
function decodeQ6K(from: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(from, at + 208);
  for (let i = 0; i < 256; i++) {
    const [part, row, column] = [i >> 7, (i >> 5) & 3, i & 31];
    const byte = from[at + part * 64 + (row & 1) * 32 + column] as number;
    const low = row < 2 ? byte & 15 : byte >> 4;
    const high = ((from[at + 128 + part * 32 + column] as number) >> (row * 2)) & 3;
    out[to + i] = d * signed(from[at + 192 + (i >> 4)] as number) * ((low | (high << 4)) - 32);
  }
}

function decodeQ8(from: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(from, at);
  for (let i = 0; i < 32; i++) out[to + i] = d * signed(from[at + 2 + i] as number);
}

export const QUANTIZATIONS: Readonly<Record<GgufQuantization, Blocks>> = {
  Q4_0: { numbers: 32, bytes: 18, decode: nibbles(false, false) },
  Q4_1: { numbers: 32, bytes: 20, decode: nibbles(true, false) },
  Q5_0: { numbers: 32, bytes: 22, decode: nibbles(false, true) },
  Q5_1: { numbers: 32, bytes: 24, decode: nibbles(true, true) },
  Q8_0: { numbers: 32, bytes: 34, decode: decodeQ8 },
  Q2_K: { numbers: 256, bytes: 84, decode: decodeQ2K },
  Q3_K: { numbers: 256, bytes: 110, decode: decodeQ3K },
  Q4_K: { numbers: 256, bytes: 144, decode: kNibbles(false) },
  Q5_K: { numbers: 256, bytes: 176, decode: kNibbles(true) },
  Q6_K: { numbers: 256, bytes: 210, decode: decodeQ6K },
};

/** The bytes that one byte of such a file becomes at most: of Q2_K, 256 numbers of four bytes in 84. */
export const MOST_UNPACKED = 13;

/** The numbers of whole blocks, as the bytes of float32. */
export function unpacked(bytes: Uint8Array, kind: GgufQuantization): Uint8Array {
  const { numbers, bytes: size, decode } = QUANTIZATIONS[kind];
  const count = Math.floor(bytes.byteLength / size);
  const out = new Float32Array(count * numbers);
  for (let block = 0; block < count; block++) decode(bytes, block * size, out, block * numbers);
  return new Uint8Array(out.buffer);
}
