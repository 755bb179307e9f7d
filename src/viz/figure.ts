import { InputError, requireKind, requireOptions } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { jupyterDisplay, Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { pngBytes, type PngOptions } from "./page/png-bytes.ts";
import { PAGE_SCRIPT } from "./page/script.ts";
import { pageStyles } from "./parts/page-style.ts";
import { DARK_IMAGE, plainStyles, svgStyles } from "./parts/style.ts";
import { escapeHtml, px } from "./parts/text.ts";

const FIGURE: Kind = { member: "fragment", what: "a Figure", remedy: "Draw one, as with heatmap({ values })" };

/** Pixels around the drawing in a standalone file. */
const MARGIN = 12;

/** The largest scale of an image: a figure of 1000 pixels is 16,000 wide then. */
const MOST_SCALE = 16;

/** What a {@link Figure} is made of. */
export interface FigureParts {
  readonly kind: string;
  readonly width: number;
  readonly height: number;
  /** What a screen reader says. */
  readonly label: string;
  /** The drawing: SVG elements in a `width` by `height` box, or what makes them when they are asked for. */
  readonly content: string | (() => string);
  /** The page form, where it is more than the drawing, or what makes it when it is asked for. */
  readonly markup?: string | (() => string);
  /** The pictures that it shows one after the other. */
  readonly frames?: readonly Figure[];
  /** The figures that it is made of, in rows that wrap. */
  readonly rows?: string;
  /** The drawing for places too narrow for this one, where it is another. */
  readonly narrow?: Figure | undefined;
  /** What brings the page form to life. */
  readonly script?: string | undefined;
  readonly nonce?: string | undefined;
}

/**
 * A finished picture: a value that prints as SVG, shows itself in a Deno Jupyter notebook, and is pasted into a page.
 *
 * A figure in a page has the colours of the page's scheme where it stands: its `color-scheme`, over that the mark of an
 * ancestor such as `data-theme="dark"`, and where a script may run, what it is seen to stand on. An SVG file follows
 * the reader's scheme. The same data always give the same text, byte for byte.
 *
 * @category Figures
 * @example
 * ```ts
 * import { headGrid } from "transformer-circuits/viz";
 *
 * const figure = headGrid({ values: [[0.1, 0.9], [0.4, -0.2]], title: "Induction score" });
 * console.log(figure.kind, figure.svg.startsWith("<svg"), figure.label);
 * // headGrid true Induction score
 * ```
 */
export class Figure extends Shown {
  /** The function that drew it: `heatmap`, `attentionExplorer`. */
  readonly kind: string;
  /** Width of the drawing in pixels. */
  readonly width: number;
  /** Height of the drawing in pixels. */
  readonly height: number;
  /** What the figure shows, in one line: its accessible name. */
  readonly label: string;
  #content: string | (() => string);
  #markup: string | (() => string) | undefined;
  readonly #frames: readonly Figure[] | undefined;
  readonly #narrow: Figure | undefined;
  readonly #rows: string | undefined;
  readonly #script: string | undefined;
  readonly #nonce: string | undefined;

  /** @internal */
  constructor(parts: FigureParts) {
    super();
    this.kind = parts.kind;
    this.width = Math.ceil(parts.width);
    this.height = Math.ceil(parts.height);
    this.label = parts.label;
    this.#content = parts.content;
    this.#markup = parts.markup;
    this.#frames = parts.frames;
    this.#narrow = parts.narrow;
    this.#rows = parts.rows;
    this.#script = parts.script;
    this.#nonce = parts.nonce;
  }

  /** SVG elements without the `<svg>` around them, for figures made of figures. @internal */
  get content(): string {
    if (typeof this.#content !== "string") this.#content = this.#content();
    return this.#content;
  }

  /** The pictures of a {@link flipbook}, each a figure by itself; of all other figures, the figure alone. */
  get frames(): readonly Figure[] {
    return this.#frames ?? [this];
  }

  get #page(): string | undefined {
    if (typeof this.#markup === "function") this.#markup = this.#markup();
    return this.#markup;
  }

  /**
   * A standalone SVG file with its own styles, background and a margin of 12 pixels. Of figures that a page brings to
   * life it is a still.
   */
  get svg(): string {
    const drawing = this.#onGround;
    return this.#svg(
      `<style>\n${svgStyles(drawing)}\nsvg.tc-fig:root{color-scheme:light dark}\n@media (prefers-color-scheme:dark){svg.tc-fig:root .tc-pix{${DARK_IMAGE}}}\n</style>\n${drawing}`,
      MARGIN,
    );
  }

  /** The file's drawing in the colours of one scheme alone, for what makes images of it. @internal */
  still(scheme: "light" | "dark"): string {
    const drawing = this.#onGround;
    return this.#svg(`<style>\n${plainStyles(drawing, scheme)}\n</style>\n${drawing}`, MARGIN);
  }

  get #onGround(): string {
    const [width, height] = [this.width + 2 * MARGIN, this.height + 2 * MARGIN];
    return `<rect class="tc-f-bg" x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}"/>\n${this.content}`;
  }

  /**
   * The drawing as a PNG file, with its background and margin. A page draws it on a canvas; elsewhere the optional
   * package `@resvg/resvg-js` does, with the fonts of the machine.
   *
   * @param options - `scale`, pixels of the image for one of the drawing; `scheme`, light or dark.
   * @returns the bytes of the file.
   * @throws {@link InputError} when that package is not installed, an option is none, or the image is too large to be
   * made.
   * @example
   * ```ts
   * import { heatmap } from "transformer-circuits/viz";
   *
   * const figure = heatmap({ values: [[1, 0], [0.25, 0.75]] });
   * const bytes = await figure.png({ scale: 2, scheme: "dark" });
   * console.log(String.fromCharCode(...bytes.subarray(1, 4)));
   * // PNG
   * ```
   */
  async png(options: PngOptions = {}): Promise<Uint8Array> {
    requireOptions(options, "png", "scale scheme");
    const { scale = 2, scheme = "light" } = options;
    if (!(typeof scale === "number" && scale > 0 && scale <= MOST_SCALE)) {
      throw new InputError(`scale is ${String(scale)}. Give a number above 0, at most ${MOST_SCALE}.`, {
        operation: "png",
        argument: "scale",
        expected: `0 < scale <= ${MOST_SCALE}`,
        actual: scale,
      });
    }
    if (scheme !== "light" && scheme !== "dark") {
      throw new InputError(`scheme is ${JSON.stringify(scheme)}. Give "light" or "dark".`, {
        operation: "png",
        argument: "scheme",
        expected: ["light", "dark"],
        actual: scheme,
      });
    }
    const [width, height] = [this.width + 2 * MARGIN, this.height + 2 * MARGIN];
    return pngBytes({ svg: this.still(scheme), width, height, scale });
  }

  /** A piece of HTML that stands alone: styles included, nothing fetched, transparent background. */
  get html(): string {
    return `<style${this.#nonceAttribute}>\n${this.#markup === undefined ? svgStyles(this.content) : figureStyles()}\n</style>\n${this.fragment}`;
  }

  /** The HTML without styles, for a page that has {@link figureStyles} once. */
  get fragment(): string {
    const markup = this.#page ?? this.#svg(this.content);
    return this.#script === undefined ? markup : `${markup}\n<script${this.#nonceAttribute}>${this.#script}</script>`;
  }

  /**
   * The HTML without styles and scripts, for a page that has both once. Where there is little room it is laid out anew:
   * charts have a drawing for narrow places, figures made of figures wrap.
   */
  get body(): string {
    const other = this.#page ?? this.#rows;
    if (other !== undefined) return other;
    return this.#narrow === undefined ? this.pieces : `<div class="tc-fig tc-fit">\n${this.pieces}\n</div>`;
  }

  /** The drawing, and the one for narrow places; the page form of what is around shows one of them. @internal */
  get pieces(): string {
    const drawing = this.content;
    if (this.#narrow === undefined) return this.#svg(drawing);
    // where there is no room there is hardly a pointer that hovers
    const narrow = this.#narrow.content.replace(/<title>[^<]*<\/title>/g, "");
    return `${this.#svg(drawing, 0, " tc-wide")}\n${this.#narrow.#svg(narrow, 0, " tc-narrow")}`;
  }

  get #nonceAttribute(): string {
    return this.#nonce === undefined ? "" : ` nonce="${escapeHtml(this.#nonce)}"`;
  }

  #svg(inner: string, margin = 0, more = ""): string {
    const [width, height] = [this.width + 2 * margin, this.height + 2 * margin];
    const size = `width="${width}" height="${height}" viewBox="${px(-margin)} ${px(-margin)} ${width} ${height}"`;
    return `<svg xmlns="http://www.w3.org/2000/svg" class="tc-fig tc-${this.kind}${more}" ${size} role="img" aria-label="${escapeHtml(this.label)}">\n${inner}\n</svg>`;
  }

  /** The SVG text. */
  override toString(): string {
    return this.svg;
  }

  /** @internal */
  override showing(): Showing {
    return { title: `Figure(${this.kind}: ${this.label}, ${this.width} × ${this.height})` };
  }

  /** What it is; its picture is `svg` or `html`. */
  override toJSON(): object {
    const { kind, label, width, height } = this;
    return { type: "Figure", kind, label, width, height };
  }

  /**
   * Rich display for notebooks: HTML, with the colours of the notebook and values on hover, SVG of drawings for those
   * that take no HTML, and one line of plain text.
   */
  override [jupyterDisplay](): Record<string, string> {
    const forms = { "text/plain": this.showing().title, "text/html": this.html };
    return this.#script === undefined ? { ...forms, "image/svg+xml": this.svg } : forms;
  }
}

