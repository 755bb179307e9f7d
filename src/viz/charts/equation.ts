import { checkNonEmpty, checkObjects, checkOptions, checkSize, checkText } from "../check.ts";
import { Figure, svgRect, svgText, svgTitle, NARROW, narrowFrom } from "../figure.ts";
import { accessibleName, titleBlock, type Captions } from "../parts/frame.ts";
import { TYPE } from "../parts/style.ts";
import { escapeHtml, px, textWidth, wrapText, TYPE_LINE } from "../parts/text.ts";

/**
 * One term of an {@link equation}.
 * @category Figures
 */
export interface EquationTerm {
  /**
   * The term, `_` and `^` before a sub- or superscript, in braces where it is longer than one letter: `A^h W_{OV}^h`.
   */
  readonly formula: string;
  /** What it is, under the formula. */
  readonly name?: string;
  /** Smaller lines under the name, such as how many such terms there are and how large they are. */
  readonly notes?: readonly string[];
}

/**
 * What {@link equation} draws.
 * @category Figures
 */
export interface EquationOptions extends Captions {
  /** What the terms add up to, in the notation of terms. */
  readonly left: string;
  readonly terms: readonly EquationTerm[];
  /** Width in pixels at which terms go to the next line; 860 if left out. */
  readonly width?: number;
}

const SIZE = 15;
const SMALL = 10.5;
const FACE = "font-family=\"Georgia,'Times New Roman',serif\"";
const PAD = 10;
const GAP = 30;

/**
 * A sum of named terms, each in a box with what it is and how large it is below: the paper's path expansions. A formula
 * shows its LaTeX on hover.
 *
 * @param options - the left side, terms and captions.
 * @returns the figure.
 * @throws ShapeError if there are no terms.
 * @throws InputError if `width` is not a whole number of at least 1.
 * @category Figures
 * @example
 * ```ts
 * import { equation } from "transformer-circuits/viz";
 *
 * const figure = equation({
 *   left: "T",
 *   terms: [{ formula: "W_E W_U", name: "direct path" }, { formula: "Σ_h A^h W_E W_{OV}^h W_U", name: "heads" }],
 * });
 * console.log(figure.label);
 * // T = W_E W_U + Σ_h A^h W_E W_{OV}^h W_U
 * ```
 */
export function equation(options: EquationOptions): Figure {
  checkOptions(options, "equation", "left terms width");
  checkText(options.left, "equation", "left");
  checkObjects(options.terms, "equation", "terms");
  for (const [i, term] of options.terms.entries()) checkText(term.formula, "equation", `terms[${i}].formula`);
  const { left, terms } = options;
  checkNonEmpty(terms.length, "equation", "terms");
  const most = options.width ?? 860;
  checkSize(most, "equation", "width");
  const start = formula(left, 0, 0).width + GAP;
  const boxes = terms.map(box);
  const places: { x: number; y: number }[] = [];
  let [x, line, lineTop] = [start, 0, 0];
  let width = 0;
  for (const { width: room, height } of boxes) {
    if (x > start && x + room > most) [x, lineTop, line] = [start, lineTop + line + 16, 0];
    places.push({ x, y: lineTop });
    width = Math.max(width, x + room);
    x += room + GAP;
    line = Math.max(line, height);
  }
  const least = Math.min(420, most);
  const head = titleBlock(options, Math.max(width, least));
  const parts = [head.markup, formula(left, 0, head.height + 24).markup];
  for (const [i, one] of boxes.entries()) {
    const place = places[i] ?? { x: 0, y: 0 };
    const y = head.height + place.y;
    const sign = i === 0 ? "=" : "+";
    parts.push(svgText(place.x - GAP / 2, y + 24, "tc-f-ink", sign, `font-size="${SIZE}" text-anchor="middle"`));
    parts.push(`<g transform="translate(${px(place.x)} ${px(y)})">\n${one.markup}\n</g>`);
  }
  const sum = terms.map((term) => term.formula).join(" + ");
  return new Figure({
    kind: "equation",
    width: Math.max(width, least),
    height: head.height + lineTop + line + 2,
    narrow: narrowFrom(most > NARROW ? width : 0, () => equation({ ...options, width: NARROW })),
    label: accessibleName(options, `${left} = ${sum}`),
    content: parts.filter((part) => part !== "").join("\n"),
  });
}

