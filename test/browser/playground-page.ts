/** A page of the playground under watch, and what holds of all its views. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { expect } from "vitest";
import { newPage } from "./chromium.ts";

/** The source of axe, to be evaluated in a page before {@link expectAccessible}. */
export const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A new page with its errors, violations of its policy, and requests for what is not the playground's own. */
export async function watchedPage(
  browser: Browser,
  options: BrowserContextOptions,
  address: string,
): Promise<{ readonly tab: Page; readonly complaints: string[] }> {
  const tab = await newPage(browser, options);
  const complaints: string[] = [];
  tab.on("pageerror", (error) => complaints.push(error.message));
  tab.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  tab.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${address}/play/`) && !url.startsWith(`blob:${address}/`) && url !== "data:,")
      complaints.push(`a request for ${url}`);
  });
  return { tab, complaints };
}

/** Nothing that axe finds, and nothing wider than the page. */
export async function expectAccessible(tab: Page, where: string): Promise<void> {
  const found = await tab.evaluate<{
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  }>("axe.run(document, { resultTypes: ['violations'] })");
  const seen = found.violations.map(({ id, nodes }) => [id, nodes[0]?.html, nodes[0]?.failureSummary]);
  expect(seen, where).toEqual([]);
  expect(await tab.evaluate("document.documentElement.scrollWidth - innerWidth"), where).toBeLessThanOrEqual(0);
}
