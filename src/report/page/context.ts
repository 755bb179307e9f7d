/** What the sections share: the data, the nonce, the running number of figures, and how a figure stands in the page. */
import type { Figure } from "../../viz/index.ts";
import type { HeadFacts, ReportData } from "../types.ts";
import { markup, raw } from "./html.ts";
import type { Content, Html } from "./html.ts";

/** One section of the page. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** The title in the table of contents, where it is shorter. */
  readonly short?: string;
  readonly body: Html;
}

/** What stands below a figure. */
export interface Caption {
  readonly text: Content;
  /** Paper and section. */
  readonly source?: string;
  /** Whether the figure may be scrolled, being long. */
  readonly tall?: boolean;
}

/** One rendering of one page. */
export class PageContext {
  readonly data: ReportData;
  readonly nonce: string;
  #figures = 0;

  constructor(data: ReportData, nonce: string) {
    this.data = data;
    this.nonce = nonce;
  }

  /** A figure with its number and caption. */
  figure(figure: Figure, caption: Caption): Html {
    return this.framed(raw(figure.fragment), caption);
  }

  /** Markup with a figure's number and caption. */
  framed(content: Content, caption: Caption): Html {
    this.#figures += 1;
    const plot =
      caption.tall === true
        ? markup`<div class="plot tall" tabindex="0">${content}</div>`
        : markup`<div class="plot">${content}</div>`;
    const source = caption.source === undefined ? null : markup` <cite>(${caption.source})</cite>`;
    return markup`<figure id="figure-${this.#figures}">
      ${plot}
      <figcaption><b>Figure ${this.#figures}.</b> ${caption.text}${source}</figcaption>
    </figure> `;
  }

  /** The facts of a head. */
  head(label: string): HeadFacts | undefined {
    return this.data.heads.find((head) => head.label === label);
  }
}

/** Papers as captions name them. */
export const FRAMEWORK = "A Mathematical Framework for Transformer Circuits";
export const INDUCTION = "In-context Learning and Induction Heads";
