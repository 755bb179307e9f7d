/** Formulas as MathML, which browsers draw without a library, with their LaTeX to hover over and to copy. */
import { escapeHtml } from "../../viz/index.ts";
import { Html } from "./html.ts";

/** A part of a formula in both languages. */
export interface Formula {
  readonly mathml: string;
  readonly tex: string;
}

/** A variable, by its name as the field writes it: `W_E` gets a subscript, `R^{-1}` is not needed and not known. */
export function v(name: string): Formula {
  const [base = "", below] = name.split("_");
  const tex = texOf(base);
  const letter = { mathml: `<mi>${base}</mi>`, tex: /^\w\w/.test(tex) ? `\\text{${tex}}` : tex };
  if (below === undefined) return letter;
  const index = word(below);
  return { mathml: `<msub>${letter.mathml}${index.mathml}</msub>`, tex: `${letter.tex}_${index.tex}` };
}

/** Symbols set one after the other; operators are given as themselves. */
export function row(...parts: readonly Formula[]): Formula {
  return { mathml: `<mrow>${parts.map(({ mathml }) => mathml).join("")}</mrow>`, tex: joined(parts) };
}

export function op(symbol: string): Formula {
  return { mathml: `<mo>${symbol}</mo>`, tex: texOf(symbol) };
}

export function num(text: string): Formula {
  return { mathml: `<mn>${text}</mn>`, tex: text };
}

export function text(words: string): Formula {
  // MathML drops spaces at the ends of a text.
  return { mathml: `<mtext>${words.replace(/^ | $/g, "\u00a0")}</mtext>`, tex: `\\text{${texOf(words)}}` };
}

export function fraction(above: Formula, below: Formula): Formula {
  return {
    mathml: `<mfrac>${row(above).mathml}${row(below).mathml}</mfrac>`,
    tex: `\\frac{${above.tex}}{${below.tex}}`,
  };
}

export function sup(base: Formula, above: Formula): Formula {
  return { mathml: `<msup>${row(base).mathml}${row(above).mathml}</msup>`, tex: `${base.tex}^{${above.tex}}` };
}

export function sub(base: Formula, below: Formula): Formula {
  return { mathml: `<msub>${row(base).mathml}${row(below).mathml}</msub>`, tex: `${base.tex}_{${below.tex}}` };
}

/** A letter with a subscript and a superscript. */
export function subSup(base: string, below: string, above: string): Formula {
  const [low, high] = [word(below), word(above)];
  return {
    mathml: `<msubsup><mi>${base}</mi>${low.mathml}${high.mathml}</msubsup>`,
    tex: `${texOf(base)}_${low.tex}^${high.tex}`,
  };
}

/** A head's `W_QK` or `W_OV`, with the head above. */
export function circuit(kind: "QK" | "OV", head: string): Formula {
  return subSup("W", kind, head);
}

/** An absolute value. */
export function bars(inside: Formula): Formula {
  const bar = (form: string): string => `<mo stretchy="false" form="${form}">|</mo>`;
  return { mathml: `<mrow>${bar("prefix")}${inside.mathml}${bar("postfix")}</mrow>`, tex: `|${inside.tex}|` };
}

function word(text: string): Formula {
  return text.length > 1
    ? { mathml: `<mtext>${text}</mtext>`, tex: `{\\text{${texOf(text)}}}` }
    : { mathml: `<mi>${text}</mi>`, tex: `{${texOf(text)}}` };
}

/** A sum over what is written below the sign. */
export function sumOver(below: Formula): Formula {
  return { mathml: `<munder><mo>∑</mo>${row(below).mathml}</munder>`, tex: `\\sum_{${below.tex}}` };
}

/** A norm with its index. */
export function norm(inside: Formula, index = "F"): Formula {
  const bar = "<mo>‖</mo>";
  return {
    mathml: `<msub><mrow>${bar}${inside.mathml}${bar}</mrow><mi>${index}</mi></msub>`,
    tex: `\\|${inside.tex}\\|_${index}`,
  };
}

/** A formula in a line of text. */
export function inline(...parts: readonly Formula[]): Html {
  return new Html(mathOf(row(...parts), true));
}

/** A formula on a line of its own; in a narrow place it goes on in the next line before a sign or after a comma. */
export function display(...parts: readonly Formula[]): Html {
  const lines: Formula[][] = [];
  for (const [i, part] of parts.entries()) {
    const isSign = BREAKS.has(part.tex);
    if (i === 0 || isSign || parts[i - 1]?.tex.startsWith("\\text{,") === true) lines.push([]);
    // At the beginning of its line a sign would be taken for one of a number.
    const mathml = isSign ? part.mathml.replace("<mo>", '<mo form="infix">') : part.mathml;
    lines.at(-1)?.push({ ...part, mathml });
  }
  const whole = escapeHtml(joined(parts));
  const pieces = lines.map((line) => mathOf(row(...line), false));
  return new Html(`<div class="formula" title="${whole}">${pieces.join("<wbr>")}</div>`);
}

/** Signs before which a formula may break. */
const BREAKS: ReadonlySet<string> = new Set(["+", "-", "=", "\\in"]);

function mathOf({ mathml, tex }: Formula, isWhole: boolean): string {
  const source = `<annotation encoding="application/x-tex">${escapeHtml(tex)}</annotation>`;
  const style = isWhole ? `title="${escapeHtml(tex)}"` : 'displaystyle="true"';
  return `<math ${style}><semantics>${mathml}${source}</semantics></math>`;
}

const TEX: Readonly<Record<string, string>> = {
  "⊗": "\\otimes",
  "∑": "\\sum",
  "∈": "\\in",
  "‖": "\\|",
  "−": "-",
  "⊤": "\\top",
  λ: "\\lambda",
  Δ: "\\Delta",
};

/** Symbols as LaTeX writes them. */
function texOf(symbols: string): string {
  const known = TEX[symbols];
  if (known !== undefined) return known;
  return symbols.replace(/[_%&#$]/g, "\\$&").replace(/−/g, "-");
}

/** Parts one after the other, apart, since a command would run into a letter. */
function joined(parts: readonly Formula[]): string {
  return parts.map(({ tex }) => tex).join(" ");
}
