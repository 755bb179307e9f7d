/** Figures that a program puts into pages: light and dark hosts, strict policies, shadow roots, custom elements. */
import type { Browser, Page } from "playwright";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readText } from "../support/files.ts";
import { colorsOf, pixelAt, readPng } from "../support/read-png.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { programPages, serve, type Site } from "./server.ts";

/** What the pages run: the figures of the tests by name, and the functions under test. */
const PROGRAM = `
import * as viz from "./src/viz/index.ts";
const tokens = ["a", " b", "a", "<b>"];
const pattern = [[[1, 0.25, 0.75, 0.5, 0.25, 0.25, 0, 1, 0, 0]]];
globalThis.viz = viz;
globalThis.figures = {
  heatmap: viz.heatmap({ values: [[1, -1], [0.25, 0.75]], title: "A map" }),
  explorer: viz.attentionExplorer({ tokens, pattern, title: "</script><b>" }),
  table: viz.table({ columns: [{ label: "head" }, { label: "score" }], rows: [["L0H0", 1], ["L0H1", 2]] }),
};
`;

/** The policy that the documentation recommends. */
const recipe = /Content-Security-Policy: (.*)/.exec(readText("docs/figures-in-pages.md"))?.[1] ?? "";

const LIGHT_INK = "rgb(27, 31, 36)";
const DARK_INK = "rgb(232, 234, 237)";

