/** Text of figures: escaping, tokens made visible, numbers, and estimated widths (there is no DOM to measure with). */
import { InputError } from "../../errors.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes text for HTML and XML, in element content and in quoted attributes.
 *
 * Characters that XML does not allow at all (control characters, lone surrogates) become U+FFFD, so that any string is
 * safe inside a figure.
 *
 * @param text - any string.
 * @returns the same text with `& < > " '` as entities.
 * @category Figures
 * @example
 * ```ts
 * import { escapeHtml } from "transformer-circuits/viz";
 *
 * console.log(escapeHtml("Array<T> & \"x\""));
 * // Array&lt;T&gt; &amp; &quot;x&quot;
 * ```
 */
export function escapeHtml(text: string): string {
  return text
    .replace(/(?![\t\n\r])\p{Cc}|\p{Cs}|[\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

const VISIBLE: Readonly<Record<string, string>> = { " ": "·", "\n": "↵", "\t": "→", "\r": "\\r" };

/**
 * A token with its whitespace and invisible characters drawn: `·` space, `↵` newline, `→` tab.
 *
 * A carriage return becomes `\r`; other control characters, and format characters such as bidi overrides and zero-width
 * spaces, become their code (`\u{202e}`), which every font has; lone surrogates U+FFFD, and the empty token `∅`.
 *
 * @param token - a token's text, as the tokenizer decodes it.
 * @returns text of visible characters; not escaped.
 * @category Figures
 * @example
 * ```ts
 * import { visibleToken } from "transformer-circuits/viz";
 *
 * console.log(visibleToken(" string;\n\t"));
 * // ·string;↵→
 * ```
 */
export function visibleToken(token: string): string {
  if (token === "") return "∅";
  let text = "";
  for (const character of token) {
    const code = character.codePointAt(0) ?? 0;
    const known = VISIBLE[character];
    if (known !== undefined) text += known;
    else if (code >= 0xd800 && code <= 0xdfff) text += "\ufffd";
    else if (/[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Cn}\p{Co}]/u.test(character)) text += `\\u{${code.toString(16)}}`;
    else text += character;
  }
  return text;
}

/**
 * A label with what would not be seen made visible, since it may be a token: whitespace at its ends, spaces of other
 * kinds, line breaks and control characters; `""` stays empty. Every chart writes its labels with it.
 */
export function labelText(label: string | number): string {
  return String(label).replace(/^\s+|\s+$|(?! )[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Cs}]/gu, visibleToken);
}

/**
 * How {@link formatNumber} writes a number.
 * @category Figures
 */
export interface NumberFormat {
  /** Significant digits, trailing zeros dropped; 3 when neither this nor `decimals` is given. */
  readonly significant?: number;
  /** Digits after the point, always written; wins over `significant`. */
  readonly decimals?: number;
  /** Whether positive numbers get a plus sign. */
  readonly sign?: boolean;
}

/**
 * A number as figures print it: a true minus sign, thousands separated by commas, powers of ten only for very small
 * numbers.
 *
 * @param value - any number; `NaN` and infinities are written as such.
 * @param format - digits and sign.
 * @returns the text.
 * @throws InputError if `decimals` is not a whole number from 0 to 100, or `significant` one from 1 to 100.
 * @category Figures
 * @example
 * ```ts
 * import { formatNumber } from "transformer-circuits/viz";
 *
 * console.log(formatNumber(-0.08838), formatNumber(410112), formatNumber(1.5, { decimals: 2, sign: true }));
 * // −0.0884 410,112 +1.50
 * ```
 */
export function formatNumber(value: number, format: NumberFormat = {}): string {
  checkDigits(format.decimals, 0, "decimals");
  checkDigits(format.significant, 1, "significant");
  if (Number.isNaN(value)) return "NaN";
  const magnitude = Math.abs(value);
  let text: string;
  if (magnitude === Infinity) text = "∞";
  else if (format.decimals !== undefined && magnitude < PLAIN) text = magnitude.toFixed(format.decimals);
  else text = significantText(magnitude, format.significant ?? 3);
  const [whole = "", ...rest] = text.split(".");
  if (!text.includes("e")) text = [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".");
  const zero = /^[0.,]*$/.test(text);
  if (value < 0 && !zero) return `−${text}`;
  return format.sign === true && value > 0 && !zero ? `+${text}` : text;
}

/** From here on numbers are written in powers of ten. */
const PLAIN = 1e15;

function checkDigits(digits: number | undefined, least: number, argument: string): void {
  if (digits === undefined || (Number.isInteger(digits) && digits >= least && digits <= 100)) return;
  throw new InputError(`${argument} is ${digits}. Give a whole number from ${least} to 100.`, {
    operation: "formatNumber",
    argument,
    expected: [least, 100],
    actual: digits,
  });
}

/** A number in powers of ten; with the digits that tell it from all others where their number is left out. */
export function scientific(value: number, significant?: number): string {
  return value === 0 ? "0" : `${value < 0 ? "−" : ""}${exponentText(Math.abs(value), significant)}`;
}

function significantText(magnitude: number, significant: number): string {
  if (magnitude === 0) return "0";
  if (magnitude >= 10 ** significant)
    return magnitude < PLAIN ? Math.round(magnitude).toString() : exponentText(magnitude, significant);
  if (magnitude < 1e-4) return exponentText(magnitude, significant);
  const text = magnitude.toPrecision(significant);
  return trimZeros(text.includes("e") ? Number(text).toString() : text);
}

function exponentText(magnitude: number, significant?: number): string {
  const digits = significant === undefined ? undefined : significant - 1;
  const [mantissa = "", exponent = ""] = magnitude.toExponential(digits).split("e");
  return `${trimZeros(mantissa)}e${exponent.replace("-", "−").replace("+", "")}`;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A pixel coordinate: two decimals at most, no negative zero. */
export function px(value: number): string {
  return (Math.round(value * 100) / 100 + 0).toString();
}

/** Height of a line of small text. */
export const TYPE_LINE = 15;

/** `count thing` or `count things`. */
export function plural(count: number, singular: string, several = `${singular}s`): string {
  return `${formatNumber(count, { decimals: 0 })} ${count === 1 ? singular : several}`;
}

/** Estimated width in pixels, on the wide side: a sans-serif face of the given size, or a monospaced one. */
export function textWidth(text: string, size: number, mono = false): number {
  let ems = 0;
  for (const character of text) ems += emsOf(character, mono);
  return ems * size;
}

function emsOf(character: string, mono: boolean): number {
  if ((character.codePointAt(0) ?? 0) >= 0x1100 && /[\p{Lo}\p{Extended_Pictographic}]/u.test(character)) return 1.05;
  if (mono) return 0.61;
  if (/[iljtfrI.,:;'|!()[\]·\s/]/.test(character)) return 0.38;
  if (/[mwMW@%—]/.test(character)) return 0.92;
  return /\p{Lu}/u.test(character) ? 0.7 : 0.61;
}

/** Text cut to a width, with an ellipsis where something was cut; one character is left at least. */
export function truncate(text: string, width: number, size: number, mono = false): string {
  const ellipsis = emsOf("…", mono);
  let ems = 0;
  let kept = "";
  for (const character of text) {
    ems += emsOf(character, mono);
    if (ems * size > width) return `${kept === "" ? character : kept}…`;
    if ((ems + ellipsis) * size <= width) kept += character;
  }
  return text;
}

/** Text broken into lines of at most a width, at spaces. */
export function wrapText(text: string, width: number, size: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, size) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  if (line !== "") lines.push(line);
  return lines;
}
