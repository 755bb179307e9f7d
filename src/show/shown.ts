/** The methods by which hosts ask a value to show itself. */
import { resultJSON } from "./json.ts";
import { htmlOf } from "./html.ts";
import type { Showing } from "./parts.ts";
import { textOf } from "./text.ts";
import type { Stylize } from "./text.ts";

/** The method by which Node, Deno and Bun ask a value for its text. */
const nodeInspect: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** The method by which notebooks ask a value for its rich display. */
export const jupyterDisplay: unique symbol = Symbol.for("Jupyter.display") as never;

/** Lines below the title of a value by itself, of one within another, and of one further in. */
const LINES = [9, 5] as const;

/** What a console says of how to print. */
interface InspectOptions {
  readonly depth?: number | null | undefined;
  readonly stylize?: Stylize | undefined;
}

/** The parts of `node:util`'s and Deno's protocol that are used: `depth` is what is left of `options.depth`. */
function inspected(show: () => Showing, depth: number | null, host: InspectOptions): string {
  const nesting = (host.depth ?? 0) - (depth ?? 0);
  const level = Number.isFinite(nesting) ? Math.max(0, nesting) : 0;
  return textOf(show(), LINES[level] ?? 0, host.stylize ?? ((text) => text));
}

function displayed(show: () => Showing): Record<string, string> {
  return { "text/plain": textOf(show(), LINES[0], (text) => text), "text/html": htmlOf(show()) };
}

/** What hosts find on a value that shows itself. */
interface Hosted {
  /** Rich display for notebooks: HTML, and plain text. */
  [jupyterDisplay](): Record<string, string>;
}

/** A class with the methods of hosts, made in a call: bundlers keep classes with computed names of methods. */
function hosted(): abstract new () => Hosted {
  abstract class Answering implements Hosted {
    abstract showing(): Showing;

    [nodeInspect](depth: number | null, host: InspectOptions): string {
      return inspected(() => this.showing(), depth, host);
    }

    [jupyterDisplay](): Record<string, string> {
      return displayed(() => this.showing());
    }
  }
  return Answering;
}

/**
 * A value that shows itself: in consoles as a title and a few lines, in notebooks as a table or a card.
 *
 * A browser's console shows a value's own fields, short and named; `console.log(value.toText())` has its numbers.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 *
 * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
 * console.log(pattern);
 * // Tensor[query_pos=2 key_pos=2] float32
 * // [[1.00, 0   ],
 * //  [0.25, 0.75]]
 * console.log(pattern.toText().split("\n").length);
 * // 3
 * ```
 */
export abstract class Shown extends /* @__PURE__ */ hosted() {
  /** What there is to see of it. @internal */
  abstract showing(): Showing;

  /** What it is, in one line. */
  override toString(): string {
    return this.showing().title;
  }

  /** What `JSON.stringify` writes: what it is in one line, where a class has no other form. */
  toJSON(): unknown {
    return this.toString();
  }

  /** What consoles show, as text of at most ten lines. */
  toText(): string {
    return textOf(this.showing(), LINES[0], (text) => text);
  }
}

/**
 * A plain object or list that shows itself as said; it stays plain to all that looks at its fields.
 *
 * @param json - what `JSON.stringify` writes; the fields unless given, with numbers that JSON has not as texts.
 */
export function shownAs<T extends object>(
  result: T,
  show: (result: T) => Showing,
  json: (result: T) => unknown = fieldsJSON,
): T {
  const hidden = (value: unknown): PropertyDescriptor => ({ value, enumerable: false });
  return Object.defineProperties(result, {
    [nodeInspect]: hidden((depth: number | null, host: InspectOptions) => inspected(() => show(result), depth, host)),
    [jupyterDisplay]: hidden(() => displayed(() => show(result))),
    toJSON: hidden(() => json(result)),
  });
}

function fieldsJSON(result: object): unknown {
  return Array.isArray(result) ? result.map(resultJSON) : resultJSON({ ...result });
}
