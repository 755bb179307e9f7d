/** Training in the playground, in Chromium, under its strict policy. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { buildPlayground } from "../../site/playground/build.mjs";
import { loadTokenizer, parseSafetensors, trainTokenizer } from "../../src/io/index.ts";
import type { SafetensorsFile } from "../../src/io/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { adamW, train, trainingRecipe } from "../../src/train/index.ts";
import type { TrainingRecipe } from "../../src/train/index.ts";
import { browserTests, launchChromium } from "./chromium.ts";
import { axe, expectAccessible, watchedPage } from "./playground-page.ts";
import { serve, type Site } from "./server.ts";

/** What will hold, however busy the machine is; the limit ends what hangs. */
const eventually = <T>(read: () => T | Promise<T>): ReturnType<typeof expect.poll<T>> =>
  expect.poll(read, { timeout: 120_000 });

browserTests("the playground trains", () => {
  let browser: Browser;
  let site: Site;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "playground-training-"));
    await buildPlayground({ into: folder });
    browser = await launchChromium();
    site = await serve({}, { "/play/": folder }, "");
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  let tab: Page;
  /** Errors of the page, violations of its policy, and requests for what is not its own. */
  let complaints: string[];
  afterEach(async () => {
    await tab.close();
  });
  const open = async (hash: string, options: BrowserContextOptions = {}, isReady = true): Promise<void> => {
    ({ tab, complaints } = await watchedPage(browser, options, site.address));
    await tab.goto(`${site.address}/play/index.html${hash}`);
    await tab.locator(`button[type=submit]${isReady ? ":enabled" : ""}`).waitFor();
  };
  /** A run of a second. */
  const SMALL = "#mode=train&data=markov-chains&width=8&steps=24&seed=3";
  const recipeOf = (): TrainingRecipe =>
    trainingRecipe({ data: { kind: "markov-chains" }, model: { d_model: 8 }, steps: 24, seed: 3 });
  const begin = async (): Promise<void> => tab.getByRole("button", { name: /^Start/ }).click();
  const stands = async (): Promise<void> => {
    await tab.getByText(/, done$|, stopped$/).waitFor();
    await tab.locator(".views .figure > *").first().waitFor();
    await tab.getByRole("button", { name: "Save the weights" }).waitFor();
  };
  const saved = async (): Promise<SafetensorsFile> => {
    const download = tab.waitForEvent("download");
    await tab.getByRole("button", { name: "Save the weights" }).click();
    const file = await (await download).path();
    return parseSafetensors(readFileSync(file));
  };
  const expectWeights = (file: SafetensorsFile, { weights }: Transformer): void => {
    expect([...file.tensors.keys()].sort()).toEqual([...weights.keys()].sort());
    // Sums are another engine's: they differ in the last bit, and what follows from it.
    for (const [name, weight] of weights) {
      // Biases of keys move no pattern: their gradients are what rounding leaves.
      if (name.endsWith(".b_K")) continue;
      const { data } = file.read(name);
      expect(data).toHaveLength(weight.size);
      for (const [i, x] of data.entries()) expect(Math.abs(x - (weight.data[i] ?? NaN)), name).toBeLessThan(1e-4);
    }
  };

  test("comes to the weights of train with the same recipe, and shows its film", async () => {
    await open(SMALL);
    await begin();
    await stands();
    expect(await tab.locator("[data-step]").getAttribute("data-step")).toBe("24");
    expect(await tab.locator(".views .figure").first().textContent()).toContain("What forms while a model learns");
    expect(await tab.locator(".views input[type=range]").count()).toBe(1);
    expect(await tab.locator(".found").textContent()).toContain("uniform");
    const { start, data, options } = recipeOf();
    expectWeights(await saved(), (await train(start(), data, options)).model);
    expect(complaints).toEqual([]);
  });

  test("stopped at any step it goes on as if it had not been, to the bit", async () => {
    await open(SMALL.replace("steps=24", "steps=60"));
    await begin();
    await tab.getByText(/, done$/).waitFor();
    const whole = await saved();
    // By the page itself, which is as fast as the run.
    await tab.evaluate(`new MutationObserver((_, observer) => {
      const stop = [...document.querySelectorAll("button")].find((button) => button.textContent === "Stop");
      if (stop === undefined) return;
      observer.disconnect();
      stop.click();
    }).observe(document.body, { childList: true, subtree: true })`);
    await begin();
    await stands();
    const goOn = tab.getByRole("button", { name: "Go on" });
    if ((await goOn.count()) > 0) await goOn.click();
    await tab.getByText(/, done$/).waitFor();
    const stopped = await saved();
    for (const name of whole.tensors.keys()) expect(stopped.read(name).data, name).toEqual(whole.read(name).data);
  });

  test("a run that is done goes on to more steps as if it had been as long from the start", async () => {
    await open(SMALL);
    await begin();
    await tab.getByText("step 24 of 24, done").waitFor();
    const steps = tab.getByRole("spinbutton", { name: "Steps" });
    await steps.fill("40");
    await steps.blur();
    await tab.getByRole("button", { name: "Go on" }).click();
    await tab.getByText("step 40 of 40, done").waitFor();
    const { start, data, options } = recipeOf();
    expectWeights(await saved(), (await train(start(), data, { ...options, steps: 40 })).model);
  });

  /** Sentences of a few words, so that there is something to learn. */
  const TEXT = Array.from(
    { length: 250 },
    (_, i) => `The ${["cat", "dog", "bird"][i % 3]} sat on the ${["mat", "log"][i % 2]} number ${i}. `,
  ).join("");

  test("a text of one's own is trained on as by the library, and opens with its tokenizer", async () => {
    await open("#mode=train&data=text&layers=1&heads=2&width=16&steps=12&rate=0.01&seed=5", {}, false);
    expect(await tab.locator("button[type=submit]").isDisabled()).toBe(true);
    expect(await tab.locator("[role=alert]").count()).toBe(0);
    await tab.getByLabel("Text to train on").fill("Too short.");
    await eventually(() => tab.locator("[role=alert]").allTextContents()).toEqual([
      expect.stringContaining("Give more text"),
    ]);
    const file = { name: "cats.txt", mimeType: "text/plain", buffer: Buffer.from(TEXT) };
    await tab.getByLabel("file of a text").setInputFiles(file);
    await tab.locator("button[type=submit]:enabled").waitFor();
    expect(await tab.getByLabel("Text to train on").inputValue()).toBe(TEXT);
    await begin();
    await stands();
    const recipe = trainingRecipe(
      { data: { kind: "text" }, model: { n_layers: 1, n_heads: 2, d_model: 16 }, steps: 12, seed: 5 },
      { text: TEXT, tokenizer: (vocabSize) => loadTokenizer(trainTokenizer(TEXT, { vocabSize })) },
    );
    const optimizer = adamW({ lr: 0.01, betas: [0.9, 0.99] });
    expectWeights(await saved(), (await train(recipe.start(), recipe.data, { ...recipe.options, optimizer })).model);
    expect(await tab.evaluate("location.hash")).not.toContain("cat");
    expect(await tab.getByRole("button", { name: "Save tokenizer.json" }).count()).toBe(1);
    await tab.getByRole("button", { name: "Take it apart" }).click();
    await eventually(() => tab.locator("main").first().textContent()).toContain("text-12.safetensors");
    await tab.getByLabel("Text to run the model on").fill("The cat sat");
    await eventually(() => tab.locator(".tokens").textContent()).toContain("cat");
    expect(complaints).toEqual([]);
  });

  test("as much of a text is taken as a page trains on", async () => {
    await open("#mode=train&data=text", {}, false);
    const buffer = Buffer.from("a line of words\n".repeat(20_000));
    await tab.getByLabel("file of a text").setInputFiles({ name: "long.txt", mimeType: "text/plain", buffer });
    await tab.getByText("Its first 200,000 characters.").waitFor();
    expect(await tab.getByLabel("Text to train on").inputValue()).toHaveLength(200_000);
  });

  test("a head that is ablated gives nothing: nothing moves it but weight decay", async () => {
    await open(`${SMALL}&ablated=L0H0`);
    expect(await tab.getByLabel("L0H0 trained").isChecked()).toBe(false);
    await begin();
    await stands();
    const file = await saved();
    const before = recipeOf().start().weights;
    // The usual rate is 0.02 and AdamW's weight decay 0.01.
    const decayed = (1 - 0.02 * 0.01) ** 24;
    for (const name of ["W_Q", "W_O"].map((one) => `blocks.0.attn.${one}`)) {
      const [was, is] = [before.get(name)?.data ?? [], file.read(name).data];
      expect(is).toHaveLength(was.length);
      for (const [i, x] of is.entries()) expect(x).toBeCloseTo((was[i] ?? NaN) * decayed, 5);
    }
    expect(file.read("blocks.1.attn.W_O").data[0]).not.toBeCloseTo(
      (before.get("blocks.1.attn.W_O")?.data[0] ?? NaN) * decayed,
      3,
    );
  });

  test("the model is taken apart by the other views, as if it were dropped there", async () => {
    await open(SMALL);
    await begin();
    await stands();
    await tab.getByRole("button", { name: "Take it apart" }).click();
    await eventually(() => tab.locator("main").first().textContent()).toContain(
      "markov-chains-24.safetensors: 2 layers of 1 head, d_model 8, 3 tokens",
    );
    await tab.locator(".view .figure > *").first().waitFor();
    await eventually(() => tab.locator(".busy:visible, .stale").count()).toBe(0);
    expect(await tab.locator(".view .error").count()).toBe(0);
    await tab.getByRole("button", { name: "Train" }).click();
    expect(await tab.locator("[data-step]").isVisible()).toBe(true);
    expect(complaints).toEqual([]);
  });

  test("what is chosen goes into the address, and what cannot be is said", async () => {
    await open("#mode=train");
    await tab.getByLabel("Train on").selectOption("max-of-k");
    await tab.getByRole("spinbutton", { name: "Heads" }).fill("2");
    await tab.getByLabel("Rate").fill("0.004");
    await tab.getByLabel("Steps").fill("30");
    await tab.getByLabel("L0H1 trained").uncheck();
    const hash = "#mode=train&data=max-of-k&heads=2&steps=30&rate=0.004&ablated=L0H1";
    await eventually(() => tab.evaluate("location.hash")).toBe(hash);
    await tab.close();
    await open(hash);
    expect(await tab.getByLabel("Rate").inputValue()).toBe("0.004");
    expect(await tab.getByLabel("L0H1 trained").isChecked()).toBe(false);
    for (const [wrong, said] of [
      ["width=99998", "more than a page should train"],
      ["layers=999999999", "more than a page should train"],
      ["heads=0", "n_heads"],
      ["heads=3", "is no multiple of n_heads=3"],
    ]) {
      await tab.evaluate(`location.hash = "#mode=train&${wrong}"`);
      await eventually(() => tab.locator("[role=alert]").allTextContents()).toEqual([
        expect.stringContaining(said ?? ""),
      ]);
      expect(await tab.locator("button[type=submit]").isDisabled()).toBe(true);
    }
  });

  test("a field that the reader is at stands while the usual numbers of other data arrive", async () => {
    await open("#mode=train");
    const usual = await tab.locator("#heads").inputValue();
    // The reader is in the field, all of it selected, before the numbers of the new data are there.
    await tab.evaluate(`{
      const [data, heads] = ["data", "heads"].map((id) => document.getElementById(id));
      data.value = "max-of-k";
      data.dispatchEvent(new Event("change", { bubbles: true }));
      heads.focus();
      heads.select();
    }`);
    await eventually(() => tab.locator("#layers").inputValue()).toBe("1");
    expect(await tab.locator("#heads").inputValue()).toBe(usual);
    await tab.keyboard.insertText("2");
    await tab.locator("#rate").focus();
    await eventually(() => tab.evaluate("location.hash")).toBe("#mode=train&data=max-of-k&heads=2");
    // A field that was left as it was shows what is usual of the new data.
    await tab.locator("#data").selectOption("repeated-tokens");
    await eventually(() => tab.locator("#layers").inputValue()).toBe("2");
    expect(await tab.locator("#heads").inputValue()).toBe(usual);
  });

  test.each([
    ["light", 1440],
    ["dark", 390],
  ] as const)("axe finds nothing, %s at %i pixels, and nothing is wider than the page", async (scheme, width) => {
    await open(SMALL, { colorScheme: scheme, viewport: { width, height: 900 } });
    await tab.evaluate(axe);
    await expectAccessible(tab, "before");
    // By keys alone: a run is begun from the form.
    await tab.getByLabel("Seed").focus();
    await tab.keyboard.press("Enter");
    await tab.locator("[data-step]").waitFor();
    await stands();
    await expectAccessible(tab, "after");
  });
});