browserTests("figures mounted in pages", () => {
  let browser: Browser;
  let open: Site;
  let strict: Site;
  let nameless: Site;
  beforeAll(async () => {
    const pages = await programPages(PROGRAM);
    browser = await launchChromium();
    open = await serve(pages, {}, "");
    strict = await serve(pages, {}, recipe);
    nameless = await serve(pages, {}, recipe.replace(" trusted-types transformer-circuits", " trusted-types other"));
  });
  afterAll(async () => {
    await browser?.close();
    for (const site of [open, strict, nameless]) await site?.close();
  });

  let tab: Page;
  let complaints: string[];
  afterEach(async () => {
    await tab.close();
  });
  const visit = async (site: Site, options: Parameters<typeof newPage>[1] = {}): Promise<void> => {
    tab = await newPage(browser, options);
    complaints = [];
    tab.on("pageerror", (error) => complaints.push(error.message));
    tab.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("favicon")) complaints.push(message.text());
    });
    await tab.goto(`${site.address}/index.html`);
    await tab.waitForFunction("globalThis.figures !== undefined");
  };
  const ink = (selector = ".tc-f-ink"): Promise<string> =>
    tab.evaluate<string>(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).fill`);
  const mountIn = (prepare: string, figure = "heatmap"): Promise<unknown> =>
    tab.evaluate(
      `${prepare}; globalThis.remove = viz.mount(document.querySelector("#at"), figures.${figure}); undefined`,
    );

  describe("colours are those of the place, not the reader's system", () => {
    test.each([
      ["a page that says nothing", "0", "dark", LIGHT_INK],
      ["a white page", 'document.body.style.background = "#fff"', "dark", LIGHT_INK],
      ["a black page", 'document.body.style.background = "#111"', "light", DARK_INK],
      [
        "a dark card on a light page",
        'document.querySelector("#at").style.background = "rgb(20, 20, 30)"',
        "light",
        DARK_INK,
      ],
      [
        "JupyterLab dark",
        'document.body.dataset.jpThemeLight = "false"; document.body.style.background = "#111"',
        "light",
        DARK_INK,
      ],
      ["a page of dark scheme", 'document.documentElement.style.colorScheme = "dark"', "light", DARK_INK],
      [
        "a page of both schemes, in the dark",
        'document.documentElement.style.colorScheme = "light dark"',
        "dark",
        DARK_INK,
      ],
      [
        "a page of both schemes, by day",
        'document.documentElement.style.colorScheme = "light dark"',
        "light",
        LIGHT_INK,
      ],
    ] as const)("%s", async (_, prepare, colorScheme, expected) => {
      await visit(open, { colorScheme });
      await mountIn(prepare);
      expect(await ink()).toBe(expected);
      expect(complaints).toEqual([]);
    });

    test.each([
      ["dataset.theme", DARK_INK],
      ["dataset.bsTheme", DARK_INK],
      ["className", DARK_INK],
    ])("markup alone, without a script, goes by the mark %s", async (mark, expected) => {
      await visit(open);
      await tab.evaluate(`document.querySelector("#at").innerHTML = figures.heatmap.html`);
      expect(await ink()).toBe(LIGHT_INK);
      await tab.evaluate(`document.documentElement.${mark} = "dark"`);
      expect(await ink()).toBe(expected);
    });

    test("follow a theme that changes later", async () => {
      await visit(open);
      await mountIn('document.body.style.background = "#fff"', "explorer");
      const pixel = (): Promise<string> =>
        tab.evaluate<string>(
          "String(document.querySelector('.tc-ax-map canvas').getContext('2d').getImageData(0, 0, 1, 1).data)",
        );
      expect(await pixel()).toBe("84,39,143,255");
      await tab.evaluate('document.body.style.background = "#111"');
      await tab.waitForFunction("document.querySelector('.tc-fig').dataset.tcScheme === 'dark'");
      expect(await pixel()).toBe("199,162,255,255");
    });
  });

  describe("a page with the policy of the documentation", () => {
    test("shows and wakes every figure without a complaint", async () => {
      await visit(strict);
      expect(recipe).toContain("require-trusted-types-for 'script'");
      await mountIn("0");
      expect(await ink()).toBe(LIGHT_INK);
      await mountIn("0", "explorer");
      expect(await tab.locator(".tc-ax-asleep").isVisible()).toBe(false);
      expect(await tab.locator("[data-position]").allTextContents()).toEqual(["a", "·b", "a", "<b>"]);
      await tab.locator("[data-position='1']").click();
      expect(await tab.locator(".tc-ax-link").first().textContent()).toContain("0.75");
      await mountIn("0", "table");
      await tab.getByRole("button", { name: "score" }).click();
      expect(await tab.locator("tbody td").first().textContent()).toBe("L0H1");
      expect(complaints).toEqual([]);
    });

    test.each(["heatmap", "explorer", "table"])("makes a PNG of the %s on its canvas", async (name) => {
      await visit(strict, { colorScheme: "dark" });
      const image = async (options: string): Promise<ReturnType<typeof readPng>> =>
        readPng(Uint8Array.from(await tab.evaluate<number[]>(`figures.${name}.png(${options}).then((b) => [...b])`)));
      const [width, height] = await tab.evaluate<number[]>(`[figures.${name}.width + 24, figures.${name}.height + 24]`);
      const light = await image("{ scale: 1 }");
      expect([light.width, light.height]).toEqual([width, height]);
      expect(pixelAt(light, 0, 0).slice(0, 3)).toEqual([255, 255, 255]);
      expect(colorsOf(light)).toBeGreaterThan(20);
      const dark = await image('{ scheme: "dark" }');
      expect(dark.width).toBe(2 * light.width);
      expect(pixelAt(dark, 0, 0).slice(0, 3)).toEqual([20, 23, 28]);
      expect(complaints).toEqual([]);
    });

    test("whose policy does not name ours is told what to add", async () => {
      await visit(nameless);
      const message = await tab.evaluate<string>(
        'try { viz.mount(document.querySelector("#at"), figures.heatmap) } catch (error) { error.message }',
      );
      expect(message).toBe(
        "mount: the page's content-security policy takes no markup but from policies it names. Add this one to it: trusted-types transformer-circuits.",
      );
    });
  });

  test("markup set by innerHTML says what to do, and enliven does it", async () => {
    await visit(open);
    await tab.evaluate('document.querySelector("#at").innerHTML = figures.explorer.html');
    const note = tab.locator(".tc-ax-asleep");
    expect(await note.isVisible()).toBe(true);
    expect(await note.textContent()).toContain("Call mount(element, figure), or enliven(element)");
    await tab.evaluate('viz.enliven(document.querySelector("#at")); undefined');
    expect(await note.isVisible()).toBe(false);
    expect(await tab.locator(".tc-ax-link").count()).toBeGreaterThan(0);
  });

  test("what mount returns takes the figure out, and a second mount replaces the first", async () => {
    await visit(open);
    await mountIn("0");
    await mountIn("0", "table");
    expect(await tab.locator(".tc-fig").count()).toBe(1);
    await tab.evaluate("globalThis.remove()");
    expect(await tab.locator("#at").innerHTML()).toBe("");
  });

  test("a shadow root has the styles too, once", async () => {
    await visit(open);
    const [fill, sheets] = await tab.evaluate<[string, number]>(`(() => {
      const shadow = document.querySelector("#at").attachShadow({ mode: "open" });
      viz.mount(shadow, figures.explorer);
      viz.mount(shadow, figures.heatmap);
      return [getComputedStyle(shadow.querySelector(".tc-f-ink")).fill, shadow.adoptedStyleSheets.length];
    })()`);
    expect([fill, sheets]).toEqual([LIGHT_INK, 1]);
  });

  test("the custom element: figure before and after its definition, markup inside, another figure, removal", async () => {
    await visit(open);
    await tab.evaluate(`(() => {
      const early = document.createElement("transformer-figure");
      early.id = "early";
      early.figure = figures.heatmap;
      document.body.append(early);
      viz.defineFigureElement();
      viz.defineFigureElement();
      const late = document.createElement("transformer-figure");
      late.id = "late";
      document.body.append(late);
      late.figure = figures.table;
      const box = document.createElement("div");
      box.innerHTML = "<transformer-figure id='within'>" + figures.explorer.html + "</transformer-figure>";
      document.body.append(box);
    })()`);
    expect(await tab.locator("#early .tc-fig").count()).toBe(1);
    expect(await tab.locator("#within .tc-ax-link").count()).toBeGreaterThan(0);
    await tab.locator("#late").getByRole("button", { name: "score" }).click();
    expect(await tab.locator("#late tbody td").first().textContent()).toBe("L0H1");
    await tab.evaluate('document.querySelector("#late").figure = figures.heatmap');
    expect(await tab.locator("#late svg").count()).toBe(1);
    await tab.evaluate('document.querySelector("#early").remove()');
    expect(
      await tab.evaluate(
        '(() => { try { document.querySelector("#late").figure = 3 } catch (e) { return e.message } })()',
      ),
    ).toMatch(/^transformer-figure: figure is 3/);
    expect(complaints).toEqual([]);
  });

  test.each([
    ["'#at'", 'element is the text "#at", not an element. Give document.querySelector("#at")'],
    ["null", "element is null: the page has no such element, or not yet"],
    ["{}", "element is no element of a page"],
  ])("mount refuses %s", async (given, message) => {
    await visit(open);
    const said = await tab.evaluate<string>(
      `(() => { try { viz.mount(${given}, figures.table) } catch (e) { return e.message } })()`,
    );
    expect(said).toBe(`mount: ${message}. Give an element that is in the page, such as a <div>.`);
  });
});
