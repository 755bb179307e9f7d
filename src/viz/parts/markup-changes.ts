/** What differs between texts of markup that have the same elements: attributes and texts, by the element's place. */

/**
 * An attribute of an element, `""` for its text; what its values begin with, the rest of each that there is, and which
 * of these it is in each of the texts.
 */
export type MarkupChange = readonly [
  element: number,
  attribute: string,
  begin: string,
  ends: readonly (string | number)[],
  which: readonly number[],
];

/** An element or the text after a tag. */
type Piece = { readonly tag: string; readonly attributes: ReadonlyMap<string, string> } | { readonly text: string };

/**
 * The changes between texts of markup; elements are counted in document order from 0. None where some have other
 * elements than others, or a text changes beside elements.
 */
export function changesOf(texts: readonly string[]): MarkupChange[] | undefined {
  const all = texts.map(piecesOf);
  const first = all[0] ?? [];
  if (all.some(({ length }) => length !== first.length)) return undefined;
  const changes: MarkupChange[] = [];
  let element = -1;
  for (const [i, piece] of first.entries()) {
    const same = all.map((pieces) => pieces[i] as Piece);
    if ("text" in piece) {
      const values = same.map((one) => ("text" in one ? one.text : undefined));
      if (values.some((value) => value === undefined)) return undefined;
      if (values.every((value) => value === piece.text)) continue;
      if (!isTag(first[i - 1], (tag) => !tag.startsWith("/")) || !isTag(first[i + 1], (tag) => tag.startsWith("/")))
        return undefined;
      changes.push([element, "", ...packed((values as string[]).map(plainText))]);
      continue;
    }
    if (!piece.tag.startsWith("/")) element++;
    const names = [...piece.attributes.keys()].join(" ");
    for (const one of same)
      if ("text" in one || one.tag !== piece.tag || [...one.attributes.keys()].join(" ") !== names) return undefined;
    for (const [name, value] of piece.attributes) {
      const values = same.map((one) => ("text" in one ? "" : (one.attributes.get(name) as string)));
      if (values.some((other) => other !== value)) changes.push([element, name, ...packed(values.map(plainText))]);
    }
  }
  return changes;
}

const isTag = (piece: Piece | undefined, of: (tag: string) => boolean): boolean =>
  piece !== undefined && !("text" in piece) && of(piece.tag);

function piecesOf(markup: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [whole, tag, inner] of markup.matchAll(/<(\/?[\w-]+)([^>]*)>|[^<]+/g)) {
    if (tag === undefined) pieces.push({ text: whole });
    else pieces.push({ tag, attributes: new Map(attributesOf(inner ?? "")) });
  }
  return pieces;
}

const attributesOf = (inner: string): [string, string][] =>
  [...inner.matchAll(/([\w:-]+)(?:="([^"]*)")?/g)].map(([, name = "", value = ""]) => [name, value]);

const CHARACTERS: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

/** What a page makes of escaped text. */
function plainText(escaped: string): string {
  return escaped.replace(/&(amp|lt|gt|quot|#39);/g, (whole, name: string) => CHARACTERS[name] ?? whole);
}

/** Values without what all begin with, each once; none of the places where each has another. */
function packed(values: readonly string[]): [begin: string, ends: (string | number)[], which: number[]] {
  const [first = ""] = values;
  let length = first.length;
  for (const value of values) while (!value.startsWith(first.slice(0, length))) length--;
  // a number keeps its digits together
  while (length > 0 && /[\d.]/.test(first[length - 1] ?? "")) length--;
  const ends = values.map((value) => value.slice(length));
  const once = [...new Set(ends)];
  const which = once.length === ends.length ? [] : ends.map((end) => once.indexOf(end));
  return [first.slice(0, length), once.map(shortest), which];
}

/** A number where its text is that number's. */
const shortest = (text: string): string | number => (String(Number(text)) === text ? Number(text) : text);
