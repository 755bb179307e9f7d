/** Figures as images: every kind, read back. The page's canvas is tried in the tests in a browser. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { headGrid, heatmap } from "transformer-circuits/viz";
import { colorsOf, pixelAt, readPng } from "../support/read-png.ts";
import { gallery } from "./gallery.ts";

const figures = [...gallery()].filter(([, { width, height }]) => width * height < 4e6);

describe("a figure as PNG", () => {
  test.each(figures)("%s has the size of its drawing with the margin, and is not blank", async (_, figure) => {
    const image = readPng(await figure.png({ scale: 1 }));
    expect([image.width, image.height]).toEqual([figure.width + 24, figure.height + 24]);
    expect(pixelAt(image, 0, 0)).toEqual([255, 255, 255, 255]);
    expect(colorsOf(image)).toBeGreaterThan(4);
  });

  test.each([1, 2, 2.5])("has %d pixels for one of the drawing", async (scale) => {
    const figure = headGrid({ values: [[0.1, 0.9]] });
    const image = readPng(await figure.png({ scale }));
    // the image ends at a whole pixel
    expect(Math.abs(image.width - scale * (figure.width + 24))).toBeLessThanOrEqual(1);
    expect(Math.abs(image.height - scale * (figure.height + 24))).toBeLessThanOrEqual(1);
  });

  test("has one palette's ground and full colour: #fff and #54278f, #14171c and #c7a2ff", async () => {
    const figure = heatmap({ values: [[1]] });
    for (const [scheme, ground, full] of [
      ["light", [255, 255, 255, 255], [84, 39, 143, 255]],
      ["dark", [20, 23, 28, 255], [199, 162, 255, 255]],
    ] as const) {
      const image = readPng(await figure.png({ scheme, scale: 1 }));
      expect(pixelAt(image, 0, 0)).toEqual(ground);
      const pixels = Array.from({ length: image.width * image.height }, (_, i) =>
        pixelAt(image, i % image.width, Math.floor(i / image.width)).join(),
      );
      expect(pixels).toContain(full.join());
    }
  });

  test.each([
    [{ scale: 0 }, "png: scale is 0. Give a number above 0, at most 16."],
    [{ scale: NaN }, "png: scale is NaN. Give a number above 0, at most 16."],
    [{ scheme: "blue" as "dark" }, 'png: scheme is "blue". Give "light" or "dark".'],
  ])("%j is refused", async (options, message) => {
    await expect(heatmap({ values: [[1]] }).png(options)).rejects.toThrow(message);
  });
});

describe("without the package", () => {
  afterEach(() => {
    vi.doUnmock("@resvg/resvg-js");
  });

  test("says which to install", async () => {
    vi.doMock("@resvg/resvg-js", () => {
      throw new Error("no such package");
    });
    const error = await heatmap({ values: [[1]] })
      .png()
      .catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({
      name: "InputError",
      message:
        "png: PNG outside a page needs the package @resvg/resvg-js, which is not installed. It is optional: npm install @resvg/resvg-js.",
    });
  });
});
