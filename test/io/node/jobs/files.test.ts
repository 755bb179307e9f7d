/** The files of a plan: written whole, and nowhere but beside it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { ResourceError } from "../../../../src/errors.ts";
import { filesOfPlan } from "../../../../src/io/node.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "transformer-circuits-files-"));
  return () => rmSync(folder, { recursive: true });
});

test("a file is written in place of one that is there, and read again, from the plan's folder", async () => {
  const files = filesOfPlan(join(folder, "plan.json"));
  await files.write("runs/a/note.txt", "first");
  await files.write("runs/a/note.txt", Uint8Array.of(1, 2, 3));
  expect([...(await files.read("runs/a/note.txt"))]).toEqual([1, 2, 3]);
  expect(readdirSync(join(folder, "runs/a"))).toEqual(["note.txt"]);
});

test("many at once leave one whole file, and nothing beside it", async () => {
  const files = filesOfPlan(folder);
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(100_000));
  await Promise.all(texts.map((text) => files.write("one.txt", text)));
  expect(texts).toContain(new TextDecoder().decode(await files.read("one.txt")));
  expect(readdirSync(folder)).toEqual(["one.txt"]);
});

test.each(["../out.txt", "a/../../out.txt", "/tmp/out.txt", ".."])("%s is refused", async (path) => {
  await expect(filesOfPlan(folder).write(path, "x")).rejects.toThrow(
    /^filesOfPlan: .* lies outside .*Save in a folder beside the plan\.$/,
  );
});

test("a name that begins with two points lies inside", async () => {
  await filesOfPlan(folder).write("..notes/a.txt", "x");
  expect(readdirSync(join(folder, "..notes"))).toEqual(["a.txt"]);
});

test("what the system refuses is a typed error, and no part is left", async () => {
  const files = filesOfPlan(folder);
  await expect(files.read("none.txt")).rejects.toThrow(/cannot read .*none\.txt: there is no such file/);
  mkdirSync(join(folder, "taken"));
  await expect(files.write("taken", "x")).rejects.toThrow(ResourceError);
  expect(readdirSync(folder)).toEqual(["taken"]);
});
