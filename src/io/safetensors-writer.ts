/** Writing safetensors files. */
import { InputError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import { BFLOAT16, FLOAT16, ITEM_SIZES, encodeSmallFloat } from "./dtype.ts";
import type { SafetensorsDType } from "./dtype.ts";

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

interface Placed {
  readonly name: string;
  readonly tensor: Tensor;
  readonly dtype: SafetensorsDType;
  readonly begin: number;
  readonly end: number;
}

const OPERATION = "writeSafetensors";

/**
 * Writes tensors as the bytes of a safetensors file. Axis names are not part of the format and are lost.
 *
 * @param tensors - the tensors by name.
 * @param options - the element type of floating-point tensors and the metadata.
 * @returns the whole file; the data begin at a multiple of 8 bytes.
 * @throws {@link InputError} when a finite number is too large for the element type (it would become infinite), or a tensor
 * is called `__metadata__`.
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
  const placed = place(tensors, options.dtype ?? "F32");
  const header = new TextEncoder().encode(headerJson(placed, options.metadata));
  const dataStart = Math.ceil((8 + header.length) / 8) * 8;
  const dataLength = placed.reduce((most, { end }) => Math.max(most, end), 0);
  const bytes = new Uint8Array(dataStart + dataLength).fill(0x20, 8, dataStart);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(dataStart - 8), true);
  bytes.set(header, 8);
  for (const entry of placed) encode(entry, view, dataStart + entry.begin);
  return bytes;
}

/** Wider elements first, so that every tensor's data are aligned. */
function place(tensors: ReadonlyMap<string, Tensor>, floats: "F32" | "F16" | "BF16"): Placed[] {
  const typed = [...tensors].map(([name, tensor]) => {
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
    const entry = { name, tensor, dtype, begin, end };
    begin = end;
    return entry;
  });
}

function headerJson(placed: readonly Placed[], metadata: WriteSafetensorsOptions["metadata"]): string {
  const member = (name: string, value: unknown): string => `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  const members = placed.map(({ name, tensor, dtype, begin, end }) =>
    member(name, { dtype, shape: tensor.shape, data_offsets: [begin, end] }),
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

function encode({ name, tensor, dtype }: Placed, view: DataView, start: number): void {
  const data = tensor.data;
  const overflow = OVERFLOW.get(dtype) ?? Infinity;
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number;
    if (Number.isFinite(x) && Math.abs(x) >= overflow) throw tooLarge(name, i, x, dtype);
    if (dtype === "I32") view.setInt32(start + 4 * i, x, true);
    else if (dtype === "F32") view.setFloat32(start + 4 * i, x, true);
    else view.setUint16(start + 2 * i, encodeSmallFloat(x, dtype === "F16" ? FLOAT16 : BFLOAT16), true);
  }
}

function tooLarge(name: string, index: number, value: number, dtype: SafetensorsDType): InputError {
  const fix = dtype === "F16" ? `Write "BF16" or "F32".` : "Scale the tensor.";
  return new InputError(
    `tensor ${JSON.stringify(name)}, element ${index}: ${value} is too large for ${dtype} and would become infinite. ${fix}`,
    { operation: OPERATION, argument: name, expected: dtype, actual: value },
  );
}
