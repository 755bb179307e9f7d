import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictJson } from "../../../src/io/json/json.ts";

const budget = { containers: 1e6, values: 1e6 };
const refuse = (message: string): never => {
  throw new Error(message);
};
const strict = (text: string): unknown => parseStrictJson(new TextEncoder().encode(text), budget, refuse);

const outcome = (parse: () => unknown): string => {
  try {
    return JSON.stringify(parse());
  } catch {
    return "refused";
  }
};

test("reads what JSON.parse reads: any value, in any layout of white space", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(0, 1, "\t"), (text, space) => {
      const value: unknown = JSON.parse(text);
      const written = JSON.stringify(value, null, space);
      expect(JSON.stringify(strict(written))).toBe(JSON.stringify(value));
    }),
    { seed: 31, numRuns: 300 },
  );
});

test("refuses what JSON.parse refuses: one character changed, dropped or doubled", () => {
  let refused = 0;
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 3 }),
      fc.nat(),
      fc.constantFrom("", '"', "\\", ",", ":", "}", "]", "{", "[", "0", "-", ".", "e", "+", "\n", "\u0001", "é"),
      (text, where, put) => {
        const at = where % text.length;
        const changed = text.slice(0, at) + put + text.slice(at + 1);
        const expected = outcome(() => JSON.parse(changed));
        const found = outcome(() => strict(changed));
        // Alone in this: a key that appears twice, which JSON.parse takes.
        const hasTwice = found === "refused" && expected !== "refused" && isTwice(changed);
        expect(hasTwice ? expected : found).toBe(expected);
        if (expected === "refused") refused += 1;
      },
    ),
    { seed: 32, numRuns: 2000 },
  );
  expect(refused).toBeGreaterThan(200);
});

function isTwice(text: string): boolean {
  try {
    strict(text);
    return false;
  } catch (error) {
    return String(error).includes("a second time");
  }
}