/**
 * The style sheet that all figures share: put it into a page once and use each figure's `fragment`.
 *
 * @returns CSS text, without a `<style>` element.
 * @category Figures
 * @example
 * ```ts
 * import { figureStyles, tokenStrip } from "transformer-circuits/viz";
 *
 * const strip = tokenStrip({ tokens: ["a", " b"], values: [0, 1] });
 * const page = `<style>${figureStyles()}</style>${strip.fragment}`;
 * console.log(page.split("<style>").length - 1);
 * // 1
 * ```
 */
export function figureStyles(): string {
  return `${svgStyles()}\n${pageStyles()}`;
}

/**
 * The script that interactive figures share: put it into a page once, after their markup, where that is added without
 * its own (`figure.fragment` has it).
 *
 * @returns JavaScript text, without a `<script>` element.
 * @category Figures
 * @example
 * ```ts
 * import { figureScript, table } from "transformer-circuits/viz";
 *
 * const { fragment } = table({ columns: [{ label: "head" }], rows: [["L0H0"]] });
 * console.log(figureScript().includes(fragment.split("<script>")[1]?.split("</script>")[0] ?? "none"));
 * // true
 * ```
 */
export function figureScript(): string {
  return PAGE_SCRIPT;
}

/** Refuses what is no figure. */
export function checkFigure(figure: unknown, operation: string, argument = "figure"): void {
  requireKind(FIGURE, figure, argument, operation);
}

