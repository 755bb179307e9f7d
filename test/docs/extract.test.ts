import { expect, test } from "vitest";
import { announcement, blocksOfMarkdown, blocksOfSource } from "./extract.ts";

test("a block of a documentation comment keeps its file, its line and its indentation", () => {
  const text = [
    "const x = 1;",
    "/**",
    " * Text.",
    " * ```ts",
    " * if (x) {",
    " *   f();",
    " * }",
    " * ```",
    " */",
  ].join("\n");
  expect(blocksOfSource("a.ts", text)).toEqual([{ where: "a.ts:5", code: "if (x) {\n  f();\n}", run: true }]);
});

test("a Markdown fence of another language is left out, and no-run is kept", () => {
  const text = ["```sh", "ls", "```", "```ts no-run", "f();", "```"].join("\n");
  expect(blocksOfMarkdown("a.md", text)).toEqual([{ where: "a.md:5", code: "f();", run: false }]);
});

test("an unknown word after ts and an open fence are refused", () => {
  expect(() => blocksOfMarkdown("a.md", "```ts norun\n```")).toThrow(
    'a.md:2: a fence knows "no-run" only, not "norun"',
  );
  expect(() => blocksOfMarkdown("a.md", "```ts\nf();")).toThrow("a.md:2: the code fence is not closed");
});

test("the output is the comment after a print, or after the loop around it; other comments are not output", () => {
  const code = [
    "// not output",
    "console.log(1);",
    "// 1",
    "for (const i of [2, 3]) {",
    "  console.log(i);",
    "}",
    "// 2",
    "// 3",
    "",
    "// not output",
    "console.log(4); // 4",
  ].join("\n");
  expect(announcement(code)).toEqual({ lines: ["1", "2", "3", "4"], unannounced: [], checks: true });
});

test("a print without output and a block that checks nothing are seen", () => {
  expect(announcement("f();\nconsole.log(1);")).toEqual({ lines: [], unannounced: [2], checks: true });
  expect(announcement("f();")).toEqual({ lines: [], unannounced: [], checks: false });
  expect(announcement("if (x) throw new Error();")).toEqual({ lines: [], unannounced: [], checks: true });
});
