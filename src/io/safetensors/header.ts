/**
 * The header of a safetensors file: 8 bytes of length (little-endian), that many bytes of JSON, then the data of all
 * tensors, end to end. Everything the header claims is checked against the bytes that are there.
 */
import { ITEM_SIZES, isSafetensorsDType } from "../bytes/dtype.ts";
import { MAX_HEADER_BYTES } from "../bytes/file-kind.ts";
import { FORBIDDEN_KEY, fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { eachMember } from "../json/json.ts";
import type { JsonBudget } from "../json/json.ts";
import { isUtf8 } from "../json/json-text.ts";
import { isFields } from "../json/plain.ts";
import type { PlainValue } from "../json/plain.ts";
import { take } from "../bytes/reading.ts";
import type { Reading } from "../bytes/reading.ts";
import { EntryTable, checkCoverage } from "./table.ts";
import type { SafetensorsEntry } from "./table.ts";
import { MAX_RANK, byteLengthOf } from "../checkpoint/tensor-file.ts";

/** Tensors at most; a header of the longest that is read has room for so many with names of 40 characters. */
const MAX_TENSORS = 250_000;
/** Other names of tensors at most; a model has as many as it ties matrices. */
const MAX_ALIASES = 10_000;
const METADATA = "__metadata__";
/** An entry of a tensor of 32 dimensions holds 38 values. */
const ENTRY: JsonBudget = { containers: 100, values: 1000 };

/** Bits of the elements of types that files may have and that are not read. */
const UNREAD_BITS: ReadonlyMap<string, number> = new Map([
  ...["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"].map((name) => [name, 8] as const),
  ...["F6_E2M3", "F6_E3M2"].map((name) => [name, 6] as const),
  ["F4", 4],
  ["C64", 64],
]);

/** A checked header. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** Tensors of element types that are not read, and what they are. */
  readonly unread: ReadonlyMap<string, string>;
  /** Names that the metadata give to tensors of other names. */
  readonly aliases: ReadonlySet<string>;
}

/** Reads and checks the header; the tensors come in the order of their data. Nothing after the header is read. */
export function* readHeader(fileSize: number, source: Source): Reading<SafetensorsHeader> {
  if (fileSize < 8) {
    throw fault(
      source,
      `the file is ${fileSize} bytes long; a safetensors file begins with 8 bytes of header length. It is empty or cut short.`,
    );
  }
  const first = yield* take(0, 8);
  const length = checkedLength(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true), fileSize, source);
  const json = yield* take(8, length);
  if (!isUtf8(json)) throw fault(source, `the header, bytes 8 to ${8 + length}, is not UTF-8 text.`);
  const { metadata, table } = readMembers(json, 8 + length, fileSize, source);
  const all = table.inOrder();
  checkCoverage(all, 8 + length, fileSize, source);
  const aliases = aliasesIn(metadata, all, table.unread, source);
  return { metadata, tensors: table.readable(all, aliases), unread: table.unread, aliases: new Set(aliases.keys()) };
}

/** `save_model` keeps one of several names of a tensor, and notes for each of the others which. */
function aliasesIn(
  metadata: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  unread: Map<string, string>,
  source: Source,
): ReadonlyMap<string, string> {
  const aliases = new Map<string, string>();
  for (const [name, kept] of metadata) {
    if (!tensors.has(kept) || tensors.has(name)) continue;
    if (aliases.size >= MAX_ALIASES) {
      throw fault(source, `the header's __metadata__ gives more than ${MAX_ALIASES} other names to tensors.`);
    }
    const what = unread.get(kept);
    aliases.set(name, kept);
    if (what !== undefined) unread.set(name, what);
  }
  return aliases;
}

function readMembers(
  json: Uint8Array,
  dataStart: number,
  fileSize: number,
  source: Source,
): { metadata: ReadonlyMap<string, string>; table: EntryTable } {
  const fail = (message: string): never => {
    throw fault(source, `the header is not valid: ${message}.`);
  };
  const values = Math.min(10_000 + json.length / 5, MAX_TENSORS);
  const notes: JsonBudget = { containers: Math.min(1000 + json.length / 32, MAX_TENSORS / 4), values };
  const table = new EntryTable();
  // Keys of entries at fault, so that what is no JSON at all is said first.
  const refused = new Set<string>();
  let first: unknown;
  let metadata: PlainValue | undefined;
  const members = {
    has: (key: string) => (key === METADATA ? metadata !== undefined : table.has(key) || refused.has(key)),
    budgetOf: (key: string) => (key === METADATA ? notes : ENTRY),
    add: (key: string, value: PlainValue) => {
      if (key === METADATA) {
        metadata = value;
        return;
      }
      if (table.size + refused.size >= MAX_TENSORS) fail(`it names more than ${MAX_TENSORS} tensors`);
      try {
        const { entry, what } = readEntry(key, value, dataStart, fileSize, source);
        table.add(key, entry);
        if (what !== undefined) table.unread.set(key, what);
      } catch (error) {
        first ??= error;
        refused.add(key);
      }
    },
  };
  if (!eachMember(json, members, fail)) throw fault(source, "the header is not a JSON object.");
  if (first !== undefined) throw first as Error;
  return { metadata: readMetadata(metadata, source), table };
}

