/** The entry `/ndarray` on a page that allows no code made of strings: it loads, reads views, and says what it cannot do. */
import { build } from "esbuild";
import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../support/files.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { serve, type Site } from "./server.ts";

const PROGRAM = `
import { elementwise, fromNdarray, toNdarray } from "./src/tensor/ndarray.ts";
const view = { data: new Float32Array([1, -2, 3, -4]), shape: [2, 2], stride: [1, 2], offset: 0 };
const t = fromNdarray(view, "a b");
let refused = "";
try { toNdarray(t); } catch (error) { refused = error.message; }
globalThis.result = [t.toNested(), elementwise("abs", t).toNested(), refused];
`;

browserTests("the entry /ndarray on a strict page", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    const { outputFiles } = await build({
      stdin: { contents: PROGRAM, resolveDir: root, loader: "ts" },
      bundle: true,
      format: "esm",
      write: false,
    });
    browser = await launchChromium();
    site = await serve(
      {
        "/favicon.ico": "",
        "/program.js": outputFiles[0]?.text ?? "",
        "/index.html": '<!doctype html><body></body><script type="module" src="/program.js"></script>',
      },
      {},
      "default-src 'none'; script-src 'self'",
    );
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  test("reads a view and applies functions, and refuses to make one with the reason", async () => {
    const tab = await newPage(browser);
    await tab.goto(`${site.address}/index.html`);
    await tab.waitForFunction("globalThis.result !== undefined");
    const [nested, absolute, refused] = await tab.evaluate<[number[][], number[][], string]>("result");
    expect(nested).toEqual([[1, 3], [-2, -4]]); // prettier-ignore
    expect(absolute).toEqual([[1, 3], [2, 4]]); // prettier-ignore
    expect(refused).toContain("toNdarray: the package ndarray makes code of strings for a view");
  });
});
