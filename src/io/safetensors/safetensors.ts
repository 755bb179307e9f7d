/**
 * Reading safetensors files: a list of named arrays, with nothing in it that could run.
 * Format: https://huggingface.co/docs/safetensors
 */
import { requireOptions } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { toBytes } from "../bytes/bytes.ts";
import type { Bytes } from "../bytes/bytes.ts";
import type { Source } from "../bytes/fault.ts";
import { plainObject } from "../json/plain.ts";
import { readNow, take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { readHeader } from "./header.ts";
import type { SafetensorsEntry } from "./table.ts";
import { absent, decodeTensor, noSuchTensor, wantedType } from "../checkpoint/tensor-file.ts";
import type { ReadTensorOptions, TensorStore } from "../checkpoint/tensor-file.ts";

/**
 * An open safetensors file: what it holds, and a way to decode single tensors.
 * @category Files
 */
export interface SafetensorsFile {
  /** The name that the caller gave, as error texts show it. */
  readonly name: string;
  /** The free-form strings of the header's `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor's name, element type, shape and place, in the order of the file; nothing is decoded for it. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** Tensors of element types that are not read, such as F8_E4M3 and C64, and what each is in words. */
  readonly unread: ReadonlyMap<string, string>;
  /**
   * Names that the metadata give to tensors of other names, as the `save_model` of Python's library does for tied
   * matrices.
   */
  readonly aliases: ReadonlySet<string>;
  /**
   * Decodes one tensor. Aligned float32 data are not copied, so do not write to the bytes afterwards. NaN and
   * infinities are passed on.
   *
   * @throws {@link InputError} when the file has no such tensor; {@link FormatError} when an element does not fit the
   * wanted element type.
   */
  read<const A extends string = string>(name: string, options?: ReadTensorOptions<A>): Tensor<NoInfer<A>>;
}

/**
 * Opens a safetensors file given as bytes and checks all that its header claims, without decoding any tensor.
 *
 * Refused are headers longer than 25 MB or than the file, keys that appear twice, unknown element types and fields,
 * sizes that are not non-negative integers, data offsets that lie outside the file, overlap, leave gaps or disagree
 * with the shape.
 *
 * @param bytes - the whole file.
 * @param options - `name` is what error texts call the file.
 * @throws {@link FormatError} naming the file, the tensor and the offset at fault.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, parseSafetensors, writeSafetensors } from "transformer-circuits";
 *
 * const bytes = writeSafetensors(new Map([["W_E", Tensor.zeros("d_vocab d_model", [5, 2])]]));
 * const file = parseSafetensors(bytes, { name: "tiny.safetensors" });
 * for (const [name, { dtype, shape }] of file.tensors) console.log(name, dtype, shape);
 * // W_E F32 [ 5, 2 ]
 * console.log(file.read("W_E", { axes: "d_vocab d_model" }).toString());
 * // Tensor[d_vocab=5 d_model=2] float32
 * ```
 */
export function parseSafetensors(bytes: Bytes, options: { readonly name?: string } = {}): SafetensorsFile {
  requireOptions(options, "parseSafetensors", "name");
  return openSafetensors(bytes, { operation: "parseSafetensors", name: options.name ?? "the safetensors file" });
}

/** {@link parseSafetensors} on behalf of another operation. */
export function openSafetensors(given: Bytes, source: Source): SafetensorsFile {
  const bytes = toBytes(given, source.operation, "bytes");
  const { metadata, tensors, unread, aliases } = readNow(bytes, readHeader(bytes.byteLength, source));
  return {
    name: source.name,
    metadata,
    tensors,
    unread,
    aliases,
    read: (name, options = {}) => {
      const entry = tensors.get(name);
      if (entry === undefined) throw absent(source, name, { tensors, unread });
      const { dtype, byteOffset, byteLength } = entry;
      const wanted = wantedType(name, dtype, options.dtype, source);
      const stored = bytes.subarray(byteOffset, byteOffset + byteLength);
      return decodeTensor(stored, name, entry, wanted, options.axes, source, byteOffset);
    },
  };
}

/** The reader of a safetensors file for {@link TensorStore}'s users. */
export function* openSafetensorsStore(fileSize: number, source: Source): Reading<TensorStore> {
  const { metadata, tensors, unread, aliases } = yield* readHeader(fileSize, source);
  return {
    format: "safetensors",
    fileSize,
    metadata,
    values: plainObject([]),
    unread,
    aliases,
    tensors,
    scratch: () => 0,
    *load(name) {
      const entry = tensors.get(name);
      if (entry === undefined) throw noSuchTensor(source, name, tensors);
      return yield* take(entry.byteOffset, entry.byteLength);
    },
  };
}
