/** Figures of a program, mounted in Chromium under the strict policy that a page with figures can have. */
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { launchChromium, newPage } from "./chromium.ts";
import { programPages, serve, type Site } from "./server.ts";

const POLICY =
  "default-src 'none'; script-src 'self'; img-src data:; require-trusted-types-for 'script'; trusted-types transformer-circuits";

/** The site of a suite: its pages, closed after each test, in which nothing may have gone wrong. */
export interface FigureSite {
  readonly browser: Browser;
  /** A page in which a figure of the program is mounted, at the place that an expression says. */
  readonly open: (figure: string, options?: BrowserContextOptions, at?: string) => Promise<Page>;
}

/**
 * Starts a browser and a site for the suite that is being described.
 *
 * @param program - makes `globalThis.viz` and `globalThis.figures`.
 */
export function figureSite(program: string): FigureSite {
  let browser: Browser;
  let site: Site;
  let tab: Page | undefined;
  let complaints: string[] = [];
  beforeAll(async () => {
    browser = await launchChromium();
    site = await serve(await programPages(program), {}, POLICY);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });
  afterEach(async () => {
    expect(complaints).toEqual([]);
    await tab?.close();
  });
  return {
    get browser() {
      return browser;
    },
    open: async (figure, options = {}, at = 'document.querySelector("#at")') => {
      tab = await newPage(browser, options);
      complaints = [];
      tab.on("pageerror", (error) => complaints.push(error.message));
      await tab.goto(`${site.address}/index.html`);
      await tab.waitForFunction("globalThis.figures !== undefined");
      await tab.evaluate(`viz.mount(${at}, figures.${figure}); undefined`);
      return tab;
    },
  };
}
