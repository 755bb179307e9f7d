/** Checkpoints on disk: a file or a folder, of which only what is asked for is read. */
import { open, readFile, readdir, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, requireOptions } from "../../errors.ts";
import { openFor } from "../checkpoint/checkpoint.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { isIndex } from "../checkpoint/files.ts";
import { inspectionOf } from "../checkpoint/inspect.ts";
import type { Inspection } from "../checkpoint/inspect.ts";
import type { ByteSource } from "../bytes/reading.ts";

/**
 * How {@link openPath} and {@link inspectPath} read.
 * @category Files
 */
export interface OpenPathOptions {
  /** The configuration, in place of the `config.json` beside the weights: parsed, as JSON text or as bytes. */
  readonly config?: unknown;
  /** Stops the opening; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of one system call at most. */
const CHUNK = 2 ** 28;

/**
 * Opens a checkpoint on disk: a file of any format that `openCheckpoint` reads, the index of one in several files, or a
 * folder, with its `config.json` where there is one. Of a file only headers are read, and then the tensors that are
 * asked for. Close it in the end.
 *
 * @param path - as a path or a `file:` URL.
 * @throws {@link InputError} when the path is not there or holds no weights, naming it; {@link FormatError} for
 * whatever `openCheckpoint` refuses.
 * @category Files
 * @example
 * ```ts no-run
 * import { readTensors } from "transformer-circuits/io";
 * import { openPath } from "transformer-circuits/node";
 *
 * const checkpoint = await openPath("models/pythia-70m");
 * const layer = await readTensors(checkpoint, { filter: (name) => name.includes(".layers.3.") });
 * await checkpoint.close();
 * console.log(checkpoint.config?.hidden_size, [...layer.keys()]);
 * ```
 */
export async function openPath(path: string | URL, options: OpenPathOptions = {}): Promise<Checkpoint> {
  requireOptions(options, "openPath", "config signal");
  return openPathFor("openPath", path, options);
}

/**
 * Lists the tensors of a checkpoint on disk, a file or a folder, with shapes and element types, reading no tensor.
 *
 * @param path - as a path or a `file:` URL.
 * @throws {@link InputError} and {@link FormatError} for whatever {@link openPath} refuses.
 * @category Files
 * @example
 * ```ts no-run
 * import { inspectPath } from "transformer-circuits/node";
 *
 * const { format, tensors } = await inspectPath("models/attn_only_2L_half.pth");
 * console.log(format, tensors.map(({ name, shape }) => `${name} [${shape.join(", ")}]`));
 * ```
 */
export async function inspectPath(path: string | URL, options: OpenPathOptions = {}): Promise<Inspection> {
  requireOptions(options, "inspectPath", "config signal");
  const checkpoint = await openPathFor("inspectPath", path, options);
  await checkpoint.close();
  return inspectionOf(checkpoint);
}

/** {@link openPath} on behalf of another operation. */
export async function openPathFor(
  operation: string,
  given: string | URL,
  { signal, config, weights }: OpenPathOptions & { readonly weights?: string },
): Promise<Checkpoint> {
  signal?.throwIfAborted();
  const path = typeof given === "string" ? given : fileURLToPath(given);
  const info = await stat(path).catch((cause: unknown) => {
    throw cannotRead(operation, path, cause);
  });
  const options = { name: path, signal, config };
  if (info.isDirectory()) {
    const files = await folderFiles(operation, path);
    if (weights?.includes("/") === true)
      files.set(weights, fileSource(join(path, weights), (await stat(join(path, weights))).size));
    return openFor(operation, files, weights === undefined ? options : { ...options, weights });
  }
  if (!isIndex(path)) return openFor(operation, fileSource(path, info.size), options);
  const files = await folderFiles(operation, dirname(path));
  return openFor(operation, files, { ...options, name: dirname(path), weights: basename(path) });
}

/** The files of a folder, opened when they are first read. */
async function folderFiles(operation: string, folder: string): Promise<Map<string, ByteSource>> {
  const files = new Map<string, ByteSource>();
  try {
    for (const name of (await readdir(folder)).sort()) {
      const info = await stat(join(folder, name)).catch(() => undefined);
      if (info?.isFile() === true) files.set(name, fileSource(join(folder, name), info.size));
    }
  } catch (cause) {
    throw cannotRead(operation, folder, cause);
  }
  return files;
}

function cannotRead(operation: string, path: string, cause: unknown): InputError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "there is no such file or folder" : code === "EACCES" ? "permission denied" : message;
  return new InputError(`cannot read ${path}: ${why}.`, { operation, argument: "path", actual: path }, { cause });
}

/** Random access to a file, which is opened when it is first read. */
function fileSource(path: string, size: number): ByteSource {
  let opening: Promise<FileHandle> | undefined;
  return {
    size,
    read: async (begin, end) => {
      opening ??= open(path, "r");
      const handle = await opening;
      const bytes = new Uint8Array(end - begin);
      let done = 0;
      while (done < bytes.byteLength) {
        const length = Math.min(CHUNK, bytes.byteLength - done);
        const { bytesRead } = await handle.read(bytes, done, length, begin + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done === bytes.byteLength ? bytes : bytes.subarray(0, done);
    },
    close: async () => {
      const handle = await opening;
      opening = undefined;
      await handle?.close();
    },
  };
}

/** The folder of a checkpoint: the path itself, or that in which the file lies. */
export async function folderOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? path : dirname(path);
}

/** A file beside a checkpoint's weights, `undefined` where there is none. */
export async function readBeside(
  operation: string,
  folder: string,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  try {
    return await readFile(join(folder, file), { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new InputError(
      `cannot read ${join(folder, file)}: ${(cause as Error).message}.`,
      { operation, argument: "path", actual: file },
      { cause },
    );
  }
}
