/** The playground in Chromium: a page under a strict policy that asks for nothing but its own files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildPlayground } from "../../site/playground/build.mjs";
import { ablatedLosses } from "../../src/heads/index.ts";
import { openBundledModel } from "../../src/io/bundled.ts";
import { writeSafetensors } from "../../src/io/index.ts";
import { editAt, meanLoss } from "../../src/model/index.ts";
import type { HeadRef, Transformer } from "../../src/model/index.ts";
import { mean, softmax, Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";
import { browserTests, launchChromium } from "./chromium.ts";
import { axe, expectAccessible, watchedPage } from "./playground-page.ts";
import { serve, type Site } from "./server.ts";

/** What a number of three decimals may be off, with float32 runs that differ in the order of their sums. */
const SHOWN = 0.0005 + 1e-4;

/** What will hold, however busy the machine is; the limit ends what hangs. */
const eventually = <T>(read: () => T | Promise<T>): ReturnType<typeof expect.poll<T>> =>
  expect.poll(read, { timeout: 120_000 });

/** Outputs of heads, of which one gives nothing. */
function without(z: Tensor<"batch pos head d_head">, head: number): Tensor<"batch pos head d_head"> {
  const [batch = 0, pos = 0, heads = 0, width = 0] = z.shape;
  const kept = Float32Array.from(z.data, (x, i) => (Math.floor(i / width) % heads === head ? 0 : x));
  return Tensor.from("batch pos head d_head", [batch, pos, heads, width], kept);
}

