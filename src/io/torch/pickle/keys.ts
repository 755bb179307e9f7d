/** Keys of dicts as text, numbers, or tuples of these. */
import { PickleTuple } from "./values.ts";
import type { PickleKey, PickleValue } from "./values.ts";

/** Characters of a tuple's text, and items of it, that are read as a key. */
const MAX_KEY = 256;
const MAX_KEY_ITEMS = 8;

/** A key as a dict here has it, a tuple as Python writes it; `undefined` for one that has no such text. */
export function keyOf(value: PickleValue): PickleKey | undefined {
  if (value === null || typeof value !== "object") return value;
  return value instanceof PickleTuple ? tupleText(value, 2) : undefined;
}

function tupleText({ items }: PickleTuple, depth: number): string | undefined {
  if (items.length > MAX_KEY_ITEMS || depth === 0) return undefined;
  const texts: string[] = [];
  for (const item of items) {
    const isLong = typeof item === "string" && item.length > MAX_KEY;
    const isScalar = (item === null || typeof item !== "object") && !isLong;
    const text = isScalar
      ? typeof item === "string"
        ? JSON.stringify(item)
        : String(item)
      : item instanceof PickleTuple
        ? tupleText(item, depth - 1)
        : undefined;
    if (text === undefined || text.length > MAX_KEY) return undefined;
    texts.push(text);
  }
  return `(${texts.join(", ")}${texts.length === 1 ? "," : ""})`;
}
