/** Several tensors of a checkpoint at once. */
import { requireKind, requireOptions } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { fault } from "../bytes/fault.ts";
import { MOST_UNPACKED } from "../gguf/quantization.ts";
import { allowance } from "../bytes/reading.ts";
import { CHECKPOINT } from "./checkpoint.ts";

/**
 * How {@link readTensors} reads.
 * @category Files
 */
export interface ReadTensorsOptions {
  /** Which tensors are read, by their names; all unless given. */
  readonly filter?: ((name: string) => boolean) | undefined;
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the number of bytes read and of bytes to read. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Decodes the tensors of a checkpoint, or those that a filter picks, one after the other: floating-point numbers as
 * float32, integers and booleans as int32, with axes `dim0 dim1 …`.
 *
 * @throws {@link FormatError} when a number does not fit, or the tensors together take far more memory than the files;
 * {@link InputError} when a file cannot be read.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, openCheckpoint, writeSafetensors } from "transformer-circuits";
 * import { readTensors } from "transformer-circuits/io";
 *
 * const weights = ["blocks.0.attn.W_Q", "blocks.1.attn.W_Q"].map(
 *   (name) => [name, Tensor.zeros("a b", [2, 2])] as const,
 * );
 * const checkpoint = await openCheckpoint(writeSafetensors(new Map(weights)));
 * const layer = await readTensors(checkpoint, { filter: (name) => name.startsWith("blocks.1.") });
 * console.log([...layer.keys()]);
 * // [ 'blocks.1.attn.W_Q' ]
 * ```
 */
export async function readTensors(
  checkpoint: Checkpoint,
  options: ReadTensorsOptions = {},
): Promise<Map<string, Tensor>> {
  requireOptions(options, "readTensors", "filter signal onProgress");
  requireKind(CHECKPOINT, checkpoint, "checkpoint", "readTensors");
  const { filter = () => true, signal, onProgress } = options;
  const names = [...checkpoint.tensors.keys()].filter((name) => filter(name));
  const total = totalBytes(checkpoint, names, "readTensors");
  const tensors = new Map<string, Tensor>();
  let done = 0;
  for (const name of names) {
    tensors.set(name, await checkpoint.read(name, { signal }));
    done += checkpoint.tensors.get(name)?.byteLength ?? 0;
    onProgress?.(done, total);
  }
  return tensors;
}

/** Bytes of tensors together; tensors that share storages may be many times what the file has. */
export function totalBytes(checkpoint: Checkpoint, names: readonly string[], operation: string): number {
  const total = names.reduce((sum, name) => sum + (checkpoint.tensors.get(name)?.byteLength ?? 0), 0);
  checkTotal(checkpoint, total, operation, " Read them one by one.");
  return total;
}

/** Refuses so many bytes of tensors as a checkpoint cannot mean. */
export function checkTotal(checkpoint: Checkpoint, total: number, operation: string, help = ""): void {
  const unpacked = checkpoint.format === "gguf" ? MOST_UNPACKED : 1;
  if (total <= allowance(unpacked * checkpoint.size)) return;
  throw fault(
    { operation, name: checkpoint.name },
    `its tensors take ${total} bytes together, far more than files of ${checkpoint.size} bytes can mean: they share what is stored.${help}`,
    undefined,
    allowance(checkpoint.size),
    total,
  );
}
