/**
 * How far memory grows over many questions to a vocabulary within one task, in which no block of the kernels' memory that waits for the collector comes
 * back. Each makes blocks of a megabyte or more, so that what is not given back at once would show in some dozens of them.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { bundledLibrary } from "../support/library.ts";

const MIB = 2 ** 20;
/** Embedding, unembedding, and a head's two halves, of 8,192 tokens: what one question may hold at once. */
const ONE = 4 * 8192 * (2 * 64 + 2 * 32);
/** Memory of the kernels grows by this at least. */
const STEP = 16 * MIB;

const bundled = bundledLibrary("test/support/everything.ts");

test.each([
  ["diagonalRanks", 50],
  ["topKPerRow", 50],
  ["topKOverall", 50],
  ["kCompositionAccuracy", 50],
  ["skipTrigrams", 50],
  ["findSkipTrigramBugs", 50],
  ["normedTokens", 30],
  ["copyingScore", 50],
])("%s, %i times in one task, takes the memory of a few", async (name, times) => {
  const child = fileURLToPath(new URL("growth.mjs", import.meta.url));
  // In one thread, so that what is found does not hang on how soon the engine's collecting threads have their turn.
  const args = ["--expose-gc", "--single-threaded", child, bundled.library, name, String(times)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const grown = JSON.parse(stdout) as { kernels: number; process: number };
  expect(grown.kernels).toBeLessThanOrEqual(STEP + ONE);
  // Ordinary arrays wait for the collector, which lets some tens of megabytes lie.
  expect(grown.process).toBeLessThan(128 * MIB + 8 * ONE);
  expect(grown.process).toBeGreaterThan(-ONE);
});
