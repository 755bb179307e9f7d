/** How TypeDoc reads the package: what `npm run site` makes the reference of. */
import { Comment, Converter } from "typedoc";
import { entries, specifierOf } from "../scripts/entries.mjs";
import { root } from "./lib/paths.mjs";

/** One module for each name in package.json's `exports`, under the name that users import. */
const modules = Object.fromEntries(Object.entries(entries).map(([name, path]) => [specifierOf(name), path]));

/** How TypeDoc calls a module before it is named: its path under src/. */
const pathName = (path) => path.replace(/^src\//, "").replace(/(\/index)?\.ts$/, "");

function nameModules(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const [name, path] of Object.entries(modules)) {
      const module = project.children?.find((child) => child.name === pathName(path));
      if (module) module.name = name;
    }
  });
}

/** The root's names stand on the pages of their folders too, in their categories. */
function categorizeReferences(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      for (const reference of module.children?.filter((child) => child.isReference()) ?? []) {
        const target = reference.getTargetReflectionDeep();
        const comment = target.comment ?? target.signatures?.[0]?.comment;
        const tag = comment?.blockTags.find(({ tag }) => tag === "@category");
        if (tag) reference.comment = new Comment([], [tag.clone()]);
      }
    }
  });
}

/** {@link Tensor} means the Tensor of the entry that has it, in the comments of every entry. */
function linkToEntry(app) {
  app.converter.addUnknownSymbolResolver((reference, from) => {
    const path = reference.symbolReference?.path?.map(({ path }) => path) ?? [];
    if (path.length === 0) return undefined;
    const found = Object.keys(modules).map((module) =>
      from.project.getChildByName([module, ...path.join(".").split(".")]),
    );
    const target = found.find((reflection) => reflection !== undefined);
    return target ? { target } : undefined;
  });
}

/** The categories of `@category`, in the order of the layers. */
export const categories = [
  "Axes",
  "Errors",
  "Kernels",
  "Tensors",
  "ndarray",
  "Linear algebra",
  "Linear maps",
  "Model",
  "Tokens",
  "Weight processing",
  "Circuits",
  "Tensor products",
  "Path expansion",
  "Attention scores",
  "Virtual heads",
  "Attribution",
  "Head scores",
  "Interventions",
  "Circuit discovery",
  "Circuit evaluation",
  "Training",
  "Jobs",
  "Files",
  "Bundled model",
  "Figures",
  "Report",
];

function requireCategories(app) {
  app.converter.on(Converter.EVENT_END, ({ project }) => {
    for (const { name: module, categories: found } of project.children ?? []) {
      for (const { title, children } of found ?? []) {
        if (categories.includes(title)) continue;
        const names = children.map(({ name }) => name).join(", ");
        app.logger.warn(
          `${module}: "${title}" is no category of typedoc.config.mjs, or @category is missing: ${names}`,
        );
      }
    }
  });
}

/** @type {import("typedoc").TypeDocOptions} */
export default {
  name: "transformer-circuits",
  entryPoints: Object.values(modules).map((path) => root + path),
  tsconfig: `${root}tsconfig.json`,
  basePath: `${root}src`,
  plugin: [nameModules, categorizeReferences, linkToEntry, requireCategories],
  readme: "none",
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  // The pages are those of the files that names lie in; the repository has no address that is known.
  disableGit: true,
  sourceLinkTemplate: "{path}:{line}",
  sort: ["source-order"],
  kindSortOrder: ["Document", "Module", "Class", "Function", "Interface", "TypeAlias", "Variable"],
  categorizeByGroup: false,
  defaultCategory: "none",
  categoryOrder: categories,
  // `npm run typecheck` does that, for the whole repository.
  skipErrorChecking: true,
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  // Conditions on types inside signatures, and what classes are made on, of no use by themselves.
  intentionallyNotExported: ["IsUnion", "SameAxes", "LayerSites", "ModelSites", "CheckedTarget", "AxesAt", "EditLabel"],
  validation: { notExported: true, invalidLink: true, rewrittenLink: true, notDocumented: true },
  // Members of interfaces and classes explain themselves by name and type where they carry no comment.
  requiredToBeDocumented: ["Class", "Interface", "Function", "TypeAlias", "Variable", "Enum", "Method", "Accessor"],
};
