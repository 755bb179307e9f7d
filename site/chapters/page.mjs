/** A chapter as markdown for VitePress, with what its cells gave under them. */
import { expressionsIn, withValues } from "./chapter.mjs";

/**
 * Markup that Vue takes as it is: as text that an element has from `v-html`, it is neither compiled nor split by a
 * blank line.
 */
function markup(html, name = "tc-output") {
  const literal = JSON.stringify(html).replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
  return `<div class="${name}" v-html="${literal.replace(/>/g, "&gt;")}"></div>`;
}

/** The style sheet of all figures, for the page that has them. */
export const pageStyles = (css) => markup(`<style>${css}</style>`, "tc-styles");

/** The folder of a chapter's live figures among those of the site. */
export const FIGURES = "guide";

const fence = (text, language) => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;

/**
 * What a cell gave: a drawing as a page has it, another value as its table or card, else its text. A figure with a
 * script becomes a file, which the page's component `LiveFigure` shows and brings to life.
 */
function output({ text, data, body }, name, files) {
  const blocks = text === "" ? [] : [fence(text, "txt")];
  const html = data?.["text/html"];
  if (data === undefined) return blocks;
  if (html === undefined) return [...blocks, fence(data["text/plain"], "txt")];
  if (!html.includes("<script>")) return [...blocks, markup(body ?? html)];
  files.set(`${name}.html`, html);
  return [...blocks, `<LiveFigure name="${FIGURES}/${name}" label="${labelOf(data)}" :height="400" />`];
}

/** Of `Figure(heatmap: What it shows, 520 × 234)`, what it shows. */
const labelOf = (data) =>
  (/^Figure\(\w+: (.*), \d+ × \d+\)$/s.exec(data["text/plain"])?.[1] ?? "a figure")
    .replace(/&/g, "&amp;")
    .replace(/"/g, "&quot;")
    .replace(/</g, "&lt;");

function wrong(part, complaints) {
  const { line, text } = complaints.get(part);
  const lines = part.code.split("\n").map((code, i) => (i === line ? `${code} // [!code error]` : code));
  return [fence(lines.join("\n"), "ts"), `::: danger It does not compile\n${fence(text, "txt")}\n:::`];
}

/**
 * @param chapter - a chapter.
 * @param given - what its code gave: `{ cells, values }`.
 * @param complaints - what the compiler says of its wrong parts.
 * @param around - `styles`, what the page begins with, and `notebook`, where the same chapter is as a notebook.
 * @returns the page's text, and the files of its live figures by name.
 */
export function pageOf(chapter, { cells, values }, complaints, { styles, notebook }) {
  const [restOfCells, restOfValues] = [[...cells], [...values]];
  const files = new Map();
  const blocks = chapter.parts.flatMap((part, i) => {
    if (part.kind === "prose") return [withValues(part.text, restOfValues.splice(0, expressionsIn(part.text).length))];
    if (part.kind === "wrong") return wrong(part, complaints);
    return [fence(part.code, "ts"), ...output(restOfCells.shift(), `${chapter.name}-${i}`, files)];
  });
  const { title, description } = chapter;
  const front = `---\ntitle: ${JSON.stringify(title)}\ndescription: ${JSON.stringify(description)}\n---`;
  const last = `*This chapter is also a notebook for Deno's kernel: ${notebook}.*`;
  return { text: `${[front, styles, `# ${title}`, ...blocks, last].join("\n\n")}\n`, files };
}
