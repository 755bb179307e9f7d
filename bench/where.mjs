/**
 * `node bench/where.mjs [size …]`: where the time of whole questions goes, by samples of V8's profiler, as a table for
 * docs/performance.md. Shares hold on a busy machine too; the times beside them are processor time, the least of the calls.
 */
import { Session } from "node:inspector/promises";
import { setImmediate } from "node:timers";
import { ensureBuild } from "../scripts/ensure-build.mjs";
import { randomWeights, sizes } from "./lib/models.mjs";

ensureBuild();
const entries = ["tensor", "model", "paths", "heads", "report"];
const library = Object.assign({}, ...(await Promise.all(entries.map((name) => import(`../dist/${name}.js`)))));
const modelNames = { small: "small", arena: "ARENA", "twelve-layer": "12 layers" };

/** Questions of a model, over 64 tokens. */
const questions = {
  forward: (model, tokens) => model.forward(tokens),
  "run, all kept": (model, tokens) => model.run(tokens),
  "logit attribution, with its run": (model, tokens) => library.logitAttribution(model, tokens),
  "head scores, 10 × 101 tokens": (model) => library.headScores(model, { length: 50, batch: 10, bos: 0 }),
  "path expansion by order": (model, tokens) => library.pathTotals(model, tokens),
  report: (model) =>
    library.analyse(
      model,
      undefined,
      Array.from({ length: 20000 }, (_, i) => (37 * i * i + 11 * i) % model.config.d_vocab),
    ),
};

/** The functions of the kernels' module that put operands in order: their numbers in it, by its export section. */
const PACKS = new Set([8, 9, 14, 17, 18]);
const MEMORY =
  /garbage collector|^(tellCollector|keepForKernels|allocateForResult|allocate|allocateData|lend|takeBlock)$/;

/** `kernel`, `packing`, `memory` or `JavaScript`, or nothing for a sample outside of all calls. */
function kindsOf(nodes) {
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node])));
  const isWasm = (node) => node?.callFrame.url.startsWith("wasm://") === true;
  // Packing is a matter of the kernels' module, which runAlone calls; that for weights numbers its functions anew.
  const callerOf = (node) => {
    const parent = parents.get(node.id);
    return parent === undefined || !/^(js-to-wasm|GenericJSToWasm)/.test(parent.callFrame.functionName)
      ? parent?.callFrame.functionName
      : callerOf(parent);
  };
  const kernels = nodes.find((node) => isWasm(node) && callerOf(node) === "runAlone")?.callFrame.url;
  // What follows a pause of a call is a call from nowhere; only waiting and the profiler itself are no part of it.
  const isOfCall = (node) =>
    node !== undefined && (/^(measured|step)$/.test(node.callFrame.functionName) || isOfCall(parents.get(node.id)));
  return new Map(
    nodes.map((node) => {
      const { functionName, url } = node.callFrame;
      if (functionName !== "(garbage collector)" && !isOfCall(node)) return [node.id, undefined];
      if (MEMORY.test(functionName)) return [node.id, "memory"];
      if (!isWasm(node)) return [node.id, "JavaScript"];
      const number = Number(/\d+/.exec(functionName)?.[0]);
      return [node.id, url === kernels && PACKS.has(number) ? "packing" : "kernel"];
    }),
  );
}

/** Calls that take longer, in milliseconds, are made once. */
const LONG = 10_000;

/** Processor time of one call, the least, and the shares of all. */
async function measure(run, session) {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  let least = Infinity;
  const timed = async (calls) => {
    for (let i = 0; i < calls; i++) {
      await turn();
      const before = process.cpuUsage();
      const measured = () => run();
      await measured();
      const { user, system } = process.cpuUsage(before);
      least = Math.min(least, (user + system) / 1000);
    }
  };
  const profiled = async (calls) => {
    await session.post("Profiler.start");
    await timed(calls);
    return (await session.post("Profiler.stop")).profile;
  };
  let profile = await profiled(1);
  if (least < LONG) {
    // The third product of a weight packs it, and short calls are compiled again and again at first.
    await timed(2 + Math.min(500, Math.round(1000 / least)));
    profile = await profiled(Math.max(3, Math.min(300, Math.round(1000 / least))));
  }
  const kinds = kindsOf(profile.nodes);
  const sums = { kernel: 0, packing: 0, memory: 0, JavaScript: 0 };
  profile.samples.forEach((id, i) => {
    const kind = kinds.get(id);
    if (kind !== undefined) sums[kind] += profile.timeDeltas[i];
  });
  const all = Object.values(sums).reduce((a, b) => a + b, 0);
  return { least, shares: Object.values(sums).map((sum) => `${Math.round((100 * sum) / all)} %`) };
}

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.setSamplingInterval", { interval: 200 });
console.log(
  `| Node ${process.versions.node} | ms | kernel | packing | memory | JavaScript |\n|---|--:|--:|--:|--:|--:|`,
);
const asked = process.argv.slice(2);
for (const size of asked.length === 0 ? Object.keys(sizes) : asked) {
  const config = library.parseConfig(sizes[size]);
  const model = library.Transformer.fromWeights(config, randomWeights(library, sizes[size]));
  const tokens = Array.from({ length: 64 }, (_, i) => (37 * i + 11) % config.d_vocab);
  for (const [name, ask] of Object.entries(questions)) {
    const { least, shares } = await measure(() => ask(model, tokens), session);
    console.log(`| ${modelNames[size]}: ${name} | ${least.toPrecision(3)} | ${shares.join(" | ")} |`);
  }
}
