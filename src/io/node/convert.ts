/** Converting checkpoints on disk to safetensors. */
import { open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { safetensorsChunks } from "../checkpoint/convert.ts";
import type { ConvertOptions } from "../checkpoint/convert.ts";
import { folderOf, openPathFor, readBeside } from "./files.ts";

/**
 * How {@link convertPath} writes.
 * @category Files
 */
export interface ConvertPathOptions extends ConvertOptions {
  /** Whether files that are there already are overwritten. */
  readonly force?: boolean;
}

/**
 * What {@link convertPath} wrote.
 * @category Files
 */
export interface Converted {
  /** The safetensors file. */
  readonly file: string;
  /** Its length in bytes. */
  readonly size: number;
  /** Tensors in it. */
  readonly tensors: number;
  /** The `config.json` beside it, where the checkpoint has one. */
  readonly config: string | undefined;
  /** What was passed over, by name, as it is not read. */
  readonly unread: readonly string[];
}

const OPERATION = "convertPath";

/**
 * Converts a checkpoint on disk, a file or a folder of any format that is read, to a safetensors file. Tensors are read
 * and written one by one, so that it need not fit in memory, under another name first, so that a half-written file
 * never bears its name. A `config.json` beside the weights is copied beside the new file.
 *
 * @param from - a file or a folder, as a path or a `file:` URL.
 * @param to - the file to be written; its folder must be there.
 * @returns what was written.
 * @throws {@link InputError} when the checkpoint is not there, a file to be written is there already and `force` is not
 * given, or it cannot be written; {@link FormatError} when the checkpoint is damaged.
 * @category Files
 * @example
 * ```ts no-run
 * import { convertPath } from "transformer-circuits/node";
 *
 * const { size, tensors } = await convertPath("attn_only_2L_half.pth", "models/arena/model.safetensors", {
 *   dtype: "F32",
 * });
 * console.log(`${tensors} tensors, ${size} bytes`);
 * ```
 */
export async function convertPath(
  from: string | URL,
  to: string | URL,
  options: ConvertPathOptions = {},
): Promise<Converted> {
  const source = typeof from === "string" ? from : fileURLToPath(from);
  const file = resolve(typeof to === "string" ? to : fileURLToPath(to));
  const checkpoint = await openPathFor(OPERATION, source, options);
  try {
    const config = await configBeside(source, file, options.signal);
    await checkTarget(file, options.force === true);
    if (config !== undefined && !config.same) await checkTarget(config.target, options.force === true);
    const size = await writeChunks(
      file,
      safetensorsChunks(checkpoint, withFormat(checkpoint, options)),
      options.signal,
    );
    if (config !== undefined && !config.same) await writeFile(config.target, config.bytes);
    return {
      file,
      size,
      tensors: checkpoint.tensors.size,
      config: config?.target,
      unread: [...checkpoint.unread.keys()],
    };
  } finally {
    await checkpoint.close();
  }
}

/** The framework for which other readers of safetensors look. */
function withFormat(checkpoint: Checkpoint, options: ConvertOptions): ConvertOptions {
  return checkpoint.metadata.has("format") ? options : { ...options, metadata: { format: "pt", ...options.metadata } };
}

interface Config {
  readonly bytes: Uint8Array;
  readonly target: string;
  /** Whether the target has these bytes already. */
  readonly same: boolean;
}

async function configBeside(
  source: string,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Config | undefined> {
  const bytes = await readBeside(OPERATION, await folderOf(source), "config.json", signal);
  if (bytes === undefined) return undefined;
  const target = join(dirname(file), "config.json");
  const old = await readFile(target).catch(() => undefined);
  return { bytes, target, same: old?.equals(bytes) === true };
}

async function checkTarget(file: string, force: boolean): Promise<void> {
  const old = await stat(file).catch(() => undefined);
  if (old?.isDirectory() === true) throw cannotWrite(file, "it is a folder. Name a file in it");
  if (old !== undefined && !force)
    throw cannotWrite(file, "it is there already. Name another file, or overwrite it by force");
  const folder = await stat(dirname(file)).catch(() => undefined);
  if (folder?.isDirectory() !== true) throw cannotWrite(file, `there is no folder ${dirname(file)}. Make it first`);
}

function cannotWrite(file: string, why: string, cause?: unknown): InputError {
  const details = { operation: OPERATION, argument: "to", actual: file };
  return new InputError(`cannot write ${file}: ${why}.`, details, cause === undefined ? {} : { cause });
}

async function writeChunks(
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const temporary = join(dirname(file), `.${basename(file)}-${process.pid}.tmp`);
  const handle = await open(temporary, "w").catch((cause: unknown) => {
    throw cannotWrite(file, (cause as Error).message, cause);
  });
  let size = 0;
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      await handle.writeFile(chunk);
      size += chunk.byteLength;
    }
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    const isSystem = error instanceof Error && "code" in error && "syscall" in error;
    throw isSystem ? cannotWrite(file, error.message, error) : error;
  }
  return size;
}
