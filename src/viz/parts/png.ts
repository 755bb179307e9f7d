/**
 * A small PNG writer: indexed colour with opacity, compressed by run matching and the fixed Huffman code of RFC 1951.
 */

const WINDOW = 32768;
const LONGEST = 258;
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];

/** Bits in, bytes out, least significant bit first. */
class BitWriter {
  readonly #bytes: number[] = [];
  #held = 0;
  #count = 0;

  bits(value: number, count: number): void {
    this.#held |= value << this.#count;
    this.#count += count;
    while (this.#count >= 8) {
      this.#bytes.push(this.#held & 255);
      this.#held >>>= 8;
      this.#count -= 8;
    }
  }

  /** A Huffman code, which goes most significant bit first. */
  code(value: number, count: number): void {
    for (let bit = count - 1; bit >= 0; bit--) this.bits((value >> bit) & 1, 1);
  }

  /** One symbol of the fixed literal and length code. */
  symbol(symbol: number): void {
    if (symbol < 144) this.code(0x30 + symbol, 8);
    else if (symbol < 256) this.code(0x190 + symbol - 144, 9);
    else if (symbol < 280) this.code(symbol - 256, 7);
    else this.code(0xc0 + symbol - 280, 8);
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#bytes.push(this.#held & 255);
    return Uint8Array.from(this.#bytes);
  }
}

function lastAtMost(bases: readonly number[], value: number): number {
  let index = bases.length - 1;
  while ((bases[index] as number) > value) index--;
  return index;
}

function matchLength(data: Uint8Array, at: number, distance: number): number {
  if (distance > at || distance > WINDOW) return 0;
  const end = Math.min(data.length - at, LONGEST);
  let length = 0;
  while (length < end && data[at + length] === data[at + length - distance]) length++;
  return length;
}

/** A zlib stream of one block. `stride` is where repeats are likely: the length of a row. */
export function deflate(data: Uint8Array, stride: number): Uint8Array {
  const out = new BitWriter();
  out.bits(0x0178, 16);
  out.bits(0b011, 3);
  const lastSeen = new Int32Array(WINDOW).fill(-1);
  const hash = (at: number): number =>
    (((data[at] ?? 0) * 0x9e5f) ^ ((data[at + 1] ?? 0) * 0x25) ^ ((data[at + 2] ?? 0) << 7)) & (WINDOW - 1);
  for (let at = 0; at < data.length;) {
    const seen = lastSeen[hash(at)] as number;
    let length = 0;
    let distance = 0;
    for (const candidate of [1, stride, seen < 0 ? 0 : at - seen]) {
      const found = candidate > 0 ? matchLength(data, at, candidate) : 0;
      if (found > length) [length, distance] = [found, candidate];
    }
    const step = length >= 4 ? length : 1;
    if (step === 1) out.symbol(data[at] as number);
    else writeMatch(out, length, distance);
    for (let k = 0; k < step; k++) lastSeen[hash(at + k)] = at + k;
    at += step;
  }
  out.symbol(256);
  const body = out.finish();
  const stream = new Uint8Array(body.length + 4);
  stream.set(body);
  new DataView(stream.buffer).setUint32(body.length, adler32(data));
  return stream;
}

function writeMatch(out: BitWriter, length: number, distance: number): void {
  const l = lastAtMost(LENGTH_BASE, length);
  out.symbol(257 + l);
  out.bits(length - (LENGTH_BASE[l] as number), l < 8 || l === 28 ? 0 : (l >> 2) - 1);
  const d = lastAtMost(DISTANCE_BASE, distance);
  out.code(d, 5);
  out.bits(distance - (DISTANCE_BASE[d] as number), d < 4 ? 0 : (d >> 1) - 1);
}

function adler32(data: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

/** An image of palette entries, row by row. */
export interface IndexedImage {
  readonly width: number;
  readonly height: number;
  readonly indices: Uint8Array;
  /** Red, green, blue of each entry. */
  readonly colors: Uint8Array;
  /** Opacity of each entry. */
  readonly alphas: Uint8Array;
}

/** The bytes of a PNG file. */
export function encodePng(image: IndexedImage): Uint8Array {
  const { width, height } = image;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 3, 0, 0, 0], 8);
  const lines = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) lines.set(image.indices.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("PLTE", image.colors),
    chunk("tRNS", image.alphas),
    chunk("IDAT", deflate(lines, width + 1)),
    chunk("IEND", new Uint8Array(0)),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    file.set(part, offset);
    offset += part.length;
  }
  return file;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Bytes as base64. */
export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digits = [18, 12, 6, 0].map((shift) => DIGITS.charAt((word >> shift) & 63)).join("");
    const missing = i + 3 - bytes.length;
    parts.push(missing > 0 ? digits.slice(0, 4 - missing) + "=".repeat(missing) : digits);
  }
  return parts.join("");
}
