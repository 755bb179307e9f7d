/**
 * The notebooks of examples/notebooks/ run, cell by cell, and hold what a run gives: here in Node, on the source; in
 * test/package/built/ in Deno, on the build.
 */
import { describe, expect, test } from "vitest";
import { notebooks, outputsOf, readNotebook, writeModule } from "../../scripts/notebooks.mjs";

interface Cell {
  readonly cell_type: "code" | "markdown";
  readonly id: string;
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

interface Output {
  readonly output_type: string;
  readonly data?: Readonly<Record<string, readonly string[]>>;
  readonly text?: readonly string[];
}

interface Notebook {
  readonly nbformat: number;
  readonly nbformat_minor: number;
  readonly metadata: { readonly kernelspec: { readonly name: string; readonly language: string } };
  readonly cells: readonly Cell[];
}

/** Kind, types, and the first line of the text: numbers may differ in a last digit from machine to machine. */
const gist = ({ output_type, data, text }: Output): unknown => [
  output_type,
  Object.keys(data ?? {}).sort(),
  (data?.["text/plain"] ?? text)?.[0]?.trimEnd(),
];

describe.each(notebooks)("%s", (name) => {
  const notebook = readNotebook(name) as Notebook;
  const code = notebook.cells.filter(({ cell_type }) => cell_type === "code");

  test("is a notebook for Deno's kernel, short, with prose between its code", () => {
    expect([notebook.nbformat, notebook.nbformat_minor]).toEqual([4, 5]);
    expect(notebook.metadata.kernelspec).toMatchObject({ name: "deno", language: "typescript" });
    expect(new Set(notebook.cells.map(({ id }) => id)).size).toBe(notebook.cells.length);
    expect(notebook.cells.length - code.length).toBeGreaterThan(2);
    expect(code.map(({ execution_count }) => execution_count)).toEqual(code.map((_, i) => i + 1));
  });

  test("no cell gives 70,000 characters", () => {
    const texts = code.flatMap(({ outputs = [] }) =>
      outputs.flatMap(({ data = {}, text = [] }) => [text, ...Object.values(data)].map((lines) => lines.join(""))),
    );
    expect(texts.length).toBeGreaterThan(code.length);
    expect(texts.filter((text) => text.length > 70_000)).toEqual([]);
  });

  test("runs, and holds what its cells give", async () => {
    const path = writeModule(name, "console.log = __log;\nexport const cells = __cells;");
    const { cells } = (await import(/* @vite-ignore */ path)) as {
      cells: { text: string; data: object | undefined }[];
    };
    expect(cells.map((given, i) => (outputsOf(given, i + 1) as Output[]).map(gist))).toEqual(
      code.map(({ outputs = [] }) => outputs.map(gist)),
    );
  });
});
