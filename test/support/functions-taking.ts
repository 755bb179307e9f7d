import ts from "typescript";
import { programOf } from "./compile.ts";
import { root } from "./files.ts";

/**
 * The functions that modules export, and the methods of classes that they export, of which a parameter is of one of some
 * classes, a list or a map of such values, or a union with one. Objects of options are not looked into, and methods
 * marked as internal are left out.
 *
 * @param modules - paths from the root.
 * @param classes - names of classes.
 * @returns `name` for a function, `Class#name` for a method, which takes its object too, `Class.name` for a static one.
 */
export function functionsTaking(modules: readonly string[], classes: readonly string[]): string[] {
  const paths = modules.map((path) => `${root}/${path}`);
  const program = programOf(paths);
  const checker = program.getTypeChecker();
  const found = new Set<string>();

  const isTaken = (type: ts.Type, within: readonly ts.Type[] = []): boolean => {
    if (within.includes(type)) return false;
    const isPartTaken = (part: ts.Type): boolean => isTaken(part, [...within, type]);
    if (type.isUnionOrIntersection()) return type.types.some(isPartTaken);
    if (classes.includes(type.symbol?.name)) return true;
    return checker.isArrayType(type) || type.symbol?.name === "ReadonlyMap"
      ? checker.getTypeArguments(type as ts.TypeReference).some(isPartTaken)
      : false;
  };
  const note = (name: string, symbol: ts.Symbol): void => {
    for (const signature of checker.getTypeOfSymbol(symbol).getCallSignatures()) {
      const parameters = [...signature.getParameters()].map((parameter) => checker.getTypeOfSymbol(parameter));
      const isOfThis = signature.typeParameters !== undefined && classes.includes(name.split("#")[0] ?? "");
      if (isOfThis || parameters.some((type) => isTaken(type))) found.add(name);
    }
  };
  const isPublic = (symbol: ts.Symbol): boolean =>
    !symbol.name.startsWith("#") &&
    !symbol.getJsDocTags(checker).some(({ name }) => name === "internal") &&
    (symbol.declarations ?? []).every(
      (declaration) => (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) === 0,
    );

  for (const path of paths) {
    const file = program.getSourceFile(path);
    const module = file && checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${path} is no module`);
    for (const symbol of checker.getExportsOfModule(module)) {
      const { name } = symbol;
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      if (target.flags & ts.SymbolFlags.Function) note(name, target);
      if (!(target.flags & ts.SymbolFlags.Class)) continue;
      const methods = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(target)).filter(isPublic);
      for (const method of methods) note(`${name}#${method.name}`, method);
      const statics = checker.getPropertiesOfType(checker.getTypeOfSymbol(target)).filter(isPublic);
      for (const method of statics) note(`${name}.${method.name}`, method);
    }
  }
  return [...found].sort();
}
