/**
 * Executes the notebooks of examples/notebooks/ headless: each becomes one module, of which Deno runs the cells in order,
 * or whichever command is named.
 *
 *   node scripts/notebooks.mjs           runs them; fails where a cell throws
 *   node scripts/notebooks.mjs --write   writes what the cells gave into the notebooks
 *   node scripts/notebooks.mjs --with "deno run --allow-read"
 *
 * They import the package by its name, which is the build beside them: `npm run build` first. In JupyterLab the Deno
 * kernel runs the same cells (`deno jupyter --install`).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const folder = join(root, "examples/notebooks");
const DENO = "npx --yes deno@2.9.6 run --no-lock --no-check --allow-read";

/** The notebooks, by the names of their files. */
export const notebooks = readdirSync(folder).filter((name) => name.endsWith(".ipynb"));

export const readNotebook = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const sourceOf = ({ source }) => (Array.isArray(source) ? source.join("") : source);

/** What runs before the cells: keeps what they log, and asks the value of the last line for its display. */
const PRELUDE = `
import { format as __format, inspect as __inspect } from "node:util";
const __cells = [];
const __log = console.log;
console.log = (...values) => void (__cells.at(-1).text += __format(...values) + "\\n");
const __begin = () => void __cells.push({ text: "", data: undefined });
const __show = async (value) => {
  const display = value?.[Symbol.for("Jupyter.display")];
  if (value === undefined) return;
  __cells.at(-1).data = display === undefined ? { "text/plain": __inspect(value) } : await display.call(value);
};
`;

/**
 * The cells as one module: the last line of a cell, where it is a value, is shown.
 *
 * @param end - what comes last; by default, what the cells gave is printed.
 */
export function moduleOf(notebook, end = "__log(JSON.stringify(__cells));") {
  const cells = notebook.cells.filter(({ cell_type }) => cell_type === "code").map(sourceOf);
  const imports = [];
  const bodies = cells.map((code) => {
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

/** What a notebook keeps of what a cell gave. */
export function outputsOf({ text, data }, count) {
  const stream = { output_type: "stream", name: "stdout", text: linesOf(text) };
  const bundle = Object.fromEntries(Object.entries(data ?? {}).map(([type, content]) => [type, linesOf(content)]));
  const result = { output_type: "execute_result", execution_count: count, metadata: {}, data: bundle };
  return [...(text === "" ? [] : [stream]), ...(data === undefined ? [] : [result])];
}

/** Runs a notebook with a command that takes a file; returns what each code cell gave. */
export function execute(name, command = DENO) {
  const path = writeModule(name);
  const [program, ...given] = command.split(" ");
  return JSON.parse(execFileSync(program, [...given, path], { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 28 }));
}

/** Writes the module of a notebook under the root, where imports of the package by its name are found; its path. */
export function writeModule(name, end) {
  const path = join(root, ".tmp/notebooks", `${name}.ts`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, moduleOf(readNotebook(name), end));
  return path;
}

/** A notebook with other outputs. */
function withOutputs(notebook, given) {
  let count = 0;
  const cells = notebook.cells.map((cell) => {
    if (cell.cell_type !== "code") return cell;
    const outputs = outputsOf(given[count], count + 1);
    return { ...cell, execution_count: ++count, outputs };
  });
  return { ...notebook, cells };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const command = process.argv.includes("--with") ? process.argv[process.argv.indexOf("--with") + 1] : DENO;
  for (const name of notebooks) {
    const given = execute(name, command);
    if (process.argv.includes("--write")) {
      writeFileSync(join(folder, name), `${JSON.stringify(withOutputs(readNotebook(name), given), null, 1)}\n`);
    }
    console.log(`${name}: ${given.length} cells`);
  }
}
