/** The gallery: every figure of the list with its picture, what it shows, where it comes from, and the call. */
import { readFileSync, writeFileSync } from "node:fs";
import { linkPapers } from "./links.mjs";
import { data, pages } from "./paths.mjs";

export const readFigures = () => JSON.parse(readFileSync(`${data}figures.json`, "utf8"));

const quoted = (text) =>
  text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** A figure where it stands in a page. */
export const picture = ({ name, label, height }) =>
  `<LiveFigure name="${name}" label="${quoted(label)}" :height="${height}" />`;

/** The papers, as titles of the gallery's parts. */
const PARTS = [
  [/^A Mathematical Framework/, "A Mathematical Framework for Transformer Circuits"],
  [/^ARENA/, "ARENA, chapter 1.2"],
  [/^In-context/, "In-context Learning and Induction Heads"],
  [/./, "Interventions and circuits"],
];

/** A source's quoted section becomes a link where its place is known. */
const sourceOf = ({ source }) =>
  linkPapers(source.replace(/^(A Mathematical Framework[^,]*|In-context Learning[^,]*)/, "*$1*"));

function entryOf(figure, names, lines) {
  const { name, title, needs, isGrown, functions } = figure;
  const given = needs.includes("text")
    ? "{ ...(await openBundledModel()), text }"
    : isGrown
      ? "{ ...(await openBundledModel()), checkpoints }"
      : "await openBundledModel()";
  const links = functions.map((one) => `[\`${one}()\`](${names.get(one)})`);
  const said = functions.map((one) => lines.get(one)).find((line) => line !== undefined);
  const grown = isGrown
    ? " The package has no checkpoints of a training run: here the model's second layer grows from nothing to what it is, in per cent."
    : "";
  return [
    `### ${title} {#${name}}`,
    `${said ?? ""}${grown}`,
    picture(figure),
    `\`\`\`ts\nawait makeFigure(${JSON.stringify(name)}, ${given});\n\`\`\``,
    `From ${sourceOf(figure)}.${links.length === 0 ? "" : ` Data and drawing: ${links.join(", ")}.`}`,
  ].join("\n\n");
}

/** Writes the gallery. */
export function writeGallery({ list }, names, lines) {
  const rest = new Set(list);
  const parts = PARTS.map(([pattern, title]) => {
    const own = [...rest].filter(({ source }) => pattern.test(source));
    for (const one of own) rest.delete(one);
    return `## ${title}\n\n${own.map((one) => entryOf(one, names, lines)).join("\n\n")}`;
  });
  const head = `---
outline: [2, 3]
---
# Gallery

The ${list.length} figures that the library makes of a model by name, here of the one inside the package, as \`npx transformer-circuits figure <name>\` writes them. Each has a function for its data and one that draws them; the [drawings](./reference/figures/index.md) that they are made of take any numbers.

\`\`\`ts
import { makeFigure } from "transformer-circuits/figures";
import { openBundledModel } from "transformer-circuits/bundled";

const { figure } = await makeFigure("ov-eigenvalues", await openBundledModel());
\`\`\`
`;
  writeFileSync(`${pages}gallery.md`, `${head}\n${parts.join("\n\n")}\n`);
}
