/**
 * The maps of docs/ name functions and files that exist, and leave no public circuit out.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesUnder, readText, root } from "../support/files.ts";
import { publicNames } from "./exports.ts";

const maps = ["docs/paper-map.md", "docs/arena-map.md", "docs/identities.md"];
const names = publicNames();

/** The functions named, as `fullOVCircuit()`. */
const callsIn = (text: string): string[] => [...text.matchAll(/`(\w+)\(\)`/g)].map(([, name = ""]) => name);

/** The members named, as `PathExpansion.rank()` or `Transformer.config`. */
const membersIn = (text: string): (readonly [owner: string, member: string])[] =>
  [...text.matchAll(/`([A-Z]\w*)\.(\w+)(?:\(\))?`/g)].map(([, owner = "", member = ""]) => [owner, member]);

/** The tests named, which the package does not hold and documents therefore do not link. */
const testsIn = (text: string): string[] => [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, path = ""]) => path);

/** The numbers of the identities that a text names. */
const identitiesIn = (text: string): string[] => [...new Set(text.match(/\bP\d{1,2}\b/g))];

describe.each(maps)("%s", (path) => {
  const text = readText(path);

  test("every function named is public, and so is every member", () => {
    const functions = new Set(names.filter(({ kind }) => kind === "function").map(({ name }) => name));
    expect(callsIn(text).filter((name) => !functions.has(name))).toEqual([]);
    const members = new Map(names.map(({ name, members }) => [name, members]));
    expect(membersIn(text).filter(([owner, member]) => members.get(owner)?.has(member) !== true)).toEqual([]);
  });

  test("every test named exists", () => {
    const tests = testsIn(text);
    expect(tests.length).toBeGreaterThan(10);
    expect(tests.filter((test) => !existsSync(join(root, test)))).toEqual([]);
  });

  test("every row has as many cells as its table's head, and none is empty but the last", () => {
    const rows = text.split("\n").filter((line) => line.startsWith("|") && !/^[|-]+$/.test(line));
    const cells = rows.map((row) => row.slice(1, -1).split(" | "));
    expect(cells.filter((row) => row.length !== (path === "docs/paper-map.md" ? 4 : 3))).toEqual([]);
    expect(cells.filter((row) => row[1]?.trim() === "")).toEqual([]);
  });
});

test("the file column of the paper map names the files that define the functions and classes of its row", () => {
  const homes = new Map(
    names.filter(({ kind }) => kind !== "type").map(({ name, where }) => [name, where.replace(/^src\/|:\d+$/g, "")]),
  );
  const rows = readText("docs/paper-map.md")
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^[|-]+$/.test(line))
    .map((line) => line.slice(2, -2).split(" | "));
  const wrong = rows.flatMap(([, here = "", file = ""]) => {
    if (here === "here") return [];
    const owners = [...callsIn(here), ...membersIn(here).map(([owner]) => owner)];
    const files = [...new Set(owners.flatMap((name) => homes.get(name) ?? []))].map((path) => `\`${path}\``).join(" ");
    return files === file ? [] : [`${here} => ${files}`];
  });
  expect(rows.length).toBeGreaterThan(40);
  expect(wrong).toEqual([]);
});

test("every public function of the wings stands in one of the maps", () => {
  const mapped = new Set(maps.flatMap((path) => callsIn(readText(path))));
  const circuits = names.filter(
    ({ where, kind }) => /^src\/(circuits|paths|heads|interventions)\//.test(where) && kind === "function",
  );
  expect(circuits.length).toBeGreaterThan(40);
  expect(circuits.map(({ name }) => name).filter((name) => !mapped.has(name))).toEqual([]);
});

describe("docs/identities.md and the tests agree", () => {
  const rows = new Map(
    readText("docs/identities.md")
      .split("\n")
      .flatMap((line) => {
        const number = /^\| (P\d{1,2}) \|/.exec(line)?.[1];
        return number === undefined ? [] : [[number, line] as const];
      }),
  );

  test("P1 to P44 are there", () => {
    expect([...rows.keys()].sort()).toEqual(Array.from({ length: 44 }, (_, i) => `P${i + 1}`).sort());
  });

  test("a test that names an identity is named in its row", () => {
    const naming = filesUnder("test", ".test.ts").filter((path) => !path.startsWith("test/docs/"));
    const missing = naming.flatMap((path) =>
      identitiesIn(readText(path))
        .filter((number) => rows.get(number)?.includes(`\`${path}\``) !== true)
        .map((number) => `${number} in ${path}`),
    );
    expect(missing).toEqual([]);
  });
});
