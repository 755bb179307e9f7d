import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright";
import { describe } from "vitest";

const usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const advice = "Install it (Debian and Ubuntu: apt-get install chromium) or set CHROMIUM_PATH to a Chromium or Chrome.";

/** The Chromium asked for, or the machine's own, or undefined where there is none. */
function executable(): string | undefined {
  const asked = process.env.CHROMIUM_PATH;
  if (asked === undefined) return usual.find((path) => existsSync(path));
  if (!existsSync(asked)) throw new Error(`CHROMIUM_PATH names ${asked}, which is not there. ${advice}`);
  return asked;
}

/**
 * A suite that needs Chromium. Without one it does not run, is counted as skipped and named in the list of what did not run;
 * in continuous integration (`CI` is set) it fails instead.
 */
export const browserTests = describe.skipIf(executable() === undefined && process.env.CI === undefined);

/** Milliseconds after which a browser is taken to hang; a busy machine does not come near them. */
const HANGS = 300_000;

/** A new page of a browser, which waits for what it is asked for as long as the machine takes. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(HANGS);
  return page;
}

/** Starts the machine's Chromium without its own traffic to the network. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = executable();
  if (executablePath === undefined) {
    throw new Error(`The browser tests need Chromium: none of ${usual.join(", ")} is there. ${advice}`);
  }
  return chromium.launch({
    executablePath,
    timeout: HANGS,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-sync",
      "--disable-component-update",
    ],
  });
}
