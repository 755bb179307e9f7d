/**
 * The site as it is built: its links lead somewhere, every public name has its place, and in a real browser its pages ask nothing
 * of the outside, fit a phone, are found by searching, and pass axe's rules in the light and in the dark.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { openBundledModel } from "../../src/io/bundled.ts";
import type { analyse, renderReport } from "../../src/report/index.ts";
import { browserTests, launchChromium, newPage } from "../browser/chromium.ts";
import { serve, type Site } from "../browser/server.ts";
import { publicNames } from "../docs/exports.ts";
import { filesUnder, readText, root } from "../support/files.ts";
import "../support/require-build.ts";

const failure = inject("siteFailure");
if (failure !== "") throw new Error(failure);

/** A suite that needs the site; where what builds it is not installed, it is counted as skipped. */
const siteTests = describe.skipIf(!inject("hasSite"));

const DIST = "site/dist";
const pages = (): string[] => filesUnder(DIST, ".html").map((path) => path.slice(DIST.length + 1));

/** A page's text, without what its code blocks show. */
const htmlOf = (page: string): string => readText(`${DIST}/${page}`);

siteTests("the files of the site", () => {
  const html = new Map<string, string>();
  const ids = new Map<string, Set<string>>();
  beforeAll(() => {
    for (const page of pages()) {
      const text = htmlOf(page);
      html.set(page, text);
      ids.set(page, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id = ""]) => id)));
    }
  });

  test("there are guide, reference, gallery, maps and the tasks", () => {
    const found = pages();
    expect(found.length).toBeGreaterThan(300);
    expect(found).toEqual(
      expect.arrayContaining([
        "index.html",
        "tasks.html",
        "gallery.html",
        "paper-map.html",
        "arena-map.html",
        "guide/index.html",
        "reference/index.html",
      ]),
    );
  });

  test("every link inside leads to a page, to a place on it, or to a file", () => {
    const broken: string[] = [];
    for (const [page, text] of html)
      for (const [, link = ""] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (/^(https?:|data:|mailto:)/.test(link)) continue;
        const [path = "", place = ""] = link.replaceAll("&amp;", "&").split("#");
        const target = path === "" ? page : normalize(path.startsWith("/") ? path.slice(1) : join(dirname(page), path));
        const file = target.endsWith("/") || target === "." ? join(target, "index.html") : target;
        const name = existsSync(`${root}/${DIST}/${file}.html`) ? `${file}.html` : file;
        const isThere = name === "" || existsSync(`${root}/${DIST}/${name}`);
        const hasPlace = place === "" || (ids.get(name)?.has(decodeURIComponent(place)) ?? false);
        if (!isThere || !hasPlace) broken.push(`${page}: ${link}`);
      }
    expect([...new Set(broken)]).toEqual([]);
  });

  test("nothing that a page loads is outside", () => {
    const loaded = [...html].flatMap(([page, text]) =>
      [...text.matchAll(/<(?:script|link|img|iframe|source)\b[^>]* (?:src|href)="(https?:[^"]+)"/g)].map(
        ([, address]) => `${page}: ${address}`,
      ),
    );
    expect(loaded).toEqual([]);
  });

  test("every public name has its place in the reference, with its line in a list", () => {
    const names = publicNames().filter(({ kind }) => kind !== "method");
    const places = new Map(JSON.parse(readText("site/pages/data/names.json")) as [string, string][]);
    const lists = [...html].filter(([page]) => /^reference\/.*index\.html$/.test(page)).map(([, text]) => text);
    const missing = names.filter(({ name }) => {
      const [path = "", id = ""] = (places.get(name) ?? "").slice(1).split("#");
      return ids.get(`${path}.html`)?.has(id) !== true || !lists.some((text) => text.includes(`#${id}"`));
    });
    expect(missing.map(({ name }) => name)).toEqual([]);
    expect(places.size).toBeGreaterThan(800);
  });

  test("every figure of the list stands in the gallery, and functions that draw show what they draw", () => {
    const { list, shown } = JSON.parse(readText("site/pages/data/figures.json")) as {
      list: { name: string }[];
      shown: Record<string, { name: string }>;
    };
    const gallery = html.get("gallery.html") ?? "";
    expect(list.filter(({ name }) => !gallery.includes(`data-figure="${name}"`))).toEqual([]);
    const drawing = publicNames().filter(({ name }) => /^draw[A-Z]/.test(name) || name === "heatmap");
    expect(drawing.length).toBeGreaterThan(30);
    expect(drawing.filter(({ name }) => shown[name] === undefined).map(({ name }) => name)).toEqual([]);
  });
});

/** What axe says of a page: the rule, and where. */
type Violation = { id: string; nodes: { target: string[]; failureSummary: string }[] };
type Axe = { run(options: object): Promise<{ violations: Violation[] }> };

