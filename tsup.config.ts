import { rmSync } from "node:fs";
import { defineConfig, type Options } from "tsup";
import { entries } from "./scripts/entries.mjs";

type EsbuildPlugin = NonNullable<Options["esbuildPlugins"]>[number];

/** The bundled model's data is one committed file beside dist/, shared by the ESM and the CJS build and never inlined. */
const bundledModel: EsbuildPlugin = {
  name: "bundled-model",
  setup(build) {
    build.onResolve({ filter: /\/data\/bundled-model\.js$/ }, () => ({
      path: "../data/bundled-model.js",
      external: true,
    }));
  },
};

/**
 * Classes keep their names: esbuild calls one that names itself `_Tensor`, which consoles then show. The name inside is
 * the constant's, which is the same class.
 */
const classNames: NonNullable<Options["plugins"]>[number] = {
  name: "class-names",
  renderChunk: (code) => {
    const renamed = [...code.matchAll(/\b(?:var|let|const) (\w+) = class _\1\b/g)].map(([, name = ""]) => name);
    return { code: renamed.reduce((text, name) => text.replace(new RegExp(`\\b_${name}\\b`, "g"), name), code) };
  },
};

const shared: Options = {
  target: "es2022",
  platform: "neutral",
  external: [/^node:/],
  removeNodeProtocol: false,
  splitting: true,
  // Without tree-shaking by rollup, splitting would turn the CJS build's import() of that file into require().
  treeshake: true,
  esbuildPlugins: [bundledModel],
  plugins: [classNames],
};

const alone: Options = { splitting: false, treeshake: false, plugins: [], minify: true, noExternal: [/.*/] };

/** Declarations of both formats come from one program. */
const declarations: Options = {
  entry: entries,
  format: ["esm", "cjs"],
  // TypeScript 6 rejects the baseUrl that tsup 8 sets unless the deprecation is acknowledged.
  dts: { only: true, compilerOptions: { ignoreDeprecations: "6.0" } },
};

export default defineConfig(() => {
  // The builds run side by side, so the folder is emptied once, before all of them.
  rmSync("dist", { recursive: true, force: true });
  return [
    { ...shared, format: "esm", entry: { ...entries, cli: "src/cli.ts", "job-worker": "src/cli/job-worker.ts" } },
    // CommonJS has __filename in place of import.meta.url.
    { ...shared, format: "cjs", entry: entries, define: { "import.meta.url": "__filename" } },
    // One file without imports, minified: Python's anywidget hands its text to the page.
    { ...shared, format: "esm", entry: { anywidget: "src/viz/page/anywidget.ts" }, ...alone },
    declarations,
  ];
});
