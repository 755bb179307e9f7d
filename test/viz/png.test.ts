import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { imagePalette } from "../../src/viz/parts/color.ts";
import { toBase64 } from "../../src/base64.ts";
import { encodePng } from "../../src/viz/parts/png.ts";

describe("a PNG", () => {
  const { colors, alphas } = imagePalette("diverging");
  const indices = Uint8Array.of(0, 2, 128, 254, 1, 128);
  const png = Buffer.from(encodePng({ width: 3, height: 2, indices, colors, alphas }));
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    chunks.set(png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }

  test("has the signature and chunks of an indexed image with opacity", () => {
    expect(png.toString("hex", 0, 8)).toBe("89504e470d0a1a0a");
    expect([...chunks.keys()]).toEqual(["IHDR", "PLTE", "tRNS", "IDAT", "IEND"]);
    expect(chunks.get("IHDR")?.toString("hex")).toBe("00000003" + "00000002" + "0803000000");
    // The check sum of an empty IEND chunk is the same in every PNG.
    expect(png.toString("hex", png.length - 4)).toBe("ae426082");
  });

  test("holds its rows, each after a filter byte of 0", () => {
    expect([...inflateSync(chunks.get("IDAT") ?? Buffer.alloc(0))]).toEqual([0, 0, 2, 128, 0, 254, 1, 128]);
  });

  test.each([
    [1, 1],
    [257, 3],
    [300, 300],
  ])("of %i x %i pixels is read back by zlib", (width, height) => {
    const pixels = Uint8Array.from({ length: width * height }, (_, i) => ((i % 97) * 2654435761) >>> 24);
    const bytes = Buffer.from(encodePng({ width, height, indices: pixels, colors, alphas }));
    const from = bytes.indexOf("IDAT");
    const lines = inflateSync(bytes.subarray(from + 4, from + 4 + bytes.readUInt32BE(from - 4)));
    expect(lines.length).toBe((width + 1) * height);
    for (let y = 0; y < height; y++) {
      expect(lines[y * (width + 1)]).toBe(0);
      const row = lines.subarray(y * (width + 1) + 1, (y + 1) * (width + 1));
      expect(Buffer.compare(row, pixels.subarray(y * width, (y + 1) * width))).toBe(0);
    }
  });

  test("zero is transparent, and opacity grows evenly to both ends", () => {
    expect(alphas[128]).toBe(0);
    expect([alphas[2], alphas[254]]).toEqual([255, 255]);
    for (let k = 1; k <= 126; k++) {
      expect(alphas[128 - k]).toBe(alphas[128 + k]);
      expect(alphas[128 + k] as number).toBeGreaterThan(alphas[127 + k] as number);
    }
  });
});

test("base64 is that of Buffer, for every remainder of three", () => {
  for (const length of [0, 1, 2, 3, 4, 255]) {
    const bytes = Uint8Array.from({ length }, (_, i) => 255 - i);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  }
});
