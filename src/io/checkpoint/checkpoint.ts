/** A checkpoint of any format, in one file or several, with what lies beside it: one view of all of them. */
import { InputError, requireOptions } from "../../errors.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { toJson } from "../bytes/bytes.ts";
import { entriesOf } from "./entries.ts";
import type { CheckpointEntry, Part } from "./entries.ts";
import { isIndex, shardsOf, weightsAmong } from "./files.ts";
import { fault } from "../bytes/fault.ts";
import { openStore } from "./format.ts";
import { checkJsonSize, parsePlainJson } from "../json/plain-json.ts";
import { plainObject } from "../json/plain.ts";
import type { PlainObject } from "../json/plain.ts";
import { readFrom, take, toByteSource } from "../bytes/reading.ts";
import type { ByteSource, FileInput } from "../bytes/reading.ts";
import { absent, checkAllowance, readTensor } from "./tensor-file.ts";
import type { CheckpointFormat, ReadTensorOptions } from "./tensor-file.ts";
import type { Kind } from "../../errors.ts";

export const CHECKPOINT: Kind = { member: "files", what: "a Checkpoint", remedy: "Open one with openCheckpoint" };

export type { CheckpointEntry } from "./entries.ts";

/**
 * How {@link Checkpoint} reads.
 * @category Files
 */
