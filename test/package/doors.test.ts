/** The doors of the package: a first page, and entries that mirror the folders, each name behind one of them. */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { entries, specifierOf } from "../../scripts/entries.mjs";
import { filesUnder, readText } from "../support/files.ts";

interface Exported {
  readonly name: string;
  readonly isType: boolean;
}

function exportedBy(path: string): Exported[] {
  const file = ts.createSourceFile(path, readText(path), ts.ScriptTarget.ES2022, true);
  return file.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
      return statement.exportClause.elements.map((element) => ({
        name: element.name.text,
        isType: statement.isTypeOnly || element.isTypeOnly,
      }));
    }
    const declared = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(isExport) === true;
    if (!declared) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map(({ name }) => ({ name: name.getText(), isType: false }));
    }
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
    return [{ name: (statement as ts.DeclarationStatement).name?.getText() ?? "default", isType }];
  });
}

const isExport = ({ kind }: ts.ModifierLike): boolean => kind === ts.SyntaxKind.ExportKeyword;
const root = exportedBy(entries.index);
const parts = Object.entries(entries).filter(([name]) => name !== "index");
const offered = parts.flatMap(([entry, path]) =>
  exportedBy(path).map(({ name }) => ({ name, entry: specifierOf(entry) })),
);

describe("the doors of the package", () => {
  test("the root entry is a list of named exports and nothing else", () => {
    const file = ts.createSourceFile("index.ts", readText(entries.index), ts.ScriptTarget.ES2022, true);
    const other = file.statements.filter(
      (statement) =>
        !ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause),
    );
    expect(other.map((statement) => statement.getText())).toEqual([]);
    expect(root.filter(({ name }, i) => root.findIndex((other) => other.name === name) !== i)).toEqual([]);
  });

  test("the root entry is a first page: at most 60 values, each from an entry of its own folder", () => {
    expect(root.filter(({ isType }) => !isType).length).toBeLessThanOrEqual(60);
    const known = new Set(offered.map(({ name }) => name));
    expect(root.filter(({ name }) => !known.has(name))).toEqual([]);
  });

  test("every name comes from exactly one entry besides the root", () => {
    const twice = offered.filter(({ name }, i) => offered.findIndex((other) => other.name === name) !== i);
    expect(twice.map(({ name, entry }) => `${name} of ${entry}`)).toEqual([]);
  });

  test("nothing public has a method called then, which await would call", () => {
    const named = filesUnder("src", ".ts").filter((path) => {
      const text = readText(path);
      let found = false;
      const visit = (node: ts.Node): void => {
        const isMember =
          ts.isMethodDeclaration(node) ||
          ts.isMethodSignature(node) ||
          ts.isPropertyDeclaration(node) ||
          ts.isPropertySignature(node) ||
          ts.isPropertyAssignment(node) ||
          ts.isShorthandPropertyAssignment(node) ||
          ts.isGetAccessor(node);
        found ||= isMember && node.name.getText() === "then";
        ts.forEachChild(node, visit);
      };
      const code = text.replace(/^\s*(\*|\/[/*]) .*$/gm, "");
      if (/\bthen\b/.test(code)) visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true));
      return found;
    });
    expect(named).toEqual([]);
  });
});
