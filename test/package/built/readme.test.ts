/** README's first pictures, as a stranger makes them: taken from its text, in a new project with the packed package. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moduleOf } from "../../../scripts/notebooks.mjs";
import { browserTests, launchChromium, newPage } from "../../browser/chromium.ts";
import { serve } from "../../browser/server.ts";
import { type Consumer, newConsumer } from "../../support/consumer.ts";
import { denoCommand } from "../../support/deno.ts";
import { root } from "../../support/files.ts";
import { firstPictures } from "../../support/first-pictures.ts";
import { run } from "../../support/run.ts";
import "../../support/require-build.ts";

const pictures = firstPictures();
const deno = denoCommand();
let project: Consumer;
beforeAll(async () => {
  project = await newConsumer();
});
afterAll(() => {
  project.remove();
});

test.each(Object.entries(pictures))("the %s has at most ten lines, and none that goes through numbers", (_, code) => {
  expect(code).toContain("The cat sat on the mat");
  expect(code.trim().split("\n").length).toBeLessThanOrEqual(10);
  expect(code).not.toMatch(/\b(for|while|forEach|map|reduce)\b|\[\d/);
});

test("all of them compile under the strictest options", () => {
  const options = {
    ...{ target: "es2022", lib: ["es2022", "dom"], types: [], noEmit: true, skipLibCheck: true },
    ...{ module: "esnext", moduleResolution: "bundler", moduleDetection: "force", verbatimModuleSyntax: true },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noUnusedLocals: true },
  };
  for (const [name, code] of Object.entries(pictures)) project.write(`${name}.ts`, code);
  const files = Object.keys(pictures).map((name) => `${name}.ts`);
  project.write("tsconfig.json", JSON.stringify({ compilerOptions: options, files }));
  run(process.execPath, [`${root}/node_modules/typescript/bin/tsc`], project.folder);
});

describe("the script", () => {
  const commands = [[process.execPath], ...(deno === undefined ? [] : [[...deno, "run", "-A"]])];
  test.each(commands)("writes a page: %s", (program, ...given) => {
    project.write("attention.mjs", pictures.script);
    project.write("attention.html", "");
    run(program ?? "", [...given, "attention.mjs"], project.folder);
    expect(readFileSync(join(project.folder, "attention.html"), "utf8")).toContain('data-head="15"');
  });
});

test.skipIf(deno === undefined)("the cell shows the figure in Deno", () => {
  const [program = "", ...given] = deno ?? [];
  project.write("cell.ts", moduleOf([{ code: pictures.cell }]));
  const printed = run(program, [...given, "run", "--no-lock", "--no-check", "-A", "cell.ts"], project.folder);
  const { cells } = JSON.parse(printed) as { cells: { data: Record<string, string> }[] };
  expect(cells.map(({ data }) => Object.keys(data))).toEqual([expect.arrayContaining(["text/plain", "text/html"])]);
  expect(cells[0]?.data["text/html"]).toContain('data-head="15"');
});

browserTests("the page, built by Vite", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
  });

  test("shows the attention of every head, and answers to a click", async () => {
    project.write("page.js", pictures.page);
    const html = '<!doctype html><html><body><script type="module" src="/page.js"></script></body></html>';
    project.write("index.html", html);
    await build({ root: project.folder, configFile: false, logLevel: "silent" });
    const site = await serve({ "/favicon.ico": "" }, { "/": join(project.folder, "dist") }, "");
    const page = await newPage(browser);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("request", (request) => {
      if (!request.url().startsWith(site.address)) complaints.push(request.url());
    });
    await page.goto(`${site.address}/index.html`);
    await page.locator("[data-head='15']").click();
    await page.locator(".tc-ax-scale", { hasText: "L1H7" }).waitFor();
    await page.close();
    await site.close();
    expect(complaints).toEqual([]);
  });
});
