/** Points that turn, in Chromium: by pointer and keyboard, found by name, in the page's colours, still where asked for. */
import type { BrowserContextOptions, Page } from "playwright";
import { expect, test } from "vitest";
import { cameraOf } from "../../src/viz/parts/camera.ts";
import { browserTests } from "./chromium.ts";
import { figureSite } from "./figure-site.ts";

/** One point alone in its group, at the far end of x; many about the middle. */
const PROGRAM = `
import * as viz from "./src/viz/index.ts";
const view = { azimuth: 0, elevation: 0 };
const few = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
globalThis.viz = viz;
globalThis.figures = {
  few: viz.pointCloud({ points: few, labels: [" one", "b", "c", "d", "e", "f"], groups: ["alone", ...Array(5).fill("others")], view }),
  many: viz.pointCloud({
    points: { rows: 50257, cols: 3, data: Float64Array.from({ length: 3 * 50257 }, (_, i) => Math.sin(i * i) * Math.cos(i / 7)) },
    labels: Array.from({ length: 50257 }, (_, i) => "t" + i),
  }),
};
`;

browserTests("a cloud of points", () => {
  const site = figureSite(PROGRAM);
  let tab: Page;
  const open = async (figure: "few" | "many", options: BrowserContextOptions = {}): Promise<void> => {
    tab = await site.open(figure, options);
    expect(await tab.locator(".tc-cloud-still").isVisible()).toBe(false);
    await settled();
  };
  /** Until what was moved has been painted, rests, and is painted again. */
  const settled = (): Promise<unknown> =>
    tab.evaluate(`(async () => {
      const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      await frames();
      await new Promise((done) => setTimeout(done, 400));
      await frames();
    })()`);
  const size = (): Promise<[number, number]> =>
    tab.evaluate(
      "(() => { const { width, height } = document.querySelector('.tc-cloud-stage').getBoundingClientRect(); return [width, height]; })()",
    );
  const pixel = (x: number, y: number): Promise<string> =>
    tab.evaluate<string>(
      `String(document.querySelector(".tc-cloud canvas").getContext("2d").getImageData(${Math.round(x)}, ${Math.round(y)}, 1, 1).data.slice(0, 3))`,
    );
  /** How many pixels are painted. */
  const painted = (): Promise<number> =>
    tab.evaluate<number>(`(() => {
      const canvas = document.querySelector(".tc-cloud canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count++;
      return count;
    })()`);
  const picture = (): Promise<string> => tab.evaluate<string>("document.querySelector('.tc-cloud canvas').toDataURL()");

  /** Whether a pixel is of --tc-c0, #0068b3, over an axis or nothing; the others are orange. */
  const isAlone = async (x: number, y: number): Promise<boolean> => {
    const [red = 0, , blue = 0] = (await pixel(x, y)).split(",").map(Number);
    return blue - red > 100;
  };

  test("stands where the camera of the still puts it, and turns as that does", async () => {
    await open("few");
    const [width, height] = await size();
    const where = (azimuth: number): readonly number[] => cameraOf({ azimuth, elevation: 0 }, width, height)([1, 0, 0]);
    const [x = 0, y = 0] = where(0);
    expect(await isAlone(x, y)).toBe(true);
    await tab.locator(".tc-cloud-stage").focus();
    for (let i = 0; i < 5; i++) await tab.keyboard.press("ArrowRight");
    await settled();
    const [x5 = 0, y5 = 0] = where(-0.5);
    expect(Math.abs(x5 - x)).toBeGreaterThan(8);
    expect(await isAlone(x5, y5)).toBe(true);
    await tab.keyboard.press("Home");
    await settled();
    expect(await isAlone(x, y)).toBe(true);
  });

  test("turns by dragging, zooms by the keys, and says what is under the pointer", async () => {
    await open("few");
    const [width, height] = await size();
    const [x = 0, y = 0] = cameraOf({ azimuth: 0, elevation: 0 }, width, height)([1, 0, 0]);
    const box = await tab.locator(".tc-cloud-stage").boundingBox();
    if (box === null) throw new Error("no stage");
    await tab.mouse.move(box.x + x, box.y + y);
    expect(await tab.locator(".tc-cloud-read").textContent()).toBe("·one: 1, 0, 0 (alone)");
    const before = await picture();
    await tab.mouse.down();
    await tab.mouse.move(box.x + x - 60, box.y + y + 20, { steps: 4 });
    await tab.mouse.up();
    await settled();
    const turned = await picture();
    expect(turned).not.toBe(before);
    await tab.locator(".tc-cloud-stage").focus();
    await tab.keyboard.press("+");
    await settled();
    expect(await picture()).not.toBe(turned);
  });

  test("50,257 points: fewer while it moves, all at rest, and one is found by name", async () => {
    await open("many");
    const all = await painted();
    await tab.locator(".tc-cloud-stage").focus();
    const moving = await tab.evaluate<number>(`new Promise((done) => {
      const stage = document.querySelector(".tc-cloud-stage");
      stage.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const canvas = stage.querySelector("canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count++;
        done(count);
      }));
    })`);
    expect(moving).toBeLessThan(0.8 * all);
    await settled();
    expect(await painted()).toBeGreaterThan(0.9 * all);
    const named = await picture();
    await tab.locator("[data-find]").fill("t50256");
    await settled();
    expect(await picture()).not.toBe(named);
  });

  test("turns by itself where it may, and by single steps where the reader asks for little motion", async () => {
    for (const [reducedMotion, expected] of [
      ["no-preference", true],
      ["reduce", false],
    ] as const) {
      // prettier-ignore
      await tab?.close();
      await open("few", { reducedMotion });
      const still = await picture();
      await tab.locator("[data-do='turn']").click();
      await settled();
      const first = await picture();
      expect(first).not.toBe(still);
      await settled();
      expect((await picture()) !== first).toBe(expected);
    }
  });

  test("follows the page's colours", async () => {
    await open("few");
    const light = await picture();
    await tab.evaluate('document.documentElement.style.background = "#111"; undefined');
    await tab.waitForFunction("document.querySelector('.tc-fig').dataset.tcScheme === 'dark'");
    await settled();
    expect(await picture()).not.toBe(light);
  });
});
