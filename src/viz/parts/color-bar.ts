/** The colour bar beside a matrix. */
import { shadeAttributes, shadeOf, type ColorScale } from "./color.ts";
import { svgRect, svgText } from "../figure.ts";
import { TYPE } from "./style.ts";
import { formatNumber, px, textWidth } from "./text.ts";

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
  // Places on the bar are shares of the limit, which may be as large or as small as numbers go.
  const low = scale === "diverging" ? -1 : 0;
  const at = (share: number): number => top + (height * (1 - share)) / (1 - low);
  const shades = Array.from({ length: STEPS }, (_, k) => {
    const share = 1 - ((k + 0.5) / STEPS) * (1 - low);
    return svgRect(left, top + k * step, 10, step, shadeAttributes(shadeOf(share, 1, scale)));
  });
  const middle = (1 + low) / 2;
  const texts = [1, middle, low].map((share) =>
    svgText(
      left + 15,
      at(share) + (share === 1 ? 8 : share === low ? 0 : 3.5),
      "tc-tick tc-f-muted",
      formatNumber(share * limit, { significant: 2, sign: scale === "diverging" }),
    ),
  );
  const border = `<rect x="${px(left)}" y="${px(top)}" width="10" height="${height}" class="tc-line tc-s-grid"/>`;
  const zero = `<path class="tc-s-axis" d="M${px(left)} ${px(at(0))}h12"/>`;
  const isShort = textWidth(options.label ?? "", TYPE.lab) <= COLOR_BAR_WIDTH - 10;
  const label =
    options.label === undefined
      ? ""
      : isShort
        ? svgText(left, top - 6, "tc-lab tc-f-muted", options.label)
        : svgText(
            0,
            0,
            "tc-lab tc-f-muted",
            options.label,
            `transform="translate(${px(left + 50)} ${px(top)}) rotate(90)"`,
          );
  return `<g>${border}<g class="tc-crisp">${shades.join("")}</g>${zero}${texts.join("")}${label}</g>`;
}
