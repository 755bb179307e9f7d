/**
 * The header of a GGUF file: what is said about the model, its tokenizer included, and where its tensors lie.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { describeValue } from "../bytes/bytes.ts";
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { ITEM_SIZES } from "../bytes/dtype.ts";
import type { Reading } from "../bytes/reading.ts";
import { plainObject } from "../json/plain.ts";
import type { PlainObject, PlainValue } from "../json/plain.ts";
import { Cursor, SIZES } from "./cursor.ts";
import type { NumberKind } from "./cursor.ts";
import { QUANTIZATIONS } from "./quantization.ts";
import type { GgufQuantization } from "./quantization.ts";

/** A tensor of a GGUF file. */
export interface GgufEntry {
  readonly dtype: SafetensorsDType;
  /** How its numbers are packed; `undefined` where they are stored as `dtype`. */
  readonly quantization: GgufQuantization | undefined;
  /** The size of each dimension, the last of which lies in a row. */
  readonly shape: readonly number[];
  /** Bytes of its numbers once they are of `dtype`. */
  readonly byteLength: number;
  readonly offset: number;
  readonly storedLength: number;
}

export interface GgufHeader {
  readonly values: PlainObject;
  readonly tensors: ReadonlyMap<string, GgufEntry>;
  readonly unread: ReadonlyMap<string, string>;
}

