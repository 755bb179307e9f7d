/**
 * Every public name says what it is, stands in a category and, where it can be called or made, has an example that runs.
 */
import { describe, expect, test } from "vitest";
import { parts } from "../../site/lib/words.mjs";
import { publicNames, type PublicName } from "./exports.ts";

const names = publicNames();
const exported = names.filter(({ kind }) => kind !== "method");
const callable = exported.filter(({ kind }) => kind === "function" || kind === "class");

const list = (found: readonly PublicName[]): string[] => found.map(({ name, where }) => `${name} (${where})`);
const text = ({ tags }: PublicName, tag: string): string => (tags.get(tag) ?? []).join("\n");

test("the walk finds the names of every entry, and methods", () => {
  const kinds = new Map(names.map(({ name, kind }) => [name, kind]));
  expect(kinds.get("matmul")).toBe("function");
  expect(kinds.get("Tensor")).toBe("class");
  expect(kinds.get("Tensor.select")).toBe("method");
  expect(kinds.get("HookName")).toBe("type");
  expect(kinds.get("heatmap")).toBe("function");
  expect(kinds.get("openBundledModel")).toBe("function");
  expect(kinds.get("toNdarray")).toBe("function");
});

describe("every public name", () => {
  test("has a first sentence that ends", () => {
    // A sentence ends with a period, a colon before a display, or a closing parenthesis after its period.
    const isSentence = ({ summary }: PublicName): boolean => /[.:)](\s|$)/.test(summary);
    expect(list(names.filter((name) => !isSentence(name)))).toEqual([]);
  });

  test("stands in one category, of those that the reference has", () => {
    const isKnown = ({ tags }: PublicName): boolean => {
      const [category = "", ...more] = tags.get("category") ?? [];
      return more.length === 0 && category.trim() in parts;
    };
    expect(list(exported.filter((name) => !isKnown(name)))).toEqual([]);
  });
});

/** Their examples are type-checked only: they speak of files that the reader has, or start threads of the build. */
const notRun = [
  "loadFolder",
  "saveFigure",
  "openPath",
  "inspectPath",
  "convertPath",
  "downloadFromHub",
  "loadFromHub",
  "onThreads",
  "onQueue",
  "serveQueue",
];

describe("every function and class", () => {
  test("has an example that the tests run", () => {
    const hasExample = (name: PublicName): boolean =>
      (notRun.includes(name.name) ? /```ts/ : /```ts(?! no-run)/).test(text(name, "example"));
    expect(list(callable.filter((name) => !hasExample(name)))).toEqual([]);
  });

  test("names the errors that its own body throws", () => {
    expect(list(names.filter(({ throws, tags }) => throws && !tags.has("throws")))).toEqual([]);
  });
});
