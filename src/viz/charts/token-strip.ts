import { chooseScale, maskedValues } from "../parts/cells.ts";
import { checkCount, checkNonEmpty, checkNumbers, checkOptions, checkSize, checkTexts } from "../check.ts";
import { inkOver, shadeAttributes, shadeOf, type ColorScale, type Shade } from "../parts/color.ts";
import { Figure, svgRect, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, nonFiniteNote, titleBlock, type Captions } from "../parts/frame.ts";
import { formatNumber, plural, textWidth, visibleToken } from "../parts/text.ts";

/**
 * What {@link tokenStrip} draws.
 * @category Figures
 */
export interface TokenStripOptions extends Captions {
  /** Texts of tokens, as the tokenizer decodes them; whitespace is made visible. */
  readonly tokens: readonly string[];
  /** One number for each token. */
  readonly values: ArrayLike<number>;
  /** `diverging` (the default when some value is negative) or `sequential`. */
  readonly scale?: ColorScale;
  /** The magnitude of the full colour; the largest one among the values if left out. */
  readonly limit?: number;
  /** What the values are, with their unit; shown with the range. */
  readonly legendLabel?: string;
  /** Tokens to outline, by position, such as the destination. */
  readonly marked?: readonly number[];
  /**
   * Tokens that have no value to show, by position, as the first of a text has no prediction: uncoloured, and not
   * counted as missing.
   */
  readonly noValue?: readonly number[];
  readonly width?: number;
}

const SIZE = 12;
const LINE = 24;

/**
 * Text as coloured tokens in reading order, wrapped; each tells its position and value on hover.
 *
 * @param options - tokens, values and scale.
 * @returns the figure. Values that are not finite are left uncoloured and counted under the title.
 * @throws ShapeError if there are no tokens or the counts differ.
 * @throws InputError if a sequential scale meets a negative value.
 * @category Figures
 * @example
 * ```ts
 * import { tokenStrip } from "transformer-circuits/viz";
 *
 * const figure = tokenStrip({ tokens: ["interface", " Array", "<"], values: [0.1, 0.7, 0.2] });
 * console.log(figure.svg.match(/<title>[^<]*<\/title>/g)?.join(" "));
 * // <title>0 interface: 0.1</title> <title>1 ·Array: 0.7</title> <title>2 &lt;: 0.2</title>
 * ```
 */
export function tokenStrip(options: TokenStripOptions): Figure {
  checkOptions(options, "tokenStrip", "tokens values scale limit legendLabel marked noValue width");
  checkTexts(options.tokens, "tokenStrip", "tokens");
  checkNumbers(options.values, "tokenStrip", "values");
  const { tokens, values } = options;
  checkNonEmpty(tokens.length, "tokenStrip", "tokens");
  checkCount(values.length, tokens.length, "tokenStrip", "values", "tokens");
  const width = options.width ?? 720;
  checkSize(width, "tokenStrip", "width");
  const noValue = new Set(options.noValue);
  const matrix = maskedValues({ rows: 1, cols: values.length, data: values }, (_, i) => noValue.has(i));
  const { scale, limit } = chooseScale(matrix, options, "tokenStrip");
  const range = scale === "diverging" ? `±${formatNumber(limit)}` : `0 to ${formatNumber(limit)}`;
  const legend = options.legendLabel === undefined ? [] : [`Colour: ${options.legendLabel}, ${range}.`];
  const head = titleBlock(options, width, [...legend, ...nonFiniteNote(matrix.bad, "value", "uncoloured")]);
  const marked = new Set(options.marked);
  let [x, y] = [0, head.height];
  const parts = tokens.map((token, i) => {
    const text = visibleToken(token);
    const value = values[i] as number;
    const room = textWidth(text, SIZE, true) + 5;
    if (x > 0 && x + room > width) [x, y] = [0, y + LINE];
    const shaded = Number.isFinite(value) && !noValue.has(i);
    const shade: Shade = shaded ? shadeOf(value, limit, scale) : { paint: "muted", opacity: 0 };
    const box = svgRect(
      x,
      y,
      room,
      LINE - 4,
      `${shadeAttributes(shade)} rx="2"`,
      svgTitle(`${i} ${text}: ${noValue.has(i) ? "no value" : formatNumber(value)}`),
    );
    const outline = marked.has(i)
      ? svgRect(x + 0.5, y + 0.5, room - 1, LINE - 5, 'class="tc-line tc-s-ink" rx="2"')
      : "";
    const word = svgText(
      x + 2.5,
      y + 14.5,
      `tc-mono ${inkOver(shade)}`,
      text,
      `font-size="${SIZE}" textLength="${Math.round((room - 5) * 100) / 100}" lengthAdjust="spacingAndGlyphs" pointer-events="none"`,
    );
    x += room + 1;
    return box + outline + word;
  });
  return new Figure({
    kind: "tokenStrip",
    width,
    height: y + LINE,
    narrow: narrowFrom(width, () => tokenStrip({ ...options, width: NARROW })),
    label: accessibleName(options, plural(tokens.length, "token")),
    content: [head.markup, ...parts].filter((part) => part !== "").join("\n"),
  });
}
