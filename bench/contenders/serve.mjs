/**
 * One contender in a process of its own, `node serve.mjs tfjs '{"threads":1}'`: takes commands as lines of JSON from standard
 * input and answers each by one line on file descriptor 3, so that whatever a package prints does no harm. pytorch.py speaks the
 * same protocol.
 *
 * A contender module exports `open(options)`, which returns `{ versions, prepare(work, inputs) }`; `prepare` returns
 * `{ run, result, renew?, dispose?, flops? }`, or `{ skip: "why not" }`. `run` is what is timed; `result` returns the numbers of one run; `renew` goes
 * before each run, untimed, where a second run would find what the first has kept.
 */
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers";

const [, , name, options = "{}"] = process.argv;
const reply = (answer) => writeSync(3, `${JSON.stringify(answer)}\n`);

let contender;
let task;
/** The last result: a call whose result nobody could see might be left out by a compiler. */
let last;

/** A turn of the event loop: garbage collection and finalizers get to run between samples, not inside them. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Milliseconds for `calls` calls. Only what returns promises is awaited: an await a call costs more than a small product. */
async function time(calls) {
  if (task.renew !== undefined) return timeRenewed(calls);
  const start = performance.now();
  for (let i = 0; i < calls; i++) {
    last = task.run();
    if (typeof last?.then === "function") last = await last;
  }
  return performance.now() - start;
}

async function timeRenewed(calls) {
  let spent = 0;
  for (let i = 0; i < calls; i++) {
    await task.renew();
    await turn();
    const start = performance.now();
    last = task.run();
    spent += performance.now() - start;
  }
  return spent;
}

/** Windows of calls until the best of a window is no longer better than the best before it, so that tiers have settled. */
async function warm({ windowMs, leastMs, mostMs }) {
  let best = Infinity;
  let unimproved = 0;
  let calls = 1;
  const start = performance.now();
  for (;;) {
    const window = performance.now();
    let fastest = Infinity;
    do fastest = Math.min(fastest, (await time(calls)) / calls);
    while (performance.now() - window < windowMs);
    await turn();
    unimproved = fastest > best * 0.97 ? unimproved + 1 : 0;
    best = Math.min(best, fastest);
    // A clock that ticks in microseconds cannot see a call of one.
    calls = Math.max(1, Math.ceil(0.2 / best));
    const spent = performance.now() - start;
    if (spent >= mostMs || (spent >= leastMs && unimproved >= 2)) return { callMs: best, spentMs: spent };
  }
}

const commands = {
  async open() {
    const { open } = await import(`./${name}.mjs`);
    contender = await open(JSON.parse(options));
    return { versions: contender.versions };
  },
  async prepare({ work, inputs }) {
    task?.dispose?.();
    last = undefined;
    const read = inputs.map(({ path, shape, dtype }) => {
      const { buffer, byteOffset, byteLength } = readFileSync(path);
      const ArrayType = dtype === "float64" ? Float64Array : Float32Array;
      return { shape, data: new ArrayType(buffer.slice(byteOffset, byteOffset + byteLength)) };
    });
    task = await contender.prepare(work, read);
    return { skip: task.skip, flops: task.flops };
  },
  async result({ path }) {
    writeFileSync(path, Buffer.from((await task.result()).slice().buffer));
    return {};
  },
  warm,
  async sample({ calls, before }) {
    if (before > 0) await time(before);
    const ms = (await time(calls)) / calls;
    await turn();
    return { ms, rss: process.memoryUsage.rss() };
  },
  async dispose() {
    task?.dispose?.();
    task = undefined;
    last = undefined;
    await turn();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...args } = JSON.parse(line);
  if (command === "exit") process.exit(0);
  try {
    reply(await commands[command](args));
  } catch (error) {
    reply({ error: error instanceof Error ? error.message : String(error) });
  }
}