export interface ReadCheckpointOptions<A extends string = string> extends ReadTensorOptions<A> {
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An open checkpoint: named tensors, of which each is read when it is asked for, and the settings beside them.
 * @category Files
 */
export interface Checkpoint {
  /** What error texts call it. */
  readonly name: string;
  readonly format: CheckpointFormat;
  /** The files that hold the tensors. */
  readonly files: readonly string[];
  /** Bytes of these files together. */
  readonly size: number;
  /** Every tensor's name, element type, shape and file; nothing is decoded for it. */
  readonly tensors: ReadonlyMap<string, CheckpointEntry>;
  /** Free-form strings of safetensors headers. */
  readonly metadata: ReadonlyMap<string, string>;
  /** What PyTorch files hold beside tensors, such as nanoGPT's `model_args`. */
  readonly values: PlainObject;
  /** The parsed `config.json`, where there is one. */
  readonly config: PlainObject | undefined;
  /**
   * The configuration that lies in a PyTorch file itself, where one does: nanoGPT's `model_args`, `model_config`, or
   * the `cfg` or `config` of a model that was saved whole.
   */
  readonly settings: PlainObject | undefined;
  /**
   * What is not read, by name, and what it is in words: sparse tensors, complex numbers, arrays of text, objects of
   * other libraries.
   */
  readonly unread: ReadonlyMap<string, string>;
  /**
   * Names of tensors that safetensors metadata gives to others, as its `save_model` does for matrices that are tied.
   */
  readonly aliases: ReadonlySet<string>;
  /**
   * Decodes one tensor; of the file only its own bytes are read where they are not compressed.
   *
   * @throws {@link InputError} when there is no such tensor or the file cannot be read; {@link FormatError} when it is
   * of a kind that is not read, an element does not fit the wanted element type or the tensor takes far more memory
   * than the file.
   */
  read<const A extends string = string>(name: string, options?: ReadCheckpointOptions<A>): Promise<Tensor<NoInfer<A>>>;
  /** The elements of one tensor as they are stored, row-major and little-endian; do not write to them. */
  readBytes(name: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Uint8Array>;
  /** Closes the files. What was read stays valid. */
  close(): Promise<void>;
}

/**
 * How {@link openCheckpoint} opens.
 * @category Files
 */
export interface OpenCheckpointOptions {
  /** What error texts call the file or the folder. */
  readonly name?: string;
  /**
   * The configuration, in place of the `config.json` among the files, which is not read then: parsed, as JSON text or
   * as bytes.
   */
  readonly config?: unknown;
  /** Stops the opening; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a checkpoint of any format that is read: safetensors, GGUF, PyTorch's both layouts, `.npz`, `.npy`; told by its
 * content. Only headers are read; of a file of gigabytes that is a few kilobytes.
 *
 * @param files - one file (bytes, a `Blob` or `File`, or random access to it), or the files of a folder by name, such
 * as those dropped on a page: `new Map(files.map((file) => [file.name, file]))`. In a folder the weights are found by
 * their names, `model.safetensors` first; weights in several files need their index.
 * @throws {@link FormatError} naming the file, the tensor and the offset at fault; {@link InputError} when a folder has
 * no weights or several, or a file cannot be read.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, openCheckpoint, writeSafetensors } from "transformer-circuits";
 *
 * const weights = writeSafetensors(new Map([["embed.W_E", Tensor.zeros("d_vocab d_model", [5, 2])]]));
 * const config = new TextEncoder().encode('{"n_layers": 0}');
 * const checkpoint = await openCheckpoint(new Map([["model.safetensors", weights], ["config.json", config]]));
 * console.log(checkpoint.format, [...checkpoint.tensors.keys()], checkpoint.config?.n_layers);
 * // safetensors [ 'embed.W_E' ] 0
 * console.log(String(await checkpoint.read("embed.W_E", { axes: "d_vocab d_model" })));
 * // Tensor[d_vocab=5 d_model=2] float32
 * ```
 */
export async function openCheckpoint(
  files: FileInput | ReadonlyMap<string, FileInput>,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  requireOptions(options, "openCheckpoint", "name config signal");
  return openFor("openCheckpoint", files, options);
}

/**
 * {@link openCheckpoint} on behalf of another operation, of given weights in a folder; the files are closed where it
 * fails.
 */
export async function openFor(
  operation: string,
  files: FileInput | ReadonlyMap<string, FileInput>,
  { name, signal, config: told, weights: given }: OpenCheckpointOptions & { readonly weights?: string },
): Promise<Checkpoint> {
  const isFolder = Object.prototype.toString.call(files) === "[object Map]";
  const named = isFolder
    ? (files as ReadonlyMap<string, FileInput>)
    : new Map([[name ?? "the checkpoint", files as FileInput]]);
  const inputs = new Map<string, ByteSource>();
  for (const [file, input] of named) inputs.set(file, toByteSource(input, operation));
  const folder: Folder = {
    operation,
    inputs,
    name: name ?? "the checkpoint",
    prefix: isFolder && name !== undefined ? `${name}/` : "",
    signal,
  };
  try {
    const weights = given ?? (isFolder ? weightsAmong([...inputs.keys()], operation, folder.name) : folder.name);
    const config =
      told !== undefined
        ? (toJson(told, operation, "config.json") as PlainObject)
        : inputs.has("config.json") && isFolder
          ? await readJson(folder, "config.json")
          : undefined;
    const parts =
      isFolder && isIndex(weights)
        ? await openShards(folder, weights)
        : new Map([[weights, await openPart(folder, weights)]]);
    return viewOf(folder, parts, config);
  } catch (error) {
    await closeAll(folder);
    throw error;
  }
}

interface Folder {
  readonly operation: string;
  readonly inputs: ReadonlyMap<string, ByteSource>;
  readonly name: string;
  /** What stands before a file's name in error texts. */
  readonly prefix: string;
  readonly signal: AbortSignal | undefined;
}

async function closeAll({ inputs }: Folder): Promise<void> {
  for (const input of inputs.values()) await input.close?.();
}

function inputOf({ inputs, operation, name }: Folder, file: string): ByteSource {
  const input = inputs.get(file);
  if (input !== undefined) return input;
  throw new InputError(`there is no ${file} in ${name}, though the index of its weights names it.`, {
    operation,
    argument: "files",
    expected: file,
    actual: [...inputs.keys()],
  });
}

async function readJson(folder: Folder, file: string): Promise<PlainObject> {
  const { operation, prefix, signal } = folder;
  const input = inputOf(folder, file);
  const source = { operation, name: `${prefix}${file}` };
  checkJsonSize(input.size, source);
  return parsePlainJson(await readFrom(input, take(0, input.size), source, signal), source);
}

async function openPart(folder: Folder, file: string): Promise<Part> {
  const { operation, prefix, signal } = folder;
  const input = inputOf(folder, file);
  const source = { operation, name: `${prefix}${file}` };
  return { input, source, store: await readFrom(input, openStore(input.size, source), source, signal) };
}

async function openShards(folder: Folder, index: string): Promise<ReadonlyMap<string, Part>> {
  const source = { operation: folder.operation, name: `${folder.prefix}${index}` };
  const parts = new Map<string, Part>();
  for (const [file, tensors] of shardsOf(await readJson(folder, index), source)) {
    const part = await openPart(folder, file);
    const missing = tensors.find((name) => !part.store.tensors.has(name) && !part.store.unread.has(name));
    if (missing !== undefined) throw fault(source, `it should lie in ${file}, which has no such tensor.`, missing);
    parts.set(file, part);
  }
  return parts;
}

function viewOf(folder: Folder, parts: ReadonlyMap<string, Part>, config: PlainObject | undefined): Checkpoint {
  const tensors = entriesOf(parts);
  const metadata = new Map<string, string>();
  for (const { store } of parts.values()) for (const [key, text] of store.metadata) metadata.set(key, text);
  const whole = { operation: folder.operation, name: folder.name };
  const partOf = (name: string): Part => {
    const part = parts.get(tensors.get(name)?.file ?? "");
    if (part === undefined) throw absent(whole, name, { tensors, unread });
    return part;
  };
  const stores = [...parts.values()].map(({ store }) => store);
  const only = stores.length === 1 ? stores[0] : undefined;
  const unread = only?.unread ?? new Map(stores.flatMap((store) => [...store.unread]));
  const checkpoint: Checkpoint = {
    name: folder.name,
    format: stores[0]?.format ?? "safetensors",
    files: [...parts.keys()],
    size: stores.reduce((sum, { fileSize }) => sum + fileSize, 0),
    tensors,
    metadata,
    values: only?.values ?? plainObject([]),
    config,
    settings: only?.settings,
    unread,
    aliases: new Set(stores.flatMap((store) => [...(store.aliases ?? [])])),
    read: async (name, options = {}) => {
      const { input, source, store } = partOf(name);
      return readFrom(input, readTensor(store, name, options, source), source, options.signal);
    },
    readBytes: async (name, options = {}) => {
      const { input, source, store } = partOf(name);
      checkAllowance(store, name, store.scratch(name), source);
      return readFrom(input, store.load(name), source, options.signal);
    },
    close: () => closeAll(folder),
  };
  return shownAs(checkpoint, checkpointShowing, checkpointJSON);
}

/** Tensors that a display lists. */
const SHOWN = 20;

function checkpointShowing({ name, format, files, size, tensors }: Checkpoint): Showing {
  const where = files.length === 1 ? "" : ` in ${files.length} files`;
  // There may be millions, of which each is looked up.
  const rows: string[][] = [];
  for (const [tensor, { dtype, quantization, shape }] of tensors) {
    if (rows.push([tensor, quantization ?? dtype, `[${shape.join(", ")}]`]) === SHOWN) break;
  }
  return {
    title: `Checkpoint ${name}: ${format}${where}, ${size.toLocaleString("en")} bytes`,
    parts: () => [{ kind: "rows", columns: ["tensor", "dtype", "shape"], rows, total: tensors.size }],
  };
}

/** What `inspect` says of the whole is not repeated: tensors are listed by name. */
function checkpointJSON({ name, format, files, size, tensors }: Checkpoint): object {
  return { type: "Checkpoint", name, format, files, size, tensors: [...tensors.keys()] };
}
