/**
 * The reference: TypeDoc reads the package, typedoc-plugin-markdown writes what each name is, and the pages are those of the
 * files of src/: a file holds one idea, so that options stand beside their functions.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Application, DeclarationReflection, ReflectionKind } from "typedoc";
import { MarkdownPageEvent } from "typedoc-plugin-markdown";
import options, { categories as known } from "../typedoc.config.mjs";
import { linkPapers, outsideBlocks } from "./links.mjs";
import { data, pages, root } from "./paths.mjs";
import { parts, words } from "./words.mjs";

const out = `${pages}reference`;
/** The parts in the order in which a reader wants them. */
const categories = Object.keys(parts).filter((name) => known.includes(name));

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
const isCallable = (name) => name.kindOf(ReflectionKind.Function | ReflectionKind.Class);
const commentOf = (name) => name.comment ?? name.signatures?.[0]?.comment ?? name.type?.declaration?.comment;
const textOf = (list = []) => list.map(({ text }) => text).join("");
/** What a heading of the name says. */
const shown = (name) => (name.kindOf(ReflectionKind.Function) ? `${name.name}()` : name.name);

/** The first sentence of what a name's comment says. */
function lineOf(name) {
  const text = textOf(commentOf(name)?.summary).replace(/\s+/g, " ").trim();
  const [sentence] = /^.*?(?:[.:](?=\s|$)|$)(?<!\b(?:e\.g|i\.e|vs|cf|et al)\.)/.exec(text) ?? [text];
  return sentence.replace(/:$/, ".").replace(/\|/g, "\\|");
}

/** What a file says of itself at its head. */
function headOf(path) {
  const text = readFileSync(`${root}src/${path}`, "utf8");
  const head = /^\/\*\*\n?([\s\S]*?)\*\//.exec(text)?.[1];
  if (head === undefined || /@category|@packageDocumentation|@module/.test(head)) return "";
  return head
    .replace(/^ *\* ?/gm, "")
    .replace(/\{@link (\w+)\}/g, "`$1`")
    .trim();
}

/** One page: the names of one file. */
class ReferencePage {
  constructor(path, names) {
    const [, folder, file] = /^(?:(.*)\/)?([^/]+)\.ts$/.exec(path);
    const first = names.find(isCallable) ?? names[0];
    this.path = path;
    this.folder = folder ?? "";
    this.category = textOf(commentOf(first)?.getTag("@category")?.content).trim();
    this.names = inOrder(names);
    this.file = file === "index" ? this.folder.split("/").at(-1) : file;
    this.url = `${slug(this.category)}/${this.file}`;
    const callable = this.names.filter(isCallable);
    this.title =
      callable.length > 0 && callable.length <= 2
        ? callable.map((name) => name.name).join(", ")
        : this.names.length === 1
          ? this.names[0].name
          : this.file.replace(/-/g, " ").replace(/^./, (letter) => letter.toUpperCase());
  }
}

/** Functions and classes in the order of their file, each followed by the types that only it speaks of; then other types. */
function inOrder(names) {
  const types = new Set(names.filter((name) => !isCallable(name)));
  const placed = names.filter(isCallable).flatMap((name) => {
    const said = JSON.stringify(name.signatures?.map(({ parameters, type }) => [parameters, type].map(String)) ?? []);
    const own = [...types].filter((type) => {
      const text = (name.signatures ?? [])
        .flatMap(({ parameters = [], type: returned }) => [...parameters.map(({ type: one }) => one), returned])
        .join(" ");
      return new RegExp(`\\b${type.name}\\b`).test(text + said);
    });
    for (const type of own) types.delete(type);
    return [name, ...own];
  });
  return [...placed, ...types];
}

/** The pages of a project, in the order of the categories and of the files. */
function pagesOf(project) {
  const files = new Map();
  for (const module of project.children)
    for (const name of module.children ?? []) {
      if (name.isReference()) continue;
      const path = name.sources[0].fileName;
      files.set(path, [...(files.get(path) ?? []), name]);
    }
  const list = [...files].map(([path, names]) => new ReferencePage(path, names));
  const rank = ({ category }) => categories.indexOf(category);
  list.sort((a, b) => rank(a) - rank(b) || (a.folder === b.folder ? 0 : a.folder < b.folder ? -1 : 1));
  const used = new Map();
  for (const page of list) {
    const before = used.get(page.url);
    if (before !== undefined) page.url = `${page.url}-of-${page.folder.split("/").at(-1)}`;
    used.set(page.url, page);
  }
  return list;
}

/** The entries that export each name, the root's first. */
function entriesOf(project) {
  const found = new Map();
  for (const module of project.children)
    for (const name of module.children ?? []) {
      const target = name.isReference() ? name.getTargetReflectionDeep() : name;
      found.set(
        target,
        [...(found.get(target) ?? []), module.name].sort((a, b) => a.length - b.length),
      );
    }
  return found;
}

