/** Files that commands write: checked before any work, and never there by half. */
import { access, constants, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { InputError } from "../errors.ts";

/** A file to be written. */
export interface Output {
  readonly file: string;
  /** What it is, as `a report`. */
  readonly what: string;
  /** By what an earlier one of its kind is known, so that it may be overwritten. */
  readonly mark: RegExp;
}

/** Refuses files that cannot be written or hold something else; returns their full paths. */
export async function checkOutputs(outputs: readonly Output[], force: boolean, operation: string): Promise<string[]> {
  const files = outputs.map(({ file }) => resolve(file));
  for (const [i, { what, mark }] of outputs.entries()) {
    const file = files[i] ?? "";
    const folder = await stat(dirname(file)).catch(() => undefined);
    if (folder?.isDirectory() !== true)
      throw refuse(operation, `cannot write ${file}: there is no folder ${dirname(file)}. Make it first.`);
    await access(dirname(file), constants.W_OK).catch((cause: unknown) => {
      throw refuse(operation, `cannot write ${file}: the folder is write-protected. Name a file elsewhere.`, cause);
    });
    const old = await stat(file).catch(() => undefined);
    if (old === undefined) continue;
    if (old.isDirectory()) throw refuse(operation, `cannot write ${file}: it is a folder. Name a file in it.`);
    if (!force && old.size > 0 && !mark.test(await beginning(file))) {
      throw refuse(
        operation,
        `${file} is there already and is not ${what}. Name another file, or overwrite it with --force.`,
      );
    }
  }
  return files;
}

async function beginning(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2048), 0, 2048, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Writes a file under another name and renames it, so that a half-written one never bears its name. */
export async function writeWhole(
  file: string,
  content: string | Uint8Array,
  signal: AbortSignal,
  operation: string,
): Promise<void> {
  const temporary = join(dirname(file), `.transformer-circuits-${process.pid}.tmp`);
  try {
    await writeFile(temporary, content, { signal });
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    signal.throwIfAborted();
    throw refuse(operation, `cannot write ${file}: ${(cause as Error).message}.`, cause);
  }
}

function refuse(operation: string, message: string, cause?: unknown): InputError {
  return new InputError(message, { operation, argument: "output" }, cause === undefined ? {} : { cause });
}
