/** The header of an `.npy` file: a magic string, a version, a length, and a Python dict in text. */
import { ITEM_SIZES } from "../bytes/dtype.ts";
import type { SafetensorsDType } from "../bytes/dtype.ts";
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { MAX_RANK, byteLengthOf } from "../checkpoint/tensor-file.ts";
import type { TensorEntry } from "../checkpoint/tensor-file.ts";

/** A checked header. */
export interface NpyHeader extends TensorEntry {
  readonly isBigEndian: boolean;
  readonly isFortran: boolean;
  /** Where the elements begin. */
  readonly end: number;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER = 65_536;
const ENTRY = /\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^'\\]*)'|(True|False)|\(([0-9L,\s]*)\))\s*(,|(?=\}))/y;

const DTYPES: ReadonlyMap<string, SafetensorsDType> = new Map<string, SafetensorsDType>([
  ["f8", "F64"],
  ["f4", "F32"],
  ["f2", "F16"],
  ["i8", "I64"],
  ["i4", "I32"],
  ["i2", "I16"],
  ["i1", "I8"],
  ["u8", "U64"],
  ["u4", "U32"],
  ["u2", "U16"],
  ["u1", "U8"],
  ["b1", "BOOL"],
]);

/** Where the header ends, from the first 12 bytes of a file. */
export function headerEnd(head: Uint8Array, source: Source, tensor?: string): number {
  if (head.byteLength < 10 || MAGIC.some((byte, i) => head[i] !== byte)) {
    throw fault(
      source,
      'it does not begin as an .npy file, with "\\x93NUMPY". It is cut short or of another format.',
      tensor,
    );
  }
  const version = head[6] ?? 0;
  if (version < 1 || version > 3) throw fault(source, `version ${version} of .npy files is not known.`, tensor);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (version > 1 && head.byteLength < 12) throw fault(source, "the header is cut short.", tensor);
  const [start, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > MAX_HEADER) {
    throw fault(
      source,
      `the header should have ${length} bytes; at most ${MAX_HEADER} are read.`,
      tensor,
      MAX_HEADER,
      length,
    );
  }
  return start + length;
}

/** An array whose elements are not numbers that are read. */
export interface UnreadArray {
  /** What it is, in words. */
  readonly what: string;
  /** What is wrong with it, where it is asked for. */
  readonly refusal: string;
}

/**
 * Reads and checks a header.
 *
 * @param bytes - the file's first bytes, the header among them.
 * @param size - the length of the whole file.
 */
export function readNpyHeader(
  bytes: Uint8Array,
  size: number,
  source: Source,
  tensor?: string,
): NpyHeader | UnreadArray {
  const end = headerEnd(bytes.subarray(0, 12), source, tensor);
  if (end > bytes.byteLength) throw fault(source, `the header should end at byte ${end}. It is cut short.`, tensor);
  const start = bytes[6] === 1 ? 10 : 12;
  const text = new TextDecoder().decode(bytes.slice(start, end));
  const parsed = parseHeader(text, (message) => fault(source, message, tensor));
  if ("what" in parsed) return parsed;
  const { descr, isFortran, shape } = parsed;
  const elements = parseDescr(descr);
  if ("what" in elements) return elements;
  const { dtype, isBigEndian } = elements;
  if (shape.length > MAX_RANK) {
    throw fault(source, `it has ${shape.length} dimensions; at most ${MAX_RANK} can be read.`, tensor);
  }
  const byteLength = byteLengthOf(shape, ITEM_SIZES.get(dtype) ?? 0);
  if (byteLength === undefined || end + byteLength !== size) {
    throw fault(
      source,
      `shape [${shape.join(", ")}] of ${quoted(descr)} takes ${byteLength ?? "more than 2^53"} bytes, but ${size - end} follow the header, which ends at byte ${end}.`,
      tensor,
      byteLength,
      size - end,
    );
  }
  return { dtype, shape, byteLength, isBigEndian, isFortran, end };
}

interface Parsed {
  readonly descr: string;
  readonly isFortran: boolean;
  readonly shape: readonly number[];
}

function parseHeader(text: string, wrong: (message: string) => Error): Parsed | UnreadArray {
  const found = new Map<string, string>();
  const body = text.trimEnd();
  ENTRY.lastIndex = 1;
  while (body.startsWith("{") && ENTRY.lastIndex < body.length - 1) {
    const at = ENTRY.lastIndex;
    const match = ENTRY.exec(body);
    if (match === null) {
      if (body.slice(at, -1).trim() === "" && body.endsWith("}")) break;
      const rest = body.slice(at, at + 60).trim();
      if (/^'descr'\s*:\s*\[/.test(rest)) {
        return {
          what: "an array of records",
          refusal: "it is an array of records, which is not read. Save each field by itself.",
        };
      }
      throw wrong(`the header ${quoted(body.slice(0, 80))} is not valid at character ${at}.`);
    }
    const [, key = "", text, flag, sizes] = match;
    if (found.has(key)) throw wrong(`the header has ${quoted(key)} twice.`);
    found.set(key, text ?? flag ?? `(${sizes ?? ""})`);
  }
  const descr = found.get("descr") ?? "";
  const order = found.get("fortran_order");
  const shape = parseShape(found.get("shape") ?? "");
  if (descr === "" || (order !== "True" && order !== "False") || shape === undefined || !body.endsWith("}")) {
    throw wrong(`the header ${quoted(body.slice(0, 80))} does not say descr, fortran_order and shape.`);
  }
  return { descr, isFortran: order === "True", shape };
}

function parseShape(text: string): readonly number[] | undefined {
  if (!text.startsWith("(")) return undefined;
  const parts = text.slice(1, -1).split(",");
  if (parts[parts.length - 1]?.trim() === "") parts.pop();
  const shape = parts.map((part) => (/^\s*\d+L?\s*$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  return shape.every(Number.isSafeInteger) ? shape : undefined;
}

function parseDescr(descr: string): { dtype: SafetensorsDType; isBigEndian: boolean } | UnreadArray {
  const [, order = "", kind = ""] = /^([<>|])([a-zA-Z]\d*)$/.exec(descr) ?? [];
  if (kind.startsWith("O")) {
    return {
      what: "an array of objects",
      refusal: "it is an array of objects, which holds a pickle and is not read.",
    };
  }
  const dtype = DTYPES.get(kind);
  if (dtype === undefined || (order === "|") !== (ITEM_SIZES.get(dtype) === 1)) {
    return {
      what: `an array of ${/^[US]/.test(kind) ? "texts" : "elements"} of type ${quoted(descr)}`,
      refusal: `element type ${quoted(descr)} is not one that is read; they are ${[...DTYPES.keys()].join(", ")} in either byte order.`,
    };
  }
  return { dtype, isBigEndian: order === ">" };
}