/** A term's box: the formula on a tinted ground, name and notes below. */
function box({ formula: text, name, notes = [] }: EquationTerm): { markup: string; width: number; height: number } {
  const inner = formula(text, 0, 0).width;
  const width = Math.max(inner + 2 * PAD, 112);
  const drawn = formula(text, width / 2, 24, "middle");
  const parts = [svgRect(0, 0, width, 38, 'class="tc-f-panel tc-s-grid" rx="4"'), drawn.markup];
  let y = 38;
  const lines = [
    ...(name === undefined ? [] : wrapText(name, width, TYPE.lab)).map(
      (line) => ["tc-lab tc-b tc-f-ink", line] as const,
    ),
    ...notes.flatMap((note) => wrapText(note, width, TYPE.lab)).map((line) => ["tc-lab tc-f-muted", line] as const),
  ];
  for (const [classes, line] of lines) {
    y += TYPE_LINE;
    parts.push(svgText(width / 2, y, classes, line, 'text-anchor="middle"'));
  }
  return { markup: parts.join("\n"), width, height: y + 4 };
}

/** A formula from (x, y) on or about it, its baseline at y, and its width, on the wide side. */
function formula(text: string, x: number, y: number, anchor = "start"): { markup: string; width: number } {
  let width = 0;
  let raised = 0;
  const spans = piecesOf(text).map(({ text: piece, shift }) => {
    const size = shift === 0 ? SIZE : SMALL;
    width += textWidth(piece, size);
    const dy = shift - raised;
    raised = shift;
    const moved = dy === 0 ? "" : ` dy="${px(dy)}"`;
    return `<tspan font-size="${size}"${moved}>${escapeHtml(piece)}</tspan>`;
  });
  return {
    markup: `<text x="${px(x)}" y="${px(y)}" class="tc-f-ink" ${FACE} text-anchor="${anchor}" xml:space="preserve">${svgTitle(latexOf(text))}${spans.join("")}</text>`,
    width,
  };
}

const LATEX: Readonly<Record<string, string>> = {
  "⊗": "\\otimes ",
  Σ: "\\sum ",
  "⊤": "\\top ",
  "−": "-",
  "·": "\\cdot ",
  λ: "\\lambda ",
  Δ: "\\Delta ",
  "…": "\\ldots ",
};

/** A formula as LaTeX, which shows on hover: scripts in braces, names of several letters upright. */
function latexOf(text: string): string {
  const symbols = (part: string): string =>
    part
      .replace(/[A-Za-z]{2,}/g, "\\mathrm{$&}")
      .replace(/[⊗Σ⊤−·λΔ…]/gu, (one) => LATEX[one] ?? one)
      .trim();
  return piecesOf(text)
    .map(({ text: piece, shift }) =>
      shift === 0 ? ` ${symbols(piece)}` : `${shift > 0 ? "_" : "^"}{${symbols(piece)}}`,
    )
    .join("")
    .replace(/ +/g, " ")
    .trim();
}

/** Runs of a formula with how far below the line they stand. */
function piecesOf(text: string): { text: string; shift: number }[] {
  const pieces: { text: string; shift: number }[] = [];
  for (const [, script, braced, letter, plain] of text.matchAll(/([_^])(?:\{([^}]*)\}|(.))|([^_^]+)/gu)) {
    if (plain !== undefined) pieces.push({ text: plain, shift: 0 });
    else pieces.push({ text: braced ?? letter ?? "", shift: script === "_" ? 4 : -6 });
  }
  return pieces;
}
