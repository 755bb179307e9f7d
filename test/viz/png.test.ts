import { inflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { imagePalette } from "../../src/viz/parts/color.ts";
import { deflate, encodePng, toBase64 } from "../../src/viz/parts/png.ts";

describe("deflate, read back by zlib", () => {
  test("any bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 3000 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 300 }), (data, stride) => {
        expect(new Uint8Array(inflateSync(deflate(data, stride)))).toEqual(data);
      }),
      { seed: 2, numRuns: 60 },
    );
  });

  test.each([0, 1, 3, 257, 258, 259, 260, 515, 516, 517, 70_000])("%i equal bytes", (length) => {
    const data = new Uint8Array(length).fill(7);
    const packed = deflate(data, 97);
    expect(new Uint8Array(inflateSync(packed))).toEqual(data);
    expect(packed.length).toBeLessThan(20 + length / 100);
  });

  test("repeats at every distance up to the window's 32,768 and beyond", () => {
    for (const period of [2, 5, 100, 1000, 32_767, 32_768, 32_769]) {
      const data = Uint8Array.from({ length: 3 * period }, (_, i) => ((i % period) * 2654435761) >>> 24);
      expect(Buffer.compare(inflateSync(deflate(data, period)), data)).toBe(0);
    }
  });
});

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
