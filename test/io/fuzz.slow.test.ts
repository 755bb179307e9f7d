/** Damaged files of every format are read or refused with a typed error; test/fuzz/run.mjs does it at length. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { mutate } from "../fuzz/mutate.ts";
import { isTyped, readers } from "../fuzz/readers.ts";

test.each(readers)("$name, 600 damaged files of seed 7", ({ files, wrap = (bytes) => bytes, read }) => {
  for (const file of files) expect(() => tolerant(() => read(wrap(file)))).not.toThrow();
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(files.length - 1), fc.nat(), (which, seed) => {
      const file = files[which];
      if (file === undefined) throw new Error("no such file");
      if (!tolerant(() => read(wrap(mutate(file, seed))))) refused++;
    }),
    { seed: 7, numRuns: 600 },
  );
  expect(refused).toBeGreaterThan(100);
});

/** Whether the file was read; false where it was refused as it should be. */
function tolerant(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (isTyped(error)) return false;
    throw error;
  }
}
