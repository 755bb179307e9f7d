/**
 * The public names of the package, read from the source of its entries with the compiler.
 */
import ts from "typescript";
import { entries as sources, specifierOf } from "../../scripts/entries.mjs";
import { root } from "../support/files.ts";

/** The source of each entry but the root, whose names come from the others, by the name under which users import it. */
export const entries: ReadonlyMap<string, string> = new Map(
  Object.entries(sources)
    .filter(([name]) => name !== "index")
    .map(([name, path]) => [specifierOf(name), path]),
);

/** One public name. */
export interface PublicName {
  /** The name as users write it: `matmul`, or `Tensor.select` for a method. */
  readonly name: string;
  readonly entry: string;
  /** Where it is declared, as `src/tensor/matmul.ts:34`. */
  readonly where: string;
  readonly kind: "function" | "class" | "method" | "type" | "value";
  /** The text of its documentation comments, without tags; of all overloads together. */
  readonly summary: string;
  /** The texts of its tags by name, without the at sign. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  /** Whether its own body has a `throw`. */
  readonly throws: boolean;
  /** The names of its fields, methods and static methods. */
  readonly members: ReadonlySet<string>;
}

let known: readonly PublicName[] | undefined;

/** Every name that an entry exports, and every public method and getter of the classes among them. */
export function publicNames(): readonly PublicName[] {
  return (known ??= readNames());
}

function readNames(): PublicName[] {
  const paths = [...entries.values()].map((path) => `${root}/${path}`);
  const program = ts.createProgram(paths, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  return [...entries].flatMap(([entry, path]) => {
    const file = program.getSourceFile(`${root}/${path}`);
    const module = file && checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${path} is not a module`);
    return checker.getExportsOfModule(module).flatMap((exported) => {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      return namesOf(symbol, exported.name, entry, checker);
    });
  });
}

function namesOf(symbol: ts.Symbol, name: string, entry: string, checker: ts.TypeChecker): PublicName[] {
  const declarations = symbol.declarations ?? [];
  const self = describe(symbol, name, entry, kindOf(symbol), checker);
  const members = declarations.filter(ts.isClassDeclaration).flatMap(({ members }) => members);
  const methods = members.filter((member) => isPublic(member) && isOperation(member));
  const names = new Set(methods.map((member) => member.name?.getText() ?? ""));
  return [
    self,
    ...[...names].map((method) => {
      const parts = methods.filter((member) => member.name?.getText() === method);
      const found = parts[0]?.name && checker.getSymbolAtLocation(parts[0].name);
      if (found === undefined) throw new Error(`${name}.${method} has no symbol`);
      return describe(found, `${name}.${method}`, entry, "method", checker);
    }),
  ];
}

function isOperation(member: ts.ClassElement): boolean {
  return ts.isMethodDeclaration(member) || ts.isGetAccessorDeclaration(member);
}

function isPublic(member: ts.ClassElement): boolean {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  const isInternal = ts.getJSDocTags(member).some((tag) => tag.tagName.text === "internal");
  const isHashed = member.name !== undefined && ts.isPrivateIdentifier(member.name);
  return !isInternal && !isHashed && (ts.getCombinedModifierFlags(member) & hidden) === 0;
}

function kindOf(symbol: ts.Symbol): PublicName["kind"] {
  if (symbol.flags & ts.SymbolFlags.Function) return "function";
  if (symbol.flags & ts.SymbolFlags.Class) return "class";
  return symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias) ? "type" : "value";
}

function describe(
  symbol: ts.Symbol,
  name: string,
  entry: string,
  kind: PublicName["kind"],
  checker: ts.TypeChecker,
): PublicName {
  const declarations = symbol.declarations ?? [];
  const [first] = declarations;
  if (first === undefined) throw new Error(`${name} is declared nowhere`);
  const file = first.getSourceFile();
  const line = file.getLineAndCharacterOfPosition(first.getStart()).line + 1;
  const tags = new Map<string, string[]>();
  for (const tag of symbol.getJsDocTags(checker)) {
    const text = ts.displayPartsToString(tag.text);
    tags.set(tag.name, [...(tags.get(tag.name) ?? []), text]);
  }
  return {
    name,
    entry,
    where: `${file.fileName.slice(root.length + 1)}:${line}`,
    kind,
    summary: ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim(),
    tags,
    throws: declarations.some(bodyThrows),
    members: new Set([
      ...(kind === "class" || kind === "type"
        ? checker
            .getDeclaredTypeOfSymbol(symbol)
            .getProperties()
            .map((member) => member.name)
        : []),
      ...(kind === "class" ? [...(symbol.exports?.keys() ?? [])].map(String) : []),
    ]),
  };
}

/** Whether a `throw` stands in the body itself, not in a function inside it. */
function bodyThrows(declaration: ts.Declaration): boolean {
  const looksInto = (node: ts.Node): boolean =>
    ts.isThrowStatement(node) ||
    ts.forEachChild(node, (child) => (ts.isFunctionLike(child) ? undefined : looksInto(child) || undefined)) === true;
  return ts.isClassDeclaration(declaration) ? false : looksInto(declaration);
}
