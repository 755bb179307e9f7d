/** Formulas as MathML, which browsers draw without a library. */
import { Html } from "./html.ts";

/** A variable, by its name as the field writes it: `W_E` gets a subscript, `R^{-1}` is not needed and not known. */
export function v(name: string): string {
  const [base = "", sub] = name.split("_");
  const letter = `<mi>${base}</mi>`;
  return sub === undefined ? letter : `<msub>${letter}${word(sub)}</msub>`;
}

/** Symbols set one after the other; operators are given as themselves. */
export function row(...parts: readonly string[]): string {
  return `<mrow>${parts.join("")}</mrow>`;
}

export function op(symbol: string): string {
  return `<mo>${symbol}</mo>`;
}

export function num(text: string): string {
  return `<mn>${text}</mn>`;
}

export function text(words: string): string {
  // MathML drops spaces at the ends of a text.
  return `<mtext>${words.replace(/^ | $/g, "\u00a0")}</mtext>`;
}

export function fraction(above: string, below: string): string {
  return `<mfrac>${row(above)}${row(below)}</mfrac>`;
}

export function sup(base: string, above: string): string {
  return `<msup>${row(base)}${row(above)}</msup>`;
}

export function sub(base: string, below: string): string {
  return `<msub>${row(base)}${row(below)}</msub>`;
}

/** A letter with a subscript and a superscript. */
export function subSup(base: string, below: string, above: string): string {
  return `<msubsup><mi>${base}</mi>${word(below)}${word(above)}</msubsup>`;
}

/** A head's `W_QK` or `W_OV`, with the head above. */
export function circuit(kind: "QK" | "OV", head: string): string {
  return subSup("W", kind, head);
}

/** An absolute value. */
export function bars(inside: string): string {
  return row(`<mo stretchy="false" form="prefix">|</mo>`, inside, `<mo stretchy="false" form="postfix">|</mo>`);
}

function word(text: string): string {
  return text.length > 1 ? `<mtext>${text}</mtext>` : `<mi>${text}</mi>`;
}

/** A sum over what is written below the sign. */
export function sumOver(below: string): string {
  return `<munder><mo>∑</mo>${row(below)}</munder>`;
}

/** A norm with its index. */
export function norm(inside: string, index = "F"): string {
  return `<msub>${row(op("‖"), inside, op("‖"))}<mi>${index}</mi></msub>`;
}

/** A formula in a line of text. */
export function inline(...parts: readonly string[]): Html {
  return new Html(`<math>${row(...parts)}</math>`);
}

/** A formula on a line of its own. */
export function display(...parts: readonly string[]): Html {
  return new Html(`<div class="formula" tabindex="0"><math display="block">${row(...parts)}</math></div>`);
}
