/** A flipbook in Chromium: by slider, keyboard and play, under a strict policy, in a shadow root, without a script. */
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { browserTests, newPage } from "./chromium.ts";
import { figureSite } from "./figure-site.ts";

const PROGRAM = `
import * as viz from "./src/viz/index.ts";
globalThis.viz = viz;
const grid = (value) => viz.headGrid({ values: [[value, 0.5]], scale: "diverging", limit: 1 });
const line = (last) => viz.lineChart({ series: [{ name: "a", y: [1, 2, last] }], yDomain: [0, 9], cursor: last / 9 });
const frames = [-1, 0, 1].map((value) => viz.arrange({ rows: [[grid(value), line(4 + 4 * value)]] }));
globalThis.figures = {
  alike: viz.flipbook({ frames, labels: ["step <0>", "step 1", "step 2"], title: "Three" }),
  other: viz.flipbook({ frames: [grid(0.25), line(3)] }),
};
`;

browserTests("a flipbook", () => {
  const site = figureSite(PROGRAM);
  let tab: Page;
  const open = async (figure: "alike" | "other", at?: string): Promise<void> => {
    tab = await site.open(figure, {}, at);
  };
  /** Every drawing on the page, as markup. */
  const drawn = (): Promise<string> =>
    tab.evaluate<string>(
      "Array.from(document.querySelectorAll('.tc-flip-page:not([hidden]) svg'), (one) => one.outerHTML).join('\\n')",
    );
  /** What the page would have if a picture were mounted by itself. */
  const picture = (index: number): Promise<string> =>
    tab.evaluate<string>(`(() => {
      const at = document.body.appendChild(document.createElement("div"));
      const leave = viz.mount(at, figures.alike.frames[${index}]);
      const found = Array.from(at.querySelectorAll("svg"), (one) => one.outerHTML).join("\\n");
      leave();
      at.remove();
      return found;
    })()`);

  test("shows by the slider's keys what each picture by itself is", async () => {
    await open("alike");
    expect(await tab.locator(".tc-flip-still").isVisible()).toBe(false);
    expect(await drawn()).toBe(await picture(2));
    const slider = tab.locator(".tc-flip input");
    await slider.focus();
    await tab.keyboard.press("ArrowLeft");
    expect(await drawn()).toBe(await picture(1));
    expect(await tab.locator(".tc-flip output").textContent()).toBe("step 1");
    await tab.keyboard.press("Home");
    expect(await drawn()).toBe(await picture(0));
    expect(await slider.getAttribute("aria-valuetext")).toBe("step <0>");
    await tab.keyboard.press("End");
    expect(await drawn()).toBe(await picture(2));
  });

  test("plays from the first to the last, and stops", async () => {
    await open("alike");
    // What stands right after the click, before the first page is turned.
    await tab.evaluate(`document.querySelector(".tc-flip button").addEventListener("click", ({ currentTarget }) => {
      globalThis.begun = [currentTarget.getAttribute("aria-label"), document.querySelector(".tc-flip output").textContent];
    }, { once: true })`);
    await tab.locator(".tc-flip button").click();
    expect(await tab.evaluate("begun")).toEqual(["pause", "step <0>"]);
    await tab.locator('.tc-flip button[aria-label="play"]').waitFor();
    expect(await tab.locator(".tc-flip output").textContent()).toBe("step 2");
    expect(await drawn()).toBe(await picture(2));
  });

  test("turns pages where pictures are of several kinds", async () => {
    await open("other");
    expect(await drawn()).toContain("tc-lineChart");
    await tab.locator(".tc-flip input").focus();
    await tab.keyboard.press("Home");
    expect(await drawn()).toContain("tc-headGrid");
    expect(await drawn()).not.toContain("tc-lineChart");
  });

  test("works in a shadow root", async () => {
    await open("alike", 'document.querySelector("#at").attachShadow({ mode: "open" })');
    await tab.locator(".tc-flip input").focus();
    await tab.keyboard.press("Home");
    expect(await tab.locator(".tc-flip output").textContent()).toBe("step <0>");
  });

  test("shows the last picture, called by its name, where no script runs", async () => {
    await open("alike");
    const body = await tab.evaluate<string>("viz.figureStyles() + '|' + figures.alike.body");
    const [styles = "", markup = ""] = [body.slice(0, body.indexOf("|")), body.slice(body.indexOf("|") + 1)];
    const still = await newPage(site.browser, { javaScriptEnabled: false });
    await still.setContent(`<style>${styles}</style>${markup}`);
    expect(await still.locator(".tc-flip-live").isVisible()).toBe(false);
    expect(await still.locator(".tc-flip-still").textContent()).toBe("step 2");
    expect(await still.locator(".tc-flip-page").isVisible()).toBe(true);
    await still.close();
  });
});
