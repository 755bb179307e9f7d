/** The search over all text, which runs in the page: words are split and cut to their stems, and functions come first. */

/** How VitePress calls a heading in an address. */
export const slugOf = (heading) =>
  heading
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'“”‘’<>,.?/]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^-+|-+$/g, "")
    .replace(/^(\d)/, "_$1")
    .toLowerCase();

/** Text as a reader sees it, of Markdown. */
const plain = (markdown) =>
  markdown
    .replace(/^```.*$/gm, " ")
    .replace(/<[^>\n]+>/g, " ")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*`|\\]+/g, " ");

/**
 * The sections of a page. A section of the reference says in `words:` under which other names it is looked for; they stand
 * among the titles that lead to it.
 */
function* sectionsOf(_file, markdown) {
  const text = markdown
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/^#/gm, " "));
  const parts = text.split(/^(#{1,3}) (.+)$/m);
  const open = [];
  const seen = new Map();
  for (let i = 1; i < parts.length; i += 3) {
    const [marks, heading, body] = parts.slice(i, i + 3);
    const [, own = heading, id] = /^(.*?)\s*\{#([\w-]+)\}$/.exec(heading) ?? [];
    const title = plain(own).trim();
    open.length = marks.length - 1;
    open[marks.length - 1] = title;
    const words = /<!-- words: (.*?) -->/.exec(body)?.[1];
    const titles = open.filter((one) => one !== undefined);
    const slug = id ?? slugOf(title);
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    yield {
      anchor: marks.length === 1 ? "" : times === 0 ? slug : `${slug}-${times}`,
      titles: words === undefined ? titles : [words, ...titles],
      text: plain(body.replace(/<!--[\s\S]*?-->/g, "")),
    };
  }
}

export const search = {
  provider: "local",
  options: {
    detailedView: false,
    translations: { button: { buttonText: "Search", buttonAriaLabel: "Search" } },
    _render: (text) => text,
    miniSearch: {
      _splitIntoSections: sectionsOf,
      // These two run in the reader's page as well; their text is sent there, so that each stands alone.
      options: {
        tokenize: (text) =>
          text
            .replace(/([a-z0-9])([A-Z])/g, "$1 $2 $1$2")
            .split(/[^\p{L}\p{N}]+/u)
            .filter((word) => word !== ""),
        processTerm: (term) => {
          const word = term.toLowerCase();
          const stem = word.replace(/(?:ations?|ating|ated|ates|ate|tions?|ting|ings?|ed|es|s|e)$/, "");
          return stem.length < 3 ? word : stem;
        },
      },
      searchOptions: {
        fuzzy: (term) => (term.length > 5 ? 0.15 : false),
        prefix: true,
        combineWith: "AND",
        boost: { title: 6, titles: 4, text: 1 },
        boostDocument: (id, _term, { title } = {}) => {
          if (!/\/reference\//.test(id)) return 1;
          if (!/\(\)$/.test(title ?? "")) return title === "See also" ? 0.2 : 1.5;
          return /\/figures\//.test(id) ? 3 : 6;
        },
      },
    },
  },
};
