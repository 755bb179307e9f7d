/** The entry `/ndarray` on a page that allows no code made of strings: it loads, reads views, and says what it cannot do. */
import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { programPages, serve, type Site } from "./server.ts";

const PROGRAM = `
import { fromNdarray, toNdarray } from "./src/tensor/ndarray.ts";
const view = { data: new Float32Array([1, -2, 3, -4]), shape: [2, 2], stride: [1, 2], offset: 0 };
const t = fromNdarray(view, "a b");
let refused = "";
try { toNdarray(t); } catch (error) { refused = error.message; }
globalThis.result = [t.toNested(), refused];
`;

browserTests("the entry /ndarray on a strict page", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    browser = await launchChromium();
    site = await serve(await programPages(PROGRAM), {}, "default-src 'none'; script-src 'self'");
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  test("reads a view, and refuses to make one with the reason", async () => {
    const tab = await newPage(browser);
    await tab.goto(`${site.address}/index.html`);
    await tab.waitForFunction("globalThis.result !== undefined");
    const [nested, refused] = await tab.evaluate<[number[][], string]>("result");
    expect(nested).toEqual([[1, 3], [-2, -4]]); // prettier-ignore
    expect(refused).toContain("toNdarray: the package ndarray makes code of strings for a view");
  });
});
