/**
 * Runs every file of examples/ and compares what it prints with the comment lines after `prints:` at its head. A line that ends in
 * "…" there stands for any line that begins so.
 */
import { describe, expect, test } from "vitest";
import { filesUnder, readText, root } from "../support/files.ts";
import { printedBy } from "./capture.ts";
import { unindent } from "./extract.ts";

const examples = filesUnder("examples", ".ts");

/** The comment lines after `prints:`, or undefined when the file says nothing of the kind. */
function promised(text: string): string[] | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => /^(\/\/| \*) prints:\s*$/i.test(line));
  if (start < 0) return undefined;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => !/^(\/\/| \*(?!\/))/.test(line));
  return unindent(rest.slice(0, end < 0 ? undefined : end).map((line) => line.replace(/^(\/\/| \*)/, "").trimEnd()));
}

describe.skipIf(examples.length === 0)("every example runs and prints what its head says", () => {
  test.each(examples)("%s", async (path) => {
    const printed = await printedBy(`${root}/${path}`);
    const lines = promised(readText(path));
    expect(printed.join("").trim()).not.toBe("");
    if (lines === undefined) return;
    const agree = lines.map((line, i) =>
      line.endsWith("…") && printed[i]?.startsWith(line.slice(0, -1)) === true ? printed[i] : line,
    );
    expect(printed).toEqual(agree);
  });
});
