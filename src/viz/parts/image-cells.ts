/** The cells of a large matrix as one embedded image. */
import { toBase64 } from "../../base64.ts";
import { imageIndex, imagePalette, VOID_INDEX, type ColorScale } from "./color.ts";
import type { MaskedMatrix } from "./cells.ts";
import { encodePng } from "./png.ts";
import type { Frame } from "./scale.ts";
import { px } from "./text.ts";

/** A large matrix and how it is drawn. */
export interface ImageCellsOptions extends MaskedMatrix {
  readonly frame: Frame;
  /** Whole pixels of the image to a cell: viewers that smooth images then have little to blur. */
  readonly cell: number;
  /** Values on a side of the block that one drawn cell stands for. */
  readonly block: number;
  readonly limit: number;
  readonly scale: ColorScale;
}

/** An SVG `<image>` with the cells. */
export function imageCells(options: ImageCellsOptions): string {
  const { cell, block, frame } = options;
  const rows = Math.ceil(options.rows / block);
  const cols = Math.ceil(options.cols / block);
  const width = cols * cell;
  const indices = new Uint8Array(width * rows * cell);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const start = i * cell * width + j * cell;
      indices.fill(blockIndex(options, i * block, j * block), start, start + cell);
    }
    const line = indices.subarray(i * cell * width, i * cell * width + width);
    for (let copy = 1; copy < cell; copy++) indices.set(line, (i * cell + copy) * width);
  }
  const png = encodePng({ width, height: rows * cell, indices, ...imagePalette(options.scale) });
  const place = `x="${px(frame.left)}" y="${px(frame.top)}" width="${px(frame.width)}" height="${px(frame.height)}"`;
  return `<image class="tc-pix" ${place} preserveAspectRatio="none" image-rendering="pixelated" href="data:image/png;base64,${toBase64(png)}"/>`;
}

/** The palette entry of a block: that of its value of largest magnitude; a value that is not finite wins. */
function blockIndex(options: ImageCellsOptions, row: number, column: number): number {
  let best: number | undefined;
  for (let i = row; i < Math.min(options.rows, row + options.block); i++) {
    for (let j = column; j < Math.min(options.cols, column + options.block); j++) {
      const at = i * options.cols + j;
      if (options.masked[at]) continue;
      const value = options.data[at] as number;
      if (best === undefined || !(Math.abs(value) <= Math.abs(best))) best = value;
      if (!Number.isFinite(value)) return imageIndex(value, options.limit, options.scale);
    }
  }
  return best === undefined ? VOID_INDEX : imageIndex(best, options.limit, options.scale);
}
