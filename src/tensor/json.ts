/** Tensors as JSON, and back. */
import { fromBase64, toBase64 } from "../base64.ts";
import { InputError, isPromise, nameOf, mendOfClone } from "../errors.ts";
import type { DType, TensorData } from "./storage.ts";

/** Up to so many numbers are written in digits. */
const DIGITS = 256;

/**
 * A tensor as `JSON.stringify` writes it.
 * @category Tensors
 */
export interface TensorJSON<A extends string = string> {
  readonly type: "Tensor";
  readonly axes: A;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /**
   * The numbers in row-major order, `"NaN"`, `"Infinity"`, `"-Infinity"` and `"-0"` as texts; of many numbers their
   * bytes as base64, little-endian.
   */
  readonly data: readonly (number | string)[] | string;
}

/** The names of numbers that JSON has no digits for. */
const NAMED: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["-0", -0],
]);

/** The numbers of a tensor as they stand in JSON. */
export function dataToJSON(data: TensorData): TensorJSON["data"] {
  return data.length > DIGITS ? bytesOf(data) : digitsOf(data);
}

/** Whether a value is what a tensor writes. */
export function isTensorJSON(value: unknown): value is TensorJSON {
  return typeof value === "object" && value !== null && (value as TensorJSON).type === "Tensor" && "data" in value;
}

/** The numbers of a tensor in JSON; refuses what is none. */
export function dataOfJSON(json: TensorJSON, operation: string): ArrayLike<number> {
  if (!isTensorJSON(json)) {
    const mend = isPromise(json)
      ? " Write await before the call that gave it."
      : typeof json === "string"
        ? " Parse it first: Tensor.fromJSON(JSON.parse(text))."
        : mendOfClone(json) === undefined
          ? ""
          : ` ${mendOfClone(json)}.`;
    throw new InputError(`json is ${nameOf(json)}, not what tensor.toJSON() gives.${mend}`, {
      operation,
      argument: "json",
      expected: "an object of type Tensor",
      actual: json,
    });
  }
  const { data, dtype } = json;
  if (typeof data === "string") return numbersOf(data, dtype, operation);
  return data.map((x, i) => {
    const named = typeof x === "number" ? x : NAMED.get(x);
    if (named !== undefined) return named;
    throw new InputError(`element ${i} of data is ${nameOf(x)}, not a number, "NaN", "Infinity" or "-Infinity".`, {
      operation,
      argument: "data",
      expected: "numbers",
      actual: x,
    });
  });
}

/** Numbers with the fewest digits that give them back. */
function digitsOf(data: TensorData): (number | string)[] {
  const isSingle = data instanceof Float32Array;
  return Array.from(data, (x) => {
    if (!Number.isFinite(x)) return String(x);
    if (Object.is(x, -0)) return "-0";
    if (!isSingle) return x;
    for (let digits = 6; digits < 9; digits++) {
      const short = Number(x.toPrecision(digits));
      if (Math.fround(short) === x) return short;
    }
    return x;
  });
}

/** The bytes of numbers, little-endian on every machine. */
function bytesOf(data: TensorData): string {
  const width = data.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(data.length * width);
  const view = new DataView(bytes.buffer);
  for (const [i, x] of data.entries()) {
    if (data instanceof Float64Array) view.setFloat64(i * width, x, true);
    else if (data instanceof Int32Array) view.setInt32(i * width, x, true);
    else view.setFloat32(i * width, x, true);
  }
  return toBase64(bytes);
}

function numbersOf(text: string, dtype: DType, operation: string): ArrayLike<number> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = fromBase64(text);
  } catch (cause) {
    throw new InputError("data is a text, but not base64.", { operation, argument: "data" }, { cause });
  }
  const width = dtype === "float64" ? 8 : 4;
  const view = new DataView(bytes.buffer);
  const read = (i: number): number => {
    if (dtype === "float64") return view.getFloat64(i * width, true);
    return dtype === "int32" ? view.getInt32(i * width, true) : view.getFloat32(i * width, true);
  };
  const length = bytes.length / width;
  if (!Number.isInteger(length)) {
    throw new InputError(`data is ${bytes.length} bytes, which are no whole numbers of ${width} bytes.`, {
      operation,
      argument: "data",
      expected: `a multiple of ${width}`,
      actual: bytes.length,
    });
  }
  const out =
    dtype === "float64"
      ? new Float64Array(length)
      : dtype === "int32"
        ? new Int32Array(length)
        : new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = read(i);
  return out;
}
