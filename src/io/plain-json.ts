/** JSON files beside weights, read strictly: no key twice, none that reaches a prototype. */
import { FORBIDDEN_KEY, fault } from "./fault.ts";
import type { Source } from "./fault.ts";
import { parseStrictJson } from "./json.ts";
import type { StrictJson } from "./json.ts";
import { plainObject } from "./plain.ts";
import type { PlainObject, PlainValue } from "./plain.ts";

/** A file that holds one JSON object. */
export function parsePlainJson(bytes: Uint8Array, source: Source): PlainObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.slice());
  } catch {
    throw fault(source, "it is not UTF-8 text.");
  }
  const json = parseStrictJson(text, (message) => {
    throw fault(source, `it is not valid: ${message}.`);
  });
  if (!(json instanceof Map)) throw fault(source, "it is not a JSON object.");
  return plain(json as ReadonlyMap<string, StrictJson>, source) as PlainObject;
}

function plain(json: StrictJson, source: Source): PlainValue {
  if (Array.isArray(json)) return (json as readonly StrictJson[]).map((item) => plain(item, source));
  if (!(json instanceof Map)) return json as PlainValue;
  const entries = [...(json as ReadonlyMap<string, StrictJson>)];
  if (entries.some(([key]) => key === FORBIDDEN_KEY)) {
    throw fault(source, `it has the key "${FORBIDDEN_KEY}", which would change a prototype.`);
  }
  return plainObject(entries.map(([key, value]) => [key, plain(value, source)]));
}
