/** Links that pages get: public names to their pages, sections of the papers to the papers. */

/** Names written as code, `fullOVCircuit()` or `Transformer.run()`, lead to their pages. */
export function linkNames(text, names) {
  return outsideBlocks(text, (part) =>
    part.replace(/(?<![[`])`([A-Za-z]\w*)((?:\.\w+)?)(\(\))?`(?![`\]])/g, (code, name, member, call) => {
      const url = names.get(name + member) ?? (member === "" ? undefined : names.get(name));
      if (url === undefined || (member === "" && !call && !/^[A-Z]/.test(name))) return code;
      return `[${code}](${url})`;
    }),
  );
}

const FRAMEWORK = "https://transformer-circuits.pub/2021/framework/index.html";
const INDUCTION = "https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html";

/** Sections of the papers, in small letters as texts name them, and their places. */
const SECTIONS = new Map([
  ["transformer overview", `${FRAMEWORK}#transformer-overview`],
  ["model simplifications", `${FRAMEWORK}#model-simplifications`],
  ["high-level architecture", `${FRAMEWORK}#high-level-architecture`],
  ["virtual weights", `${FRAMEWORK}#virtual-weights`],
  ["residual stream", `${FRAMEWORK}#residual-comms`],
  ["residual stream bandwidth", `${FRAMEWORK}#subspaces-and-residual-stream-bandwidth`],
  ["subspaces and residual stream bandwidth", `${FRAMEWORK}#subspaces-and-residual-stream-bandwidth`],
  ["attention heads are independent and additive", `${FRAMEWORK}#architecture-attn-independent`],
  ["attention heads as information movement", `${FRAMEWORK}#architecture-attn-as-movement`],
  ["zero-layer transformers", `${FRAMEWORK}#zero-layer-transformers`],
  ["the path expansion trick", `${FRAMEWORK}#onel-path-expansion`],
  ["path expansion trick", `${FRAMEWORK}#onel-path-expansion`],
  [
    "splitting attention head terms into query-key and output-value circuits",
    `${FRAMEWORK}#splitting-attention-head-terms-into-circuits`,
  ],
  ["interpretation as skip-trigrams", `${FRAMEWORK}#interpretation-as-skip-trigrams`],
  ["copying / primitive in-context learning", `${FRAMEWORK}#copying--primitive-in-context-learning`],
  ["skip-trigram bugs", `${FRAMEWORK}#skip-trigram-bugs`],
  ["summarizing ov/qk matrices", `${FRAMEWORK}#summarizing-ovqk-matrices`],
  ["detecting copying behavior", `${FRAMEWORK}#copying-matrix`],
  ["three kinds of composition", `${FRAMEWORK}#three-kinds-of-composition`],
  ["path expansion of logits", `${FRAMEWORK}#path-expansion-of-logits`],
  ["path expansion of attention scores qk circuit", `${FRAMEWORK}#path-expansion-of-attention-scores-qk-circuit`],
  ["analyzing a two-layer model", `${FRAMEWORK}#analyzing-a-two-layer-model`],
  ["induction heads", `${FRAMEWORK}#induction-heads`],
  ["term importance analysis", `${FRAMEWORK}#term-importance-analysis`],
  ["virtual attention heads", `${FRAMEWORK}#virtual-attention-heads`],
  ["additional intuition and observations", `${FRAMEWORK}#additional-intuition`],
  ["definition of induction heads", `${INDUCTION}#definition-of-induction-heads`],
]);

/** Where a section of a paper is, if that is known. */
export const placeOf = (section) => SECTIONS.get(section.toLowerCase().replace(/\s+/g, " "));

/** The papers, and their sections in quotes or at the head of a table's cell, lead there. */
export function linkPapers(text) {
  return outsideBlocks(text, (part) =>
    part
      .replace(/(?<![[\w=])"([A-Z][^"|]{5,80})"(?!\])/g, (said, section) => {
        const place = placeOf(section);
        return place === undefined ? said : `[“${section}”](${place})`;
      })
      .replace(/^\| \*([^*]+)\*/gm, (said, section) => {
        const place = placeOf(section);
        return place === undefined ? said : `| [*${section}*](${place})`;
      })
      .replace(
        /(?<!\[)\*A\s+Mathematical\s+Framework(?:\s+for\s+Transformer\s+Circuits)?\*(?!\])/g,
        (said) => `[${said}](${FRAMEWORK})`,
      )
      .replace(
        /(?<!\[)\*In-context\s+Learning\s+and\s+Induction\s+Heads\*(?!\])/g,
        (said) => `[${said}](${INDUCTION})`,
      ),
  );
}

/** Applies a change to all of a Markdown text but its fenced blocks and headings. */
export function outsideBlocks(text, change) {
  return text
    .split(/(^```[\s\S]*?^```[^\n]*$|^#+ .*$)/m)
    .map((part, i) => (i % 2 === 1 ? part : change(part)))
    .join("");
}
