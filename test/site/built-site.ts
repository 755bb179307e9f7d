/** The site as it was built, for the tests of its files and those in a browser. */
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { describe, inject } from "vitest";
import { launchChromium, newPage } from "../browser/chromium.ts";
import { serve } from "../browser/server.ts";
import { filesUnder, readText, root } from "../support/files.ts";
import "../support/require-build.ts";

const failure = inject("siteFailure");
if (failure !== "") throw new Error(failure);

/** A suite that needs the site; where what builds it is not installed, it is counted as skipped. */
export const siteTests = describe.skipIf(!inject("hasSite"));

export const DIST = "site/dist";
export const pages = (): string[] => filesUnder(DIST, ".html").map((path) => path.slice(DIST.length + 1));

/** A page's text, without what its code blocks show. */
export const htmlOf = (page: string): string => readText(`${DIST}/${page}`);

/** A page that was opened. */
export interface Opened {
  readonly page: Page;
  /** What it complains of, and what it asks of others. */
  readonly bad: readonly string[];
}

/** The site on a server, and a browser to look at it. */
export interface Viewer {
  readonly address: string;
  /** Opens a page of the site, or the address of a file, and waits until it asks for nothing more and answers. */
  open(path: string, options?: BrowserContextOptions): Promise<Opened>;
  close(): Promise<void>;
}

export async function viewer(): Promise<Viewer> {
  const browser: Browser = await launchChromium();
  const policy = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'";
  const server = await serve({ "/": htmlOf("index.html") }, { "/": `${root}/${DIST}` }, policy);
  return {
    address: server.address,
    async open(path, options = {}) {
      const page = await newPage(browser, options);
      const bad: string[] = [];
      page.on("pageerror", (error) => bad.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") bad.push(message.text());
      });
      await page.route("**", (route) => {
        const url = route.request().url();
        if (/^(data|blob|file):/.test(url) || url.startsWith(server.address)) return route.continue();
        bad.push(`asks for ${url}`);
        return route.abort();
      });
      const isOfSite = !path.startsWith("file:");
      await page.goto(isOfSite ? server.address + path : path, { waitUntil: "networkidle" });
      // Its markup stands before its program does, and what is clicked then is lost.
      if (isOfSite) await page.waitForFunction("document.querySelector('#app')?.__vue_app__ !== undefined");
      return { page, bad };
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** By how many pixels a page is wider than its window. */
export const excessWidth = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const { document, innerWidth } = globalThis as unknown as {
      document: { documentElement: { scrollWidth: number } };
      innerWidth: number;
    };
    return document.documentElement.scrollWidth - innerWidth;
  });
