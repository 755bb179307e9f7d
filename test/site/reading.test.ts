/** The site as one reads it in a real browser: search finds, the front page says what this is, pages fit a phone. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { browserTests } from "../browser/chromium.ts";
import { excessWidth, pages, siteTests, viewer, type Viewer } from "./built-site.ts";

siteTests("the site in a browser", () => {
  browserTests("in Chromium", () => {
    let site: Viewer;
    beforeAll(async () => {
      site = await viewer();
    });
    afterAll(async () => {
      await site?.close();
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
      const { page, bad } = await site.open("/index.html");
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
      const { page } = await site.open("/index.html", { viewport: { width: 1440, height: 900 } });
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
      const { page, bad } = await site.open("/reference/index.html", { viewport: { width: 390, height: 844 } });
      const some = pages().filter((path, i) => /^(reference|examples|guide)\//.test(path) && i % 9 === 0);
      const wide: string[] = [];
      for (const path of some) {
        await page.goto(`${site.address}/${path}`, { waitUntil: "load" });
        const over = await excessWidth(page);
        if (over > 0) wide.push(`${path}: ${over} px`);
      }
      await page.close();
      expect(some.length).toBeGreaterThan(20);
      expect(wide).toEqual([]);
      expect(bad).toEqual([]);
    });
  });
});