/** Puts the names of each page into a module of its own, which is what becomes a page. */
function regroup(project, list) {
  delete project.children;
  delete project.childrenIncludingDocuments;
  for (const page of list) {
    const module = new DeclarationReflection(page.url, ReflectionKind.Module, project);
    project.registerReflection(module, undefined, undefined);
    project.addChild(module);
    for (const name of page.names) {
      name.parent = module;
      module.addChild(name);
    }
  }
  delete project.groups;
  delete project.categories;
}

/** Functions that a page's comments name, and those whose comments name it. */
function relations(list) {
  const pageOf = new Map(list.flatMap((page) => page.names.map((name) => [name, page])));
  const related = new Map(list.map((page) => [page, new Map()]));
  for (const page of list)
    for (const name of page.names) {
      const comment = commentOf(name);
      const said = [
        ...(comment?.summary ?? []),
        ...(comment?.blockTags ?? []).flatMap(({ tag, content }) => (tag === "@throws" ? [] : content)),
      ];
      for (const { kind, target } of said) {
        const other = kind === "inline-tag" && pageOf.get(target);
        if (!other || other === page || !isCallable(target)) continue;
        related.get(page).set(target, other);
        if (isCallable(name)) related.get(other).set(name, page);
      }
    }
  return related;
}

/** Writes the reference; `pictures` waits for the figures by the functions that draw them. Returns where each public name is, and a line of each. */
export async function writeReference({ pictures: waited }) {
  const app = await Application.bootstrapWithPlugins({
    ...options,
    plugin: [...options.plugin, "typedoc-plugin-markdown"],
    outputs: [{ name: "markdown", path: out }],
    router: "module",
    logLevel: "Warn",
    cleanOutputDir: true,
    disableSources: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    hidePageTitle: true,
    entryFileName: "all.md",
    useHTMLEncodedBrackets: true,
    expandParameters: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
    classPropertiesFormat: "table",
    typeAliasPropertiesFormat: "table",
    typeDeclarationFormat: "table",
    tableColumnSettings: {
      hideDefaults: true,
      hideSources: true,
      hideInherited: true,
      hideModifiers: true,
      hideOverrides: true,
    },
  });
  // Sources say which file a name lies in; pages do not show them.
  app.options.setValue("disableSources", false);
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc could not read the package.");
  app.validate(project);
  if (app.logger.hasWarnings() || app.logger.hasErrors()) throw new Error("TypeDoc has warnings: see above.");
  const exportedBy = entriesOf(project);
  const list = pagesOf(project);
  const related = relations(list);
  regroup(project, list);
  const pictures = await waited;
  app.options.setValue("disableSources", true);
  const byUrl = new Map(list.map((page) => [`${page.url}.md`, page]));
  // The router lives as long as pages are written.
  let anchors;
  const urlOf = (page, name) => `/reference/${page.url}#${anchors.get(name)}`;
  app.renderer.on(MarkdownPageEvent.END, (event) => {
    const { router } = app.renderer;
    anchors ??= new Map(list.flatMap(({ names }) => names.map((name) => [name, router.getAnchor(name)])));
    const page = byUrl.get(event.url);
    if (page) event.contents = finished(page, event.contents, { exportedBy, related, pictures, urlOf });
  });
  await app.generateOutputs(project);
  if (app.logger.hasWarnings() || app.logger.hasErrors()) throw new Error("TypeDoc has warnings: see above.");
  rmSync(`${out}/all.md`);
  writeIndexes(list, exportedBy, urlOf);
  const names = namesOf(list, urlOf);
  writeFileSync(`${data}names.json`, JSON.stringify([...names]));
  writeFileSync(`${data}reference.json`, JSON.stringify(sidebars(list)));
  const lines = new Map(list.flatMap((page) => page.names.map((name) => [name.name, lineOf(name)])));
  return { names, lines };
}

/** Where each public name and each member is. */
function namesOf(list, urlOf) {
  return new Map(
    list.flatMap((page) =>
      page.names.flatMap((name) => [
        [name.name, urlOf(page, name)],
        ...(name.children ?? []).map((member) => [`${name.name}.${member.name}`, urlOf(page, name)]),
      ]),
    ),
  );
}

const MINOR =
  /^#{3,6} (Parameters|Returns|Throws|Example|Examples|Extends|Extended by|Implements|Properties|Type Parameters|Type Declaration|Default Value|(?:Get|Set|Call) Signature)$/gm;

