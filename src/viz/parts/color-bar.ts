/** The colour bar beside a matrix. */
import { shadeAttributes, shadeOf, type ColorScale } from "./color.ts";
import { svgRect, svgText } from "../figure.ts";
import { formatNumber, px } from "./text.ts";

/** Room to the right of a matrix for its colour bar. */
export const COLOR_BAR_WIDTH = 84;

const STEPS = 30;

/** Where a colour bar stands and what it says. */
export interface ColorBarOptions {
  readonly left: number;
  readonly top: number;
  readonly height: number;
  readonly limit: number;
  readonly scale: ColorScale;
  readonly label?: string | undefined;
}

/** A vertical bar of shades, the limit at the top, zero marked. */
export function colorBar(options: ColorBarOptions): string {
  const { left, top, limit, scale } = options;
  const step = Math.max(3, Math.min(6, Math.floor(options.height / STEPS)));
  const height = step * STEPS;
  const low = scale === "diverging" ? -limit : 0;
  const at = (value: number): number => top + (height * (limit - value)) / (limit - low);
  const shades = Array.from({ length: STEPS }, (_, k) => {
    const value = limit - ((k + 0.5) / STEPS) * (limit - low);
    return svgRect(left, top + k * step, 10, step, shadeAttributes(shadeOf(value, limit, scale)));
  });
  const ticks = scale === "diverging" ? [limit, 0, -limit] : [limit, limit / 2, 0];
  const texts = ticks.map((tick) =>
    svgText(
      left + 15,
      at(tick) + (tick === limit ? 8 : tick === low ? 0 : 3.5),
      "tc-tick tc-f-muted",
      formatNumber(tick, { significant: 2, sign: scale === "diverging" }),
    ),
  );
  const border = `<rect x="${px(left)}" y="${px(top)}" width="10" height="${height}" class="tc-line tc-s-grid"/>`;
  const zero = `<path class="tc-s-axis" d="M${px(left)} ${px(at(0))}h12"/>`;
  const label =
    options.label === undefined
      ? ""
      : svgText(
          0,
          0,
          "tc-lab tc-f-muted",
          options.label,
          `transform="translate(${px(left + 62)} ${px(top)}) rotate(90)"`,
        );
  return `<g>${border}<g class="tc-crisp">${shades.join("")}</g>${zero}${texts.join("")}${label}</g>`;
}
