/** What the compiler says of chapters: nothing of code that runs, one sentence of each line that is wrong. */
import { join } from "node:path";
import ts from "typescript";
import { root } from "./chapter.mjs";

/** As strict as Deno and most projects are: entries of arrays are taken to be there. */
function compilerOptions() {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const settings = { noUnusedLocals: false, noUncheckedIndexedAccess: false };
  return ts.parseJsonConfigFileContent(config, ts.sys, root, settings).options;
}

/** A chapter as modules: the code that runs, and for each wrong piece the code before it with that piece at its end. */
function modulesOf({ name, parts }) {
  const path = (i) => join(root, `.tmp/chapters/${name}-${i}.ts`);
  const runsBefore = (end) => parts.slice(0, end).flatMap(({ kind, code }) => (kind === "run" ? [`${code};\n`] : []));
  const modules = parts.flatMap((part, i) => {
    if (part.kind !== "wrong") return [];
    const before = runsBefore(i).join("");
    return [{ path: path(i), text: `${before}${part.code}\nexport {};\n`, from: before.length, part }];
  });
  return [...modules, { path: path("all"), text: `${runsBefore(parts.length).join("")}export {};\n` }];
}

/**
 * Type-checks chapters, all in one program over the library's source.
 *
 * @returns {Map<object, { line: number, text: string }>} for each wrong part the line in it that the compiler names,
 * from 0, and what it says.
 * @throws Error when code that runs does not compile, or a wrong piece does.
 */
export function complaintsOf(chapters) {
  const modules = chapters.flatMap(modulesOf);
  const texts = new Map(modules.map(({ path, text }) => [path, text]));
  const options = compilerOptions();
  const disk = ts.createCompilerHost(options, true);
  const program = ts.createProgram([...texts.keys()], options, {
    ...disk,
    fileExists: (path) => texts.has(path) || disk.fileExists(path),
    readFile: (path) => texts.get(path) ?? disk.readFile(path),
    directoryExists: (path) => path.startsWith(join(root, ".tmp")) || disk.directoryExists(path),
    getSourceFile: (path, version, ...rest) => {
      const text = texts.get(path);
      return text === undefined
        ? disk.getSourceFile(path, version, ...rest)
        : ts.createSourceFile(path, text, version, true);
    },
  });
  const complaints = new Map();
  const faults = [];
  for (const { path, text, from, part } of modules) {
    const file = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    const ours = found.filter(({ start = 0 }) => part === undefined || start < from);
    faults.push(...ours.map((diagnostic) => `${path}: ${said(diagnostic)}\n${lineAt(text, diagnostic.start)}`));
    if (part === undefined || ours.length > 0) continue;
    if (found.length === 0) {
      faults.push(`${path}: this compiles, and should not:\n${part.code}`);
      continue;
    }
    const line = text.slice(from, found[0].start).split("\n").length - 1;
    complaints.set(part, { line, text: said(found[0]) });
  }
  if (faults.length > 0) throw new Error(faults.join("\n\n"));
  return complaints;
}

const said = ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n");
const lineAt = (text, start) => text.slice(text.lastIndexOf("\n", start - 1) + 1).split("\n")[0];
