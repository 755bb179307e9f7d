/**
 * What a browser's console has of a value: its class under its own name, its own short fields, and its numbers as text.
 * Console formatters of the developer tools are off unless a reader turns them on, so that none are installed.
 */
import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../support/files.ts";
import "../support/require-build.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";
import { serve, type Site } from "./server.ts";

const importMap = JSON.stringify({
  imports: {
    "transformer-circuits": "/dist/index.js",
    "@huggingface/tokenizers": "/tokenizers/tokenizers.mjs",
    fflate: "/fflate/browser.js",
  },
});

const script = `
import { Tensor, Transformer, expectedWeights, parseConfig } from "transformer-circuits";
const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
const config = parseConfig({ n_layers: 1, n_heads: 1, d_model: 2, d_head: 1, n_ctx: 4, d_vocab: 3, attn_only: true });
const weights = new Map([...expectedWeights(config)].map(([name, { axes, shape }]) => [name, Tensor.zeros(axes, shape)]));
const model = Transformer.fromWeights(config, weights);
console.log(pattern);
console.log(pattern.toText());
console.log(model);
console.log(model.head("L0H0"));
console.log(model.run([0, 1]).cache);
console.log("end");
`;
const page = `<!doctype html><title>t</title><script type="importmap">${importMap}</script><body></body><script type="module" src="/main.js"></script>`;

/** What Chromium's protocol says of a value that was logged. */
interface Logged {
  readonly value?: unknown;
  readonly className?: string;
  readonly description?: string;
  readonly preview?: { readonly properties: readonly { readonly name: string; readonly value?: string }[] };
}

browserTests("the console of Chromium", () => {
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    browser = await launchChromium();
    site = await serve(
      { "/index.html": page, "/main.js": script },
      {
        "/dist/": `${root}/dist`,
        "/tokenizers/": `${root}/node_modules/@huggingface/tokenizers/dist`,
        "/fflate/": `${root}/node_modules/fflate/esm`,
      },
      "default-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
    );
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  test("has classes by their names, axes first, and numbers as text", async () => {
    const tab = await newPage(browser);
    const client = await tab.context().newCDPSession(tab);
    const logged: Logged[] = [];
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    client.on("Runtime.consoleAPICalled", ({ args: [first] }) => {
      if (first?.value === "end") end();
      else if (first !== undefined) logged.push(first);
    });
    await client.send("Runtime.enable");
    await tab.goto(`${site.address}/index.html`);
    await ended;
    const [tensor, text, model, head, cache] = logged;
    expect([tensor, model, head, cache].map((value) => value?.description)).toEqual([
      "Tensor",
      "Transformer",
      "AttentionHead",
      "ActivationCache",
    ]);
    // Private fields, which Chromium puts first, are none of the value's own words.
    const own = tensor?.preview?.properties.filter(({ name }) => !name.startsWith("#"));
    expect(own?.[0]).toMatchObject({ name: "axes", value: "query_pos key_pos" });
    expect(text?.value).toBe("Tensor[query_pos=2 key_pos=2] float32\n[[1.00, 0   ],\n [0.25, 0.75]]");
  });
});
