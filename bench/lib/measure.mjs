/** One case, all contenders: each verified, warmed up, then sampled in turns inside one window. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeInputs } from "./inputs.mjs";
import { complaint } from "./reference.mjs";
import { callsPerSample, samplesWithin, summarise, takesPart } from "./statistics.mjs";

/** Milliseconds, except counts. */
export const plans = {
  full: { sampleMs: 2, most: 40, least: 5, budget: 1500, warm: { windowMs: 25, leastMs: 200, mostMs: 2000 } },
  quick: { sampleMs: 2, most: 12, least: 3, budget: 400, warm: { windowMs: 10, leastMs: 80, mostMs: 500 } },
};

/** Below this one untimed call brings the caches back that the contender before has emptied. */
const SHORT_CALL_MS = 2;

/**
 * @returns {Promise<Record<string, object>>} by contender: `{ skip }`, `{ wrong }`, `{ failed }`, or
 * `{ min, median, p90, n, calls, gflops?, rss: { before, after } }` with times of one call in milliseconds and bytes
 */
export async function measureCase(work, contenders, plan) {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    const entries = await prepareAll(work, contenders, plan, folder);
    await takeTurns(entries.filter(({ outcome }) => outcome === undefined));
    return Object.fromEntries(entries.map((entry) => [entry.contender.id, entry.outcome ?? outcomeOf(work, entry)]));
  } finally {
    for (const contender of contenders) await contender.ask("dispose").catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function prepareAll(work, contenders, plan, folder) {
  const inputs = makeInputs(work);
  const files = inputs.map(({ data, shape }, i) => {
    const path = join(folder, `x${i}`);
    writeFileSync(path, data);
    return { path, shape, dtype: data instanceof Float64Array ? "float64" : "float32" };
  });
  const entries = [];
  for (const contender of contenders) {
    try {
      entries.push({ contender, ...(await prepareOne(contender, work, { inputs, files, plan, folder })) });
    } catch (error) {
      entries.push({ contender, outcome: { failed: error.message } });
    }
  }
  return entries;
}

async function prepareOne(contender, work, { inputs, files, plan, folder }) {
  const { skip, flops } = await contender.ask("prepare", { work, inputs: files });
  if (skip !== undefined) return { outcome: { skip } };
  if (inputs.length > 0 && !contender.id.endsWith("ceiling")) {
    const path = join(folder, "result");
    await contender.ask("result", { path });
    const bytes = readFileSync(path);
    const ArrayType = inputs[0].data.constructor;
    const wrong = complaint(
      work,
      inputs,
      new ArrayType(bytes.buffer, bytes.byteOffset, bytes.length / ArrayType.BYTES_PER_ELEMENT),
    );
    rmSync(path);
    if (wrong !== undefined) return { outcome: { wrong } };
  }
  const { callMs } = await contender.ask("warm", plan.warm);
  const calls = callsPerSample(callMs, plan.sampleMs);
  return {
    flops: flops ?? work.flops,
    calls,
    before: callMs < SHORT_CALL_MS ? 1 : 0,
    count: callMs > plan.budget ? 2 : samplesWithin(calls * callMs, plan),
    samples: [],
    rss: [],
  };
}

/** In each round those who take part go one after the other, and who begins moves on, so that nobody always follows the same one. */
async function takeTurns(entries) {
  const rounds = Math.max(0, ...entries.map(({ count }) => count));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + round) % entries.length];
      if (entry.outcome !== undefined || !takesPart(round, entry.count, rounds)) continue;
      try {
        const { ms, rss } = await entry.contender.ask("sample", { calls: entry.calls, before: entry.before });
        entry.samples.push(ms);
        entry.rss.push(rss);
      } catch (error) {
        entry.outcome = { failed: error.message };
      }
    }
  }
}

function outcomeOf(work, { contender, samples, flops, calls, rss }) {
  const each = work.each?.[contender.id] ?? 1;
  const summary = summarise(samples.map((ms) => ms / each));
  return {
    ...summary,
    calls,
    ...(flops === undefined ? {} : { gflops: flops / summary.min / 1e6 }),
    rss: { before: rss[0], after: rss.at(-1), largest: Math.max(...rss) },
  };
}
