/**
 * The command `docs`: the documentation that the package carries, in the terminal. Its documents are Markdown files;
 * what it says of a name stands in the declaration files, where editors read it too.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "../errors.ts";
import { nearestNames } from "../nearest.ts";
import { runCommand } from "./run.ts";

/** One public name: what it says of itself, and its declaration. */
interface Entry {
  readonly name: string;
  readonly comment: string;
  readonly declaration: string;
  /** The names under which it is imported. */
  readonly entries: readonly string[];
}

const PACKAGE = "transformer-circuits";
const MOST = 25;

/**
 * Prints a document, a name, or the names that words lead to; without words, what there is. Returns the exit status.
 *
 * @param command - the command's own file, beside which the declaration files lie.
 */
export function docs(command: string, words: readonly string[]): Promise<number> {
  return runCommand("reading the documentation", async () => {
    const folder = dirname(command);
    const documents = await documentsOf(dirname(folder));
    if (words.length === 0) return contents(documents);
    const asked = words.join(" ");
    const document = documents.find(({ name }) => name === asked.toLowerCase());
    if (document !== undefined) return (await readDocument(document.path)).trimEnd();
    const entries = await entriesOf(folder);
    const exact = entries.filter(({ name }) => name === asked.replace(/\(\)$/, ""));
    if (exact.length > 0) return exact.map(shown).join("\n\n");
    return found(entries, documents, asked);
  });
}

interface Document {
  readonly name: string;
  readonly title: string;
  readonly path: string;
}

/** The documents of the package, by the names that the command knows. */
async function documentsOf(root: string): Promise<Document[]> {
  const names = async (folder: string, ending: string): Promise<string[]> =>
    (await readdir(join(root, folder)).catch(() => [])).filter((file) => file.endsWith(ending)).sort();
  const files = [
    "README.md",
    ...(await names("docs", ".md")).map((file) => `docs/${file}`),
    ...(await names("examples/notebooks", ".ipynb")).map((file) => `examples/notebooks/${file}`),
    ...(await names("examples", ".ts")).map((file) => `examples/${file}`),
    "CHANGELOG.md",
  ];
  const read = files.map(async (file): Promise<Document | undefined> => {
    const path = join(root, file);
    const text = await readDocument(path).catch(() => undefined);
    if (text === undefined) return undefined;
    const title = /^(?:# | \* \d+\. )([^\n:]+)/m.exec(text)?.[1]?.trim() ?? "";
    const name = basename(file.toLowerCase()).replace(/\.\w+$/, "");
    return { name: file.endsWith(".ipynb") ? `guide-${name}` : name, title, path };
  });
  return (await Promise.all(read)).filter((document) => document !== undefined);
}

interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly outputs?: readonly {
    readonly text?: readonly string[];
    readonly data?: Readonly<Record<string, unknown>>;
  }[];
}

/** A document's text; a chapter of the guide, which is a notebook, as prose, code and what the code gave in words. */
async function readDocument(path: string): Promise<string> {
  const text = await readFile(path, "utf8");
  if (!path.endsWith(".ipynb")) return text;
  const joined = (lines: unknown): string =>
    (Array.isArray(lines) ? lines.join("") : typeof lines === "string" ? lines : "").trimEnd();
  const { cells } = JSON.parse(text) as { cells: readonly Cell[] };
  return cells
    .map(({ cell_type, source, outputs = [] }) => {
      if (cell_type !== "code") return joined(source);
      const given = outputs.map((output) => joined(output.text ?? output.data?.["text/plain"])).filter(Boolean);
      return ["```ts", joined(source), "```", ...(given.length === 0 ? [] : ["", ...given])].join("\n");
    })
    .join("\n\n");
}

