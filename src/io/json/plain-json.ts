/** JSON files beside weights, read strictly: no key twice, none that reaches a prototype. */
import { FORBIDDEN_KEY, fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { parseStrictJson } from "./json.ts";
import { isUtf8 } from "./json-text.ts";
import { isFields } from "./plain.ts";
import type { PlainObject, PlainValue } from "./plain.ts";

/** Bytes of a configuration or an index at most; that of 100,000 tensors has 10 million. */
const MAX_JSON = 25_000_000;

/** A file that holds one JSON object. */
export function parsePlainJson(bytes: Uint8Array, source: Source): PlainObject {
  checkJsonSize(bytes.byteLength, source);
  if (!isUtf8(bytes)) throw fault(source, "it is not UTF-8 text.");
  const hasBOM = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  // A name and its file take 40 characters and more.
  const values = Math.min(50_000 + bytes.length / 16, 500_000);
  const json = parseStrictJson(
    hasBOM ? bytes.subarray(3) : bytes,
    { containers: Math.min(values / 5, 50_000), values },
    (message) => {
      throw fault(source, `it is not valid: ${message}.`);
    },
    { nonFinite: true },
  );
  if (!isFields(json)) throw fault(source, "it is not a JSON object.");
  if (reachesPrototype(json)) {
    throw fault(source, `it has the key "${FORBIDDEN_KEY}", which would change a prototype.`);
  }
  return json;
}

/** Refuses what is too long for a configuration or an index before it is read. */
export function checkJsonSize(size: number, source: Source): void {
  if (size > MAX_JSON) throw fault(source, `it has ${size} bytes; at most ${MAX_JSON} are read.`);
}

function reachesPrototype(value: PlainValue): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (!isFields(value)) return value.some(reachesPrototype);
  if (FORBIDDEN_KEY in value) return true;
  for (const key in value) if (reachesPrototype(value[key] ?? null)) return true;
  return false;
}
