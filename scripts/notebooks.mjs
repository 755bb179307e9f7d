/**
 * Executes the notebooks of examples/notebooks/ headless: each becomes one module, of which Deno runs the cells in
 * order, or whichever command is named.
 *
 *   node scripts/notebooks.mjs           runs them; fails where a cell throws
 *   node scripts/notebooks.mjs --with "deno run --allow-read"
 *
 * They import the package by its name, which is the build beside them: `npm run build` first. In JupyterLab the Deno
 * kernel runs the same cells (`deno jupyter --install`). They are written by `node site/chapters/index.mjs`, which
 * takes them from the chapters of the guide.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const folder = join(root, "examples/notebooks");
const DENO = "npx --yes deno@2.9.6 run --no-lock --no-check --allow-read";

/** The notebooks, by the names of their files. Those whose metadata say what they `need` run where that is. */
export const notebooks = readdirSync(folder).filter((name) => name.endsWith(".ipynb"));

export const readNotebook = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
/** Those that run here: without a file that they need, or with it. */
export const runnable = () =>
  notebooks.filter((name) => {
    const { needs } = readNotebook(name).metadata;
    return needs === undefined || Boolean(process.env[needs]);
  });
const sourceOf = ({ source }) => (Array.isArray(source) ? source.join("") : source);

/** The code of a notebook, as steps of a module. */
export const stepsOf = (notebook) =>
  notebook.cells.filter(({ cell_type }) => cell_type === "code").map((cell) => ({ code: sourceOf(cell) }));

/**
 * What runs before the cells: keeps what they log, asks the value of the last line for its display, and writes numbers
 * as prose has them: whole ones in groups of three digits, others with two decimals.
 */
const PRELUDE = `
import { format as __format, inspect as __inspect } from "node:util";
const __cells = [];
const __values = [];
const __log = console.log;
console.log = (...values) => void (__cells.at(-1).text += __format(...values) + "\\n");
const __begin = () => void __cells.push({ text: "" });
const __show = async (value) => {
  if (value === undefined) return;
  const display = value?.[Symbol.for("Jupyter.display")];
  const cell = __cells.at(-1);
  cell.data = display === undefined ? { "text/plain": __inspect(value) } : await display.call(value);
  if (display !== undefined && typeof value.body === "string") cell.body = value.body;
};
const __value = (value) => {
  const isText = typeof value === "string" && value !== "";
  if (!isText && !Number.isFinite(value)) throw new Error("a number of the prose is " + __inspect(value));
  const text = isText ? value : Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(2);
  __values.push(text.replace(/^-(?=\\d)/, "\\u2212"));
};
`;

/**
 * Steps as one module: the last line of a step's code, where it is a value, is shown.
 *
 * @param steps - `{ code }`, a cell; or `{ value }`, an expression whose value stands in the prose after the cells
 * before it.
 * @param end - what comes last; by default, what the cells gave is printed, as `{ cells, values }`.
 */
export function moduleOf(steps, end = "__log(JSON.stringify({ cells: __cells, values: __values }));") {
  const imports = [];
  const bodies = steps.map(({ code, value }) => {
    if (code === undefined) return `__value(${value});\n`;
    const file = ts.createSourceFile("cell.ts", code, ts.ScriptTarget.ES2022, true);
    const statements = file.statements.map((statement, i) => {
      const text = statement.getFullText(file);
      if (ts.isImportDeclaration(statement)) {
        imports.push(text);
        return "";
      }
      const isShown = i === file.statements.length - 1 && ts.isExpressionStatement(statement);
      return isShown ? `\nawait __show(${statement.expression.getText(file)});` : text;
    });
    return `__begin();\n${statements.join("")}\n`;
  });
  return [...imports, PRELUDE, ...bodies, end, ""].join("\n");
}

const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Of a drawing the notebook keeps the SVG, of tables and other values the HTML, of all the text. */
function kept(data) {
  const isDrawing = data["image/svg+xml"] !== undefined && !data["text/plain"].startsWith("Figure(table");
  return Object.entries(data).filter(([type]) => type !== (isDrawing ? "text/html" : "image/svg+xml"));
}

/** What a notebook keeps of what a cell gave. */
export function outputsOf({ text, data }, count) {
  const stream = { output_type: "stream", name: "stdout", text: linesOf(text) };
  const bundle = Object.fromEntries(kept(data ?? {}).map(([type, content]) => [type, linesOf(content)]));
  const result = { output_type: "execute_result", execution_count: count, metadata: {}, data: bundle };
  return [...(text === "" ? [] : [stream]), ...(data === undefined ? [] : [result])];
}

/** Writes steps as a module under the root, where imports of the package by its name are found; its path. */
export function writeModule(name, steps, end) {
  const path = join(root, ".tmp/notebooks", `${name}.ts`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, moduleOf(steps, end));
  return path;
}

/** Runs a notebook with a command that takes a file; returns what each code cell gave. */
export function execute(name, command = DENO) {
  const path = writeModule(name, stepsOf(readNotebook(name)));
  const [program, ...given] = command.split(" ");
  return JSON.parse(execFileSync(program, [...given, path], { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 28 }))
    .cells;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const command = process.argv.includes("--with") ? process.argv[process.argv.indexOf("--with") + 1] : DENO;
  for (const name of runnable()) console.log(`${name}: ${execute(name, command).length} cells`);
}
