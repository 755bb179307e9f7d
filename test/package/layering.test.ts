/**
 * The folders of src/ in their order, held by reading the import lines: a folder imports only folders above it, through
 * their index.ts (what the package offers) or internal.ts (what folders lend one another).
 */
import { dirname, posix } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { filesUnder, readText } from "../support/files.ts";

const order = [
  "nearest.ts",
  "errors.ts",
  "axes.ts",
  "progress.ts",
  "head-id.ts",
  "base64.ts",
  "show",
  "kernels",
  "tensor",
  "linalg",
  "linear",
  "model",
  "circuits",
  "paths",
  "heads",
  "interventions",
  "jobs",
  "io",
  "train",
  "queue",
  "viz",
  "figures",
  "report",
  "cli",
  "cli.ts",
];

/** Modules that are entries of the package: other folders may name them beside an index.ts. */
const entryModules = ["src/io/node.ts", "src/io/bundled.ts"];

/** Packages, and the files or folders that may import them. */
const packages: Record<string, readonly string[]> = {
  ndarray: ["src/tensor/ndarray.ts", "src/tensor/ndarray-ops.ts"],
  "ndarray-ops": ["src/tensor/ndarray-ops.ts"],
  "@huggingface/tokenizers": ["src/io/"],
  "@huggingface/hub": ["src/io/node"],
  fflate: ["src/io/zip/zip.ts", "src/viz/parts/png.ts"],
  "gl-matrix": ["src/viz/"],
  commander: ["src/cli"],
  "yocto-spinner": ["src/cli"],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(from: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (specifier !== undefined && ts.isStringLiteral(specifier)) {
      found.push({ from, specifier: specifier.text, typeOnly });
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node));
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true);
    }
    // Declarations of imports stand outside; calls and types with an import may stand anywhere.
    if (node.kind === ts.SyntaxKind.SourceFile || anywhere) ts.forEachChild(node, visit);
  };
  const text = readText(from);
  const anywhere = /\bimport\(/.test(text);
  visit(ts.createSourceFile(from, text, ts.ScriptTarget.ES2022));
  return found;
}

function isTypeOnly({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false;
  if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings } = importClause;
  return (
    name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((element) => element.isTypeOnly)
  );
}

const folderOf = (path: string): string => path.split("/")[1] ?? "";
const targetOf = ({ from, specifier }: Import): string => posix.join(dirname(from), specifier);

const files = filesUnder("src", ".ts");
const imports = files.flatMap(importsOf);
const relative = imports.filter(({ specifier }) => specifier.startsWith("."));
const inside = relative.filter((line) => targetOf(line).startsWith("src/"));
const across = inside.filter((line) => folderOf(line.from) !== folderOf(targetOf(line)));
const importedBy = new Map(files.map((path) => [path, inside.filter((line) => line.from === path).map(targetOf)]));
const loadedBy = new Map(
  files.map((path) => [path, inside.filter((line) => line.from === path && !line.typeOnly).map(targetOf)]),
);
const shown = ({ from, specifier }: Import): string => `${from} imports "${specifier}"`;

describe("layering of src/", () => {
  test("every folder has its place in the order", () => {
    expect(files.map(folderOf).filter((folder) => folder !== "index.ts" && !order.includes(folder))).toEqual([]);
  });

  test("a folder imports only folders above it", () => {
    const upward = across.filter(
      (line) =>
        folderOf(line.from) !== "index.ts" &&
        order.indexOf(folderOf(targetOf(line))) >= order.indexOf(folderOf(line.from)),
    );
    expect(upward.map(shown)).toEqual([]);
  });

  test("another folder is imported through its index.ts or internal.ts, or through an entry of the package", () => {
    const around = across.filter((line) => {
      const target = targetOf(line);
      return (
        !/^src\/([^/]+\/(index|internal)|nearest|errors|axes|progress|head-id|base64)\.ts$/.test(target) &&
        !entryModules.includes(target)
      );
    });
    expect(around.map(shown)).toEqual([]);
  });

  test("kernels are imported by model/ and what is below it alone, and by the entry for what users choose", () => {
    const users = ["tensor", "linalg", "linear", "model", "index.ts"];
    const strangers = across.filter(
      (line) => folderOf(targetOf(line)) === "kernels" && !users.includes(folderOf(line.from)),
    );
    expect(strangers.map(shown)).toEqual([]);
  });

  test("viz/ knows what lies below kernels/ and the types of tensors, and no model", () => {
    const foreign = across.filter((line) => {
      const folder = folderOf(targetOf(line));
      const allowed =
        ["errors.ts", "axes.ts", "head-id.ts", "base64.ts", "show"].includes(folder) ||
        (folder === "tensor" && line.typeOnly);
      return folderOf(line.from) === "viz" && !allowed;
    });
    expect(foreign.map(shown)).toEqual([]);
  });

  test("the root entry leaves out figures, the report, the command, the file system, the bundled model and ndarray", () => {
    const kept = new Set(inside.filter(({ from }) => from === "src/index.ts").map((line) => folderOf(targetOf(line))));
    expect([...kept].filter((folder) => ["viz", "figures", "report", "cli.ts"].includes(folder))).toEqual([]);
    const entered = new Set(reachable("src/index.ts"));
    const outside = [...entryModules, "src/tensor/ndarray.ts"].filter((path) => entered.has(path));
    expect(outside).toEqual([]);
  });

  test("each package is imported where it belongs, and node:* by io/node and cli alone", () => {
    const strangers = imports.filter(({ from, specifier }) => {
      if (specifier.startsWith(".")) return false;
      const places = specifier.startsWith("node:") ? ["src/io/node", "src/cli"] : (packages[specifier] ?? []);
      return !places.some((place) => from.startsWith(place));
    });
    expect(strangers.map(shown)).toEqual([]);
  });

  test("nothing outside src/ is imported but the bundled model's data, by io/bundled.ts", () => {
    const out = relative.filter((line) => !targetOf(line).startsWith("src/"));
    expect(new Set(out.map(shown))).toEqual(new Set(['src/io/bundled.ts imports "../../data/bundled-model.js"']));
  });

  test("every relative import names its file with .ts, but for what runs on pages, whose text is a script", () => {
    expect(inside.filter(({ specifier }) => !specifier.endsWith(".ts")).map(shown)).toEqual(
      ["cloud", "enliven", "explorer", "flip", "table"].map((name) => `src/viz/page/script.ts imports "./${name}.js"`),
    );
  });

  test("no module imports itself through others, types included", () => {
    expect(files.filter((path) => reachable(path, importedBy).includes(path))).toEqual([]);
  });
});

/** The modules that loading one module loads, or that it imports; itself only if it stands in a cycle. */
function reachable(start: string, links = loadedBy): string[] {
  const found = new Set<string>();
  const queue = [start];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const target of links.get(path) ?? []) {
      if (found.has(target)) continue;
      found.add(target);
      queue.push(target);
    }
  }
  return [...found];
}
