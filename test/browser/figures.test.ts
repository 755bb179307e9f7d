/**
 * Interactive figures in Chromium, on one page with several of them, under a policy that allows only scripts and styles with
 * the page's nonce, and no code made from strings.
 */
import type { Browser, Locator, Page } from "playwright";
import { attentionExplorer, compositionGraph, table } from "transformer-circuits/viz";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { gallery } from "../viz/gallery.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { serve, type Site } from "./server.ts";

const nonce = "n0nce";
const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src data:`;

/** L0H0 looks at the token itself, L0H1 at the first, L1H0 at both halves, L1H1 at the one before. */
const pattern = [
  [
    [1, 0, 0, 0, 1, 0, 0, 0, 1],
    [1, 0, 0, 1, 0, 0, 1, 0, 0],
  ],
  [
    [1, 0, 0, 0.5, 0.5, 0, 0.25, 0.25, 0.5],
    [1, 0, 0, 1, 0, 0, 0, 1, 0],
  ],
];
const weighted = pattern.map((layer) => layer.map((head) => head.map((value) => 2 * value)));

const figures = [
  attentionExplorer({
    tokens: ["a", "</script><b>", " c\n"],
    pattern,
    valueWeighted: weighted,
    logProbs: [NaN, -1.25, -0.5],
    nonce,
  }),
  attentionExplorer({ tokens: ["x"], pattern: [[[1]]], nonce }),
  table({
    columns: [{ label: "head" }, { label: "score" }],
    rows: [
      ["L0H0", 0.5],
      ["L0H1", NaN],
      ["L1H0", 2],
    ],
    nonce,
  }),
  compositionGraph({
    layers: 2,
    heads: 2,
    edges: [{ from: { layer: 0, head: 0 }, to: { layer: 1, head: 1 }, kind: "K", value: 1 }],
  }),
];
const page = `<!doctype html><html data-theme="light"><title>t</title><style nonce="${nonce}">`;

browserTests("figures in Chromium", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    const { figureStyles } = await import("transformer-circuits/viz");
    const html = `${page}${figureStyles()}</style><body>${figures.map(({ fragment }) => fragment).join("\n")}</body></html>`;
    browser = await launchChromium();
    site = await serve({ "/index.html": html }, {}, policy);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  let tab: Page;
  let explorer: Locator;
  const complaints: string[] = [];
  beforeEach(async () => {
    await tab?.close();
    tab = await newPage(browser);
    complaints.length = 0;
    tab.on("pageerror", (error) => complaints.push(error.message));
    tab.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("favicon")) complaints.push(message.text());
    });
    await tab.goto(`${site.address}/index.html`);
    explorer = tab.locator("[data-tc-explorer]").first();
  });

  const links = async (): Promise<string[]> =>
    (await explorer.locator(".tc-ax-link").allTextContents()).map((text) => text.trim());

  describe("the attention explorer", () => {
    test("starts at the last token and the first head, without complaints, globals or broken text", async () => {
      expect(complaints).toEqual([]);
      expect(await tab.locator("[data-tc-ready]").count()).toBe(3);
      expect(await explorer.locator("[data-position]").allTextContents()).toEqual(["a", "</script><b>", "·c↵"]);
      expect(await links()).toEqual(["1.002·c↵"]);
      expect(await explorer.locator(".tc-ax-note").textContent()).toBe("log-probability of this token: −0.50 nats");
    });

    test("shows what a hovered token attends to, and goes back to the held one", async () => {
      await explorer.locator("[data-head='2']").click();
      await explorer.locator("[data-position='1']").hover();
      expect((await links()).slice(0, 2)).toEqual(["0.500a", "0.501</script><b>"]);
      await tab.mouse.move(1, 1);
      expect((await links())[0]).toBe("0.502·c↵");
    });

    test("averages picked heads: 1 and 0.25 towards the first token make 0.63", async () => {
      await explorer.locator("[data-head='1']").click();
      await explorer.locator("[data-head='2']").click({ modifiers: ["Shift"] });
      expect(await explorer.locator("[aria-pressed='true'][data-head]").count()).toBe(2);
      // 0.625 within the half step of one byte on the square-root scale, 0.003.
      expect((await links())[0]).toMatch(/^0\.6[23]0a$/);
      expect(await explorer.locator(".tc-ax-scale").textContent()).toContain("mean of L0H1, L1H0");
    });

    test.each([54, 55, 98, 109, 200])(
      "keeps a stripe of %d tokens whole in a thumbnail of 54 pixels",
      async (count) => {
        // the token just before, and the one 50 before: stripes one cell wide
        const stripe = (back: number): number[] =>
          Array.from({ length: count ** 2 }, (_, i) => {
            const [query, key] = [Math.floor(i / count), i % count];
            return key === Math.max(0, query - back) ? 1 : 0;
          });
        const { fragment } = attentionExplorer({
          tokens: Array.from({ length: count }, (_, i) => `t${i}`),
          pattern: [[stripe(1), stripe(50)]],
          nonce,
        });
        await tab.setContent(`${page}</style><body>${fragment}</body></html>`);
        const sides: { side: number; rows: number }[] = await tab.evaluate(`
        Array.from(document.querySelectorAll("[data-tc-ready] [data-head] canvas"), (canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const isFull = (y) => Array.from({ length: canvas.width }, (_, x) => data[4 * (y * canvas.width + x) + 3]).includes(255);
          return { side: canvas.width, rows: Array.from({ length: canvas.height }, (_, y) => isFull(y)).filter(Boolean).length };
        })`);
        expect(sides).toHaveLength(2);
        for (const { side, rows } of sides) {
          expect(side).toBeLessThanOrEqual(54);
          // every row of pixels has some of the stripe in full colour
          expect(rows).toBe(side);
        }
      },
    );

    test("turns round: what attends to the token", async () => {
      await explorer.locator("[data-head='3']").click();
      await explorer.locator("[data-position='0']").click();
      await explorer.locator("[data-direction='destination']").check();
      expect(await links()).toEqual(["1.000a", "1.001</script><b>"]);
    });

    test("leaves the first token out, which then takes no colour", async () => {
      await explorer.locator("[data-head='2']").click();
      await explorer.locator("[data-position='1']").click();
      expect(await links()).toEqual(["0.500a", "0.501</script><b>"]);
      await explorer.locator("[data-skip-first]").check();
      expect(await links()).toEqual(["0.501</script><b>"]);
      expect(await explorer.locator("[data-position='0']").getAttribute("style")).toMatch(
        /^(background-color: ;)?$|^$/,
      );
      await explorer.locator("[data-skip-first]").uncheck();
      expect(await links()).toEqual(["0.500a", "0.501</script><b>"]);
    });

    test("the map grows and shrinks again", async () => {
      const width = async (): Promise<number> => (await explorer.locator(".tc-ax-map").boundingBox())?.width ?? 0;
      const before = await width();
      await explorer.locator("[data-zoom='2']").click();
      expect(await width()).toBe(2 * before);
      await explorer.locator("[data-zoom='0.5']").click();
      await explorer.locator("[data-zoom='0.5']").click();
      expect(await width()).toBe(before);
    });

    test("switches to value-weighted attention", async () => {
      await explorer.locator("[data-measure='1']").check();
      expect((await links())[0]).toBe("2.002·c↵");
    });

    test("is worked with the keyboard", async () => {
      await explorer.locator("[data-position='2']").focus();
      await tab.keyboard.press("ArrowLeft");
      expect(await explorer.locator(".tc-ax-at-line").textContent()).toContain("from 1 ");
      await tab.keyboard.press("Home");
      expect(await explorer.locator(".tc-ax-at-line").textContent()).toContain("from 0 ");
      await explorer.locator("[data-head='1']").focus();
      await tab.keyboard.press("Enter");
      expect(await explorer.locator("[data-head='1']").getAttribute("aria-pressed")).toBe("true");
    });

    test("reads a cell of the map: query 2, key 1 of L1H1 is 1", async () => {
      await explorer.locator("[data-head='3']").click();
      const box = await explorer.locator(".tc-ax-map").boundingBox();
      if (box === null) throw new Error("the map is not on the page");
      await tab.mouse.move(box.x + box.width / 2, box.y + (box.height * 5) / 6);
      expect(await explorer.locator(".tc-ax-note").first().textContent()).toBe("query 2, key 1: 1.00");
    });

    test("repaints when the page's theme changes", async () => {
      const pixel = async (): Promise<number[]> =>
        explorer.locator(".tc-ax-map canvas").evaluate((canvas: unknown) => {
          type Drawn = { getContext(kind: "2d"): { getImageData(...at: number[]): { data: ArrayLike<number> } } };
          return Array.from((canvas as Drawn).getContext("2d").getImageData(0, 0, 1, 1).data);
        });
      // --tc-seq: #54278f in the light, #c7a2ff in the dark
      expect(await pixel()).toEqual([84, 39, 143, 255]);
      await tab
        .locator("html")
        .evaluate((html: unknown) =>
          (html as { setAttribute(name: string, value: string): void }).setAttribute("data-theme", "dark"),
        );
      expect(await pixel()).toEqual([199, 162, 255, 255]);
    });
  });

  describe("other interactive figures", () => {
    test("a table sorts by a column: down, up, as it was; what is not finite stays last", async () => {
      const first = async (): Promise<string[]> => tab.locator(".tc-table td:first-child").allTextContents();
      const button = tab.locator(".tc-table th button").nth(1);
      await button.click();
      expect(await first()).toEqual(["L1H0", "L0H0", "L0H1"]);
      await button.click();
      expect(await first()).toEqual(["L0H0", "L1H0", "L0H1"]);
      await button.click();
      expect(await first()).toEqual(["L0H0", "L0H1", "L1H0"]);
    });

    test("a check box hides the edges of one kind without any script", async () => {
      const edge = tab.locator(".tc-edges-K path");
      expect(await edge.isVisible()).toBe(true);
      await tab.locator(".tc-show-K").uncheck();
      expect(await edge.isVisible()).toBe(false);
    });
  });

  test("the browser's XML parser takes every standalone drawing", async () => {
    const drawings = [...gallery().values()].map(({ svg }) => svg);
    const roots = await tab.evaluate((texts) => {
      type Parser = new () => {
        parseFromString(text: string, type: string): { documentElement: { nodeName: string } };
      };
      const parser = new (globalThis as unknown as { DOMParser: Parser }).DOMParser();
      return texts.map((text) => parser.parseFromString(text, "image/svg+xml").documentElement.nodeName);
    }, drawings);
    expect(roots).toEqual(drawings.map(() => "svg"));
    expect(drawings.length).toBeGreaterThan(10);
  });
});