/** Refuses what is no list of figures. */
export function checkFigures(list: unknown, operation: string, argument: string): void {
  requireKind("list", list, argument, operation);
  const figures = list as ArrayLike<unknown>;
  for (let i = 0; i < figures.length; i++) checkFigure(figures[i], operation, `${argument}[${i}]`);
}

/** From this width on a drawing has another one for narrow places, which is about so wide. */
const WIDE = 400;
/** The width of drawings for narrow places, such as a phone. */
export const NARROW = 340;

/** The drawing for narrow places, where the given width is too much for one. */
export function narrowFrom(width: number, draw: () => Figure): Figure | undefined {
  return width > WIDE ? draw() : undefined;
}

/** Figures in rows as a page shows them: the rows wrap where there is no room. */
export function rowsMarkup(
  label: string,
  captions: { readonly title?: string; readonly subtitle?: string },
  rows: readonly (readonly Figure[])[],
  names: readonly string[] = [],
): string {
  const title = captions.title ? `<strong>${escapeHtml(captions.title)}</strong>` : "";
  const subtitle = captions.subtitle ? `<span>${escapeHtml(captions.subtitle)}</span>` : "";
  const head = title + subtitle === "" ? "" : `<div class="tc-head">${title}${subtitle}</div>\n`;
  const lines = rows.map((row, i) => {
    const name = names[i] === undefined ? "" : `<div class="tc-row-name">${escapeHtml(names[i])}</div>`;
    return `<div class="tc-row">${name}${row.map(({ pieces }) => pieces).join("\n")}</div>`;
  });
  return `<div class="tc-fig tc-fit tc-rows" role="group" aria-label="${escapeHtml(label)}">\n${head}${lines.join("\n")}\n</div>`;
}

/** An SVG `<text>`; the text is escaped here and nowhere else. */
export function svgText(x: number, y: number, classes: string, text: string, attributes = ""): string {
  return `<text x="${px(x)}" y="${px(y)}" class="${classes}"${attributes === "" ? "" : ` ${attributes}`}>${escapeHtml(text)}</text>`;
}

/** An SVG `<rect>`; `inner` is markup, usually a `<title>`. */
export function svgRect(x: number, y: number, width: number, height: number, attributes: string, inner = ""): string {
  const open = `<rect x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(height)}" ${attributes}`;
  return inner === "" ? `${open}/>` : `${open}>${inner}</rect>`;
}

/** An SVG `<line>`. */
export function svgLine(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" ${attributes}/>`;
}

/** A hover text. */
export function svgTitle(text: string): string {
  return `<title>${escapeHtml(text)}</title>`;
}
