/** Every kind of figure on a page, in both schemes, before the rules of axe. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import type { Browser } from "playwright";
import { figureScript, figureStyles } from "transformer-circuits/viz";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gallery } from "../viz/gallery.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const sections = [...gallery().values()].map(({ body }) => `<section>${body}</section>`).join("\n");

browserTests("figures and axe", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
  });

  test.each([
    ["light", "#fff"],
    ["dark", "#14171c"],
  ] as const)("find nothing to complain of in the %s", async (scheme, ground) => {
    const tab = await newPage(browser, { colorScheme: scheme });
    await tab.setContent(
      `<!doctype html><html lang="en" style="color-scheme:${scheme};background:${ground}"><head><title>t</title><style>${figureStyles()}</style></head><body><main><h1>t</h1>${sections}</main><script>${figureScript()}</script></body></html>`,
    );
    await tab.evaluate(axe);
    const found = await tab.evaluate<{ id: string; nodes: { html: string }[] }[]>(
      "axe.run(document).then(({ violations }) => violations)",
    );
    expect(found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`)).toEqual([]);
  });
});
