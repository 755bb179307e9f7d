/** Tokens side by side, wrapped, each with a value as its background. */
import { inkOver, shadeAttributes, shadeOf, type Shade } from "./color.ts";
import { svgRect, svgText, svgTitle } from "../figure.ts";
import { formatNumber, px, textWidth, truncate, visibleToken, type NumberFormat } from "./text.ts";

/**
 * A token in a cell of a {@link tokenTable}.
 * @category Figures
 */
export interface TokenChip {
  /** The token's text, as the tokenizer decodes it; whitespace is made visible. */
  readonly token: string;
  /** What its background shows; none if left out. */
  readonly value?: number;
  /** Whether it is outlined. */
  readonly marked?: boolean;
}

/** Font size of tokens. */
export const SIZE = 11;
/** Height of a line of tokens. */
export const LINE = 19;
/** Room above and below the lines of a cell, together. */
export const CELL_PADDING = 6;
const PAD = 3;
const BETWEEN = 4;

/** How a column shows values. */
export interface ChipColumn {
  /** The magnitude of the full colour. */
  readonly limit: number;
  /** Whether there are negative values. */
  readonly signed: boolean;
  readonly format: NumberFormat;
}

/** The tokens from (x, y) on, in lines no wider than `width`; `width` of the result is the widest line's. */
export function chipsMarkup(
  chips: readonly TokenChip[],
  x: number,
  y: number,
  width: number,
  column: ChipColumn,
): { markup: string; lines: number; width: number } {
  let [left, line, widest] = [0, 0, 0];
  const parts = chips.map(({ token, value, marked }) => {
    const visible = visibleToken(token);
    const text = truncate(visible, Math.max(40, width - 2 * PAD), SIZE, true);
    const inner = textWidth(text, SIZE, true);
    const room = inner + 2 * PAD;
    if (left > 0 && left + room > width) [left, line] = [0, line + 1];
    const [at, top] = [x + left, y + line * LINE];
    left += room + BETWEEN;
    widest = Math.max(widest, left - BETWEEN);
    const shade: Shade =
      value === undefined || !Number.isFinite(value)
        ? { paint: "muted", opacity: 0.08 }
        : shadeOf(value, column.limit, column.signed ? "diverging" : "sequential");
    const name = value === undefined ? visible : `${visible}: ${formatNumber(value, column.format)}`;
    const hover = value === undefined && text === visible ? "" : svgTitle(name);
    const box = svgRect(at, top, room, LINE - 3, `${shadeAttributes(shade)} rx="2"`, hover);
    const outline =
      marked === true
        ? svgRect(at + 0.5, top + 0.5, room - 1, LINE - 4, 'class="tc-line tc-s-ink" rx="2" pointer-events="none"')
        : "";
    const fitted = `font-size="${SIZE}" textLength="${px(inner)}" lengthAdjust="spacingAndGlyphs" pointer-events="none"`;
    return box + outline + svgText(at + PAD, top + SIZE + 0.5, `tc-mono ${inkOver(shade)}`, text, fitted);
  });
  return { markup: parts.join("\n"), lines: line + 1, width: widest };
}
