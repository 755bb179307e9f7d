/**
 * The ARENA map says how many lines each exercise with hooks takes: as many as its block has under the exercise's name, and at
 * most a third of the course's.
 */
import { expect, test } from "vitest";
import { readText } from "../support/files.ts";
import { blocksOfMarkdown } from "./extract.ts";

const path = "docs/arena-map.md";
const text = readText(path);
const rows = [...text.matchAll(/^\| (.+) \| (\d+) \| (\d+) \|$/gm)].map(
  ([, exercise = "", course = "", here = ""]) => [exercise, Number(course), Number(here)] as const,
);
const code = blocksOfMarkdown(path, text)
  .map(({ code }) => code)
  .join("\n");

/** The lines of code between an exercise's name and the next name: without blank ones, comments and printing. */
function linesOf(exercise: string): number {
  const [, after = ""] = code.split(`// ${exercise}\n`);
  const [own = ""] = after.split(/\n\nconsole\.log/);
  return own.split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length;
}

test.each(rows)("%s: %i lines in the course, %i here", (exercise, course, here) => {
  expect(linesOf(exercise)).toBe(here);
  expect(here).toBeGreaterThan(0);
  expect(3 * here).toBeLessThanOrEqual(course);
});

test("every exercise with hooks is there", () => {
  expect(rows.length).toBe(12);
});
