/** Links that pages get: public names to their pages, sections of the papers to the papers. */

/** Names written as code, `fullOVCircuit()` or `Transformer.run()`, lead to their pages, outside of code blocks. */
export function linkNames(text, names) {
  return outsideBlocks(text, (part) =>
    part.replace(/(?<![[`])`([A-Za-z]\w*)((?:\.\w+)?)(\(\))?`(?![`\]])/g, (code, name, member, call) => {
      const target = names.get(name + member) ?? (member === "" && !call ? undefined : names.get(name));
      if (target === undefined || (member === "" && !call && !/^[A-Z]/.test(name))) return code;
      return `[${code}](${target.url})`;
    }),
  );
}

const FRAMEWORK = "https://transformer-circuits.pub/2021/framework/index.html";
const INDUCTION = "https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html";

/** Sections of the papers, as texts name them, and their places. */
const SECTIONS = new Map([
  ["High-level architecture", `${FRAMEWORK}#high-level-architecture`],
  ["Interpretation as skip-trigrams", `${FRAMEWORK}#interpretation-as-skip-trigrams`],
  ["Detecting copying behavior", `${FRAMEWORK}#copying-matrix`],
  ["Three kinds of composition", `${FRAMEWORK}#three-kinds-of-composition`],
  ["Analyzing a two-layer model", `${FRAMEWORK}#analyzing-a-two-layer-model`],
  ["Induction heads", `${FRAMEWORK}#induction-heads`],
  ["Term importance analysis", `${FRAMEWORK}#term-importance-analysis`],
  ["Definition of induction heads", `${INDUCTION}#definition-of-induction-heads`],
]);

/** The papers and their sections, named as *A Mathematical Framework*, "Induction heads", lead there. */
export function linkPapers(text) {
  return outsideBlocks(text, (part) =>
    part
      .replace(/(?<![[\w])"([A-Z][^"\n]{5,60})"(?!\])/g, (said, section) => {
        const place = SECTIONS.get(section);
        return place === undefined ? said : `["${section}"](${place})`;
      })
      .replace(
        /(?<!\[)\*A Mathematical Framework(?: for Transformer Circuits)?\*(?!\])/g,
        (said) => `[${said}](${FRAMEWORK})`,
      )
      .replace(/(?<!\[)\*In-context Learning and Induction Heads\*(?!\])/g, (said) => `[${said}](${INDUCTION})`),
  );
}

/** Applies a change to all of a Markdown text but its fenced blocks and headings. */
export function outsideBlocks(text, change) {
  return text
    .split(/(^```[\s\S]*?^```[^\n]*$|^#+ .*$)/m)
    .map((part, i) => (i % 2 === 1 ? part : change(part)))
    .join("");
}
