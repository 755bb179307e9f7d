/** Cells of matrix figures: masks, the choice of a scale, and one cell as a rectangle. */
import { InputError } from "../../errors.ts";
import { checkFinite, countNonFinite, type Matrix } from "../check.ts";
import { shadeAttributes, shadeOf, type ColorScale } from "./color.ts";
import { svgRect, svgTitle } from "../figure.ts";
import { px } from "./text.ts";

/** A matrix with its mask, counted. */
export interface MaskedMatrix extends Matrix {
  readonly masked: Uint8Array;
  /** How many unmasked values are not finite. */
  readonly bad: number;
}

/** A matrix with the cells that do not exist marked. */
export function maskedValues(matrix: Matrix, mask?: (row: number, column: number) => boolean): MaskedMatrix {
  const masked = new Uint8Array(matrix.rows * matrix.cols);
  if (mask) {
    for (let i = 0; i < matrix.rows; i++) {
      for (let j = 0; j < matrix.cols; j++) masked[i * matrix.cols + j] = mask(i, j) ? 1 : 0;
    }
  }
  const seen = Array.from(masked, (hidden, k) => (hidden ? 0 : (matrix.data[k] as number)));
  return { ...matrix, masked, bad: countNonFinite(seen) };
}

/** The scale and its limit, from the options or the values. */
export function chooseScale(
  matrix: MaskedMatrix,
  options: { readonly scale?: ColorScale; readonly limit?: number },
  operation: string,
): { readonly scale: ColorScale; readonly limit: number } {
  let largest = 0;
  let smallest = 0;
  for (let k = 0; k < matrix.masked.length; k++) {
    const value = matrix.data[k] as number;
    if (matrix.masked[k] || !Number.isFinite(value)) continue;
    largest = Math.max(largest, Math.abs(value));
    smallest = Math.min(smallest, value);
  }
  if (options.scale === "sequential" && smallest < 0) {
    throw new InputError(`a sequential scale begins at 0, but values go down to ${smallest}. Use scale: "diverging".`, {
      operation,
      argument: "scale",
      expected: ">= 0",
      actual: smallest,
    });
  }
  if (options.limit !== undefined) checkLimit(options.limit, operation);
  return {
    scale: options.scale ?? (smallest < 0 ? "diverging" : "sequential"),
    limit: options.limit ?? (largest === 0 ? 1 : largest),
  };
}

function checkLimit(limit: number, operation: string): void {
  checkFinite(limit, operation, "limit");
  if (limit <= 0) {
    throw new InputError(`limit is ${limit}. Give the positive magnitude that has the full colour.`, {
      operation,
      argument: "limit",
      expected: "> 0",
      actual: limit,
    });
  }
}

/** One cell of a matrix of rectangles. */
export interface CellOptions {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly value: number;
  readonly limit: number;
  readonly scale: ColorScale;
  /** Hover text. */
  readonly name: string;
}

/** A cell's rectangle, crossed out when its value is not finite. */
export function drawCell(options: CellOptions): string {
  const { x, y, width, height, value } = options;
  if (Number.isFinite(value)) {
    return svgRect(
      x,
      y,
      width,
      height,
      shadeAttributes(shadeOf(value, options.limit, options.scale)),
      svgTitle(options.name),
    );
  }
  const cross = `<path class="tc-s-muted" d="M${px(x)} ${px(y)}l${px(width)} ${px(height)}m0 ${px(-height)}l${px(-width)} ${px(height)}"/>`;
  return `${svgRect(x, y, width, height, 'class="tc-f-muted" fill-opacity="0.25"', svgTitle(options.name))}${cross}`;
}
