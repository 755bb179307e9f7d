/** Reading the figures' markup in tests. */

/** An element's attributes by name, and its text up to the next tag. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Markup without the text of its scripts, which run in the tests in a browser. */
export function withoutScripts(markup: string): string {
  return markup.replace(/(<script[^>]*>)[^]*?(<\/script>)/g, "$1$2");
}

/**
 * The first piece of markup between two brackets that has a match. What stands around the match may be long: it is cut out
 * only where there is one.
 */
export function pieceWith(markup: string, pattern: RegExp): string | undefined {
  const at = markup.search(pattern);
  return at < 0 ? undefined : `${/[^<>]*$/.exec(markup.slice(0, at))?.[0]}${/^[^<>]*/.exec(markup.slice(at))?.[0]}`;
}

/** Whether a figure has a page form that is not its drawing. */
export function isPage({ fragment }: { readonly fragment: string }): boolean {
  return !fragment.startsWith("<svg") && !fragment.includes("tc-composition");
}

/**
 * All elements of a document, in order. Strict as an XML parser is about what figures use: throws for tags that do not
 * match, attributes that are unquoted or given twice, and bare `&` or `<`.
 */
export function elementsOf(markup: string): Element[] {
  const found: Element[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([A-Za-z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < markup.length) {
    const next = markup.indexOf("<", at);
    const text = markup.slice(at, next < 0 ? undefined : next);
    checkText(text);
    if (next < 0) break;
    tag.lastIndex = next;
    const match = tag.exec(markup);
    if (match === null) throw new Error(`not a tag: ${markup.slice(next, next + 80)}`);
    const [whole, closing, name = "", attributes = "", empty] = match;
    at = next + whole.length;
    if (closing === "/") {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing of that name`);
      continue;
    }
    if (empty !== "/") open.push(name);
    const after = markup.indexOf("<", at);
    found.push({
      name,
      attributes: attributesOf(attributes),
      text: unescape(markup.slice(at, after < 0 ? undefined : after)),
    });
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(", ")}`);
  return found;
}

function checkText(text: string): void {
  if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(text)) throw new Error(`a bare & in ${JSON.stringify(text.slice(0, 80))}`);
  if (/(?![\t\n\r])\p{Cc}|\p{Cs}|[\ufffe\uffff]/u.test(text))
    throw new Error(`a character that XML forbids in ${JSON.stringify(text.slice(0, 80))}`);
}

function attributesOf(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    if (name in attributes) throw new Error(`attribute ${name} twice in ${text}`);
    checkText(value);
    attributes[name] = unescape(value);
  }
  return attributes;
}

function unescape(text: string): string {
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replace(/&([^;]+);/g, (_, name: string) => entities[name] ?? "");
}

/** The texts that show on hover, in order. */
export function hovers(markup: string): string[] {
  return elementsOf(markup)
    .filter(({ name }) => name === "title")
    .map(({ text }) => text);
}

/** The elements of one name that carry a class. */
export function withClass(markup: string, name: string, className: string): Element[] {
  return elementsOf(markup).filter(
    (element) => element.name === name && (element.attributes.class ?? "").split(" ").includes(className),
  );
}

/** A numeric attribute. */
export function numberOf(element: Element | undefined, name: string): number {
  return Number(element?.attributes[name]);
}
