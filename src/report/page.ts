/** The report as one HTML page that needs nothing else. */
import { figureScript, figureStyles } from "../viz/index.ts";
import { PageContext } from "./page/context.ts";
import type { Section } from "./page/context.ts";
import { markup, raw } from "./page/html.ts";
import type { Html } from "./page/html.ts";
import { keyFacts, leadParagraph } from "./page/lead.ts";
import { nonceOf } from "./page/nonce.ts";
import { PAGE_SCRIPT } from "./page/script.ts";
import { composition, eigenvalues } from "./page/sections-circuits.ts";
import { attention, heads } from "./page/sections-heads.ts";
import { induction, method } from "./page/sections-induction.ts";
import { architecture, lossByPosition } from "./page/sections-model.ts";
import { importance, paths } from "./page/sections-paths.ts";
import { training } from "./page/section-training.ts";
import { positivity, skipTrigrams } from "./page/sections-tests.ts";
import { reportStyles } from "./page/styles.ts";
import { count, whole } from "./page/words.ts";
import type { ReportData } from "./types.ts";

const SECTIONS = [
  architecture,
  lossByPosition,
  heads,
  attention,
  eigenvalues,
  composition,
  positivity,
  skipTrigrams,
  paths,
  importance,
  induction,
  training,
  method,
] as const;

/**
 * Draws a report as one HTML page: nothing is fetched, everything is inside, and a content-security policy allows the
 * page's own scripts only. It follows the reader's light or dark scheme, has a switch for it, prints, and is whole
 * without scripts but for the attention explorer.
 *
 * @param data - from {@link analyse}.
 * @returns the text of an HTML file; the same data give the same text.
 * @category Report
 * @example
 * ```ts
 * import { analyse, renderReport } from "transformer-circuits/report";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const data = await analyse(model, tokenizer, "interface Array<T> { length: number; }", { maxTokens: 100 });
 * const page = renderReport(data);
 * console.log(page.slice(0, 15), page.match(/<section /g)?.length);
 * // <!doctype html> 12
 * ```
 */
export function renderReport(data: ReportData): string {
  const page = new PageContext(data);
  const sections = SECTIONS.map((section) => section(page)).filter((section) => section !== undefined);
  const main = markup`${header(data)}
${sections.map(sectionMarkup)}`;
  const nonce = nonceOf(main.text);
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src data:; base-uri 'none'; form-action 'none'`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="transformer-circuits">
<title>${data.title}</title>
<style nonce="${nonce}">
${raw(reportStyles())}
${raw(figureStyles())}
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<div class="page">
${contents(sections)}
<main id="main">
${main}
</main>
</div>
<script nonce="${nonce}">${raw(figureScript())}
${raw(PAGE_SCRIPT)}</script>
</body>
</html>
`.text;
}

function contents(sections: readonly Section[]): Html {
  return markup`<nav aria-label="Contents">
<h2>Contents</h2>
<ol>
${sections.map(({ id, title, short }) => markup`<li><a href="#${id}">${short ?? title}</a></li>`)}
</ol>
<button type="button" class="theme" hidden>Dark colours</button>
</nav>`;
}

function header(data: ReportData): Html {
  const { config, text } = data;
  const size =
    config.n_layers === 0 ? "no layers" : `${count(config.n_layers, "layer")} of ${count(config.n_heads, "head")}`;
  return markup`<header>
<h1>${data.title}</h1>
<p class="byline">${size}, d_model ${config.d_model} · ${whole(text.tokens)} tokens of ${text.source} · seed ${data.seed}</p>
<div class="text">${leadParagraph(data)}</div>
${keyFacts(data)}
</header>`;
}

function sectionMarkup({ id, title, body }: Section, index: number): Html {
  return markup`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title"><span class="n">${index + 1}</span>${title}</h2>
${body}
</section>
`;
}
