/**
 * `node bench/where.mjs [--chromium] [size …]`: where the time of whole questions goes, by samples of V8's profiler, as a table
 * for docs/performance.md; in Node, or in a page of the machine's Chromium (CHROMIUM_PATH names another). Shares hold on a busy
 * machine too; the times beside them are the least of the calls: processor time in Node, time on the clock in a page.
 */
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";
import { setImmediate } from "node:timers";
import { ensureBuild } from "../scripts/ensure-build.mjs";
import { sizes } from "./lib/models.mjs";
import { asking, leastTime, questionNames } from "./lib/questions.mjs";
import { sharesOf } from "./lib/shares.mjs";

const modelNames = { small: "small", arena: "ARENA", "twelve-layer": "12 layers" };
const entries = ["tensor", "model", "paths", "heads", "report"];

/** Questions in this process: how they are timed, and the profiler beside. */
async function inNode() {
  const library = Object.assign({}, ...(await Promise.all(entries.map((name) => import(`../dist/${name}.js`)))));
  const session = new Session();
  session.connect();
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const clock = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  let ask;
  return {
    name: `Node ${process.versions.node}`,
    post: (method, given) => session.post(method, given),
    open: (size) => (ask = asking(library, size)),
    time: (question, calls) => leastTime(ask(question), calls, { turn, clock }),
    close: () => session.disconnect(),
  };
}

/** The library and the questions as one script of a page. */
async function script() {
  const { build } = await import("esbuild");
  const lines = [
    ...entries.map((name, i) => `import * as part${i} from "./dist/${name}.js";`),
    'import { asking, leastTime } from "./bench/lib/questions.mjs";',
    `const library = Object.assign({}, ${entries.map((_, i) => `part${i}`).join(", ")});`,
    "const turn = () => new Promise((resolve) => { const { port1, port2 } = new MessageChannel();",
    "  port1.onmessage = () => { port1.close(); resolve(); }; port2.postMessage(0); });",
    "let ask;",
    "globalThis.openModel = (size) => { ask = asking(library, size); };",
    "globalThis.time = (question, calls) =>",
    "  leastTime(ask(question), calls, { turn, clock: () => performance.now() });",
    "globalThis.isReady = true;",
  ];
  const stdin = { contents: lines.join("\n"), resolveDir: new URL("..", import.meta.url).pathname };
  const { outputFiles } = await build({ stdin, bundle: true, format: "esm", write: false, logLevel: "error" });
  return outputFiles[0].text;
}

/** The same in a page that is cross-origin isolated: it has shared memory, and a clock of 5 µs. */
async function inChromium() {
  const { chromium } = await import("playwright");
  const files = { "/": ["text/html", '<script type="module" src="/main.js"></script>'] };
  files["/main.js"] = ["text/javascript", await script()];
  const server = createServer(({ url }, response) => {
    const [type, text] = files[url] ?? ["text/plain", ""];
    response.writeHead(files[url] === undefined ? 404 : 200, {
      "content-type": type,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, timeout: 300_000, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction("globalThis.isReady");
  const session = await page.context().newCDPSession(page);
  return {
    name: `Chromium ${browser.version()}`,
    post: (method, given) => session.send(method, given),
    open: (size) => page.evaluate((one) => globalThis.openModel(one), size),
    time: (question, calls) => page.evaluate(([one, count]) => globalThis.time(one, count), [question, calls]),
    close: async () => {
      await browser.close();
      server.close();
    },
  };
}

/** Calls that take longer, in milliseconds, are made once. */
const LONG = 10_000;

/** The time of one call, the least, and the shares of all. */
async function measure(question, { time, post }) {
  const profiled = async (calls) => {
    await post("Profiler.start");
    const least = await time(question, calls);
    return { least, profile: (await post("Profiler.stop")).profile };
  };
  let { least, profile } = await profiled(1);
  if (least < LONG) {
    // The third product of a weight packs it, and short calls are compiled again and again at first.
    least = Math.min(least, await time(question, 2 + Math.min(500, Math.round(1000 / least))));
    const later = await profiled(Math.max(3, Math.min(300, Math.round(1000 / least))));
    least = Math.min(least, later.least);
    profile = later.profile;
  }
  return { least, shares: sharesOf(profile) };
}

ensureBuild();
const isPage = process.argv.includes("--chromium");
const asked = process.argv.slice(2).filter((one) => one !== "--chromium");
const place = await (isPage ? inChromium() : inNode());
await place.post("Profiler.enable");
await place.post("Profiler.setSamplingInterval", { interval: 200 });
console.log(`| ${place.name} | ms | kernel | packing | memory | JavaScript |\n|---|--:|--:|--:|--:|--:|`);
for (const size of asked.length === 0 ? Object.keys(sizes) : asked) {
  await place.open(size);
  for (const question of questionNames) {
    const { least, shares } = await measure(question, place);
    console.log(`| ${modelNames[size]}: ${question} | ${least.toPrecision(3)} | ${shares.join(" | ")} |`);
  }
}
await place.close();