/** What there is, and how to ask for it. */
function contents(documents: readonly Document[]): string {
  const width = Math.max(...documents.map(({ name }) => name.length));
  return [
    `${PACKAGE} docs <document>    prints a document:`,
    "",
    ...documents.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`),
    "",
    `${PACKAGE} docs <name>        prints what a function, class or type is, as: docs copyingScores`,
    `${PACKAGE} docs <words>       lists the names that words lead to, as: docs logit lens`,
  ].join("\n");
}

/** The public names, read from the declaration files. */
async function entriesOf(folder: string): Promise<Entry[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".d.ts"));
  const texts = new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), "utf8")] as const)),
  );
  const exported = new Map<string, string[]>();
  for (const [file, text] of texts) {
    // Files that several entries share end in a dash and eight letters of a digest.
    if (/-[\w-]{8}\.d\.ts$/.test(file)) continue;
    const entry = file === "index.d.ts" ? PACKAGE : `${PACKAGE}/${file.replace(/\.d\.ts$/, "")}`;
    for (const [, list = ""] of text.matchAll(/^export \{([^}]*)\}/gm))
      for (const part of list.split(",")) {
        const name = part
          .trim()
          .replace(/^type /, "")
          .replace(/^.* as /, "");
        if (name !== "") exported.set(name, [...(exported.get(name) ?? []), entry]);
      }
  }
  const entries = [...texts.values()].flatMap((text) => declarationsOf(text, exported));
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const DECLARED =
  /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n(?:export )?(?:declare )?(?:abstract )?(function|class|interface|type|const) (\w+)/g;

/** The documented declarations of a file, of those that are exported; overloads as one each. */
function declarationsOf(text: string, exported: ReadonlyMap<string, readonly string[]>): Entry[] {
  return [...text.matchAll(DECLARED)].flatMap((match) => {
    const [whole, comment = "", kind = "", name = ""] = match;
    const entries = exported.get(name);
    if (entries === undefined) return [];
    const start = match.index + whole.length - name.length - kind.length - 1;
    return [{ name, comment: plain(comment), declaration: declarationAt(text, start, kind), entries }];
  });
}

/** The text of a declaration: to the end of its line, or to the brace that closes it. */
function declarationAt(text: string, start: number, kind: string): string {
  const end =
    kind === "class" || kind === "interface" ? text.indexOf("\n}", start) + 2 : text.indexOf(";\n", start) + 1;
  return text.slice(start, end);
}

/** A comment as text: without its stars, its category and the braces of its links. */
function plain(comment: string): string {
  return comment
    .replace(/^ *\* ?/gm, "")
    .replace(/^@category.*\n/gm, "")
    .replace(/\{@link (\w+)\}/g, "$1")
    .trim();
}

function shown({ name, comment, declaration, entries }: Entry): string {
  const from = [...new Set(entries)].sort((a, b) => a.length - b.length)[0] ?? PACKAGE;
  return `import { ${name} } from "${from}";\n\n${declaration}\n\n${comment}`;
}

const WIDTH = 110;

/** The first sentence, cut where it is long for a terminal. */
function firstLine({ comment }: Entry): string {
  const [text = ""] = comment.split(/\n\s*\n|\n@/);
  const [sentence] = /^.*?[.:](?=\s|$)/.exec(text.replace(/\s+/g, " ")) ?? [text];
  return sentence.length > WIDTH ? `${sentence.slice(0, WIDTH - 1)}…` : sentence.replace(/:$/, ".");
}

/** A word cut so that its forms find each other: ablate, ablated, ablation. */
function stem(word: string): string {
  const cut = word.replace(/(?:ations?|ating|ated|ates|ate|tions?|ings?|ed|es|s|e)$/, "");
  return cut.length < 3 ? word : cut;
}

/** The words of a text, and those that a name is made of. */
const wordsOf = (text: string): string[] =>
  text
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");

/** The names that hold all of the words, in the name before the first line before the rest of what is said. */
function found(entries: readonly Entry[], documents: readonly Document[], asked: string): string {
  const words = wordsOf(asked).map(stem);
  const holds = (text: string): boolean => {
    const own = wordsOf(text);
    return words.every((word) => own.some((one) => one.startsWith(word)));
  };
  const ranks = [
    (entry: Entry) => holds(entry.name),
    (entry: Entry) => holds(`${entry.name} ${firstLine(entry)}`),
    (entry: Entry) => holds(`${entry.name} ${entry.comment}`),
  ];
  /** Functions come before types; then names of more of the words, that begin with them, that have fewer others. */
  const standing = (entry: Entry): readonly number[] => {
    const own = wordsOf(entry.name);
    const said = words.filter((word) => own.some((one) => one.startsWith(word))).length;
    const begins = own[0]?.startsWith(words[0] ?? "") === true;
    const isFunction = entry.declaration.startsWith("function");
    return [ranks.findIndex((rank) => rank(entry)), isFunction ? 0 : 1, -said, begins ? 0 : 1, own.length];
  };
  const ranked = entries
    .map((entry) => [standing(entry), entry] as const)
    .filter(([[rank = -1]]) => rank >= 0)
    .sort(([a], [b]) => a.map((x, i) => x - (b[i] ?? 0)).find((x) => x !== 0) ?? 0)
    .map(([, entry]) => entry);
  const names = [...new Map(ranked.map((entry) => [entry.name, entry])).values()];
  if (names.length === 0) {
    const all = [...entries.map(({ name }) => name), ...documents.map(({ name }) => name)];
    throw new InputError(
      `nothing is said of ${JSON.stringify(asked)}. Nearest: ${nearestNames(asked, all, 4).join(", ")}.`,
      {
        operation: "docs",
        argument: "words",
        expected: "a document, a name, or words that some of them hold",
        actual: asked,
      },
    );
  }
  const width = Math.max(...names.slice(0, MOST).map(({ name }) => name.length));
  const more = names.length > MOST ? [`and ${names.length - MOST} more; give another word`] : [];
  return [...names.slice(0, MOST).map((entry) => `${entry.name.padEnd(width)}  ${firstLine(entry)}`), ...more].join(
    "\n",
  );
}
