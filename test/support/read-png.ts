/** Reading PNG files in tests: eight bits a channel, not interlaced. */
import { unzlibSync } from "fflate";

/** An image: rows of pixels, `channels` bytes each. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixels: Uint8Array;
}

/** The pixels of a PNG file, after its standard: chunks, zlib, then the filter of each line undone. */
export function readPng(file: Uint8Array): Image {
  if (String.fromCharCode(...file.subarray(0, 8)) !== "\x89PNG\r\n\x1a\n") throw new Error("not a PNG file");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Uint8Array[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const body = file.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
      const [depth, color = 0, , , interlace] = body.subarray(8);
      channels = [1, 0, 3, 1, 2, 0, 4][color] ?? 0;
      if (depth !== 8 || channels === 0 || interlace !== 0) throw new Error("a PNG file of another form");
    }
    if (type === "IDAT") parts.push(body);
    at += length + 12;
  }
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    joined.set(part, end);
    end += part.length;
  }
  return { width, height, channels, pixels: unfiltered(unzlibSync(joined), width * channels, height, channels) };
}

function unfiltered(lines: Uint8Array, stride: number, height: number, step: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const raw = lines[y * (stride + 1) + 1 + x] ?? 0;
      const left = x < step ? 0 : (out[y * stride + x - step] ?? 0);
      const up = y === 0 ? 0 : (out[(y - 1) * stride + x] ?? 0);
      const corner = x < step || y === 0 ? 0 : (out[(y - 1) * stride + x - step] ?? 0);
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter ?? 5];
      if (guess === undefined) throw new Error(`line ${y} has filter ${filter}`);
      out[y * stride + x] = raw + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** The pixel at a place, as its channels. */
export function pixelAt({ width, channels, pixels }: Image, x: number, y: number): number[] {
  return Array.from(pixels.subarray((y * width + x) * channels, (y * width + x + 1) * channels));
}

/** How many colours an image has; a blank one has one. */
export function colorsOf({ channels, pixels }: Image): number {
  const seen = new Set<string>();
  for (let at = 0; at < pixels.length; at += channels) seen.add(pixels.subarray(at, at + channels).join());
  return seen.size;
}
