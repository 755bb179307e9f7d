/** HTML as values: text is escaped on its way in unless it is {@link Html} already. */
import { escapeHtml } from "../../viz/index.ts";

/** Markup that needs no escaping. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What may stand between the braces of {@link markup}. */
export type Content = Html | string | number | null | undefined | false | readonly Content[];

/**
 * Markup from a template: strings and numbers are escaped, lists are joined, `null`, `undefined` and `false` are
 * nothing.
 */
export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, part, i) => text + render(values[i - 1]) + part));
}

/** Markup written by hand or by a figure. */
export function raw(text: string): Html {
  return new Html(text);
}

/** Several pieces with one between each two. */
export function join(parts: readonly Content[], between: Content): Html {
  return new Html(parts.map(render).join(render(between)));
}

function render(value: Content): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return "";
  if (typeof value === "object") return value.map(render).join("");
  return escapeHtml(String(value));
}
