/** What the sections share: the data, the running number of figures, and how a figure stands in the page. */
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

const FRAMEWORK = {
  paper: "A Mathematical Framework",
  address: "https://transformer-circuits.pub/2021/framework/index.html",
};
const INDUCTION = {
  paper: "In-context Learning and Induction Heads",
  address: "https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html",
};

/** Sections of the papers that captions name, with their places. */
const SOURCES = {
  architecture: { ...FRAMEWORK, section: "High-level architecture", place: "#high-level-architecture" },
  expansion: { ...FRAMEWORK, section: "The path expansion trick", place: "#onel-path-expansion" },
  skipTrigrams: { ...FRAMEWORK, section: "Interpretation as skip-trigrams", place: "#interpretation-as-skip-trigrams" },
  copying: { ...FRAMEWORK, section: "Detecting copying behavior", place: "#copying-matrix" },
  composition: { ...FRAMEWORK, section: "Three kinds of composition", place: "#three-kinds-of-composition" },
  attention: { ...FRAMEWORK, section: "Analyzing a two-layer model", place: "#analyzing-a-two-layer-model" },
  induction: { ...FRAMEWORK, section: "Induction heads", place: "#induction-heads" },
  importance: { ...FRAMEWORK, section: "Term importance analysis", place: "#term-importance-analysis" },
  heads: { ...INDUCTION, section: "Definition of induction heads", place: "#definition-of-induction-heads" },
} as const;

/** A paper's section, as captions name it. */
export type Source = keyof typeof SOURCES;

/** A link to a paper's section, or to the paper. */
export function reference(source: Source, whole = false): Html {
  const { paper, address, section, place } = SOURCES[source];
  return whole
    ? markup`<a href="${address}">${paper}</a>`
    : markup`<a href="${address + place}">${paper}, “${section}”</a>`;
}

/** What stands below a figure. */
export interface Caption {
  readonly text: Content;
  readonly source?: Source;
  /** Whether the figure may be scrolled, being long. */
  readonly tall?: boolean;
  /** What is to be clicked to see it, where it is folded. */
  readonly folded?: Content;
}

/** One rendering of one page. */
export class PageContext {
  readonly data: ReportData;
  #figures = 0;

  constructor(data: ReportData) {
    this.data = data;
  }

  /** A figure with its number and caption. */
  figure(figure: Figure, { text, source, tall = false, folded }: Caption): Html {
    this.#figures += 1;
    const plot = tall
      ? markup`<div class="plot tall" tabindex="0">${raw(figure.body)}</div>`
      : markup`<div class="plot">${raw(figure.body)}</div>`;
    const cite = source === undefined ? null : markup` <cite>(${reference(source)})</cite>`;
    const framed = markup`<figure id="figure-${this.#figures}">
      ${plot}
      <figcaption><b>Figure ${this.#figures}.</b> ${text}${cite}</figcaption>
    </figure> `;
    return folded === undefined ? framed : markup`<details><summary>${folded}</summary>${framed}</details>`;
  }

  /** The facts of a head. */
  head(label: string): HeadFacts | undefined {
    return this.data.heads.find((head) => head.label === label);
  }
}
