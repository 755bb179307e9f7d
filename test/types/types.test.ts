/**
 * The type tests: in each `*.test-d.ts` the compiler has nothing to say of a test's lines, unused `@ts-expect-error`
 * included.
 */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { compile } from "../support/compile.ts";
import { filesUnder, readText } from "../support/files.ts";

interface TypeTest {
  readonly title: string;
  /** Its lines, from 1. */
  readonly first: number;
  readonly last: number;
}

/** The calls of `test` in a file, titled by the suites around them. */
function testsOf(path: string, text: string): TypeTest[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const found: TypeTest[] = [];
  const lineOf = (place: number): number => file.getLineAndCharacterOfPosition(place).line + 1;
  const visit = (node: ts.Node, suites: readonly string[]): void => {
    const called = ts.isCallExpression(node) ? node.expression.getText() : "";
    if (ts.isCallExpression(node) && (called === "describe" || called === "test")) {
      const [title] = node.arguments;
      const titles = [...suites, title !== undefined && ts.isStringLiteralLike(title) ? title.text : ""];
      if (called === "describe") ts.forEachChild(node, (child) => visit(child, titles));
      else found.push({ title: titles.join(", "), first: lineOf(node.getStart()), last: lineOf(node.end) });
    } else ts.forEachChild(node, (child) => visit(child, suites));
  };
  visit(file, []);
  return found;
}

const texts = new Map(filesUnder("test/types", ".test-d.ts").map((path) => [path, readText(path)]));
const complaints = compile(texts);

describe.each([...texts])("%s", (path, text) => {
  const tests = testsOf(path, text);
  const said = complaints.get(path) ?? [];
  const isWithin = (line: number, { first, last }: TypeTest): boolean => first <= line && line <= last;

  test.each(tests.map((one) => [one.title, one] as const))("%s", (_, one) => {
    expect(said.filter(({ line }) => isWithin(line, one))).toEqual([]);
  });

  test("and nothing is said of what stands around them", () => {
    expect(tests.length).toBeGreaterThan(3);
    expect(said.filter(({ line }) => !tests.some((one) => isWithin(line, one)))).toEqual([]);
  });
});
