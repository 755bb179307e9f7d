/**
 * Pages of the site and the report in a real browser, on a desk and on a phone: they ask nothing of the outside, fit a phone,
 * and pass axe's rules in the light and in the dark.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { openBundledModel } from "../../src/io/bundled.ts";
import type { analyse, renderReport } from "../../src/report/index.ts";
import { browserTests } from "../browser/chromium.ts";
import { readText, root } from "../support/files.ts";
import { excessWidth, siteTests, viewer, type Viewer } from "./built-site.ts";

/** What axe says of a page: the rule, and where. */
type Violation = { id: string; nodes: { target: string[]; failureSummary: string }[] };
type Axe = {
  run(options: object): Promise<{ violations: Violation[] }>;
  getRules(): { ruleId: string; tags: string[] }[];
};

/**
 * Takes out the shapes and texts of drawings, but for those with a role of their own. Axe measures no contrast within a drawing,
 * all of it is "incomplete" to it, and takes half a minute of the gallery's 30,000 shapes to find that out.
 */
const WITHOUT_SHAPES = `(() => {
  const own = ":not([role], [aria-label], [tabindex], a *)";
  const shapes = "rect, path, line, circle, ellipse, polygon, polyline, text, tspan, image";
  for (const shape of document.querySelectorAll("svg :is(" + shapes + ")" + own)) shape.remove();
})()`;

/** Two frames, in which colours follow the scheme, and the ends of the transitions that then run. */
const SETTLED = `(async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  const ending = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
  await Promise.allSettled(ending.map(({ finished }) => finished));
})()`;

siteTests("pages of the site", () => {
  browserTests("in Chromium", () => {
    let site: Viewer;
    let folder: string;
    beforeAll(async () => {
      site = await viewer();
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
      await site?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    /** Scrolls past every figure, so that it comes. */
    async function showFigures(page: Page): Promise<void> {
      const figures = page.locator(".live-figure");
      const count = await figures.count();
      for (let i = 0; i < count; i++) {
        await figures.nth(i).scrollIntoViewIfNeeded();
        await figures.nth(i).locator("svg, table, canvas, .tc-fig").first().waitFor({ state: "attached" });
      }
      await page.waitForLoadState("networkidle");
    }

    /** The rules that a page breaks, of all or of those with some tags, and where. */
    const violationsOf = (page: Page, tags?: readonly string[]): Promise<unknown[]> =>
      page.evaluate(async (only) => {
        const { axe } = globalThis as unknown as { axe: Axe };
        // Tags given to axe by "runOnly" would also ask the rules that it leaves out by itself.
        const others = axe.getRules().filter(({ tags: own }) => only && !own.some((tag) => only.includes(tag)));
        const rules = Object.fromEntries(others.map(({ ruleId }) => [ruleId, { enabled: false }]));
        const result = await axe.run({ resultTypes: ["violations"], rules });
        return result.violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ target }) => target.join(" "))]);
      }, tags);

    /** What a scheme decides: colours, which of two pictures stands there, and what scripts name or draw anew for it. */
    const OF_SCHEMES = ["cat.color", "cat.text-alternatives", "cat.name-role-value", "cat.aria"];

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

    test.each(shown.flatMap((path) => [1440, 390].map((width) => [path, width] as const)))(
      "%s at %i px passes axe's rules in the light and in the dark, asks nothing of the outside and fits",
      async (path, width) => {
        // axe is a script that the report's own policy would refuse.
        const options = { viewport: { width, height: 900 }, bypassCSP: true } as const;
        const address = path.startsWith("/") ? path : pathToFileURL(join(folder, path)).href;
        const { page, bad } = await site.open(address, { ...options, colorScheme: "light" });
        await showFigures(page);
        const wide = await excessWidth(page);
        await page.addScriptTag({ path: `${root}/site/node_modules/axe-core/axe.min.js` });
        const violations: Record<string, unknown[]> = {};
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          await page.evaluate(SETTLED);
          await page.evaluate(WITHOUT_SHAPES);
          violations[colorScheme] = await violationsOf(page, colorScheme === "dark" ? OF_SCHEMES : undefined);
        }
        await page.close();
        expect(violations).toEqual({ light: [], dark: [] });
        expect(bad).toEqual([]);
        if (width === 390) expect(wide).toBeLessThanOrEqual(0);
      },
    );
  });
});
