/**
 * Finds the TypeScript blocks of documentation comments and Markdown files, and what they say they print.
 */
import ts from "typescript";

/** One ```` ```ts ```` block. */
export interface Block {
  /** File and line of the block's first line of code, as `src/axes.ts:12`. */
  readonly where: string;
  readonly code: string;
  /** False for ```` ```ts no-run ````: type-checked only. */
  readonly run: boolean;
}

const DOC_COMMENT = /\/\*\*(?!\/)[\s\S]*?\*\//g;

/** The blocks of every documentation comment in a source file. */
export function blocksOfSource(path: string, text: string): Block[] {
  return [...text.matchAll(DOC_COMMENT)].flatMap(({ 0: comment, index }) => {
    const firstLine = text.slice(0, index).split("\n").length;
    const lines = comment.split("\n").map((line) => line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, ""));
    return blocksOfLines(path, lines, firstLine);
  });
}

/** The blocks of a Markdown file. */
export function blocksOfMarkdown(path: string, text: string): Block[] {
  return blocksOfLines(path, text.split("\n"), 1);
}

function blocksOfLines(path: string, lines: readonly string[], firstLine: number): Block[] {
  const blocks: Block[] = [];
  let fence: { readonly close: string; readonly info: string; readonly start: number } | undefined;
  for (const [i, line] of lines.entries()) {
    const mark = /^\s*(`{3,})(.*)$/.exec(line);
    if (fence === undefined) {
      if (mark !== null) fence = { close: mark[1] ?? "", info: (mark[2] ?? "").trim(), start: i + 1 };
    } else if (mark !== null && mark[1] === fence.close && mark[2]?.trim() === "") {
      const [language, ...flags] = fence.info.split(/\s+/);
      if (language === "ts" || language === "typescript") {
        const unknown = flags.filter((flag) => flag !== "no-run");
        const where = `${path}:${firstLine + fence.start}`;
        if (unknown.length > 0) throw new Error(`${where}: a fence knows "no-run" only, not "${unknown.join(" ")}"`);
        const code = unindent(lines.slice(fence.start, i)).join("\n");
        blocks.push({ where, code, run: flags.length === 0 });
      }
      fence = undefined;
    }
  }
  if (fence !== undefined) throw new Error(`${path}:${firstLine + fence.start}: the code fence is not closed`);
  return blocks;
}

/** Lines without the indentation that they share. */
export function unindent(lines: readonly string[]): string[] {
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const common = Math.min(...indents);
  return lines.map((line) => line.slice(common));
}

/** What a block says about its own output. */
export interface Announcement {
  /** The lines it says it prints. */
  readonly lines: readonly string[];
  /** Lines of the block, from 1, whose console.log no comment follows. */
  readonly unannounced: readonly number[];
  /** True when the block prints, or throws by itself when something is not as it says. */
  readonly checks: boolean;
}

/**
 * Reads the comments that follow each `console.log(…)`, or, where the call stands in a loop, a branch or a callback, the
 * statement around it. They are the output, in the order in which they are written.
 */
export function announcement(code: string): Announcement {
  const file = ts.createSourceFile("block.ts", code, ts.ScriptTarget.ES2022, true);
  const comments = new Map<number, string[]>();
  const unannounced: number[] = [];
  let throws = false;
  const visit = (node: ts.Node): void => {
    throws ||= ts.isThrowStatement(node);
    if (isPrint(node)) {
      const found = commentsAfter(file, node);
      if (found === undefined) unannounced.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
      else comments.set(found.position, found.lines);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  const lines = [...comments].sort(([a], [b]) => a - b).flatMap(([, text]) => text);
  return { lines, unannounced, checks: throws || comments.size > 0 || unannounced.length > 0 };
}

function isPrint(node: ts.Node): boolean {
  return ts.isCallExpression(node) && node.expression.getText() === "console.log";
}

function commentsAfter(file: ts.SourceFile, print: ts.Node): { position: number; lines: string[] } | undefined {
  for (let node = print; !ts.isSourceFile(node); node = node.parent) {
    if (!ts.isStatement(node)) continue;
    const [sameLine = "", ...following] = file.text.slice(node.end).split("\n");
    const lines = [];
    const inline = /^\s*\/\/ ?(.*)$/.exec(sameLine);
    if (inline !== null) lines.push(inline[1] ?? "");
    for (const line of sameLine.trim() === "" || inline !== null ? following : []) {
      const comment = /^\s*\/\/ ?(.*)$/.exec(line);
      if (comment === null) break;
      lines.push(comment[1] ?? "");
    }
    if (lines.length > 0) return { position: node.end, lines };
  }
  return undefined;
}