const TYPES: readonly (NumberKind | "bool" | "text" | "list")[] = [
  ...(["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "text", "list", "u64", "i64", "f64"] as const),
];

/** The element types that are read, by their numbers. */
const ELEMENTS: ReadonlyMap<number, SafetensorsDType | GgufQuantization> = new Map([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [6, "Q5_0"],
  [7, "Q5_1"],
  [8, "Q8_0"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [12, "Q4_K"],
  [13, "Q5_K"],
  [14, "Q6_K"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [30, "BF16"],
]);

/** Those that are known by name alone. */
const UNREAD_ELEMENTS: ReadonlyMap<number, string> = new Map([
  [9, "Q8_1"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [20, "IQ4_NL"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [23, "IQ4_XS"],
  [29, "IQ1_M"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [39, "MXFP4"],
]);

const MAX_DIMS = 4;
const MAX_DEPTH = 4;
const MAX_ALIGNMENT = 2 ** 20;

/** Reads a header and checks all that it claims; no tensor is read. */
export function* readGgufHeader(fileSize: number, source: Source): Reading<GgufHeader> {
  const cursor = new Cursor(fileSize, source);
  yield* cursor.need(4, "its first bytes");
  cursor.at += 4;
  const version = Number(yield* cursor.read("u32", "its version"));
  if (version < 2 || version > 3) {
    const why =
      version % 2 ** 24 === 0 && version > 0
        ? "is written in the order of big-endian machines"
        : `has version ${version}`;
    throw fault(source, `the GGUF file ${why}, which is not read. Read are versions 2 and 3 in little-endian order.`);
  }
  const tensorCount = yield* cursor.count("the number of tensors", 25);
  const valueCount = yield* cursor.count("the number of values", 13);
  const values = yield* readValues(cursor, valueCount, source);
  const alignment = values["general.alignment"] ?? 32;
  const isPower = typeof alignment === "number" && alignment > 0 && Number.isInteger(Math.log2(alignment));
  if (!isPower || alignment > MAX_ALIGNMENT) {
    throw fault(source, `general.alignment is ${describeValue(alignment)}; it is a power of two.`);
  }
  const infos = yield* readInfos(cursor, tensorCount, source);
  const start = Math.ceil(cursor.at / alignment) * alignment;
  return { values, ...placed(infos, { start, alignment, fileSize }, source) };
}

function* readValues(cursor: Cursor, count: number, source: Source): Reading<PlainObject> {
  const entries = new Map<string, PlainValue>();
  for (let i = 0; i < count; i++) {
    const key = yield* cursor.text(`the name of value ${i}`);
    if (entries.has(key)) throw fault(source, `the value ${quoted(key)} is there twice.`);
    const type = Number(yield* cursor.read("u32", `the type of ${quoted(key)}`));
    entries.set(key, yield* readValue(cursor, type, quoted(key), source, 0));
  }
  return plainObject(entries);
}

function* readValue(cursor: Cursor, type: number, what: string, source: Source, depth: number): Reading<PlainValue> {
  const kind = TYPES[type];
  switch (kind) {
    case undefined:
      throw fault(source, `${what} is of type ${type}, which does not exist.`);
    case "text":
      return yield* cursor.text(what);
    case "bool": {
      const byte = yield* cursor.read("u8", what);
      if (byte !== 0 && byte !== 1) throw fault(source, `${what} is ${byte}; of true and false it is neither.`);
      return byte === 1;
    }
    case "list":
      return yield* readList(cursor, what, source, depth);
    default:
      return yield* cursor.read(kind, what);
  }
}

function* readList(cursor: Cursor, what: string, source: Source, depth: number): Reading<PlainValue[]> {
  if (depth === MAX_DEPTH) throw fault(source, `${what} is a list within ${MAX_DEPTH} lists.`);
  const type = Number(yield* cursor.read("u32", `the type of the elements of ${what}`));
  const kind = TYPES[type];
  const isNumber = kind !== undefined && kind in SIZES;
  const least = isNumber ? SIZES[kind as NumberKind] : kind === "list" ? 12 : kind === "text" ? 8 : 1;
  const count = yield* cursor.count(`the number of elements of ${what}`, least);
  const list: PlainValue[] = [];
  for (let i = 0; i < count; i++) {
    if (!isNumber) list.push(yield* readValue(cursor, type, what, source, depth + 1));
    else {
      if (!cursor.has(least)) yield* cursor.need(least, what);
      list.push(cursor.number(kind as NumberKind));
    }
  }
  return list;
}

interface Info {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: number;
  readonly offset: number;
}

function* readInfos(cursor: Cursor, count: number, source: Source): Reading<Info[]> {
  const infos: Info[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = yield* cursor.text(`the name of tensor ${i}`);
    if (names.has(name)) throw fault(source, "it is there twice.", name);
    names.add(name);
    const rank = Number(yield* cursor.read("u32", `the rank of ${quoted(name)}`));
    if (rank > MAX_DIMS) throw fault(source, `it has ${rank} dimensions, of at most ${MAX_DIMS}.`, name);
    const dims: number[] = [];
    for (let d = 0; d < rank; d++) {
      const size = yield* cursor.read("u64", `a size of ${quoted(name)}`);
      if (typeof size !== "number") throw fault(source, `its size ${size} is beyond what can be read.`, name);
      dims.push(size);
    }
    const type = Number(yield* cursor.read("u32", `the element type of ${quoted(name)}`));
    const offset = yield* cursor.read("u64", `the offset of ${quoted(name)}`);
    if (typeof offset !== "number") throw fault(source, `its offset ${offset} lies outside the file.`, name);
    infos.push({ name, dims, type, offset });
  }
  return infos;
}

/** Where tensors lie: aligned, within the file, none over another. */
function placed(
  infos: readonly Info[],
  { start, alignment, fileSize }: { readonly start: number; readonly alignment: number; readonly fileSize: number },
  source: Source,
): Pick<GgufHeader, "tensors" | "unread"> {
  const tensors = new Map<string, GgufEntry>();
  const unread = new Map<string, string>();
  for (const { name, dims, type, offset } of infos) {
    const element = ELEMENTS.get(type);
    if (element === undefined) {
      unread.set(name, `packed as ${UNREAD_ELEMENTS.get(type) ?? `type ${type}`}`);
      continue;
    }
    const quantization = element in QUANTIZATIONS ? (element as GgufQuantization) : undefined;
    const dtype = quantization === undefined ? (element as SafetensorsDType) : "F32";
    const block = quantization === undefined ? undefined : QUANTIZATIONS[quantization];
    const count = dims.reduce((product, size) => product * size, 1);
    const [inRow = 1] = dims;
    if (block !== undefined && inRow % block.numbers !== 0) {
      throw fault(source, `its rows of ${inRow} numbers are no whole blocks of ${element}, of ${block.numbers}.`, name);
    }
    const itemSize = ITEM_SIZES.get(dtype) ?? 0;
    const storedLength = block === undefined ? count * itemSize : (count / block.numbers) * block.bytes;
    const at = start + offset;
    if (!Number.isSafeInteger(count * itemSize) || offset % alignment !== 0 || at + storedLength > fileSize) {
      throw fault(
        source,
        `its [${[...dims].reverse().join(", ")}] numbers of ${element} at offset ${at} do not lie in the file of ${fileSize} bytes, or not at a multiple of ${alignment}.`,
        name,
        fileSize,
        at + storedLength,
      );
    }
    const byteLength = count * itemSize;
    tensors.set(name, { dtype, quantization, shape: [...dims].reverse(), byteLength, offset: at, storedLength });
  }
  const inOrder = [...tensors].filter(([, { storedLength }]) => storedLength > 0);
  inOrder.sort(([, a], [, b]) => a.offset - b.offset);
  for (const [i, [name, { offset }]] of inOrder.entries()) {
    const before = inOrder[i - 1];
    if (before === undefined || before[1].offset + before[1].storedLength <= offset) continue;
    throw fault(source, `it lies over ${quoted(before[0])}, at offset ${offset}.`, name);
  }
  return { tensors, unread };
}
