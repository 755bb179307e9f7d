/** The command as its own process, bundled from the sources, and folders for it to work in. */
import { spawn } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { writeSafetensors } from "../../src/io/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { root } from "../support/files.ts";
import { once } from "../support/once.ts";

/** What a run of the command left. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bundles src/cli.ts as the build would, with declaration files beside it; returns the file. */
async function bundleCommand(declarations: string): Promise<string> {
  const made = await once("command", ["src"], async (outdir) => {
    await build({
      entryPoints: [`${root}/src/cli.ts`],
      outdir,
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      packages: "external",
      logLevel: "error",
      plugins: [
        {
          name: "bundled-model",
          setup: (bundler) => {
            const path = pathToFileURL(`${root}/data/bundled-model.js`).href;
            bundler.onResolve({ filter: /\/data\/bundled-model\.js$/ }, () => ({ path, external: true }));
          },
        },
      ],
    });
  });
  const folder = `${root}/.tmp/cli-${process.pid}`;
  cpSync(made, `${folder}/dist`, { recursive: true });
  copyFileSync(`${root}/package.json`, `${folder}/package.json`);
  writeFileSync(`${folder}/dist/index.d.ts`, declarations);
  return `${folder}/dist/cli.js`;
}

/** Runs the command; once something is so, it is sent what Ctrl-C sends. */
export function runCommand(
  command: string,
  args: readonly string[],
  cwd: string,
  interrupt?: () => boolean,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { cwd });
    const timer = setInterval(() => {
      if (interrupt?.() !== true) return;
      clearInterval(timer);
      child.kill("SIGINT");
    }, 20);
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (part: Buffer) => (stdout += part.toString()));
    child.stderr.on("data", (part: Buffer) => (stderr += part.toString()));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearInterval(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** The command of a file of tests, and a new folder for each test to run it in. */
export interface CommandInFolder {
  readonly command: string;
  readonly folder: string;
  readonly run: (...args: string[]) => Promise<Outcome>;
}

/** Bundles the command once, with the declaration files given, and makes a folder before each test; both are gone afterwards. */
export function commandInFolder(declarations: string): CommandInFolder {
  let [command, folder] = ["", ""];
  beforeAll(async () => {
    command = await bundleCommand(declarations);
  });
  afterAll(() => {
    if (command !== "") rmSync(dirname(dirname(command)), { recursive: true });
  });
  beforeEach(() => {
    folder = emptyFolder();
    return () => rmSync(folder, { recursive: true });
  });
  return {
    get command() {
      return command;
    },
    get folder() {
      return folder;
    },
    run: (...args) => runCommand(command, args, folder),
  };
}

function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), "transformer-circuits-cli-"));
}

/** A model as a folder, without a tokenizer. */
export function saveModel(model: Transformer, folder: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...model.config, attn_only: true }));
  writeFileSync(join(folder, "model.safetensors"), writeSafetensors(model.weights));
  return folder;
}
