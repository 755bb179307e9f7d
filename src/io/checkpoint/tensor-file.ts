/** What the readers of all formats have in common: named tensors, of which each is decoded when it is asked for. */
import { InputError } from "../../errors.ts";
import type { FormatError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import type { DType } from "../../tensor/index.ts";
import { ITEM_SIZES, decodeElements, isFloating } from "../bytes/dtype.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { fault } from "../bytes/fault.ts";
import type { GgufQuantization } from "../gguf/quantization.ts";
import type { Source } from "../bytes/fault.ts";
import type { PlainObject } from "../json/plain.ts";
import { allowance, readNow } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";

/**
 * A kind of file that holds tensors. `torch` is the ZIP archive that `torch.save` writes since 2020, `torch-legacy` its
 * older layout.
 * @category Files
 */
export type CheckpointFormat = "safetensors" | "torch" | "torch-legacy" | "npz" | "npy" | "gguf";

/**
 * What a checkpoint says about one tensor.
 * @category Files
 */
export interface TensorEntry {
  /** The stored element type. */
  readonly dtype: SafetensorsDType;
  /** The size of each dimension; empty for a scalar. */
  readonly shape: readonly number[];
  /** The number of bytes of its elements. */
  readonly byteLength: number;
  /** How a GGUF file packs them; absent where they are stored as `dtype`. */
  readonly quantization?: GgufQuantization | undefined;
}

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
 * An open file of tensors given as bytes: what it holds, and a way to decode single tensors.
 * @category Files
 */
export interface TensorFile {
  /** The name that the caller gave, as error texts show it. */
  readonly name: string;
  readonly format: CheckpointFormat;
  /** Every tensor's name, element type and shape; nothing is decoded for it. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** What the file holds beside tensors, such as nanoGPT's `model_args`. */
  readonly values: PlainObject;
  /**
   * What the file holds beside them that is not read, by name, and what it is in words: sparse tensors, complex
   * numbers, arrays of text, objects of other libraries.
   */
  readonly unread: ReadonlyMap<string, string>;
  /**
   * Decodes one tensor. Aligned float32 data are not copied, so do not write to the bytes afterwards. NaN and
   * infinities are passed on.
   *
   * @throws {@link InputError} when the file has no such tensor; {@link FormatError} when an element does not fit the
   * wanted element type or the tensor takes far more memory than the file.
   */
  read<const A extends string = string>(name: string, options?: ReadTensorOptions<A>): Tensor<NoInfer<A>>;
}

/** The reader of one format, open. */
export interface TensorStore {
  readonly format: CheckpointFormat;
  readonly fileSize: number;
  /** Free-form strings. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly values: PlainObject;
  /** The configuration that lies in the file, where one does. */
  readonly settings?: PlainObject | undefined;
  /** What is not read, by name, and what it is in words. */
  readonly unread: ReadonlyMap<string, string>;
  /** Names of tensors that metadata alone gives to others. */
  readonly aliases?: ReadonlySet<string> | undefined;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Bytes that loading a tensor allocates: what is inflated, and its elements where they do not lie in the file as they
   * are.
   */
  scratch(name: string): number;
  /** The elements of a tensor, row-major and little-endian. */
  load(name: string): Reading<Uint8Array>;
}

/** A store over bytes in memory as what callers see. */
export function tensorFile(bytes: Uint8Array, store: TensorStore, source: Source): TensorFile {
  return {
    name: source.name,
    format: store.format,
    tensors: store.tensors,
    values: store.values,
    unread: store.unread,
    read: (name, options = {}) => readNow(bytes, readTensor(store, name, options, source)),
  };
}

/** Loads and decodes one tensor. */
export function* readTensor<A extends string>(
  store: TensorStore,
  name: string,
  options: ReadTensorOptions<A>,
  source: Source,
): Reading<Tensor<A>> {
  const entry = store.tensors.get(name);
  if (entry === undefined) throw absent(source, name, store);
  const wanted = wantedType(name, entry.dtype, options.dtype, source);
  const scratch = store.scratch(name);
  const needed = scratch + (scratch === 0 ? 0 : decodedSize(entry, wanted));
  checkAllowance(store, name, needed, source);
  return decodeTensor(yield* store.load(name), name, entry, wanted, options.axes, source);
}

/** Refuses a tensor that takes far more memory than its file. */
export function checkAllowance({ fileSize }: TensorStore, name: string, needed: number, source: Source): void {
  if (needed <= allowance(fileSize)) return;
  throw fault(
    source,
    `reading it takes ${needed} bytes, far more than a file of ${fileSize} bytes can mean: it repeats or inflates what is stored.`,
    name,
    allowance(fileSize),
    needed,
  );
}

function decodedSize({ dtype, shape, byteLength }: TensorEntry, wanted: DType): number {
  const isStored = dtype === { float32: "F32", float64: "F64", int32: "I32" }[wanted];
  return isStored ? 0 : shape.reduce((n, size) => n * size, byteLength === 0 ? 0 : wanted === "float64" ? 8 : 4);
}

/** The element type to decode to. */
export function wantedType(name: string, dtype: SafetensorsDType, asked: DType | undefined, source: Source): DType {
  const wanted = asked ?? (isFloating(dtype) ? "float32" : "int32");
  if (wanted !== "int32" || !isFloating(dtype)) return wanted;
  throw fault(
    source,
    `it holds ${dtype} and cannot be read as int32. Read it as float32 or float64.`,
    name,
    wanted,
    dtype,
  );
}

/**
 * Elements to a tensor.
 *
 * @param byteOffset - where they lie in the file, for error texts; `undefined` where they do not lie there as they are.
 */
export function decodeTensor<A extends string>(
  bytes: Uint8Array,
  name: string,
  { dtype, shape }: TensorEntry,
  wanted: DType,
  axes: A | undefined,
  source: Source,
  byteOffset?: number,
): Tensor<A> {
  const data = decodeElements(bytes, dtype, wanted, (index, value) => {
    const at = byteOffset === undefined ? "" : `, at offset ${byteOffset + index * (ITEM_SIZES.get(dtype) ?? 0)},`;
    const fits = `element ${index}${at} is ${value}, which does not fit ${wanted}.`;
    throw fault(source, `${fits} ${fixFor(dtype, wanted)}`, name, wanted, value);
  });
  return Tensor.from<A>(axes ?? (shape.map((_, i) => `dim${i}`).join(" ") as A), shape, data);
}

function fixFor(dtype: SafetensorsDType, wanted: DType): string {
  if (dtype === "BOOL") return "A BOOL is a byte 0 or 1.";
  return wanted === "float64" ? "Integers up to 2^53 can be read." : 'Ask for dtype "float64".';
}

/** The error for a tensor that is not read, or for a name that a file does not have. */
export function absent(
  source: Source,
  name: string,
  { tensors, unread }: Pick<TensorStore, "tensors" | "unread">,
): FormatError | InputError {
  const what = unread.get(name);
  return what === undefined
    ? noSuchTensor(source, name, tensors)
    : fault(source, `it is ${what}, which is not read.`, name);
}

/** The error for a name that a file does not have. */
export function noSuchTensor(source: Source, name: string, tensors: ReadonlyMap<string, unknown>): InputError {
  const names = [...tensors.keys()];
  const some = names.slice(0, 8).join(", ") + (names.length > 8 ? `, … (${names.length} in all)` : "");
  return new InputError(`there is no tensor ${JSON.stringify(name)} in ${source.name}; it holds ${some || "none"}.`, {
    operation: source.operation,
    argument: "name",
    expected: names,
    actual: name,
  });
}

/**
 * Bytes of a shape, or `undefined` where the product is beyond what a double holds exactly, even if a later size is 0.
 */
export function byteLengthOf(shape: readonly number[], itemSize: number): number | undefined {
  let size = itemSize;
  for (const n of shape) {
    size *= n;
    if (!Number.isSafeInteger(size)) return undefined;
  }
  return size;
}

/** Dimensions of a tensor at most. */
export const MAX_RANK = 32;
