/**
 * The built package on a page whose policy allows scripts of its own server only and no code made from strings: it loads as
 * plain ES modules through an import map, opens the bundled model, and computes what Node computes.
 */
import { createHash } from "node:crypto";
import type { Browser } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { openBundledModel } from "../../src/io/bundled.ts";
import { root } from "../support/files.ts";
import "../support/require-build.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { serve, type Site } from "./server.ts";

const importMap = JSON.stringify({
  imports: {
    "transformer-circuits": "/dist/index.js",
    "transformer-circuits/": "/dist/",
    "@huggingface/tokenizers": "/tokenizers/tokenizers.mjs",
    fflate: "/fflate/browser.js",
  },
});
const hash = createHash("sha256").update(importMap).digest("base64");
const policy = `default-src 'none'; script-src 'self' 'sha256-${hash}'; connect-src 'self'`;

const tokens = [0, 5, 6, 7, 5, 6, 7, 5];

const script = `
import { softmax } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled.js";
try { new Function("return 1")(); document.body.dataset.policy = "lax"; } catch { document.body.dataset.policy = "strict"; }
try {
  const { model, tokenizer } = await openBundledModel();
  const logits = model.forward(${JSON.stringify(tokens)});
  const probabilities = softmax(logits, "d_vocab");
  const text = "interface Array<T> {";
  document.body.dataset.result = JSON.stringify({
    logits: Array.from(logits.data),
    total: Array.from(probabilities.data).reduce((a, b) => a + b, 0),
    roundTrip: tokenizer.decode(tokenizer.encode(text)) === text,
  });
} catch (error) {
  document.body.dataset.result = JSON.stringify({ error: String(error) });
}
`;
const page = `<!doctype html><title>t</title><script type="importmap">${importMap}</script><body></body><script type="module" src="/main.js"></script>`;

browserTests("the package in Chromium", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    browser = await launchChromium();
    site = await serve(
      { "/index.html": page, "/main.js": script },
      {
        "/dist/": `${root}/dist`,
        "/data/": `${root}/data`,
        "/tokenizers/": `${root}/node_modules/@huggingface/tokenizers/dist`,
        "/fflate/": `${root}/node_modules/fflate/esm`,
      },
      policy,
    );
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  describe("a page with a strict content-security policy", () => {
    test("computes the logits that Node computes, to 1e-5 (the same float32 operations in the same engine)", async () => {
      const tab = await newPage(browser);
      const complaints: string[] = [];
      tab.on("pageerror", (error) => complaints.push(error.message));
      // The test's own attempt to make a function is reported by the browser too; the favicon is none of ours.
      tab.on("console", (message) => {
        if (message.type() === "error" && !/unsafe-eval|favicon/.test(message.text())) complaints.push(message.text());
      });
      await tab.goto(`${site.address}/index.html`);
      const body = tab.locator("body[data-result]");
      await body.waitFor({ state: "attached" }).catch(() => undefined);
      expect(complaints).toEqual([]);
      expect(await tab.locator("body").getAttribute("data-policy")).toBe("strict");
      const result = JSON.parse((await body.getAttribute("data-result")) ?? "{}") as {
        error?: string;
        logits: number[];
        total: number;
        roundTrip: boolean;
      };
      expect(result.error).toBeUndefined();
      expect(result.roundTrip).toBe(true);
      // Eight rows of probabilities, each 1 to float32 rounding over 1,024 entries.
      expect(Math.abs(result.total - tokens.length)).toBeLessThan(1e-4);
      const built = (await import(`${root}/dist/bundled.js`)) as { openBundledModel: typeof openBundledModel };
      const expected = (await built.openBundledModel()).model.forward(tokens).data;
      expect(result.logits).toHaveLength(expected.length);
      const differences = result.logits.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)));
      expect(Math.max(...differences)).toBeLessThan(1e-5);
    });
  });
});
