/** The root entry is a list of names; it holds every public name of its folders and nothing else. */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { filesUnder, readText } from "../support/files.ts";

const folders = ["kernels", "tensor", "linalg", "linear", "model", "circuits", "paths", "heads", "io"];

/** Names that folders offer one another and that are no part of the package, with the reason. */
const internal: Record<string, readonly string[]> = {
  // Kernels work on flat arrays: users see tensors, and choose with useKernels.
  kernels: [
    "allocate",
    "allocateForResult",
    "blockedKernels",
    "blockedWeightKernels",
    "PackedMatrix",
    "isKernelMemory",
    "packForKernels",
    "keepForKernels",
    "kernels",
    "kindOf",
    "referenceKernels",
    "referenceWeightKernels",
    "simdKernels",
    "simdWeightKernels",
    "weightKernels",
    "withWorkspace",
    "AttentionArgs",
    "BlockSquaresArgs",
    "CausalSoftmaxArgs",
    "CrossEntropyArgs",
    "DeepProductArgs",
    "FloatArray",
    "GramArgs",
    "HeadVectorsView",
    "Kernels",
    "WeightKernels",
    "MatmulArgs",
    "MatrixView",
    "NormArgs",
    "RootsArgs",
    "PairNormsArgs",
    "RowRankArgs",
    "RowScreenArgs",
    "RowTopArgs",
    "SoftmaxArgs",
    "TakeArray",
  ],
};

function exportedNames(path: string): string[] {
  const file = ts.createSourceFile(path, readText(path), ts.ScriptTarget.ES2022, true);
  return file.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
      return statement.exportClause.elements.map((element) => element.name.text);
    }
    const declared = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(isExport) === true;
    if (!declared) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map((declaration) => declaration.name.getText());
    }
    return [(statement as ts.DeclarationStatement).name?.getText() ?? "default"];
  });
}

const isExport = ({ kind }: ts.ModifierLike): boolean => kind === ts.SyntaxKind.ExportKeyword;
const rootNames = exportedNames("src/index.ts");

describe("the root entry", () => {
  test("is a list of named exports and nothing else", () => {
    const file = ts.createSourceFile("index.ts", readText("src/index.ts"), ts.ScriptTarget.ES2022, true);
    const other = file.statements.filter(
      (statement) =>
        !ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause),
    );
    expect(other.map((statement) => statement.getText())).toEqual([]);
    expect(rootNames.filter((name, i) => rootNames.indexOf(name) !== i)).toEqual([]);
  });

  test.each(folders.filter((folder) => filesUnder(`src/${folder}`, "index.ts").length > 0))(
    "holds every public name of %s/",
    (folder) => {
      const offered = exportedNames(`src/${folder}/index.ts`);
      const hidden = internal[folder] ?? [];
      expect(hidden.filter((name) => !offered.includes(name))).toEqual([]);
      expect(offered.filter((name) => !hidden.includes(name) && !rootNames.includes(name))).toEqual([]);
      expect(hidden.filter((name) => rootNames.includes(name))).toEqual([]);
    },
  );

  test("nothing public has a method called then, which await would call", () => {
    const named = filesUnder("src", ".ts").filter((path) => {
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
      visit(ts.createSourceFile(path, readText(path), ts.ScriptTarget.ES2022, true));
      return found;
    });
    expect(named).toEqual([]);
  });
});
