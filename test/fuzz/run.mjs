/**
 * The long run: damaged files through every reader, each reader in a process of its own.
 *
 *     node test/fuzz/run.mjs [files per reader, 100000 unless given] [first seed, 0] [reader]
 *
 * A run of low priority on a busy machine needs patience: FUZZ_SILENT_TICKS=1000.
 * Reports crashes, hangs (a file that takes more than 2 seconds of the processor), errors that
 * are not a FormatError, and how far the memory of the process grew beyond what it had after reading the sound files.
 */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = (name) => new URL(name, import.meta.url);
const bundle = fileURLToPath(here("../../.tmp/fuzz.mjs"));
const HANG_MS = 2000;
/** A reader that says nothing for so many ticks hangs; time in which all processes stood still is one tick. */
const SILENT_TICKS = Number(process.env.FUZZ_SILENT_TICKS ?? 12);
const TICK_MS = 5000;

if (process.send === undefined) await parent();
else await child(process.argv[2], Number(process.argv[3]), Number(process.argv[4]));

async function parent() {
  const count = Number(process.argv[2] ?? 100_000);
  const first = Number(process.argv[3] ?? 0);
  await build({
    stdin: {
      contents: 'export * from "./readers.ts"; export * from "./mutate.ts";',
      resolveDir: fileURLToPath(here(".")),
    },
    define: { "import.meta.url": JSON.stringify(here("readers.ts").href) },
    outfile: bundle,
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "error",
  });
  const { readers } = await import(pathToFileURL(bundle).href);
  let failed = false;
  for (const { name, files } of readers) {
    if (process.argv[4] !== undefined && process.argv[4] !== name) continue;
    const result = await run(name, count, first);
    const largest = Math.max(...files.map((file) => file.length));
    const { crash, untyped, hangs, refused, slowest, grown, seconds } = result;
    const limit = 4 * largest + 64 * 2 ** 20;
    const bad = crash !== undefined || untyped.length > 0 || hangs.length > 0 || grown > limit;
    failed ||= bad;
    console.log(
      `${name.padEnd(13)} ${count} files, ${refused} refused, ${untyped.length} untyped errors, ${hangs.length} hangs, ` +
        `crash: ${crash ?? "none"}, slowest ${slowest.toFixed(0)} ms, memory +${(grown / 2 ** 20).toFixed(1)} MiB, ${seconds.toFixed(0)} s${bad ? "  FAILED" : ""}`,
    );
    for (const line of [...untyped, ...hangs].slice(0, 5)) console.log(`  ${line}`);
  }
  process.exitCode = failed ? 1 : 0;
}

function run(name, count, first) {
  return new Promise((resolve) => {
    const worker = fork(fileURLToPath(import.meta.url), [name, String(count), String(first)], {
      execArgv: ["--expose-gc", "--no-warnings"],
    });
    let last = { untyped: [], hangs: [], refused: 0, slowest: 0, grown: 0, seconds: 0, done: 0 };
    let ended = false;
    const end = (crash) => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      worker.kill();
      resolve({ ...last, crash });
    };
    let silence = 0;
    const timer = setInterval(() => {
      if (++silence > SILENT_TICKS) end(`silent after seed ${first + last.done}`);
    }, TICK_MS);
    worker.on("message", (message) => {
      last = message;
      silence = 0;
      if (message.done === count) end(undefined);
    });
    worker.on("exit", (code, signal) => end(`exit ${code ?? signal} after seed ${first + last.done}`));
  });
}

async function child(name, count, first) {
  const { readers, isTyped, mutate } = await import(pathToFileURL(bundle).href);
  const { files, wrap = (bytes) => bytes, read } = readers.find((reader) => reader.name === name);
  const attempt = (bytes) => {
    try {
      read(bytes);
      return undefined;
    } catch (error) {
      return error;
    }
  };
  for (let i = 0; i < 300; i++) attempt(wrap(files[i % files.length]));
  for (let i = 0; i < 300; i++) attempt(wrap(mutate(files[i % files.length], -1 - i)));
  globalThis.gc();
  const before = highest();
  const started = performance.now();
  const result = { untyped: [], hangs: [], refused: 0, slowest: 0, grown: 0, seconds: 0, done: 0 };
  for (let i = 0; i < count; i++) {
    const seed = first + i;
    const bytes = wrap(mutate(files[i % files.length], seed));
    const from = process.cpuUsage();
    const error = attempt(bytes);
    const { user, system } = process.cpuUsage(from);
    // Time of the processor, for a machine that stands still is no hang.
    const took = (user + system) / 1000;
    result.slowest = Math.max(result.slowest, took);
    if (took > HANG_MS) result.hangs.push(`seed ${seed}: ${took.toFixed(0)} ms`);
    if (error !== undefined) result.refused++;
    if (error !== undefined && !isTyped(error)) result.untyped.push(`seed ${seed}: ${error.stack}`);
    // What earlier files left must not count as this one's.
    if (i % 200 === 199 || process.memoryUsage().external > 2 ** 24) globalThis.gc();
    if (i % 1000 === 999 || i === count - 1) {
      result.done = i + 1;
      result.grown = highest() - before;
      result.seconds = (performance.now() - started) / 1000;
      process.send({ ...result, untyped: result.untyped.slice(0, 20), hangs: result.hangs.slice(0, 20) });
    }
  }
  process.disconnect();
}

/** The most memory so far. `maxRSS` of a child begins with its parent's on Linux; the kernel's other mark does not. */
function highest() {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
