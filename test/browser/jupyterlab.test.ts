/**
 * Figures in a real JupyterLab, from pip, in a virtual environment that lies in the folder of temporary files: a Python
 * notebook shows them by anywidget, with the colours of the dark theme where the system has a light scheme.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright";
import { attentionExplorer } from "transformer-circuits/viz";
import { afterAll, afterEach, beforeAll, expect, test, type TestContext } from "vitest";
import { root } from "../support/files.ts";
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

const cells = [
  `import anywidget, pathlib, traitlets
class Figure(anywidget.AnyWidget):
    _esm = pathlib.Path(${JSON.stringify(join(root, "dist/anywidget.js"))})
    html = traitlets.Unicode("").tag(sync=True)
    chart = traitlets.Dict({}).tag(sync=True)`,
  `Figure(html=pathlib.Path("explorer.html").read_text())`,
  `Figure(chart={"kind": "table", "options": {"columns": [{"label": "head"}, {"label": "score"}], "rows": [["L0H0", 1], ["L0H1", 2]]}})`,
  `Figure(chart={"kind": "heatmap", "options": {"values": [[1, 2], [3]]}})`,
];

const notebook = {
  nbformat: 4,
  nbformat_minor: 5,
  metadata: { kernelspec: { name: "python3", display_name: "Python 3", language: "python" } },
  cells: cells.map((source, i) => ({
    ...{ id: `cell-${i}`, cell_type: "code", source, metadata: {}, outputs: [], execution_count: null },
  })),
};

browserTests("JupyterLab", () => {
  let browser: Browser;
  let server: ChildProcess | undefined;
  let folder = "";
  let address = "";
  let missing: string | undefined;

  beforeAll(async () => {
    missing = install();
    if (missing !== undefined) {
      console.warn(`not run: JupyterLab (${missing})`);
      return;
    }
    folder = mkdtempSync(join(tmpdir(), "transformer-circuits-lab-"));
    const settings = join(folder, "settings", "@jupyterlab", "apputils-extension");
    mkdirSync(settings, { recursive: true });
    writeFileSync(join(settings, "themes.jupyterlab-settings"), '{"theme": "JupyterLab Dark"}');
    writeFileSync(join(settings, "notification.jupyterlab-settings"), '{"fetchNews": "false"}');
    writeFileSync(join(folder, "figures.ipynb"), JSON.stringify(notebook));
    writeFileSync(join(folder, "explorer.html"), explorer.html);
    address = await serveLab();
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill("SIGINT");
    server?.kill("SIGTERM");
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  const serveLab = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const flags = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token="];
      const lab = spawn(python, ["-m", "jupyterlab", ...flags, `--ServerApp.root_dir=${folder}`], {
        env: {
          ...process.env,
          JUPYTERLAB_SETTINGS_DIR: join(folder, "settings"),
          JUPYTER_CONFIG_DIR: join(folder, "config"),
          JUPYTER_DATA_DIR: join(folder, "data"),
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

  const open = async (context: TestContext): Promise<Page> => {
    if (missing !== undefined) context.skip(missing);
    tab = await newPage(browser, { colorScheme: "light", viewport: { width: 1300, height: 2000 } });
    tab.on("dialog", (dialog) => void dialog.accept()); // leaving a notebook that was not saved
    await tab.goto(`${address}/lab/tree/figures.ipynb`);
    // Cells that are run before the kernel answers are lost, and a widget shown before its manager is there stays empty:
    // the page is loaded and the cells are run again until the first figure stands.
    for (let attempt = 0; attempt < 8; attempt++) {
      if (attempt > 0) await tab.reload();
      await tab.locator(".jp-Notebook").first().waitFor();
      await tab.getByRole("menuitem", { name: "Run", exact: true }).click();
      await tab.getByText("Run All Cells", { exact: true }).click();
      const figure = tab.locator(".tc-ax-link").first();
      if (await figure.waitFor({ timeout: 30_000 }).then(() => true, () => false)) return tab; // prettier-ignore
    }
    throw new Error("JupyterLab shows no figure");
  };

  test("shows a figure of HTML and charts of data live, in the theme's colours, and errors in words", async (context) => {
    const page = await open(context);
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
});