siteTests("the site in a browser", () => {
  browserTests("in Chromium", () => {
    let browser: Browser;
    let server: Site;
    let folder: string;
    beforeAll(async () => {
      browser = await launchChromium();
      const policy = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'";
      server = await serve({ "/": htmlOf("index.html") }, { "/": `${root}/${DIST}` }, policy);
      folder = mkdtempSync(join(tmpdir(), "transformer-circuits-site-"));
      const { openBundledModel: open } = (await import(`${root}/dist/bundled.js`)) as {
        openBundledModel: typeof openBundledModel;
      };
      const report = (await import(`${root}/dist/report.js`)) as {
        analyse: typeof analyse;
        renderReport: typeof renderReport;
      };
      const { model, tokenizer } = await open();
      const data = await report.analyse(model, tokenizer, readText("data/bundled-model.d.ts"), { title: "A report" });
      writeFileSync(join(folder, "report.html"), report.renderReport(data));
    });
    afterAll(async () => {
      await browser?.close();
      await server?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    /** Opens a page of the site, all of whose figures are drawn; what it complains of and asks of others is kept. */
    async function open(path: string, options: BrowserContextOptions = {}): Promise<{ page: Page; bad: string[] }> {
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
      const address = path.startsWith("/") ? server.address + path : pathToFileURL(join(folder, path)).href;
      await page.goto(address, { waitUntil: "networkidle" });
      return { page, bad };
    }

    /** Scrolls past every figure, so that it comes. */
    async function showFigures(page: Page): Promise<void> {
      const figures = page.locator(".live-figure");
      for (let i = 0; i < (await figures.count()); i++) {
        await figures.nth(i).scrollIntoViewIfNeeded();
        await figures.nth(i).locator("svg, table, canvas, .tc-fig").first().waitFor({ state: "attached" });
      }
      await page.waitForLoadState("networkidle");
    }

    const shown = [
      "/index.html",
      "/tasks.html",
      "/guide/01-bigrams.html",
      "/reference/index.html",
      "/reference/head-scores/find-heads.html",
      "/reference/figures/heatmap.html",
      "/gallery.html",
      "/paper-map.html",
      "/arena-map.html",
      "report.html",
    ];
    const looks = (["light", "dark"] as const).flatMap((colorScheme) =>
      [1440, 390].map((width) => ({ colorScheme, viewport: { width, height: 900 } })),
    );

    test.each(
      shown.flatMap((path) => looks.map((look) => [path, look.colorScheme, look.viewport.width, look] as const)),
    )("%s passes axe's rules, asks nothing of the outside and fits: %s, %i px", async (path, _scheme, width, look) => {
      // axe is a script that the report's own policy would refuse.
      const { page, bad } = await open(path, { ...look, bypassCSP: true });
      await showFigures(page);
      await page.addScriptTag({ path: `${root}/site/node_modules/axe-core/axe.min.js` });
      const violations = await page.evaluate(async () => {
        const { axe } = globalThis as unknown as { axe: Axe };
        const result = await axe.run({ resultTypes: ["violations"] });
        return result.violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ target }) => target.join(" "))]);
      });
      const wide = await page.evaluate(() => {
        const { document, innerWidth } = globalThis as unknown as {
          document: { documentElement: { scrollWidth: number } };
          innerWidth: number;
        };
        return document.documentElement.scrollWidth - innerWidth;
      });
      await page.close();
      expect(violations).toEqual([]);
      expect(bad).toEqual([]);
      if (width === 390) expect(wide).toBeLessThanOrEqual(0);
    });

    test.each([
      ["logit lens", "logitLens()"],
      ["ablate", "headAblation()"],
      ["activation patching", "sweep()"],
      ["induction", "inductionScores()"],
      ["gradient", "gradients()"],
      ["top tokens", "topKPerRow()"],
      ["padding", "padPrompts()"],
    ])("the search for %s finds %s among the first", async (words, name) => {
      const { page, bad } = await open("/index.html");
      await page.locator("#local-search button").click();
      await page.locator(".search-input").fill(words);
      const results = page.locator(".results .result");
      await results.filter({ hasText: name }).first().waitFor();
      const first = (await results.allTextContents()).slice(0, 3);
      expect(first.findIndex((text) => text.includes(name))).toBeGreaterThanOrEqual(0);
      expect(first[0]).toMatch(/\(\)\s*$/);
      await results.filter({ hasText: name }).first().click();
      await page.waitForURL(/reference/);
      await page.close();
      expect(bad).toEqual([]);
    });

    test("the front page says in one screen what this is: words, a picture, the code and its output", async () => {
      const { page } = await open("/index.html", { viewport: { width: 1440, height: 900 } });
      for (const what of ["h1", "img", "pre"]) {
        const box = await page.locator(`.front ${what}`).first().boundingBox();
        expect(box && box.y + Math.min(box.height, 100)).toBeLessThan(900);
      }
      expect(await page.locator(".front pre").allTextContents()).toEqual(
        expect.arrayContaining([expect.stringContaining("// induction: L1H2")]),
      );
      await page.close();
    });

    test("pages of the reference fit a phone", async () => {
      const { page, bad } = await open("/reference/index.html", { viewport: { width: 390, height: 844 } });
      const some = pages().filter((path, i) => /^(reference|examples|guide)\//.test(path) && i % 9 === 0);
      const wide: string[] = [];
      for (const path of some) {
        await page.goto(`${server.address}/${path}`, { waitUntil: "load" });
        const over = await page.evaluate(() => {
          const { document, innerWidth } = globalThis as unknown as {
            document: { documentElement: { scrollWidth: number } };
            innerWidth: number;
          };
          return document.documentElement.scrollWidth - innerWidth;
        });
        if (over > 0) wide.push(`${path}: ${over} px`);
      }
      await page.close();
      expect(some.length).toBeGreaterThan(20);
      expect(wide).toEqual([]);
      expect(bad).toEqual([]);
    });
  });
});
