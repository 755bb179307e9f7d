/** The command `convert`: any checkpoint to safetensors. */
import { convertPath } from "../io/node.ts";
import { runCommand, shownBytes } from "./run.ts";

/** Options of the command. */
export interface ConvertCommandOptions {
  readonly dtype?: "F32" | "F16" | "BF16";
  readonly force?: boolean;
}

/** Runs the command; returns the exit status. */
export function convert(from: string, to: string, options: ConvertCommandOptions): Promise<number> {
  return runCommand(`converting ${from}`, async ({ signal, onProgress }) => {
    const { dtype, force = false } = options;
    const written = await convertPath(from, to, { dtype, force, signal, onProgress });
    const { file, size, tensors, config, unread } = written;
    const lines = [`${"weights".padEnd(12)} ${file} (${tensors} tensors, ${shownBytes(size)})`];
    if (config !== undefined) lines.push(`${"config".padEnd(12)} ${config}`);
    if (unread.length > 0) lines.push(`${"not read".padEnd(12)} ${JSON.stringify(unread).slice(1, -1)}`);
    return lines.join("\n");
  });
}