function checkedLength(length: bigint, fileSize: number, source: Source): number {
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw fault(
      source,
      `the first 8 bytes give a header of ${length} bytes, more than the ${MAX_HEADER_BYTES} allowed. This is probably not a safetensors file.`,
      undefined,
      MAX_HEADER_BYTES,
      length,
    );
  }
  if (Number(length) > fileSize - 8) {
    throw fault(
      source,
      `the header should take ${length} bytes from offset 8 but the file ends at ${fileSize}. It is cut short.`,
      undefined,
      Number(length),
      fileSize - 8,
    );
  }
  return Number(length);
}

function readMetadata(json: PlainValue | undefined, source: Source): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (json === undefined) return metadata;
  if (!isFields(json)) throw fault(source, "the header's __metadata__ is not a JSON object.");
  for (const key in json) {
    const value = json[key];
    if (key === FORBIDDEN_KEY) throw fault(source, `the header's __metadata__ has the key "${FORBIDDEN_KEY}".`);
    if (typeof value !== "string") {
      throw fault(source, `the header's __metadata__ holds ${JSON.stringify(key)}, which is not a string.`);
    }
    metadata.set(key, value);
  }
  return metadata;
}

function readEntry(
  name: string,
  json: PlainValue,
  dataStart: number,
  fileEnd: number,
  source: Source,
): { readonly entry: SafetensorsEntry; readonly what?: string } {
  if (name === FORBIDDEN_KEY)
    throw fault(source, "a tensor may not have this name, which would change a prototype.", name);
  if (!isFields(json)) throw fault(source, "its entry in the header is not a JSON object.", name);
  for (const field in json) {
    if (field !== "dtype" && field !== "shape" && field !== "data_offsets") {
      throw fault(source, `its entry in the header has an unknown field ${JSON.stringify(field)}.`, name);
    }
  }
  const dtype = json.dtype;
  const kind = typeof dtype === "string" ? dtype : "";
  const bits = isSafetensorsDType(dtype) ? 8 * (ITEM_SIZES.get(dtype) ?? 0) : UNREAD_BITS.get(kind);
  if (bits === undefined) {
    const known = [...ITEM_SIZES.keys()].join(", ");
    throw fault(
      source,
      `dtype ${show(dtype)} is not one that can be read; it must be one of ${known}.`,
      name,
      known,
      dtype,
    );
  }
  const shape = integers(json.shape, "shape", name, source);
  if (shape.length > MAX_RANK) {
    throw fault(
      source,
      `it has ${shape.length} dimensions; at most ${MAX_RANK} can be read.`,
      name,
      MAX_RANK,
      shape.length,
    );
  }
  const offsets = integers(json.data_offsets, "data_offsets", name, source);
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2 || begin > end || end > fileEnd - dataStart) {
    throw fault(
      source,
      `data_offsets ${show(offsets)} are not [begin, end] within the ${fileEnd - dataStart} bytes of data, which begin at offset ${dataStart}.`,
      name,
      [0, fileEnd - dataStart],
      offsets,
    );
  }
  const inBits = byteLengthOf(shape, bits);
  const needed = inBits === undefined ? undefined : inBits / 8;
  if (needed !== end - begin) {
    throw fault(
      source,
      `shape ${show(shape)} of ${kind} takes ${needed ?? "more than 2^53"} bytes but data_offsets ${show(offsets)} hold ${end - begin}.`,
      name,
      needed,
      end - begin,
    );
  }
  const place = { byteOffset: dataStart + begin, byteLength: end - begin };
  if (isSafetensorsDType(dtype)) return { entry: { dtype, shape, ...place } };
  const what = `a tensor ${show(shape)} of ${kind}`;
  return { entry: { dtype: "U8", shape: [end - begin], ...place }, what };
}

function integers(json: PlainValue | undefined, field: string, name: string, source: Source): readonly number[] {
  const isList = Array.isArray(json) && json.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
  if (!isList) {
    throw fault(source, `${field} ${show(json)} is not a list of non-negative integers.`, name, "integers >= 0", json);
  }
  return json as readonly number[];
}

/** JSON as error texts show it, cut short. */
function show(json: PlainValue | undefined): string {
  if (json === undefined) return "(missing)";
  const finite = (_: string, value: unknown): unknown => (value === Infinity ? "Infinity" : value);
  const text = isFields(json) ? "an object" : JSON.stringify(json, finite);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
