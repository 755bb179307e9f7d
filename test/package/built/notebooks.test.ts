/** The notebooks run headless in Deno, on the build, where Deno is at hand; elsewhere they are counted as skipped. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { execute, runnable } from "../../../scripts/notebooks.mjs";
import "../../support/require-build.ts";

/** The command that runs a file in Deno without a download; undefined where there is none. */
function deno(): string | undefined {
  for (const program of ["deno", "npx --offline --yes deno@2.9.6"]) {
    const [command = "", ...given] = program.split(" ");
    try {
      execFileSync(command, [...given, "--version"], { stdio: "ignore" });
      return `${program} run --no-lock --no-check --allow-read`;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

const command = deno();

describe.skipIf(command === undefined)("notebooks in Deno", () => {
  test.each(runnable())("%s runs, and every cell gives something", (name) => {
    const given = execute(name, command) as { text: string; data?: Readonly<Record<string, string>> }[];
    expect(given.filter(({ text, data }) => text === "" && data === undefined)).toEqual([]);
    const shown = given.map(({ data }) => data).filter((data) => data !== undefined);
    for (const data of shown) expect(Object.keys(data)).toContain("text/plain");
  });
});
