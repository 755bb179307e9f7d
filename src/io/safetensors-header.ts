/**
 * The header of a safetensors file: 8 bytes of length (little-endian), that many bytes of JSON, then the data of all
 * tensors, end to end. Everything the header claims is checked against the bytes that are there.
 */
import { ITEM_SIZES, isSafetensorsDType } from "./dtype.ts";
import { FORBIDDEN_KEY, fault } from "./fault.ts";
import type { Source } from "./fault.ts";
import { parseStrictJson } from "./json.ts";
import type { StrictJson } from "./json.ts";
import { take } from "./reading.ts";
import type { Reading } from "./reading.ts";
import { MAX_RANK, byteLengthOf } from "./tensor-file.ts";
import type { TensorEntry } from "./tensor-file.ts";

/** Bytes of header at most; that of a model of 100,000 tensors is half of it. */
export const MAX_HEADER_BYTES = 25_000_000;

/**
 * What a safetensors file says about one tensor.
 * @category Files
 */
export interface SafetensorsEntry extends TensorEntry {
  /** Where the tensor's first byte lies in the file. */
  readonly byteOffset: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
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
  const json = parseStrictJson(headerText(yield* take(8, length), source), (message) => {
    throw fault(source, `the header is not valid: ${message}.`);
  });
  if (!(json instanceof Map)) throw fault(source, "the header is not a JSON object.");
  const header = json as ReadonlyMap<string, StrictJson>;
  const dataStart = 8 + length;
  const entries: [string, SafetensorsEntry][] = [];
  for (const [name, value] of header) {
    if (name !== "__metadata__") entries.push([name, readEntry(name, value, dataStart, fileSize, source)]);
  }
  entries.sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  checkCoverage(entries, dataStart, fileSize, source);
  return { metadata: readMetadata(header.get("__metadata__"), source), tensors: new Map(entries) };
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

function headerText(bytes: Uint8Array, source: Source): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice());
  } catch {
    throw fault(source, `the header, bytes 8 to ${8 + bytes.byteLength}, is not UTF-8 text.`);
  }
}

function readMetadata(json: StrictJson | undefined, source: Source): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (json === undefined) return metadata;
  if (!(json instanceof Map)) throw fault(source, "the header's __metadata__ is not a JSON object.");
  for (const [key, value] of json as ReadonlyMap<string, StrictJson>) {
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
  json: StrictJson,
  dataStart: number,
  fileEnd: number,
  source: Source,
): SafetensorsEntry {
  if (name === FORBIDDEN_KEY)
    throw fault(source, "a tensor may not have this name, which would change a prototype.", name);
  if (!(json instanceof Map)) throw fault(source, "its entry in the header is not a JSON object.", name);
  const fields = json as ReadonlyMap<string, StrictJson>;
  for (const field of fields.keys()) {
    if (field !== "dtype" && field !== "shape" && field !== "data_offsets") {
      throw fault(source, `its entry in the header has an unknown field ${JSON.stringify(field)}.`, name);
    }
  }
  const dtype = fields.get("dtype");
  if (!isSafetensorsDType(dtype)) {
    const known = [...ITEM_SIZES.keys()].join(", ");
    throw fault(
      source,
      `dtype ${show(dtype)} is not one that can be read; it must be one of ${known}.`,
      name,
      known,
      dtype,
    );
  }
  const shape = integers(fields.get("shape"), "shape", name, source);
  if (shape.length > MAX_RANK) {
    throw fault(
      source,
      `it has ${shape.length} dimensions; at most ${MAX_RANK} can be read.`,
      name,
      MAX_RANK,
      shape.length,
    );
  }
  const offsets = integers(fields.get("data_offsets"), "data_offsets", name, source);
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
  const needed = byteLengthOf(shape, ITEM_SIZES.get(dtype) ?? 0);
  if (needed !== end - begin) {
    throw fault(
      source,
      `shape ${show(shape)} of ${dtype} takes ${needed ?? "more than 2^53"} bytes but data_offsets ${show(offsets)} hold ${end - begin}.`,
      name,
      needed,
      end - begin,
    );
  }
  return { dtype, shape, byteOffset: dataStart + begin, byteLength: end - begin };
}

function integers(json: StrictJson | undefined, field: string, name: string, source: Source): readonly number[] {
  const isList = Array.isArray(json) && json.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
  if (!isList) {
    throw fault(source, `${field} ${show(json)} is not a list of non-negative integers.`, name, "integers >= 0", json);
  }
  return json as readonly number[];
}

/** Every byte of the data must belong to one tensor: no gap in which something hides, no two tensors on one byte. */
function checkCoverage(
  entries: readonly (readonly [string, SafetensorsEntry])[],
  dataStart: number,
  fileEnd: number,
  source: Source,
): void {
  let covered = dataStart;
  let previous: string | undefined;
  for (const [name, { byteOffset, byteLength }] of entries) {
    if (byteOffset < covered) {
      throw fault(
        source,
        `its data begin at offset ${byteOffset}, inside tensor ${JSON.stringify(previous)}, which ends at ${covered}. Tensors may not overlap.`,
        name,
        covered,
        byteOffset,
      );
    }
    if (byteOffset > covered) {
      throw fault(
        source,
        `its data begin at offset ${byteOffset} but bytes ${covered} to ${byteOffset} before it belong to no tensor.`,
        name,
        covered,
        byteOffset,
      );
    }
    covered = byteOffset + byteLength;
    previous = name;
  }
  if (covered !== fileEnd) {
    throw fault(
      source,
      `bytes ${covered} to ${fileEnd}, at the end of the file, belong to no tensor.`,
      undefined,
      covered,
      fileEnd,
    );
  }
}

/** JSON as error texts show it, cut short. */
function show(json: StrictJson | undefined): string {
  if (json === undefined) return "(missing)";
  const finite = (_: string, value: unknown): unknown => (value === Infinity ? "Infinity" : value);
  const text = json instanceof Map ? "an object" : JSON.stringify(json, finite);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
