/** The command `inspect`: the tensors of a checkpoint as a table. */
import { inspectPath } from "../io/node.ts";
import type { Inspection, PlainValue } from "../io/index.ts";
import { runCommand, shownBytes } from "./run.ts";

/** Options of the command. */
export interface InspectCommandOptions {
  readonly json?: boolean;
}

/** Runs the command; returns the exit status. */
export function inspect(path: string, options: InspectCommandOptions): Promise<number> {
  return runCommand("reading headers", async ({ signal }) => {
    const found = await inspectPath(path, { signal });
    return options.json === true ? asJson(found) : asTable(found);
  });
}

function asJson({ metadata, unread, ...rest }: Inspection): string {
  const replace = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
  const maps = { metadata: Object.fromEntries(metadata), unread: Object.fromEntries(unread) };
  return JSON.stringify({ ...rest, ...maps }, replace, 2);
}

function asTable(found: Inspection): string {
  const { name, format, files, size, tensors, elements, metadata, values, unread, config } = found;
  const several = files.length > 1;
  const head = ["name", "dtype", "shape", "bytes", ...(several ? ["file"] : [])];
  const rows = tensors.map((t) => {
    const cells = [printable(t.name), t.dtype, `[${t.shape.join(", ")}]`, String(t.byteLength)];
    return several ? [...cells, printable(t.file)] : cells;
  });
  const widths = head.map((cell, i) => rows.reduce((most, row) => Math.max(most, row[i]?.length ?? 0), cell.length));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  const settings = [
    ...(config === undefined ? [] : [["config.json", config] as const]),
    ...(metadata.size === 0 ? [] : [["metadata", Object.fromEntries(metadata)] as const]),
    ...(Object.keys(values).length === 0 ? [] : [["values", values] as const]),
    ...(unread.size === 0 ? [] : [["not read", Object.fromEntries(unread)] as const]),
  ];
  return [
    `${name}: ${format}${several ? ` in ${files.length} files` : ""}, ${tensors.length} tensors, ${elements} elements, ${shownBytes(size)}`,
    "",
    line(head),
    ...rows.map(line),
    ...(settings.length === 0 ? [] : [""]),
    ...settings.map(([what, value]) => `${what}: ${shown(value)}`),
  ].join("\n");
}

/** One line, cut where it is long. */
function shown(value: PlainValue): string {
  const text = JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? String(item) : item));
  return printable(text.length > 2000 ? `${text.slice(0, 1997)}...` : text);
}

/** Control characters, which could steer a terminal, as escapes. */
function printable(text: string): string {
  const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped);
}
