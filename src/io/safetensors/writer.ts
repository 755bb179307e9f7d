/** Writing safetensors files. */
import { InputError, requireKind, requireOptions } from "../../errors.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { BFLOAT16, FLOAT16, ITEM_SIZES, encodeSmallFloat } from "../bytes/dtype.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { NAMED_TENSORS } from "../../model/internal.ts";

/**
 * How {@link writeSafetensors} stores numbers.
 * @category Files
 */
export interface WriteSafetensorsOptions {
  /**
   * The element type of floating-point tensors, F32 unless given; the numbers are rounded to the nearest, ties to even.
   * int32 tensors are written as I32 always.
   */
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Free-form strings for the header's `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** One tensor of a header, its bytes counted from the first of the data. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

interface Placed extends HeaderEntry {
  readonly tensor: Tensor;
}

const OPERATION = "writeSafetensors";

/**
 * Writes tensors as the bytes of a safetensors file. Axis names are not part of the format and are lost.
 *
 * @param tensors - the tensors by name.
 * @param options - the element type of floating-point tensors and the metadata.
 * @returns the whole file; the data begin at a multiple of 8 bytes.
 * @throws {@link InputError} when a finite number is too large for the element type (it would become infinite), or a
 * tensor is called `__metadata__`.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, parseSafetensors, writeSafetensors } from "transformer-circuits";
 *
 * const weights = new Map([["unembed.b_U", Tensor.from("d_vocab", [2], [0.1, -3])]]);
 * const bytes = writeSafetensors(weights, { dtype: "F16", metadata: { made_by: "example" } });
 * const file = parseSafetensors(bytes);
 * console.log(file.metadata.get("made_by"), file.tensors.get("unembed.b_U")?.dtype);
 * // example F16
 * console.log(file.read("unembed.b_U").at(0).toFixed(6));
 * // 0.099976
 * ```
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  options: WriteSafetensorsOptions = {},
): Uint8Array {
  requireOptions(options, "writeSafetensors", "dtype metadata");
  const placed = place(tensors, options.dtype ?? "F32");
  const header = headerOf(placed, options.metadata);
  const dataLength = placed.reduce((most, { end }) => Math.max(most, end), 0);
  const bytes = new Uint8Array(header.length + dataLength);
  bytes.set(header, 0);
  const view = new DataView(bytes.buffer);
  for (const { name, tensor, dtype, begin } of placed)
    encode(tensor, name, dtype, view, header.length + begin, OPERATION);
  return bytes;
}

/** The file's first bytes, up to the data, which begin at a multiple of 8. */
export function headerOf(entries: readonly HeaderEntry[], metadata: WriteSafetensorsOptions["metadata"]): Uint8Array {
  const json = new TextEncoder().encode(headerJson(entries, metadata));
  const dataStart = Math.ceil((8 + json.length) / 8) * 8;
  const bytes = new Uint8Array(dataStart).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  bytes.set(json, 8);
  return bytes;
}

/** The bytes of a tensor's numbers in a floating-point type. */
export function encodeFloats(tensor: Tensor, name: string, dtype: SafetensorsDType, operation: string): Uint8Array {
  const bytes = new Uint8Array(tensor.size * (ITEM_SIZES.get(dtype) ?? 0));
  encode(tensor, name, dtype, new DataView(bytes.buffer), 0, operation);
  return bytes;
}

/** Wider elements first, so that every tensor's data are aligned. */
function place(tensors: ReadonlyMap<string, Tensor>, floats: "F32" | "F16" | "BF16"): Placed[] {
  requireKind(NAMED_TENSORS, tensors, "tensors", OPERATION);
  const typed = [...tensors].map(([name, tensor]) => {
    requireKind("tensor", tensor, name, OPERATION);
    if (name === "__metadata__") {
      throw new InputError(`a tensor cannot be called "__metadata__", the header's own key. Rename it.`, {
        operation: OPERATION,
        argument: "tensors",
        actual: name,
      });
    }
    const dtype: SafetensorsDType = tensor.dtype === "int32" ? "I32" : floats;
    return { name, tensor, dtype, itemSize: ITEM_SIZES.get(dtype) ?? 0 };
  });
  typed.sort((a, b) => b.itemSize - a.itemSize);
  let begin = 0;
  return typed.map(({ name, tensor, dtype, itemSize }) => {
    const end = begin + tensor.size * itemSize;
    const entry = { name, tensor, dtype, shape: tensor.shape, begin, end };
    begin = end;
    return entry;
  });
}

function headerJson(placed: readonly HeaderEntry[], metadata: WriteSafetensorsOptions["metadata"]): string {
  const member = (name: string, value: unknown): string => `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  const members = placed.map(({ name, shape, dtype, begin, end }) =>
    member(name, { dtype, shape, data_offsets: [begin, end] }),
  );
  if (metadata !== undefined) {
    const pairs = Object.entries(metadata).map(([key, value]) => member(key, value));
    members.unshift(`"__metadata__":{${pairs.join(",")}}`);
  }
  return `{${members.join(",")}}`;
}

/** The least magnitude that rounds to infinity: half a unit of the last place beyond the largest finite number. */
const OVERFLOW: ReadonlyMap<SafetensorsDType, number> = new Map([
  ["F32", (2 - 2 ** -24) * 2 ** 127],
  ["F16", (2 - 2 ** -11) * 2 ** 15],
  ["BF16", (2 - 2 ** -8) * 2 ** 127],
]);

function encode(
  tensor: Tensor,
  name: string,
  dtype: SafetensorsDType,
  view: DataView,
  start: number,
  operation: string,
): void {
  const data = rawData(tensor);
  const overflow = OVERFLOW.get(dtype) ?? Infinity;
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number;
    if (Number.isFinite(x) && Math.abs(x) >= overflow) throw tooLarge(name, i, x, dtype, operation);
    if (dtype === "I32") view.setInt32(start + 4 * i, x, true);
    else if (dtype === "F32") view.setFloat32(start + 4 * i, x, true);
    else view.setUint16(start + 2 * i, encodeSmallFloat(x, dtype === "F16" ? FLOAT16 : BFLOAT16), true);
  }
}

function tooLarge(name: string, index: number, value: number, dtype: SafetensorsDType, operation: string): InputError {
  const fix = dtype === "F16" ? `Write "BF16" or "F32".` : "Scale the tensor.";
  return new InputError(
    `tensor ${JSON.stringify(name)}, element ${index}: ${value} is too large for ${dtype} and would become infinite. ${fix}`,
    { operation, argument: name, expected: dtype, actual: value },
  );
}
