/**
 * The report of the bundled model, opened from a file: it draws itself, asks the network for nothing, complains of nothing, and
 * its controls work.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { openBundledModel } from "../../src/io/bundled.ts";
import type { analyse, renderReport, ReportData } from "../../src/report/index.ts";
import { readText, root } from "../support/files.ts";
import "../support/require-build.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";

browserTests("the report in Chromium", () => {
  let browser: Browser;
  let folder: string;
  let address: string;
  let data: ReportData;
  beforeAll(async () => {
    browser = await launchChromium();
    folder = mkdtempSync(join(tmpdir(), "transformer-circuits-report-"));
    const { openBundledModel: open } = (await import(`${root}/dist/bundled.js`)) as {
      openBundledModel: typeof openBundledModel;
    };
    const report = (await import(`${root}/dist/report.js`)) as {
      analyse: typeof analyse;
      renderReport: typeof renderReport;
    };
    const { model, tokenizer } = await open();
    data = await report.analyse(model, tokenizer, readText("data/bundled-model.d.ts"), { title: "A report" });
    address = pathToFileURL(join(folder, "report.html")).href;
    writeFileSync(join(folder, "report.html"), report.renderReport(data));
  });
  afterAll(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  let page: Page;
  let complaints: string[];
  let requests: string[];
  const open = async (options: Parameters<Browser["newPage"]>[0] = {}): Promise<void> => {
    page = await newPage(browser, options);
    complaints = [];
    requests = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(address, { waitUntil: "load" });
  };
  beforeEach(() => open());
  afterEach(async () => {
    expect(complaints).toEqual([]);
    // data: addresses are the page's own text.
    expect(requests.filter((url) => url !== address && !url.startsWith("data:"))).toEqual([]);
    await page.close();
  });

  /** The picture on the explorer's large map, as text. */
  const bigMap = (): Promise<string> =>
    page.evaluate<string>("document.querySelector('.tc-ax-map canvas').toDataURL()");
  const background = (): Promise<string> => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");

  describe("the report in a browser", () => {
    test("shows its figures", async () => {
      expect(await page.title()).toBe("A report");
      expect(await page.locator("figure").count()).toBeGreaterThan(15);
      expect(await page.locator("svg").count()).toBeGreaterThan(15);
      const empty = await page.evaluate<string[]>(
        "[...document.querySelectorAll('figure .plot > *')].filter((x) => x.tagName !== 'SCRIPT' && x.getBoundingClientRect().height < 20).map((x) => x.outerHTML.slice(0, 80))",
      );
      expect(empty).toEqual([]);
    });

    test.each([320, 768, 1280])("does not scroll sideways at %i pixels", async (width) => {
      await page.setViewportSize({ width, height: 800 });
      const [content, visible] = await page.evaluate<[number, number]>(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
      );
      expect(content).toBeLessThanOrEqual(visible);
    });

    test("hovering a token shows what it attends to, with the numbers of the analysis", async () => {
      const explorer = page.locator("[data-tc-explorer]").first();
      await explorer.locator('[data-head="5"]').click();
      const token = explorer.locator('[data-position="9"]');
      await token.hover();
      const read = await explorer.locator(".tc-ax-read").innerText();
      // L0H5 is a previous-token head: from 9 it looks at 8
      const { shape, data: pattern } = data.samples[0]?.pattern[0] ?? { shape: [], data: [] };
      const n = shape[3] ?? 0;
      const onPrevious = pattern[(5 * n + 9) * n + 8] ?? 0;
      expect(onPrevious).toBeGreaterThan(0.5);
      expect(read).toMatch(/from\s+9/);
      const [, shown = "", position] = /(\d\.\d+)\s+(\d+)\s/.exec(read.slice(read.indexOf("\n"))) ?? [];
      expect(position).toBe("8");
      // one byte a value on a square-root scale, printed to two digits
      expect(Math.abs(Number(shown) - onPrevious)).toBeLessThan(0.02);
    });

    test("picking a head and weighting by values change the big pattern", async () => {
      const explorer = page.locator("[data-tc-explorer]").first();
      await explorer.locator('[data-head="5"]').click();
      const first = await bigMap();
      await explorer.locator('[data-head="10"]').click();
      const second = await bigMap();
      expect(second).not.toBe(first);
      await explorer.getByLabel("value-weighted").check();
      expect(await bigMap()).not.toBe(second);
    });

    test("a column of the table of heads sorts by a click", async () => {
      const table = page.locator("#heads table");
      await table.getByRole("button", { name: "induction" }).click();
      expect(await table.locator("tbody tr").first().locator("td").first().innerText()).toBe("L1H2");
    });

    test("the switch turns the colours, and turns them back", async () => {
      expect(await background()).toBe("rgb(255, 255, 255)");
      await page.getByRole("button", { name: "Dark colours" }).click();
      expect(await background()).toBe("rgb(20, 23, 28)");
      expect(await page.evaluate<string>("getComputedStyle(document.querySelector('svg.tc-fig .tc-f-ink')).fill")).toBe(
        "rgb(232, 234, 237)",
      );
      await page.getByRole("button", { name: "Light colours" }).click();
      expect(await background()).toBe("rgb(255, 255, 255)");
    });

    test("follows a dark scheme, and paper is always light", async () => {
      await page.close();
      await open({ colorScheme: "dark" });
      expect(await background()).toBe("rgb(20, 23, 28)");
      expect(await page.getByRole("button", { name: "Light colours" }).count()).toBe(1);
      await page.evaluate("dispatchEvent(new Event('beforeprint'))");
      expect(await background()).toBe("rgb(255, 255, 255)");
      await page.evaluate("dispatchEvent(new Event('afterprint'))");
      expect(await background()).toBe("rgb(20, 23, 28)");
    });

    test("the contents lead to every section, and mark where the reader is", async () => {
      await page.locator('nav a[href="#induction"]').click();
      await page.locator('nav a[href="#induction"][aria-current="true"]').waitFor();
      expect(await page.locator("#induction h2").isVisible()).toBe(true);
    });

    test.each([1280, 1200, 1000])("no number of the table of heads is cut off at %i px", async (width) => {
      await open({ viewport: { width, height: 800 } });
      const [visible, whole] = await page.evaluate<[number, number]>(
        "(({ clientWidth, scrollWidth }) => [clientWidth, scrollWidth])(document.querySelector('.tc-table'))",
      );
      expect(whole).toBe(visible);
    });

    test("works from the keyboard: skip link, heads, tokens", async () => {
      await page.keyboard.press("Tab");
      expect(await page.evaluate<string>("document.activeElement.textContent")).toBe("Skip to the report");
      const explorer = page.locator("[data-tc-explorer]").first();
      await explorer.locator('[data-head="3"]').focus();
      await page.keyboard.press("Enter");
      expect(await explorer.locator('[data-head="3"]').getAttribute("aria-pressed")).toBe("true");
    });
  });
});
