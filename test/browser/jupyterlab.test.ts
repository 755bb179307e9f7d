/**
 * Figures in a real JupyterLab, from pip, in a virtual environment that lies in the folder of temporary files: a Python
 * notebook shows them by anywidget, with the colours of the dark theme where the system has a light scheme; Deno's kernel
 * runs README's cell and a chapter of the guide in a folder where npm has installed the package.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright";
import { attentionExplorer } from "transformer-circuits/viz";
import { afterAll, afterEach, beforeAll, expect, test, type TestContext } from "vitest";
import { readNotebook } from "../../scripts/notebooks.mjs";
import { type Consumer, newConsumer } from "../support/consumer.ts";
import { denoCommand } from "../support/deno.ts";
import { firstPictures } from "../support/first-pictures.ts";
import { run } from "../support/run.ts";
import "../support/require-build.ts";
import { browserTests, launchChromium, newPage } from "./chromium.ts";

const PACKAGES = ["jupyterlab==4.4.*", "anywidget==0.9.*"];
const venv = join(tmpdir(), "transformer-circuits-jupyterlab-4.4");
const python = join(venv, "bin", "python");

/** What pip says where no registry can be reached. */
const NO_REGISTRY =
  /No matching distribution|Could not fetch|Failed to establish|Temporary failure|ProxyError|timed out/i;

/** Makes the environment, or says why it cannot be had. */
function install(): string | undefined {
  const marker = join(venv, "complete");
  if (existsSync(marker)) return undefined;
  const made = spawnSync("python3", ["-m", "venv", venv], { encoding: "utf8" });
  if (made.error !== undefined || made.status !== 0)
    return `no Python environment: ${made.error?.message ?? made.stdout}`;
  const pip = spawnSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES], {
    encoding: "utf8",
  });
  if (pip.status !== 0) {
    if (NO_REGISTRY.test(pip.stderr)) return "pip reaches no registry";
    throw new Error(`pip failed: ${pip.stderr.slice(-2000)}`);
  }
  writeFileSync(marker, "");
  return undefined;
}

const explorer = attentionExplorer({
  tokens: ["a", " b", "a"],
  pattern: [[[1, 0.25, 0.75, 0.5, 0.25, 0.25], [1, 0, 1, 0, 0, 1]]], // prettier-ignore
});

interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
}

const code = (source: string): Cell => ({ cell_type: "code", source });

/** A notebook that was never run. */
const notebookOf = (kernel: { name: string; display_name: string; language: string }, cells: readonly Cell[]): string =>
  JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec: kernel },
    cells: cells.map(({ cell_type, source }, i) => ({
      ...{ id: `cell-${i}`, cell_type, source, metadata: {} },
      ...(cell_type === "code" ? { outputs: [], execution_count: null } : {}),
    })),
  });

const python3 = { name: "python3", display_name: "Python 3", language: "python" };
const widgets = [
  `import anywidget, pathlib, traitlets
class Figure(anywidget.AnyWidget):
    _esm = pathlib.Path("node_modules/transformer-circuits/dist/anywidget.js")
    html = traitlets.Unicode("").tag(sync=True)
    chart = traitlets.Dict({}).tag(sync=True)`,
  `Figure(html=pathlib.Path("explorer.html").read_text())`,
  `Figure(chart={"kind": "table", "options": {"columns": [{"label": "head"}, {"label": "score"}], "rows": [["L0H0", 1], ["L0H1", 2]]}})`,
  `Figure(chart={"kind": "heatmap", "options": {"values": [[1, 2], [3]]}})`,
];

const deno = denoCommand();
const CHAPTER = "06-induction-heads.ipynb";
const chapter = (readNotebook(CHAPTER) as { cells: Cell[] }).cells;

