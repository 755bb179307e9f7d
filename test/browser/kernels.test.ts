/**
 * The kernels in Chromium: WebAssembly with memory that grows, on any page that allows WebAssembly; threads on a page that is cross-origin isolated,
 * refused with the reason on one that is not.
 */
import { createHash } from "node:crypto";
import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../support/files.ts";
import "../support/require-build.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { serve, type Site } from "./server.ts";

const importMap = JSON.stringify({
  imports: {
    "transformer-circuits": "/dist/index.js",
    "transformer-circuits/tensor": "/dist/tensor.js",
    "transformer-circuits/linear": "/dist/linear.js",
    "@huggingface/tokenizers": "/tokenizers/tokenizers.mjs",
    fflate: "/fflate/browser.js",
  },
});
const folders = {
  "/dist/": `${root}/dist`,
  "/tokenizers/": `${root}/node_modules/@huggingface/tokenizers/dist`,
  "/fflate/": `${root}/node_modules/fflate/esm`,
};
const hash = createHash("sha256").update(importMap).digest("base64");
const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-${hash}'; worker-src blob:; connect-src 'self'`;
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const script = `
import { Tensor, compose, matmul, useThreads } from "transformer-circuits";
import { kernelInfo, randomNormal } from "transformer-circuits/tensor";
import { linear, topKPerRow } from "transformer-circuits/linear";
let compiled = false;
/** Workers as the library makes them, which say when they compile a module. */
const createWorker = (source) => {
  const saying = "const { Module } = WebAssembly; WebAssembly.Module = class extends Module { constructor(bytes) { super(bytes); postMessage('compiled'); } };";
  const worker = new Worker(URL.createObjectURL(new Blob([saying, source], { type: "text/javascript" })), { type: "module" });
  worker.addEventListener("message", ({ data }) => { compiled ||= data === "compiled"; });
  return worker;
};
const rows = compose(
  linear("row", "rank", randomNormal("row rank", [700, 64], { seed: 3 })),
  linear("rank", "column", randomNormal("rank column", [64, 900], { seed: 4 })),
);
const largest = () => topKPerRow(rows, 3).indices.data;
const report = async () => {
  const a = randomNormal("pos d_model", [200, 301], { seed: 1 });
  const b = randomNormal("d_model d_vocab", [301, 517], { seed: 2 });
  const before = kernelInfo();
  const alone = matmul(a, b).data;
  let exact = 0;
  for (let p = 0; p < 301; p++) exact += a.at(7, p) * b.at(p, 11);
  const largestAlone = largest();
  const threads = await useThreads(2, { createWorker }).catch((error) => error.message);
  const together = matmul(a, b).data;
  const largestTogether = largest();
  for (const end = Date.now() + 300_000; threads === 2 && !compiled && Date.now() < end; ) {
    largest();
    await new Promise((resolve) => setTimeout(resolve));
  }
  const many = Array.from({ length: 40 }, (_, i) => matmul(a, b).select("pos", i).at(3));
  return {
    before,
    threads,
    deviation: Math.abs(alone[7 * 517 + 11] - exact),
    isSame: alone.every((x, i) => x === together[i]) && largestAlone.every((x, i) => x === largestTogether[i]),
    compiled,
    isKept: many.every((x, i) => x === alone[i * 517 + 3]),
    grown: kernelInfo().memoryBytes > before.memoryBytes,
  };
};
document.body.dataset.result = JSON.stringify(await report().catch((error) => ({ error: String(error) })));
`;
const page = `<!doctype html><title>t</title><script type="importmap">${importMap}</script><body></body><script type="module" src="/main.js"></script>`;

interface Report {
  readonly error?: string;
  readonly before: { readonly name: string; readonly threads: number };
  readonly threads: number | string;
  readonly deviation: number;
  readonly isSame: boolean;
  /** Whether the other thread has compiled the module of the kernels for weights. */
  readonly compiled: boolean;
  readonly isKept: boolean;
  readonly grown: boolean;
}

browserTests("the kernels in Chromium", () => {
  let browser: Browser;
  const sites: Site[] = [];
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    for (const site of sites) await site.close();
  });

  async function reportOf(headers: Record<string, string>): Promise<Report> {
    const site = await serve({ "/index.html": page, "/main.js": script }, folders, policy, headers);
    sites.push(site);
    const tab = await newPage(browser);
    await tab.goto(`${site.address}/index.html`);
    const body = tab.locator("body[data-result]");
    await body.waitFor({ state: "attached" });
    return JSON.parse((await body.getAttribute("data-result")) ?? "{}") as Report;
  }

  const numbers = {
    before: { name: "simd", threads: 1 },
    isSame: true,
    isKept: true,
    grown: true,
  };

  test("on any page that allows WebAssembly; threads are refused where it is not cross-origin isolated", async () => {
    const report = await reportOf({});
    expect(report.error).toBeUndefined();
    expect(report).toMatchObject(numbers);
    // 301 terms of unit variance: 258 roundings of 2^-24 of their absolute sum, about 190, at most.
    expect(report.deviation).toBeLessThan(260 * 2 ** -24 * 190);
    expect(report.threads).toContain("cross-origin isolated");
  });

  test("two threads on a page that is, with the same numbers to the bit", async () => {
    const report = await reportOf(isolation);
    expect(report.error).toBeUndefined();
    expect(report).toMatchObject({ ...numbers, threads: 2, compiled: true });
  });
});
