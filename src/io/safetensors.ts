/**
 * Reading safetensors files: a list of named arrays, with nothing in it that could run.
 * Format: https://huggingface.co/docs/safetensors
 */
import { InputError } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import type { DType } from "../tensor/index.ts";
import { toBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { ITEM_SIZES, decodeElements, isFloating } from "./dtype.ts";
import type { SafetensorsDType } from "./dtype.ts";
import { fault, readHeader } from "./safetensors-header.ts";
import type { SafetensorsEntry, Source } from "./safetensors-header.ts";

/**
 * How one tensor of a file is decoded.
 * @category Files
 */
export interface ReadTensorOptions<A extends string = string> {
  /** The axis names; `dim0 dim1 …` unless given. */
  readonly axes?: A;
  /** The wanted element type; unless given, float32 for floating-point numbers and int32 for integers and booleans. */
  readonly dtype?: DType;
}

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
  /**
   * Decodes one tensor. Aligned float32 data are not copied, so do not write to the bytes afterwards. NaN and infinities
   * are passed on.
   *
   * @throws {@link InputError} when the file has no such tensor; {@link FormatError} when an element does not fit the wanted
   * element type.
   */
  read<const A extends string = string>(name: string, options?: ReadTensorOptions<A>): Tensor<A>;
}

/**
 * Opens a safetensors file given as bytes and checks all that its header claims, without decoding any tensor.
 *
 * Refused are headers longer than 25 MB or than the file, keys that appear twice, unknown element types and fields, sizes
 * that are not non-negative integers, data offsets that lie outside the file, overlap, leave gaps or disagree with the
 * shape.
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
  return openSafetensors(bytes, { operation: "parseSafetensors", name: options.name ?? "the safetensors file" });
}

/**
 * Decodes every tensor of a safetensors file, float32 for floating-point numbers and int32 for integers and booleans, with
 * axes `dim0 dim1 …`.
 *
 * @param bytes - the whole file; aligned float32 data are not copied, so do not write to it afterwards.
 * @param options - `name` is what error texts call the file.
 * @throws {@link FormatError} for whatever {@link parseSafetensors} refuses, and for numbers that do not fit.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, readSafetensors, writeSafetensors } from "transformer-circuits";
 *
 * const bytes = writeSafetensors(new Map([["b_U", Tensor.from("d_vocab", [3], [0.5, -1, 2])]]), { dtype: "F16" });
 * console.log(readSafetensors(bytes).get("b_U")?.toNested());
 * // [ 0.5, -1, 2 ]
 * ```
 */
export function readSafetensors(bytes: Bytes, options: { readonly name?: string } = {}): Map<string, Tensor> {
  const source = { operation: "readSafetensors", name: options.name ?? "the safetensors file" };
  const file = openSafetensors(bytes, source);
  return new Map([...file.tensors.keys()].map((name) => [name, file.read(name)]));
}

/** {@link parseSafetensors} on behalf of another operation. */
export function openSafetensors(given: Bytes, source: Source): SafetensorsFile {
  const bytes = toBytes(given, source.operation, "bytes");
  const { metadata, tensors } = readHeader(bytes, source);
  return {
    name: source.name,
    metadata,
    tensors,
    read: <const A extends string = string>(name: string, options: ReadTensorOptions<A> = {}): Tensor<A> => {
      const entry = tensors.get(name);
      if (entry === undefined) throw noSuchTensor(source, name, tensors);
      return decode(bytes, name, entry, options, source);
    },
  };
}

function decode<A extends string>(
  bytes: Uint8Array,
  name: string,
  entry: SafetensorsEntry,
  options: ReadTensorOptions<A>,
  source: Source,
): Tensor<A> {
  const { dtype, shape, byteOffset, byteLength } = entry;
  const wanted = options.dtype ?? (isFloating(dtype) ? "float32" : "int32");
  if (wanted === "int32" && isFloating(dtype)) {
    throw fault(
      source,
      `it holds ${dtype} and cannot be read as int32. Read it as float32 or float64.`,
      name,
      wanted,
      dtype,
    );
  }
  const stored = bytes.subarray(byteOffset, byteOffset + byteLength);
  const data = decodeElements(stored, dtype, wanted, (index, value) => {
    const at = byteOffset + index * (ITEM_SIZES.get(dtype) ?? 0);
    const fits = `element ${index}, at offset ${at}, is ${value}, which does not fit ${wanted}.`;
    throw fault(source, `${fits} ${fixFor(dtype, wanted)}`, name, wanted, value);
  });
  const axes = (options.axes ?? shape.map((_, i) => `dim${i}`).join(" ")) as A;
  return Tensor.from<A>(axes, shape, data);
}

function fixFor(dtype: SafetensorsDType, wanted: DType): string {
  if (dtype === "BOOL") return "A BOOL is a byte 0 or 1.";
  return wanted === "float64" ? "Integers up to 2^53 can be read." : 'Ask for dtype "float64".';
}

function noSuchTensor(source: Source, name: string, tensors: ReadonlyMap<string, unknown>): InputError {
  const names = [...tensors.keys()];
  const some = names.slice(0, 8).join(", ") + (names.length > 8 ? `, … (${names.length} in all)` : "");
  return new InputError(`there is no tensor ${JSON.stringify(name)} in ${source.name}; it holds ${some || "none"}.`, {
    operation: source.operation,
    argument: "name",
    expected: names,
    actual: name,
  });
}
