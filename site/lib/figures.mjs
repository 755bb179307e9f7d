/**
 * The pictures of the site, made of the bundled model: every figure of the list, and what the examples of the drawing functions
 * draw. A process of its own, since it computes while TypeDoc reads.
 *
 *   node site/lib/figures.mjs
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { transformSync } from "esbuild";
import { openBundledModel } from "../../dist/bundled.js";
import { figureEntries, makeFigure } from "../../dist/figures.js";
import { map } from "../../dist/tensor.js";
import { Transformer } from "../../dist/model.js";
import { Figure, figureScript, figureStyles } from "../../dist/viz.js";
import { data, files, root } from "./paths.mjs";

const folder = `${files}figures`;

/** Writes a figure as the component `LiveFigure` takes it; what the pages have to know of it. */
function write(name, figure) {
  writeFileSync(`${folder}/${name}.html`, figure.body);
  if (figure.svg !== undefined) writeFileSync(`${folder}/${name}.svg`, figure.svg);
  const { label, width, height } = figure;
  return { name, label, width, height };
}

/** What a figure of a text is made of: the declarations that come with the package, without comments, as the command does. */
const text = () =>
  readFileSync(`${root}dist/tensor.d.ts`, "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .slice(0, 3000);

/**
 * For figures of training, since the package has one checkpoint: the model with what its second layer adds grown from nothing to
 * what it is.
 */
function growing(model) {
  const scaled = (share) =>
    Transformer.fromWeights(
      model.config,
      new Map(
        [...model.weights].map(([name, W]) => [
          name,
          /blocks\.1\.attn\.(W|b)_O/.test(name) ? map(W, (x) => x * share) : W,
        ]),
      ),
    );
  return [0, 0.25, 0.5, 0.75, 1].map((share) => ({
    label: `${100 * share} %`,
    step: 100 * share,
    load: () => scaled(share),
  }));
}

/** The figures of the list that can be made of the bundled model, which has no MLPs. */
async function listed() {
  const bundled = await openBundledModel();
  const made = [];
  for (const { name, number, title, source, needs, takesText, make, draw } of figureEntries()) {
    if (needs.includes("mlps")) continue;
    const isGrown = needs.includes("checkpoints");
    const input = {
      ...bundled,
      ...(needs.includes("text") && { text: text() }),
      ...(isGrown && { checkpoints: growing(bundled.model) }),
    };
    const { figure } = await makeFigure(name, input);
    const functions = [make.name, draw.name].filter((one) => one !== "make" && one !== "draw");
    made.push({ ...write(name, figure), number, title, source, needs, takesText, isGrown, functions });
  }
  return made;
}

/** The first example of each exported function of a folder that returns a figure. */
function* examples(under) {
  for (const file of readdirSync(`${root}src/${under}`, { recursive: true }).filter((name) => name.endsWith(".ts"))) {
    const source = readFileSync(`${root}src/${under}/${file}`, "utf8");
    for (const [, comment, name] of source.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\nexport function (\w+)(?:(?!\n\})[\s\S])*?\): Figure \{/g,
    )) {
      const code = /```ts\n([\s\S]*?)```/.exec(comment.replace(/^ \* ?/gm, ""))?.[1];
      if (code !== undefined) yield { name, code };
    }
  }
}

/** What the function of an example gives in it, the last time that it is called. */
async function drawnBy({ name, code }) {
  const module = `${root}.tmp/site/${name}.mjs`;
  const kept = `export let drawn;\nconst ${name} = (...given) => (drawn = __${name}(...given));\nconsole.log = () => undefined;\n`;
  const imported = code.replace(new RegExp(`(import [^;]*\\b)${name}\\b`), `$1${name} as __${name}`);
  const { code: script } = transformSync(kept + imported, { loader: "ts", format: "esm" });
  writeFileSync(module, script);
  const { log } = console;
  const { drawn } = await import(pathToFileURL(module).href);
  console.log = log;
  return drawn instanceof Figure ? drawn : undefined;
}

mkdirSync(folder, { recursive: true });
mkdirSync(`${root}.tmp/site`, { recursive: true });
writeFileSync(`${folder}/figures.css`, figureStyles());
writeFileSync(`${folder}/figures.js`, figureScript());
const list = await listed();
const shown = {};
for (const one of list)
  for (const name of one.functions) shown[name] ??= { name: one.name, label: one.label, height: one.height };
for (const example of [...examples("viz"), ...examples("figures")]) {
  if (shown[example.name] !== undefined) continue;
  const figure = await drawnBy(example);
  if (figure !== undefined) shown[example.name] = write(`of-${example.name}`, figure);
}
writeFileSync(`${data}figures.json`, JSON.stringify({ list, shown }));
