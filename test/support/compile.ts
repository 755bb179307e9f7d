import { existsSync } from "node:fs";
import { dirname } from "node:path";
import ts from "typescript";
import { root } from "./files.ts";

/** One complaint of the compiler about one file. */
export interface Complaint {
  /** Line in the file, from 1. */
  readonly line: number;
  /** The text of that line from the complaint's start to its end. */
  readonly at: string;
  /** The compiler's whole text; nested lines are indented by two spaces each. */
  readonly text: string;
}

function compilerOptions(): ts.CompilerOptions {
  const { config, error } = ts.readConfigFile(`${root}/tsconfig.json`, (path) => ts.sys.readFile(path)) as {
    config: unknown;
    error?: ts.Diagnostic;
  };
  if (error !== undefined) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, "\n"));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root, { noUnusedLocals: false });
  return options;
}

/** Files are parsed once for all programs of a worker. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** A program of files on the disk, of which some may have other texts, or exist in these texts alone. */
export function programOf(paths: readonly string[], texts: ReadonlyMap<string, string> = new Map()): ts.Program {
  const folders = new Set([...texts.keys()].map((path) => dirname(path)));
  const options = compilerOptions();
  const disk = ts.createCompilerHost(options, true);
  return ts.createProgram([...paths], options, {
    ...disk,
    fileExists: (path) => texts.has(path) || disk.fileExists(path),
    readFile: (path) => texts.get(path) ?? disk.readFile(path),
    directoryExists: (path) => folders.has(path) || existsSync(path),
    getSourceFile: (path, version, ...rest) => {
      const text = texts.get(path);
      if (text !== undefined) return ts.createSourceFile(path, text, version, true);
      if (!parsed.has(path)) parsed.set(path, disk.getSourceFile(path, version, ...rest));
      return parsed.get(path);
    },
  });
}

/** What the compiler says of a module. */
export interface Checked {
  /** Its complaints, in source order; empty for a module that compiles. */
  readonly complaints: Complaint[];
  /** The types of the module's exported constants as an editor shows them, by name. */
  readonly types: ReadonlyMap<string, string>;
}

/**
 * Type-checks modules that exist only in memory, all in one program over the library's source with the repository's own
 * compiler options.
 *
 * @param modules - text by path from the root; a path decides what a relative import in it means.
 * @returns what the compiler says, by the same paths.
 */
export function check(modules: ReadonlyMap<string, string>): Map<string, Checked> {
  const texts = new Map([...modules].map(([path, text]) => [`${root}/${path}`, text]));
  const program = programOf([...texts.keys()], texts);
  const checker = program.getTypeChecker();
  return new Map(
    [...modules.keys()].map((path) => {
      const file = program.getSourceFile(`${root}/${path}`);
      if (file === undefined) throw new Error(`${path} is not in the program`);
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
      const module = checker.getSymbolAtLocation(file);
      const exported = module === undefined ? [] : checker.getExportsOfModule(module);
      const types = exported.map((symbol): [string, string] => [
        symbol.name,
        checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, file), file),
      ]);
      return [path, { complaints: found.map((diagnostic) => complaint(file, diagnostic)), types: new Map(types) }];
    }),
  );
}

/** The complaints of {@link check} alone. */
export function compile(modules: ReadonlyMap<string, string>): Map<string, Complaint[]> {
  return new Map([...check(modules)].map(([path, { complaints }]) => [path, complaints]));
}

function complaint(file: ts.SourceFile, { start = 0, length = 0, messageText }: ts.Diagnostic): Complaint {
  return {
    line: file.getLineAndCharacterOfPosition(start).line + 1,
    at: file.text.slice(start, start + length),
    text: ts.flattenDiagnosticMessageText(messageText, "\n"),
  };
}
