/** The pages that stand in the repository as Markdown: docs/, the examples, the changes. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { pages, root } from "./paths.mjs";
import { linkNames, linkPapers } from "./links.mjs";

/** Paths of the repository that are pages, and where. */
export function documentPages() {
  const docs = readdirSync(`${root}docs`).filter((name) => name.endsWith(".md"));
  const examples = readdirSync(`${root}examples`).filter((name) => name.endsWith(".ts"));
  return new Map([
    ...docs.map((name) => [`docs/${name}`, name]),
    ...examples.map((name) => [`examples/${name}`, `examples/${basename(name, ".ts")}.md`]),
    ["CHANGELOG.md", "changelog.md"],
    ["CONTRIBUTING.md", "contributing.md"],
    ["SECURITY.md", "security.md"],
    ["README.md", "index.md"],
    ["site/tasks.md", "tasks.md"],
  ]);
}

/**
 * The text of a document as a page: links lead to pages; what is a file of the repository and no page is named, not linked.
 *
 * @param {string} path where it lies in the repository
 * @param {Map<string, string>} found pages by path
 */
export function mendLinks(text, path, found) {
  const home = dirname(found.get(path));
  return text.replace(/(?<!!)\[([^\]]*)\]\(([^)\s]+)\)/g, (link, words, target) => {
    if (/^(https?:|mailto:|#)/.test(target)) return link;
    const [file, place] = target.split("#");
    const inside = normalize(join(dirname(path), file));
    const page = found.get(inside);
    if (page === undefined) return `<span class="file" title="${inside}">${words}</span>`;
    const way = relative(home, page) || basename(page);
    return `[${words}](${way.startsWith(".") ? way : `./${way}`}${place === undefined ? "" : `#${place}`})`;
  });
}

/** An example as a page: what its head says, what it prints, its code. */
function examplePage(name) {
  const text = readFileSync(`${root}examples/${name}`, "utf8");
  const [, head = "", code = text] = /^\/\*\*\n([\s\S]*?)\n \*\/\n([\s\S]*)$/.exec(text) ?? [];
  const lines = head.split("\n").map((line) => line.replace(/^ \* ?/, ""));
  const at = lines.findIndex((line) => /^prints:/i.test(line));
  const said = (at < 0 ? lines : lines.slice(0, at)).join("\n").trim();
  const printed = at < 0 ? [] : lines.slice(at + 1).map((line) => line.replace(/^ {2}/, ""));
  const [, number, title, rest] = /^(\d+)\. ([^:]+)(?:: ([\s\S]*))?$/.exec(said) ?? [undefined, "", name, said];
  const prints = printed.length === 0 ? "" : `\nIt prints\n\n\`\`\`text\n${printed.join("\n").trim()}\n\`\`\`\n`;
  const first = rest === undefined ? "" : `${rest[0].toUpperCase()}${rest.slice(1)}\n`;
  return `# Example ${number}: ${title}\n\n${first}\nIn the repository, \`npm run example ${name.slice(0, 2)}\` runs it.\n\n\`\`\`ts\n${code.trim()}\n\`\`\`\n${prints}`;
}

/** A document's text; without the column of the paper map that names files, since its names lead to their pages. */
function documentText(path) {
  const text = readFileSync(root + path, "utf8");
  if (path !== "docs/paper-map.md") return text;
  return text.replace(/^\|.*\|$/gm, (row) => {
    const cells = row.slice(1, -1).split(row.startsWith("|-") ? "|" : " | ");
    return cells.length === 4 ? `|${cells.filter((_, i) => i !== 2).join(row.startsWith("|-") ? "|" : " | ")}|` : row;
  });
}

const readTitle = (page) => /^# Example (.*)$/m.exec(readFileSync(pages + page, "utf8"))[1];

/**
 * Writes them; the examples as the list at the side has them.
 *
 * @param {Map<string, { url: string }>} names where a public name has its page
 */
export function writeDocuments(names) {
  const found = documentPages();
  for (const [path, page] of found) {
    if (path === "README.md") continue;
    mkdirSync(dirname(pages + page), { recursive: true });
    const text = path.endsWith(".ts") ? examplePage(basename(path)) : documentText(path);
    writeFileSync(
      pages + page,
      linkPapers(linkNames(path.startsWith("site/") ? text : mendLinks(text, path, found), names)),
    );
  }
  cpSync(`${root}docs/images`, `${pages}images`, { recursive: true });
  return [...found.values()]
    .filter((page) => page.startsWith("examples/"))
    .map((page) => ({ text: readTitle(page), link: `/${page.replace(/\.md$/, "")}` }));
}