/** Headings of what every name has become lines, so that the list of a page is one of names; what repeats is left out. */
const plainer = (contents) =>
  outsideBlocks(contents, (part) => part.replace(/^\*\*\*$/gm, "").replace(/ \| - (?=\|)/g, " | "))
    .replace(/^#{3,6} (?:Inherited from|Overrides|Overloads)\n\n.*\n/gm, "")
    .replace(/^### (?:Methods|Accessors|Constructors)\n/gm, "")
    .replace(/^#### /gm, "### ")
    .replace(MINOR, '<p class="part">$1</p>');

/** A page as it is written: its title and head, then what typedoc-plugin-markdown says of each name, with pictures. */
function finished(page, contents, { exportedBy, related, pictures, urlOf }) {
  let text = plainer(contents);
  for (const name of page.names) {
    const heading = new RegExp(`^## ${name.name}(?:\\\\?\\(\\))?(?:\\\\?<.*)?$`, "m");
    text = text.replace(heading, () => {
      const from = exportedBy.get(name).map((entry) => `\`${entry}\``);
      const picture = pictures.get(name.name);
      const alias = words[name.name];
      return [
        `## ${shown(name)} {#${urlOf(page, name).split("#")[1]}}`,
        alias === undefined ? "" : `<!-- words: ${alias} -->`,
        `<p class="from">import from ${from.map((one) => one.replace(/`(.*)`/, "<code>$1</code>")).join(" or ")}</p>`,
        picture === undefined ? "" : picture,
      ]
        .filter((part) => part !== "")
        .join("\n\n");
    });
  }
  const others = [...related.get(page)].slice(0, 8);
  const see = others.map(([name, other]) => `- [\`${shown(name)}\`](${urlOf(other, name)}) ${lineOf(name)}`);
  const all = `- [All of ${page.category}](/reference/${slug(page.category)}/)`;
  const head = headOf(page.path);
  return linkPapers(
    outsideBlocks(
      [`# ${page.title} {#top-of-page}`, head, text.trim(), "## See also {#see-also}", [...see, all].join("\n")].join(
        "\n\n",
      ),
      (part) => part.replace(/\{\{/g, "&#123;&#123;"),
    ),
  );
}

/** What stands beside a name in a list. */
const row = (page, name, urlOf) => `| [\`${shown(name)}\`](${urlOf(page, name)}) | ${lineOf(name)} |`;

/** The page of each category, with a line beside every name, and the page of all. */
function writeIndexes(list, exportedBy, urlOf) {
  for (const category of categories) {
    const own = list.filter((page) => page.category === category);
    if (own.length === 0) continue;
    const folders = [...new Set(own.map(({ folder }) => folder))];
    const tables = folders.map((folder) => {
      const names = own
        .filter((page) => page.folder === folder)
        .flatMap((page) => page.names.filter(isCallable).map((name) => row(page, name, urlOf)));
      if (names.length === 0) return "";
      const title =
        folders.length === 1 ? "Functions and classes" : (parts[folder] ?? folder.split("/").at(-1).replace(/-/g, " "));
      return `## ${title.replace(/^./, (letter) => letter.toUpperCase())}\n\n| name | what it is |\n|---|---|\n${names.join("\n")}\n`;
    });
    const types = own.flatMap((page) =>
      page.names.filter((name) => !isCallable(name)).map((name) => row(page, name, urlOf)),
    );
    const said =
      types.length === 0
        ? ""
        : `\n## Types, options and results\n\n| name | what it is |\n|---|---|\n${types.join("\n")}\n`;
    mkdirSync(`${out}/${slug(category)}`, { recursive: true });
    writeFileSync(
      `${out}/${slug(category)}/index.md`,
      linkPapers(`# ${category}\n\n${parts[category] ?? ""}\n\n${tables.join("\n")}${said}`),
    );
  }
  const isFirst = (name) => exportedBy.get(name).includes("transformer-circuits") && isCallable(name);
  const sections = categories.flatMap((category) => {
    const own = list.filter((page) => page.category === category);
    if (own.length === 0) return [];
    const rows = own.flatMap((page) => page.names.filter(isFirst).map((name) => row(page, name, urlOf)));
    const table = rows.length === 0 ? "" : `\n\n| name | what it is |\n|---|---|\n${rows.join("\n")}`;
    return [`## ${category}\n\n${parts[category] ?? ""} [All of it](./${slug(category)}/index.md)${table}\n`];
  });
  writeFileSync(
    `${out}/index.md`,
    `# Reference\n\nWhat the first page of the library has, part by part, with a line for each; the rest of a part is one click away. [By task](../tasks.md) is the other way in.\n\n${sections.join("\n")}`,
  );
}

/** The lists at the side: all parts, and inside a part its pages. */
function sidebars(list) {
  const found = categories.filter((category) => list.some((page) => page.category === category));
  const all = found.map((category) => ({ text: category, link: `/reference/${slug(category)}/` }));
  const lists = { "/reference/": [{ text: "Reference", link: "/reference/", items: all }] };
  for (const category of found) {
    const own = list.filter((page) => page.category === category);
    lists[`/reference/${slug(category)}/`] = [
      { text: "All parts", link: "/reference/" },
      {
        text: category,
        link: `/reference/${slug(category)}/`,
        items: own.map(({ title, url }) => ({ text: title, link: `/reference/${url}` })),
      },
    ];
  }
  return lists;
}
