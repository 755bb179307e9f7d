/**
 * The rule of names: a public function or class lives in the file of its own name, or in the folder of its family.
 * A file has a function's name when every word of the file stands in the name (`skip-trigrams/effects.ts` and
 * `skipTrigramEffects`); a folder is its family when one of the folder's words does. Words meet in their first five letters,
 * so that `ablatedLosses` is at home in `ablation/`.
 */
import { basename } from "node:path";
import { expect, test } from "vitest";
import { publicNames } from "./exports.ts";

const STEM = 5;

const wordsOf = (name: string): string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1-$2")
    .toLowerCase()
    .split("-")
    .map((word) => word.slice(0, STEM).replace(/s$/, ""));

function isAtHome(name: string, where: string): boolean {
  const [path = ""] = where.split(":");
  const words = wordsOf(name);
  const folders = path.split("/").slice(2, -1);
  return (
    wordsOf(basename(path, ".ts")).every((word) => words.includes(word)) ||
    folders.some((folder) => wordsOf(folder).some((word) => words.includes(word)))
  );
}

test("functions of the wings live in the file of their name or the folder of their family", () => {
  const functions = publicNames().filter(
    ({ where, kind }) =>
      /^src\/(circuits|paths|heads|interventions)\//.test(where) && (kind === "function" || kind === "class"),
  );
  expect(functions.length).toBeGreaterThan(90);
  expect(
    functions.filter(({ name, where }) => !isAtHome(name, where)).map(({ name, where }) => `${name} in ${where}`),
  ).toEqual([]);
});
