/** The places that name the package's entries agree: exports, build, type-checking, tests. */
import { describe, expect, test } from "vitest";
import tsconfig from "../../tsconfig.json" with { type: "json" };
import { entries, specifierOf } from "../../scripts/entries.mjs";
import { alias } from "../../vitest.config.ts";
import manifest from "../../package.json" with { type: "json" };
import { readText, root } from "../support/files.ts";

const subpathOf = (name: string): string => (name === "index" ? "." : `./${name}`);
const names = Object.keys(entries);

describe("the entries of the package", () => {
  test("exports names a module for each entry of the build, types first, and package.json", () => {
    const expected = names.map((name) => [
      subpathOf(name),
      {
        import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
        require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
      },
    ]);
    expect(manifest.exports).toEqual({ ...Object.fromEntries(expected), "./package.json": "./package.json" });
    for (const conditions of Object.values(manifest.exports)) {
      if (typeof conditions === "string") continue;
      expect(Object.keys(conditions)).toEqual(["import", "require"]);
      expect(Object.values(conditions).map((condition) => Object.keys(condition))).toEqual([
        ["types", "default"],
        ["types", "default"],
      ]);
    }
  });

  test("the compiler and the tests find the same modules under the package's name", () => {
    const expected = Object.entries(entries).map(([name, path]) => [specifierOf(name), path]);
    expect(Object.entries(tsconfig.compilerOptions.paths).map(([name, [path]]) => [name, path?.slice(2)])).toEqual(
      expected,
    );
    const resolved = expected.map(([specifier = ""]) => [
      specifier,
      alias.find(({ find }) => find.test(specifier))?.replacement.slice(root.length + 1),
    ]);
    expect(resolved).toEqual(expected);
  });

  test("the command is the build of src/cli.ts and says which program runs it", () => {
    expect(manifest.bin).toEqual({ "transformer-circuits": "dist/cli.js" });
    expect(readText("src/cli.ts").split("\n")[0]).toBe("#!/usr/bin/env node");
  });
});

describe("package.json", () => {
  test("its version is the newest heading of CHANGELOG.md", () => {
    expect(/^## \[(\d[^\]]*)\]/m.exec(readText("CHANGELOG.md"))?.[1]).toBe(manifest.version);
  });

  test("no script of it runs where it is installed", () => {
    const own = ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"];
    expect(Object.keys(manifest.scripts).filter((name) => own.includes(name))).toEqual([]);
  });

  test("the lock file agrees with it and names no registry", () => {
    const lock = JSON.parse(readText("package-lock.json")) as {
      version: string;
      packages: Record<string, { version?: string; resolved?: string; integrity?: string }>;
    };
    expect(lock.version).toBe(manifest.version);
    const { "": own, ...installed } = lock.packages;
    expect(own).toMatchObject({ dependencies: manifest.dependencies, devDependencies: manifest.devDependencies });
    const bad = Object.entries(installed).filter(([, entry]) => entry.resolved !== undefined || !entry.integrity);
    expect(bad).toEqual([]);
  });

  test("no package of the lock is one whose lock entry cannot be completed on every registry", () => {
    const lock = readText("package-lock.json");
    const kept = ["deno", "knip", "oxlint", "@biomejs/biome"].filter((name) => lock.includes(`"node_modules/${name}"`));
    expect(kept).toEqual([]);
  });
});
