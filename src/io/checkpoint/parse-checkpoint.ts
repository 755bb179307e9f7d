/** A file of tensors of any format, given as bytes and read without a promise. */
import { requireOptions } from "../../errors.ts";
import { toBytes } from "../bytes/bytes.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { readNow } from "../bytes/reading.ts";
import { openStore } from "./format.ts";
import { tensorFile } from "./tensor-file.ts";
import type { TensorFile } from "./tensor-file.ts";

/**
 * Opens a file of tensors given as bytes, of any format that is read: safetensors, PyTorch's two layouts, `.npz`,
 * `.npy`; told by its content. No tensor is decoded yet. Nothing in the file runs: functions and classes that a pickle
 * names are never looked up, and a file that names a command is rejected.
 *
 * In PyTorch files tensors in dicts and lists are named by their path with dots, `model.lm_head.weight`, and a module
 * that was saved whole is its state dict. The array of an `.npy` file is called `arr_0`. {@link openCheckpoint} does
 * the same for files that need not be in memory, and for folders.
 *
 * @param bytes - the whole file; aligned float32 data are not copied, so do not write to it afterwards.
 * @param options - `name` is what error texts call the file.
 * @throws {@link FormatError} naming the file and the tensor, entry or byte at fault.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, writeSafetensors } from "transformer-circuits";
 * import { parseCheckpoint } from "transformer-circuits/io";
 *
 * const file = parseCheckpoint(writeSafetensors(new Map([["b_U", Tensor.from("d_vocab", [3], [0.5, -1, 2])]])));
 * console.log(file.format, file.read("b_U").toNested());
 * // safetensors [ 0.5, -1, 2 ]
 *
 * const evil = Uint8Array.from("\x80\x02cos\nsystem\n", (character) => character.charCodeAt(0));
 * try {
 *   parseCheckpoint(evil, { name: "evil.pth" });
 * } catch (error) {
 *   console.log(String(error).split(",")[0]);
 * }
 * // FormatError: parseCheckpoint: evil.pth: byte 2 of the pickle: it names "os.system"
 * ```
 */
export function parseCheckpoint(bytes: Bytes, options: { readonly name?: string } = {}): TensorFile {
  requireOptions(options, "parseCheckpoint", "name");
  const source = { operation: "parseCheckpoint", name: options.name ?? "the checkpoint" };
  const view = toBytes(bytes, source.operation, "bytes");
  return tensorFile(view, readNow(view, openStore(view.byteLength, source)), source);
}
