/** A chapter as a notebook for Deno's kernel, with what its cells gave. */
import { outputsOf } from "../../scripts/notebooks.mjs";
import { expressionsIn, withValues } from "./chapter.mjs";

const METADATA = {
  kernelspec: { display_name: "Deno", language: "typescript", name: "deno" },
  language_info: { file_extension: ".ts", mimetype: "text/x.typescript", name: "typescript" },
};

const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Links between chapters lead from notebook to notebook, those to notes to their files. */
const linked = (text) =>
  text.replace(/\]\((\d\d-[\w-]+)\.md/g, "]($1.ipynb").replace(/\]\(\.\.\/([\w-]+\.md)/g, "](../../docs/$1");

/**
 * @param chapter - a chapter.
 * @param given - what its code gave: `{ cells, values }`.
 * @param complaints - what the compiler says of its wrong parts.
 */
export function notebookOf(chapter, { cells, values }, complaints) {
  const numbers = [...values];
  let count = 0;
  const made = chapter.parts.map((part, i) => {
    const id = `cell-${i + 1}`;
    if (part.kind === "run") {
      const outputs = outputsOf(cells[count], ++count);
      return { cell_type: "code", execution_count: count, id, metadata: {}, outputs, source: linesOf(part.code) };
    }
    const text = part.kind === "wrong" ? wrongText(part, complaints) : proseText(part, numbers);
    return { cell_type: "markdown", id, metadata: {}, source: linesOf(text) };
  });
  const title = { cell_type: "markdown", id: "cell-0", metadata: {}, source: [`# ${chapter.title}`] };
  const needs = chapter.needs === undefined ? {} : { needs: chapter.needs };
  return { cells: [title, ...made], metadata: { ...METADATA, ...needs }, nbformat: 4, nbformat_minor: 5 };
}

const proseText = ({ text }, numbers) => linked(withValues(text, numbers.splice(0, expressionsIn(text).length)));

const wrongText = (part, complaints) =>
  `This does not compile:\n\n\`\`\`ts\n${part.code}\n\`\`\`\n\n\`\`\`text\n${complaints.get(part).text}\n\`\`\``;