browserTests("JupyterLab", () => {
  let browser: Browser;
  let server: ChildProcess | undefined;
  let project: Consumer | undefined;
  let address = "";
  let missing: string | undefined;

  beforeAll(async () => {
    missing = install();
    if (missing !== undefined) {
      console.warn(`not run: JupyterLab (${missing})`);
      return;
    }
    project = await newConsumer();
    const settings = join(project.folder, "settings", "@jupyterlab");
    for (const name of ["apputils-extension", "notebook-extension"])
      mkdirSync(join(settings, name), { recursive: true });
    writeFileSync(join(settings, "apputils-extension/themes.jupyterlab-settings"), '{"theme": "JupyterLab Dark"}');
    writeFileSync(join(settings, "apputils-extension/notification.jupyterlab-settings"), '{"fetchNews": "false"}');
    writeFileSync(join(settings, "notebook-extension/tracker.jupyterlab-settings"), '{"windowingMode": "none"}');
    project.write("figures.ipynb", notebookOf(python3, widgets.map(code)));
    project.write("explorer.html", explorer.html);
    if (deno !== undefined) {
      run("env", [`XDG_DATA_HOME=${project.folder}`, ...deno, "jupyter", "--install"]);
      const kernel = { name: "deno", display_name: "Deno", language: "typescript" };
      project.write("chapter.ipynb", notebookOf(kernel, [code(firstPictures().cell), ...chapter]));
    }
    address = await serveLab();
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    // The server ends its kernels by files in the project's folder: both stay until it has.
    if (server?.exitCode === null && server.signalCode === null) {
      const ended = once(server, "exit");
      server.kill("SIGTERM");
      await ended;
    }
    project?.remove();
  });

  const serveLab = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const folder = project?.folder ?? "";
      const flags = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token="];
      const lab = spawn(python, ["-m", "jupyterlab", ...flags, `--ServerApp.root_dir=${folder}`], {
        env: {
          ...process.env,
          JUPYTERLAB_SETTINGS_DIR: join(folder, "settings"),
          JUPYTER_CONFIG_DIR: join(folder, "config"),
          JUPYTER_DATA_DIR: join(folder, "data"),
          JUPYTER_PATH: join(folder, "jupyter"),
          IPYTHONDIR: join(folder, "ipython"),
        },
      });
      server = lab;
      let said = "";
      lab.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
        if (found !== undefined) resolve(found);
      });
      lab.on("exit", () => reject(new Error(`JupyterLab ended: ${said.slice(-2000)}`)));
    });

  let tab: Page | undefined;
  afterEach(async () => {
    await tab?.close();
  });

  /** What becomes of cells that were told to run: whether the first figure comes before all of them have rested a while. */
  const showsFigure = async (tab: Page, patience: number): Promise<boolean> => {
    const figure = tab.locator(".tc-ax-link").first();
    const waiting = tab.locator(".jp-CodeCell .jp-InputPrompt", { hasText: "*" });
    // A cell that was lost never waits; one that rests shows its figure soon, or not at all.
    for (let rests = 0; rests < patience; rests = (await waiting.count()) === 0 ? rests + 1 : 0) {
      if ((await figure.count()) > 0) return true;
      await figure.waitFor({ timeout: 2000 }).catch(() => undefined);
    }
    return false;
  };

  /** Opens a notebook and runs its cells until the first figure stands. */
  const open = async (context: TestContext, name: string): Promise<Page> => {
    if (missing !== undefined) context.skip(missing);
    tab = await newPage(browser, { colorScheme: "light", viewport: { width: 1300, height: 2000 } });
    tab.on("dialog", (dialog) => void dialog.accept()); // leaving a notebook that was not saved
    await tab.goto(`${address}/lab/tree/${name}?reset`);
    // Cells that are run before the kernel answers are lost, and a widget shown before its manager is there stays empty:
    // the kernel is waited for, and the page is loaded and the cells are run again until the first figure stands.
    for (let attempt = 0; attempt < 8; attempt++) {
      if (attempt > 0) await tab.reload();
      await tab.locator(".jp-Notebook").first().waitFor();
      const idle = tab.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first();
      await idle.waitFor({ timeout: 60_000 }).catch(() => undefined);
      await tab.getByRole("menuitem", { name: "Run", exact: true }).click();
      await tab.getByText("Run All Cells", { exact: true }).click();
      if (await showsFigure(tab, 2 + 2 * attempt)) return tab;
    }
    throw new Error("JupyterLab shows no figure");
  };

  test("shows a figure of HTML and charts of data live, in the theme's colours, and errors in words", async (context) => {
    const page = await open(context, "figures.ipynb");
    const figure = page.locator(".tc-ax").first();
    await figure.locator(".tc-ax-link").first().waitFor();
    expect(await page.locator("body").getAttribute("data-jp-theme-light")).toBe("false");
    expect(await page.evaluate<string>("getComputedStyle(document.querySelector('.tc-ax')).color")).toBe(
      "rgb(232, 234, 237)",
    );
    await figure.locator("[data-head='1']").click();
    expect(await figure.locator(".tc-ax-scale").textContent()).toContain("L0H1");
    await figure.locator("[data-position='1']").click();
    expect(await figure.locator(".tc-ax-link").first().textContent()).toContain("1.00");
    const table = page.locator(".tc-table");
    await table.getByRole("button", { name: "score" }).click();
    expect(await table.locator("tbody td").first().textContent()).toBe("L0H1");
    await page.getByText("row 1 of values has 1 entries where row 0 has 2").waitFor();
  });

  test("runs README's cell and a chapter of the guide to the end in Deno's kernel, and shows their figures", async (context) => {
    if (deno === undefined) context.skip("Deno is not there");
    const page = await open(context, "chapter.ipynb");
    await page.locator("[data-head='15']").first().click();
    await page.locator(".tc-ax-scale", { hasText: "L1H7" }).first().waitFor();
    const prompts = page.locator(".jp-CodeCell .jp-InputPrompt");
    await prompts.last().filter({ hasText: /\d/ }).waitFor();
    expect(await prompts.count()).toBe(chapter.filter(({ cell_type }) => cell_type === "code").length + 1);
    expect((await prompts.allTextContents()).filter((text) => !/^\[\d+\]:$/.test(text))).toEqual([]);
    expect(await page.locator("[data-mime-type='application/vnd.jupyter.error']").allTextContents()).toEqual([]);
    const figures = page.locator(".jp-OutputArea-output :is(.tc-fig, .tc-ax, img[src^='data:image/svg'])");
    expect(await figures.count()).toBeGreaterThan(5);
  });
});
