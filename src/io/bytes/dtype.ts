/**
 * The element types of checkpoints, as safetensors files name them, and the conversions between their bytes and
 * JavaScript numbers. All are little-endian, as is every machine that runs JavaScript today, so aligned data are read
 * in place.
 */
import type { DType, TensorData } from "../../tensor/index.ts";

/**
 * An element type of a checkpoint, as safetensors files name it.
 * @category Files
 */
export type SafetensorsDType =
  "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8" | "BOOL";

/** Bytes per element. */
export const ITEM_SIZES: ReadonlyMap<string, number> = new Map<SafetensorsDType, number>([
  ["F64", 8],
  ["F32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["I64", 8],
  ["I32", 4],
  ["I16", 2],
  ["I8", 1],
  ["U64", 8],
  ["U32", 4],
  ["U16", 2],
  ["U8", 1],
  ["BOOL", 1],
]);

/** Whether a name is a {@link SafetensorsDType}. */
export function isSafetensorsDType(name: unknown): name is SafetensorsDType {
  return typeof name === "string" && ITEM_SIZES.has(name);
}

/** Whether the elements are floating-point numbers. */
export function isFloating(dtype: SafetensorsDType): boolean {
  return dtype === "F64" || dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/** A 16-bit floating-point format with IEEE subnormals, infinities and NaNs. */
export interface SmallFloat {
  readonly mantissaBits: number;
  /** The exponent of the smallest normal number. */
  readonly minExponent: number;
  /** The bits of +infinity; the largest finite number is one below. */
  readonly infinity: number;
  /** The bits of a quiet NaN. */
  readonly nan: number;
}

export const FLOAT16: SmallFloat = { mantissaBits: 10, minExponent: -14, infinity: 0x7c00, nan: 0x7e00 };
export const BFLOAT16: SmallFloat = { mantissaBits: 7, minExponent: -126, infinity: 0x7f80, nan: 0x7fc0 };

/** The number that 16 bits stand for; exact in float32, hence in float64. */
function decodeSmallFloat(bits: number, format: SmallFloat): number {
  const magnitude = bits & 0x7fff;
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  if (magnitude === format.infinity) return sign * Infinity;
  if (magnitude > format.infinity) return NaN;
  const exponent = magnitude >> format.mantissaBits;
  const mantissa = magnitude & ((1 << format.mantissaBits) - 1);
  if (exponent === 0) return sign * mantissa * 2 ** (format.minExponent - format.mantissaBits);
  return (
    sign * (mantissa + (1 << format.mantissaBits)) * 2 ** (exponent - 1 + format.minExponent - format.mantissaBits)
  );
}

/**
 * Adding and subtracting 1.5 · 2^52 rounds |x| < 2^51 to the nearest integer, ties to even: float64 does the rounding.
 */
const ROUNDER = 1.5 * 2 ** 52;
const exponentScratch = new DataView(new ArrayBuffer(8));

/** The exponent of the leading bit of a normal float64; -1023 for zero and subnormals. */
function exponentOf(x: number): number {
  exponentScratch.setFloat64(0, x);
  return ((exponentScratch.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/**
 * The 16 bits nearest to a number, ties to even, rounded once from float64. Beyond the largest finite number they are
 * those of an infinity.
 */
export function encodeSmallFloat(x: number, format: SmallFloat): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  if (Number.isNaN(x)) return format.nan;
  const magnitude = Math.abs(x);
  if (magnitude === Infinity) return sign | format.infinity;
  const exponent = Math.max(exponentOf(magnitude), format.minExponent);
  // In units of the last place: at most 2^(mantissaBits + 1), and a carry into the next exponent is the next bit
  // pattern.
  const units = magnitude * 2 ** (format.mantissaBits - exponent);
  const rounded = units + ROUNDER - ROUNDER;
  const bits = (exponent - format.minExponent) * 2 ** format.mantissaBits + rounded;
  return sign | Math.min(bits, format.infinity);
}

/** A typed array over bytes; the bytes are copied first where they are not aligned for it. */
function over<T>(
  bytes: Uint8Array,
  itemSize: number,
  make: (buffer: ArrayBufferLike, byteOffset: number, length: number) => T,
): T {
  const aligned = bytes.byteOffset % itemSize === 0 ? bytes : bytes.slice();
  return make(aligned.buffer, aligned.byteOffset, aligned.byteLength / itemSize);
}

const tables = new Map<SmallFloat, Float32Array>();

/** The 65,536 numbers of a format, made when first needed. */
export function tableOf(format: SmallFloat): Float32Array {
  let table = tables.get(format);
  if (table === undefined) {
    table = Float32Array.from({ length: 0x10000 }, (_, bits) => decodeSmallFloat(bits, format));
    tables.set(format, table);
  }
  return table;
}

function expand(bytes: Uint8Array, format: SmallFloat): Float32Array {
  const bits = over(bytes, 2, (b, o, n) => new Uint16Array(b, o, n));
  const table = tableOf(format);
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i] as number] as number;
  return out;
}

/** The elements as they are stored; 64-bit integers come as bigints. */
export function storedElements(
  bytes: Uint8Array,
  dtype: SafetensorsDType,
): ArrayLike<number> | BigInt64Array | BigUint64Array {
  switch (dtype) {
    case "F64":
      return over(bytes, 8, (b, o, n) => new Float64Array(b, o, n));
    case "F32":
      return over(bytes, 4, (b, o, n) => new Float32Array(b, o, n));
    case "F16":
      return expand(bytes, FLOAT16);
    case "BF16":
      return expand(bytes, BFLOAT16);
    case "I64":
      return over(bytes, 8, (b, o, n) => new BigInt64Array(b, o, n));
    case "I32":
      return over(bytes, 4, (b, o, n) => new Int32Array(b, o, n));
    case "I16":
      return over(bytes, 2, (b, o, n) => new Int16Array(b, o, n));
    case "I8":
      return over(bytes, 1, (b, o, n) => new Int8Array(b, o, n));
    case "U64":
      return over(bytes, 8, (b, o, n) => new BigUint64Array(b, o, n));
    case "U32":
      return over(bytes, 4, (b, o, n) => new Uint32Array(b, o, n));
    case "U16":
      return over(bytes, 2, (b, o, n) => new Uint16Array(b, o, n));
    case "U8":
    case "BOOL":
      return bytes;
  }
}

/**
 * The elements as a tensor's storage of a dtype.
 *
 * @param refuse - raises the error for the first element that does not fit: a finite float64 beyond float32, an integer
 * beyond int32 (or, where floats are wanted, beyond what float64 holds exactly), a BOOL byte other than 0 and 1.
 */
export function decodeElements(
  bytes: Uint8Array,
  dtype: SafetensorsDType,
  wanted: DType,
  refuse: (index: number, value: number | bigint) => never,
): TensorData {
  const stored = storedElements(bytes, dtype);
  if (wanted === "float32" && stored instanceof Float32Array) return stored;
  if (wanted === "float64" && stored instanceof Float64Array) return stored;
  if (wanted === "int32" && stored instanceof Int32Array) return stored;
  const n = stored.length;
  const out =
    wanted === "float32" ? new Float32Array(n) : wanted === "float64" ? new Float64Array(n) : new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const element = stored[i] as number | bigint;
    const x = Number(element);
    out[i] = x;
    const fits =
      (!Number.isFinite(x) || Number.isFinite(out[i])) &&
      (typeof element === "number" || Number.isSafeInteger(x)) &&
      (wanted !== "int32" || out[i] === x) &&
      (dtype !== "BOOL" || x <= 1);
    if (!fits) refuse(i, element);
  }
  return out;
}
