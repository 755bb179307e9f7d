/** The notebooks run headless in Deno, on the build, where Deno is at hand; elsewhere they are counted as skipped. */
import { describe, expect, test } from "vitest";
import { execute, runnable } from "../../../scripts/notebooks.mjs";
import { denoCommand } from "../../support/deno.ts";
import "../../support/require-build.ts";

const deno = denoCommand();

describe.skipIf(deno === undefined)("notebooks in Deno", () => {
  const command = [...(deno ?? []), "run --no-lock --no-check --allow-read"].join(" ");
  test.each(runnable())("%s runs, and every cell gives something", (name) => {
    const given = execute(name, command) as { text: string; data?: Readonly<Record<string, string>> }[];
    expect(given.filter(({ text, data }) => text === "" && data === undefined)).toEqual([]);
    const shown = given.map(({ data }) => data).filter((data) => data !== undefined);
    for (const data of shown) expect(Object.keys(data)).toContain("text/plain");
  });
});
