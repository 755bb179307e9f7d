/** Values to colour: a hue for the sign and an opacity for the size, over whatever the page's background is. */
import { lightColor, type Paint } from "./style.ts";
import { px } from "./text.ts";

/**
 * How values become colour: `diverging` has zero at the page's own colour and equal limits on both sides; `sequential`
 * begins at zero and takes no negative numbers.
 * @category Figures
 */
export type ColorScale = "diverging" | "sequential";

/** A value's hue and opacity. */
export interface Shade {
  readonly paint: Paint;
  /** 0 is the page's background, 1 the full hue. */
  readonly opacity: number;
}

/** The shade of a finite value; beyond the limit it is that of the limit. */
export function shadeOf(value: number, limit: number, scale: ColorScale): Shade {
  const opacity = limit > 0 ? Math.min(1, Math.abs(value) / limit) : 0;
  if (scale === "sequential") return { paint: "seq", opacity: value < 0 ? 0 : opacity };
  return { paint: value < 0 ? "neg" : "pos", opacity };
}

/** A shade as attributes of an SVG element. */
export function shadeAttributes(shade: Shade): string {
  return `class="tc-f-${shade.paint}" fill-opacity="${px(shade.opacity)}"`;
}

/** The class of text that is read over a shade. */
export function inkOver(shade: Shade): string {
  return shade.opacity > 0.6 ? "tc-f-on" : "tc-f-ink";
}

/** Palette entries of image figures: what is masked, what is not finite, then the levels of the scale. */
export const VOID_INDEX = 0;
export const BAD_INDEX = 1;
const FIRST_LEVEL = 2;
const ZERO_LEVEL = 128;
const LAST_LEVEL = 254;

/** The palette entry of a value in an image. */
export function imageIndex(value: number, limit: number, scale: ColorScale): number {
  if (!Number.isFinite(value)) return BAD_INDEX;
  const t = limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
  if (scale === "diverging") return ZERO_LEVEL + Math.round(t * (LAST_LEVEL - ZERO_LEVEL));
  return FIRST_LEVEL + Math.round(Math.max(0, t) * (LAST_LEVEL - FIRST_LEVEL));
}

function bytesOf(color: string): readonly number[] {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
}

/** Colours and opacities of the palette, as PNG's PLTE and tRNS want them. */
export function imagePalette(scale: ColorScale): { readonly colors: Uint8Array; readonly alphas: Uint8Array } {
  const colors = new Uint8Array(3 * (LAST_LEVEL + 1));
  const alphas = new Uint8Array(LAST_LEVEL + 1);
  for (let i = 0; i <= LAST_LEVEL; i++) {
    const diverging = scale === "diverging";
    const paint: Paint = i < FIRST_LEVEL ? "muted" : diverging ? (i < ZERO_LEVEL ? "neg" : "pos") : "seq";
    colors.set(bytesOf(lightColor(paint)), 3 * i);
    const t = diverging
      ? Math.abs(i - ZERO_LEVEL) / (LAST_LEVEL - ZERO_LEVEL)
      : (i - FIRST_LEVEL) / (LAST_LEVEL - FIRST_LEVEL);
    alphas[i] = i === VOID_INDEX ? 18 : i === BAD_INDEX ? 255 : Math.round(255 * t);
  }
  return { colors, alphas };
}
