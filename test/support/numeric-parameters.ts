/** The numbers that public functions of a folder take, read from its source: parameters and options, by name. */
import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";

/** Where a number goes: the parameter, and the option of it; whether it is a list of numbers. */
export interface NumericParameter {
  readonly parameter: string;
  readonly option: string | undefined;
  readonly isList: boolean;
}

interface Member {
  readonly name: string;
  readonly type: string;
}

const src = new URL("../../src/", import.meta.url);

function sources(folders: readonly string[]): ts.SourceFile[] {
  return folders.flatMap((folder) => {
    const root = new URL(`${folder}/`, src);
    return readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) =>
        ts.createSourceFile(file, readFileSync(new URL(file, root), "utf8"), ts.ScriptTarget.Latest, true),
      );
  });
}

/** What an index exports of its folder's files, types aside. */
function exportsOf(index: string): string[] {
  const file = ts.createSourceFile("index.ts", index, ts.ScriptTarget.Latest, true);
  return file.statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) &&
    !statement.isTypeOnly &&
    statement.exportClause !== undefined &&
    ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.map(({ name }) => name.text)
      : [],
  );
}

/** Prompts that come in turn are token ids, not one list of numbers. */
const isNumeric = (type: string): boolean =>
  /\bnumber\b/.test(type) && !type.includes("=>") && !type.startsWith("Iterable<");

/** Functions that the folders' index exports, each with the numbers that it takes; functions that take none are left out. */
export function numericParameters(folders: readonly string[]): Map<string, NumericParameter[]> {
  const files = sources(folders);
  const interfaces = new Map<string, ts.InterfaceDeclaration>();
  for (const file of files) {
    file.forEachChild((node) => {
      if (ts.isInterfaceDeclaration(node)) interfaces.set(node.name.text, node);
    });
  }
  const membersOf = (type: ts.TypeNode | undefined): Member[] => {
    if (type === undefined) return [];
    if (ts.isTypeLiteralNode(type)) return type.members.flatMap(memberOf);
    if (ts.isIntersectionTypeNode(type) || ts.isUnionTypeNode(type)) return type.types.flatMap(membersOf);
    if (!ts.isTypeReferenceNode(type) && !ts.isExpressionWithTypeArguments(type)) return [];
    const name = (ts.isTypeReferenceNode(type) ? type.typeName : type.expression).getText();
    const found = interfaces.get(name);
    const [first, picked] = type.typeArguments ?? [];
    if (name === "Pick") return membersOf(first).filter((member) => picked?.getText().includes(`"${member.name}"`));
    if (found === undefined) return name === "Omit" || name === "Partial" ? membersOf(first) : [];
    const inherited = (found.heritageClauses ?? []).flatMap((clause) => clause.types.flatMap(membersOf));
    return [...found.members.flatMap(memberOf), ...inherited];
  };
  const parametersOf = (node: ts.FunctionDeclaration): NumericParameter[] =>
    node.parameters.flatMap(({ name, type, initializer }) => {
      const parameter = name.getText();
      const text = type?.getText() ?? "";
      const isOwn =
        (type !== undefined &&
          !ts.isTypeLiteralNode(type) &&
          isNumeric(text) &&
          !/\bTensor\b|readonly \w+: /.test(text)) ||
        (initializer !== undefined && ts.isNumericLiteral(initializer));
      const own = isOwn ? [{ parameter, option: undefined, isList: text.includes("[]") }] : [];
      const options = membersOf(type).filter((member) => isNumeric(member.type));
      return [
        ...own,
        ...options.map((member) => ({
          parameter,
          option: member.name,
          isList: /\[\]|ArrayLike/.test(member.type),
        })),
      ];
    });
  const exported = new Set(
    folders.flatMap((folder) => exportsOf(readFileSync(new URL(`${folder}/index.ts`, src), "utf8"))),
  );
  const found = new Map<string, NumericParameter[]>();
  for (const file of files) {
    file.forEachChild((node) => {
      const name = ts.isFunctionDeclaration(node) ? node.name?.text : undefined;
      if (!ts.isFunctionDeclaration(node) || name === undefined || !exported.has(name)) return;
      if (node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) !== true) return;
      const known = found.get(name) ?? [];
      const added = parametersOf(node).filter(
        (each) => !known.some((other) => other.parameter === each.parameter && other.option === each.option),
      );
      if (known.length + added.length > 0) found.set(name, [...known, ...added]);
    });
  }
  return found;
}

function memberOf(member: ts.TypeElement): Member[] {
  if (!ts.isPropertySignature(member) || member.type === undefined) return [];
  return [{ name: member.name.getText(), type: member.type.getText() }];
}