browserTests("the playground", () => {
  let browser: Browser;
  let site: Site;
  let withoutWasm: Site;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "playground-"));
    await buildPlayground({ into: folder });
    browser = await launchChromium();
    site = await serve({}, { "/play/": folder }, "");
    withoutWasm = await serve({}, { "/play/": folder }, "script-src 'self'; worker-src 'self' blob:");
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await withoutWasm?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  let tab: Page;
  /** Errors of the page, violations of its policy, and requests for what is not its own. */
  let complaints: string[];
  afterEach(async () => {
    await tab.close();
  });
  const visit = async (hash = "", options: BrowserContextOptions = {}, where = site): Promise<void> => {
    ({ tab, complaints } = await watchedPage(browser, options, where.address));
    await tab.goto(`${where.address}/play/index.html${hash}`);
    await settled();
  };
  /** Until something is shown and nothing more is computed: what stands then is of what is chosen. */
  const settled = async (): Promise<void> => {
    await tab.locator(".view .figure > *, .error").first().waitFor();
    await until("document.querySelector('.busy, .stale') === null");
  };
  /** Waits for an expression; the page's policy forbids the tool's own way. */
  const until = (expression: string): Promise<void> => eventually(() => tab.evaluate<boolean>(expression)).toBe(true);
  const shownLoss = async (when: "before" | "after"): Promise<number> =>
    Number(await tab.locator(`[data-loss=${when}]`).textContent());
  const bundled = async (text: string): Promise<{ model: Transformer; tokens: number[] }> => {
    const { model, tokenizer } = await openBundledModel();
    return { model, tokens: tokenizer.encode(text, { bos: true }) };
  };
  const lossWithout = (model: Transformer, tokens: number[], heads: HeadRef[], value: "zero" | "meanOverAll"): number =>
    mean(ablatedLosses(model, [tokens], heads, { value }), "pos").at(0);
  const filesOf = (model: Transformer): { name: string; mimeType: string; buffer: Buffer }[] => [
    { name: "model.safetensors", mimeType: "", buffer: Buffer.from(writeSafetensors(model.weights)) },
    { name: "config.json", mimeType: "", buffer: Buffer.from(JSON.stringify(model.config)) },
  ];

  test("shows the first circuit of the bundled model, asks for nothing of others, and breaks no policy", async () => {
    await visit();
    expect(await tab.locator(".figure").first().textContent()).toContain("OV circuit of L1H4");
    expect(await tab.locator("main").textContent()).toContain("2 layers of 8 heads, d_model 128, 1,024 tokens");
    expect(await tab.locator("footer").textContent()).toContain("Computed by WebAssembly");
    const took = Number(await tab.locator("html").getAttribute("data-first-circuit"));
    console.log(`first circuit after ${took} ms`);
    expect(took).toBeGreaterThan(0);
    expect(complaints).toEqual([]);
  });

  test("can send nothing, neither from the page nor from its worker", async () => {
    await visit();
    const attempt = "fetch('/play/style.css').then(() => 'sent', () => 'refused')";
    expect(await tab.evaluate(attempt)).toBe("refused");
    expect(await tab.workers()[0]?.evaluate(attempt)).toBe("refused");
    // at once it would be the tool's own evaluation
    const evil = "new Promise((done) => setTimeout(() => { try { done(eval('1')) } catch { done('refused') } }))";
    expect(await tab.evaluate(evil)).toBe("refused");
  });

  test("computes without WebAssembly where a policy refuses it", async () => {
    await visit();
    const fast = await shownLoss("before");
    await tab.close();
    await visit("", {}, withoutWasm);
    expect(await tab.locator("footer").textContent()).toContain("plain JavaScript");
    expect(await shownLoss("before")).toBeCloseTo(fast, 3);
    expect(complaints.filter((text) => !text.includes("wasm-eval") && !text.includes("WebAssembly"))).toEqual([]);
  });

  test("runs where a policy of the server allows no worker from a blob", async () => {
    const strict = await serve({}, { "/play/": folder }, "worker-src 'self'");
    try {
      await visit("", {}, strict);
      expect(await tab.locator(".figure").first().textContent()).toContain("OV circuit of L1H4");
    } finally {
      await strict.close();
    }
  });

  describe("heads switched off", () => {
    const text = "interface Foo<T> { a: T; }\ninterface Foo<";
    test.each([
      ["zero", "zero", ["L0H5"]],
      ["zero", "zero", ["L0H5", "L0H7", "L1H2"]],
      ["mean", "meanOverAll", ["L1H4"]],
    ] as const)("%s: the loss is that of ablatedLosses with %s of %j", async (put, value, heads) => {
      await visit(`#${new URLSearchParams({ text }).toString()}`);
      const { model, tokens } = await bundled(text);
      const { logits } = model.run(tokens);
      expect(Math.abs((await shownLoss("before")) - meanLoss(logits, [tokens]))).toBeLessThan(SHOWN);
      if (put === "mean") await tab.getByLabel("A head that is off gives").selectOption("mean");
      for (const head of heads) await tab.getByLabel(`${head} on`).uncheck();
      await tab.locator("[data-loss=after]").waitFor();
      await settled();
      const expected = lossWithout(model, tokens, [...heads], value);
      await eventually(() => shownLoss("after")).toSatisfy((loss: number) => Math.abs(loss - expected) < SHOWN);
      expect(complaints).toEqual([]);
    });
  });

  describe("numbers shown", () => {
    test("next tokens have the probabilities of the run, at the position looked at", async () => {
      const text = "interface Foo<T> { a: T; }";
      await visit(`#${new URLSearchParams({ text, at: "4" }).toString()}`);
      const { model, tokens } = await bundled(text);
      const p = softmax(model.run(tokens.slice(0, 5)).logits, "d_vocab").data.slice(-model.config.d_vocab);
      const likeliest = [...p].sort((a, b) => b - a).slice(0, 8);
      await tab.locator(".next tbody tr").first().waitFor();
      const shown = await tab.locator(".next td").allTextContents();
      expect(shown).toHaveLength(8);
      for (const [i, share] of shown.entries())
        expect(Math.abs(Number.parseFloat(share) - 100 * (likeliest[i] ?? NaN))).toBeLessThan(0.05 + 1e-3);
    });

    test("an expansion sums to the logit of the run, and its certificate holds", async () => {
      const text = "interface Foo<T> { a: T; }";
      await visit(`#${new URLSearchParams({ text, view: "expansion", off: "L0H7" }).toString()}`);
      const { model, tokens } = await bundled(text);
      const { logits } = model.run(tokens, { edits: editAt("blocks.0.attn.hook_z", (z) => without(z, 7)) });
      const largest = Math.max(...logits.data.slice(-model.config.d_vocab));
      const said = await tab.locator(".view .note").allTextContents();
      const [sum, logit] =
        /sum to (.*); the model’s logit is (.*)\.$/
          .exec(said[0] ?? "")
          ?.slice(1)
          .map(Number) ?? [];
      expect(Math.abs((sum ?? NaN) - largest)).toBeLessThan(0.001);
      expect(Math.abs((logit ?? NaN) - largest)).toBeLessThan(0.001);
      expect(said[1]).toContain("Certificate: holds");
    });

    test("patching brings all back where texts differ, and at the end of the last position", async () => {
      await visit("#view=patching");
      const cells = (await tab.locator(".view .figure svg").first().locator("title").allTextContents()).filter(
        (title) => /L0|end/.test(title),
      );
      // texts differ in one token, so before the first layer its position carries all, and after the last the last one
      const ones = cells.filter((title) => / 1(\.00)?$/.test(title));
      expect(ones).toHaveLength(2);
      expect(ones[0]).toContain("T|K");
      expect(ones[1]).toContain("end");
      expect(cells.filter((title) => /[:=] [−]?0(\.00)?$/.test(title))).toHaveLength(cells.length - 2);
    });
  });

  describe("the address", () => {
    test("says what is chosen, and restores it", async () => {
      await visit();
      await tab.getByLabel("Text to run the model on").fill("declare function parse(text: string): number;");
      await tab.getByLabel("L0H5 on").uncheck();
      await tab.getByRole("button", { name: /^L1 H2/ }).click();
      await tab.getByRole("tab", { name: "Expansion" }).click();
      for (const part of ["declare", "off=L0H5", "head=L1H2", "view=expansion"])
        await until(`location.hash.includes(${JSON.stringify(part)})`);
      await settled();
      const hash = await tab.evaluate<string>("location.hash");
      expect(await shownLoss("after")).toBeGreaterThan(0);
      const loss = await shownLoss("after");
      await tab.close();
      await visit(hash);
      expect(await tab.getByLabel("Text to run the model on").inputValue()).toContain("declare function");
      expect(await tab.getByLabel("L0H5 on").isChecked()).toBe(false);
      expect(await tab.getByRole("button", { name: /^L1 H2/ }).getAttribute("aria-pressed")).toBe("true");
      expect(await tab.getByRole("tab", { name: "Expansion" }).getAttribute("aria-selected")).toBe("true");
      expect(await tab.locator(".figure").first().textContent()).toContain("What each path adds");
      expect(await shownLoss("after")).toBeCloseTo(loss, 3);
    });

    test("follows while the page stands, and what it says and is not there is passed over", async () => {
      await visit("#head=L9H9&off=L7H0,L1H1&view=none&at=9999");
      expect(await tab.locator(".figure").first().textContent()).toContain("OV circuit of L1H4");
      expect(await tab.locator("[aria-labelledby=prediction-title]").textContent()).toContain("Off: L1H1.");
      await tab.evaluate("location.hash = '#view=composition&head=L1H2'");
      await eventually(() => tab.locator(".view").textContent()).toContain("What L1H2 reads");
      expect(complaints).toEqual([]);
    });
  });

  describe("a checkpoint of one's own", () => {
    const model = randomModel({ n_layers: 3, n_heads: 4, n_ctx: 24, norm: "LN", position: "standard", bias: true });

    test("is opened from files, run on token ids, and remembered by the address", async () => {
      await visit();
      await tab.locator("input[type=file]").setInputFiles(filesOf(model));
      await eventually(() => tab.locator("main").textContent()).toContain("3 layers of 4 heads");
      await tab.getByLabel("Token ids to run the model on").fill("1 2 3 4 1 2 3");
      await eventually(() => tab.evaluate("location.hash")).toContain("1+2+3+4");
      await settled();
      const tokens = [1, 2, 3, 4, 1, 2, 3];
      const expected = meanLoss(model.run(tokens).logits, [tokens]);
      await eventually(() => shownLoss("before")).toSatisfy((loss: number) => Math.abs(loss - expected) < SHOWN);
      for (const view of ["Patterns", "Composition", "Expansion", "Patching", "Two texts"]) {
        await tab.getByRole("tab", { name: view }).click();
        if (view === "Patching") {
          // The texts are the same until the second is taken.
          await tab.getByLabel("Second token ids").fill("1 2 5 4 1 2 3");
          await until("location.hash.includes('other=1+2+5')");
        }
        await settled();
        expect(await tab.locator(".error").allTextContents(), view).toEqual([]);
      }
      const hash = await tab.evaluate<string>("location.hash");
      expect(hash).toContain("model=model.safetensors");
      expect(complaints).toEqual([]);
      await tab.close();
      await visit(hash);
      expect(await tab.locator("main").textContent()).toContain("This address was made with model.safetensors");
      await tab.locator("input[type=file]").setInputFiles(filesOf(model));
      await eventually(() => tab.getByLabel("Token ids to run the model on").inputValue()).toBe("1 2 3 4 1 2 3");
    });

    test("brings its tokenizer along, and one that is none does not stand in its way", async () => {
      const { model: own } = await bundled("");
      const { tokenizer } = await import("../../data/bundled-model.js");
      const beside = (text: string): { name: string; mimeType: string; buffer: Buffer } => ({
        name: "tokenizer.json",
        mimeType: "",
        buffer: Buffer.from(text),
      });
      await visit();
      await tab.locator("input[type=file]").setInputFiles([...filesOf(own), beside(tokenizer)]);
      await tab.getByRole("button", { name: "Back to the bundled model" }).waitFor();
      await eventually(() => tab.locator("#text").inputValue()).toContain("When Mary and John");
      await tab.locator("input[type=file]").setInputFiles([...filesOf(own), beside("{")]);
      await eventually(() => tab.locator("main").textContent()).toContain("The tokenizer cannot be used");
      await eventually(() => tab.locator("label[for=text]").textContent()).toContain("Token ids");
      await tab.getByRole("button", { name: "Back to the bundled model" }).click();
      await eventually(() => tab.locator("#text").inputValue()).toContain("interface Array");
    });

    test("is opened when dropped on the page", async () => {
      await visit();
      const sent = filesOf(model).map(({ name, buffer }) => ({ name, base64: buffer.toString("base64") }));
      await tab.evaluate(`((files) => {
        const data = new DataTransfer();
        for (const { name, base64 } of files)
          data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
      })(${JSON.stringify(sent)})`);
      await eventually(() => tab.locator("main").textContent()).toContain("3 layers of 4 heads");
      expect(complaints).toEqual([]);
    });

    test.each([
      ["weights without a configuration", () => filesOf(model).slice(0, 1), /ConfigError: .*config/i],
      ["no weights at all", () => filesOf(model).slice(1), /InputError|FormatError/],
      [
        "a damaged file",
        () => [{ name: "model.pth", mimeType: "", buffer: Buffer.from("not a checkpoint") }],
        /FormatError/,
      ],
    ] as const)("%s: the page says what is wrong, and keeps the model it has", async (_, files, said) => {
      await visit();
      await tab.locator("input[type=file]").setInputFiles(files());
      const error = tab.locator("[role=alert]");
      await error.waitFor();
      expect(await error.innerText()).toMatch(said);
      expect(await tab.locator("main").textContent()).toContain("2 layers of 8 heads");
    });
  });

  test.each([
    ["no layers", { n_layers: 0 }, "no heads"],
    ["one layer, no positions", { n_layers: 1, position: "none" }, "it shows what positions do"],
    ["heads that see later tokens", { config: { attention_dir: "bidirectional" } }, "it looks back from a token"],
    ["MLPs and rotary positions", { mlp: "gelu", position: "rotary", norm: "RMS" }, "Norms are left out"],
    ["other output tokens", { config: { d_vocab_out: 5 } }, "output tokens are others"],
  ] as const)("a model of %s: every view shows something or says why not", async (_, options, said) => {
    await visit();
    await tab.locator("input[type=file]").setInputFiles(filesOf(randomModel({ ...options, n_ctx: 12 })));
    await tab.getByRole("button", { name: "Back to the bundled model" }).waitFor();
    await eventually(() => tab.locator(".view").textContent()).toContain(said);
    for (const view of ["Patterns", "Composition", "Expansion", "Patching", "Two texts"]) {
      await tab.getByRole("tab", { name: view }).click();
      await until("document.querySelector('.busy, .stale') === null");
      expect(await tab.locator(".error").allTextContents(), view).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });

  test("a computation can be stopped, and the page goes on", async () => {
    await visit();
    const { model } = await bundled("");
    const large = randomModel({ n_layers: 2, n_heads: 4, d_model: 256, d_head: 16, d_vocab: 3000, n_ctx: 64 });
    expect(large.parameterCount).toBeGreaterThan(model.parameterCount);
    // By the page itself, which is as fast as what is to be stopped.
    await tab.evaluate(`new MutationObserver((_, observer) => {
      const button = document.querySelector(".view .busy button");
      if (button === null || !document.querySelector("main").textContent.includes("2 layers of 4")) return;
      observer.disconnect();
      button.click();
      document.body.dataset.stopped = "";
    }).observe(document.body, { childList: true, subtree: true, characterData: true })`);
    await tab.locator("input[type=file]").setInputFiles(filesOf(large));
    await until("'stopped' in document.body.dataset");
    await until("document.querySelector('.busy') === null");
    expect(await tab.locator(".view .error").first().textContent()).toContain("Stopped.");
    await tab.getByRole("tab", { name: "Expansion" }).click();
    await settled();
    expect(await tab.locator(".figure").first().textContent()).toContain("What each path adds");
  });

  describe("accessibility", () => {
    const views = ["circuits", "patterns", "composition", "expansion", "patching", "comparison"];
    test.each([
      ["light", 1440],
      ["dark", 390],
    ] as const)(
      "axe finds nothing in any view, %s at %i pixels, and nothing is wider than the page",
      async (scheme, width) => {
        await visit("#off=L0H5", { colorScheme: scheme, viewport: { width, height: 900 } });
        await tab.evaluate(axe);
        for (const view of views) {
          await tab.evaluate(`location.hash = "#view=${view}&off=L0H5"`);
          await until(`document.querySelector("#tab-${view}")?.getAttribute("aria-selected") === "true"`);
          await settled();
          await expectAccessible(tab, view);
        }
      },
    );

    test("views are reached by arrow keys, tokens by arrow keys, heads by Space", async () => {
      await visit();
      await tab.getByRole("tab", { name: "Circuits" }).focus();
      await tab.keyboard.press("ArrowRight");
      await eventually(() => tab.locator(".view").textContent()).toContain("Attention of every head");
      expect(await tab.evaluate("document.activeElement.id")).toBe("tab-patterns");
      await tab.locator(".tokens input").last().focus();
      await tab.keyboard.press("ArrowLeft");
      await eventually(() => tab.evaluate("location.hash")).toContain("at=35");
      await tab.getByLabel("L0H5 on").focus();
      await tab.keyboard.press("Space");
      await tab.locator("[data-loss=after]").waitFor();
    });
  });
});
