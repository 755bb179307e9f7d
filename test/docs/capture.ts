import { format } from "node:util";
import { vi } from "vitest";

/** Imports a module and returns the lines that it printed with console.log, without spaces at their ends. */
export async function printedBy(path: string): Promise<string[]> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(...format(...values).split("\n"));
  });
  try {
    await import(/* @vite-ignore */ path);
  } finally {
    log.mockRestore();
  }
  return lines.map((line) => line.trimEnd());
}
