#!/usr/bin/env node
/**
 * The command: `transformer-circuits report` analyses a model and writes the report; `inspect` lists a checkpoint's tensors,
 * `convert` makes safetensors of it.
 *
 * The report's work runs in a worker thread, which is this same file: the terminal stays alive, and a cancel takes effect at once. The
 * worker touches no files; they are written here, to a temporary name first.
 */
import { access, constants, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { CircuitsError, FormatError, InputError } from "./errors.ts";
import type { ConvertCommandOptions, InspectCommandOptions } from "./cli/index.ts";
import type { ReportTokenizer } from "./report/index.ts";

/** What the worker is given to do. */
interface Job {
  /** The model's folder or file; the bundled model without one. */
  readonly folder: string | undefined;
  /** A text or token ids. */
  readonly text: string | readonly number[];
  readonly source: string;
  readonly title: string | undefined;
  readonly seed: number;
  readonly maxTokens: number | undefined;
}

type Message =
  | { readonly kind: "progress"; readonly fraction: number; readonly step: string }
  | { readonly kind: "done"; readonly page: string; readonly json: string; readonly summary: string }
  | { readonly kind: "failed"; readonly text: string };

interface Options {
  readonly text?: string;
  readonly tokens?: string;
  readonly output: string;
  readonly json?: string;
  readonly title?: string;
  readonly seed: number;
  readonly maxTokens?: number;
  readonly force?: boolean;
}

const NAME = "transformer-circuits";
const DEFAULT_OUTPUT = "transformer-circuits-report.html";
const CANCELLED = 130;

const EXAMPLES = `
Examples:
  $ ${NAME}
      analyses the model that comes with the package and writes ${DEFAULT_OUTPUT}
  $ ${NAME} report models/attn-only-2l --text moby-dick.txt -o attn-only-2l.html
      analyses a folder with weights, config.json and tokenizer.json on a text
  $ ${NAME} report downloads/attn_only_2L_half.pth --tokens ids.json
      analyses a single file, PyTorch's or any other that inspect takes
  $ ${NAME} report models/toy --tokens ids.json --seed 3 --json toy.json
      analyses a model without a tokenizer on token ids, and keeps the numbers
  $ ${NAME} inspect attn_only_2L_half.pth
      lists the tensors of a checkpoint
  $ ${NAME} convert attn_only_2L_half.pth model.safetensors
      makes safetensors of it

The report is one HTML file that opens without a network. Exit status: 0 done, 1 failed, 2 wrong usage, ${CANCELLED} cancelled.`;

/** Reads the command line; returns the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const { Command, CommanderError, InvalidArgumentError, Option } = await import("commander");
  const wholeNumber =
    (least: number, most: number) =>
    (text: string): number => {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (value >= least && value <= most) return value;
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    };
  let status = 0;
  const program = new Command(NAME)
    .description("Takes transformers apart: circuits, composition, path expansion, induction heads.")
    .version(await ownVersion(), "-V, --version", "print the version")
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  program
    .command("report", { isDefault: true })
    .description("analyse a model and write the report (the default command)")
    .argument(
      "[path]",
      "a folder or file of weights, config.json and tokenizer.json beside it; the bundled model without one",
    )
    .option("-t, --text <file>", "the text to analyse the model on, UTF-8 (default: this package's declaration files)")
    .option("--tokens <file>", "token ids instead of a text: a JSON list, or numbers between spaces or commas")
    .option("-o, --output <file>", "where the report goes", DEFAULT_OUTPUT)
    .option("--json <file>", "where the numbers go as JSON; nowhere unless given")
    .option("--title <text>", "the report's title")
    .option("--seed <number>", "seed of the random tokens and heads", wholeNumber(0, 2 ** 32 - 1), 0)
    .option("--max-tokens <number>", "how many tokens of the text are run", wholeNumber(1, 2 ** 31))
    .option("-f, --force", "overwrite files that are not reports")
    .addHelpText("after", EXAMPLES)
    .action(async (folder: string | undefined, options: Options) => {
      status = await report(folder, options);
    });
  program
    .command("inspect")
    .description("list the tensors of a checkpoint, without reading them")
    .argument("<path>", "a file (safetensors, .pth, .pt, .bin, .npz, .npy), an index, or a folder")
    .option("--json", "print everything as JSON")
    .action(async (path: string, options: InspectCommandOptions) => {
      const { inspect } = await import("./cli/index.ts");
      status = await inspect(path, options);
    });
  program
    .command("convert")
    .description("convert a checkpoint to safetensors, with its config.json where there is one")
    .argument("<from>", "what inspect takes")
    .argument("<to>", "the file to be written, such as model.safetensors")
    .addOption(new Option("--dtype <type>", "round floating-point numbers").choices(["F32", "F16", "BF16"]))
    .option("-f, --force", "overwrite files that are there")
    .action(async (from: string, to: string, options: ConvertCommandOptions) => {
      const { convert } = await import("./cli/index.ts");
      status = await convert(from, to, options);
    });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return status;
}

async function ownVersion(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}

/** The command `report`; returns the exit status. */
async function report(folder: string | undefined, options: Options): Promise<number> {
  const { runCommand } = await import("./cli/index.ts");
  return runCommand("loading the model", async ({ signal, onProgress }) => {
    const files = await checkOutputs(options);
    const job = await readJob(folder, options);
    const done = await runWorker(job, signal, (fraction, step) => onProgress(fraction, 1, step));
    const contents = [done.page, done.json];
    for (const [i, file] of files.entries()) await writeWhole(file, contents[i] ?? "", signal);
    const [page, json] = files;
    const where = `${"report".padEnd(12)} ${page} (${(done.page.length / 1e6).toFixed(1)} MB, ${(performance.now() / 1000).toFixed(1)} s)`;
    return [done.summary, where, ...(json === undefined ? [] : [`${"numbers".padEnd(12)} ${json}`])].join("\n");
  });
}

/** Runs the job in a worker; a cancel ends it on the spot. */
function runWorker(
  job: Job,
  signal: AbortSignal,
  onProgress: (fraction: number, step: string) => void,
): Promise<Extract<Message, { kind: "done" }>> {
  return new Promise((resolvePromise, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: job });
    const fail = (error: Error): void => {
      void worker.terminate();
      reject(error);
    };
    if (signal.aborted) fail(new Error("cancelled"));
    signal.addEventListener("abort", () => fail(new Error("cancelled")), { once: true });
    worker.on("error", fail);
    worker.on("exit", () => reject(new Error("the analysis ended without a result")));
    worker.on("message", (message: Message) => {
      if (message.kind === "progress") onProgress(message.fraction, message.step);
      else if (message.kind === "done") resolvePromise(message);
      else fail(new ReportedError(message.text));
    });
  });
}

/** An error of the worker, already in words. */
class ReportedError extends Error {
  override toString(): string {
    return this.message;
  }
}

/** The worker's side: everything but files. */
async function work(job: Job): Promise<void> {
  const post = (message: Message): void => parentPort?.postMessage(message);
  try {
    const { analyse, renderReport, summarise } = await import("./report/index.ts");
    const { model, tokenizer } = await openModel(job.folder);
    const { text, source } = await textFor(job, tokenizer, model.config.d_vocab);
    const data = await analyse(model, tokenizer, text, {
      title:
        job.title ??
        (job.folder === undefined ? "The bundled model, taken apart" : `${baseName(job.folder)}, taken apart`),
      source,
      seed: job.seed,
      maxTokens: job.maxTokens,
      onProgress: ({ fraction, step }) => post({ kind: "progress", fraction, step }),
    });
    post({ kind: "done", page: renderReport(data), json: JSON.stringify(data), summary: summarise(data) });
  } catch (error) {
    post({
      kind: "failed",
      text:
        error instanceof CircuitsError
          ? `${error.name}: ${error.message}`
          : error instanceof Error
            ? (error.stack ?? String(error))
            : String(error),
    });
  }
}

type Opened = Awaited<ReturnType<(typeof import("./io/node.ts"))["loadFolder"]>>;

async function openModel(folder: string | undefined): Promise<Pick<Opened, "model" | "tokenizer">> {
  if (folder !== undefined) return (await import("./io/node.ts")).loadFolder(folder);
  return (await import("./io/bundled.ts")).openBundledModel();
}

const RANDOM_TOKENS = 4096;

/** The job's text, or for a model without a tokenizer random tokens, which say so. */
async function textFor(
  job: Job,
  tokenizer: ReportTokenizer | undefined,
  d_vocab: number,
): Promise<{ text: string | readonly number[]; source: string }> {
  const { text, source, seed } = job;
  if (tokenizer !== undefined || source !== DECLARATIONS) return { text, source };
  const { Random } = await import("./tensor/index.ts");
  const random = new Random(seed);
  return {
    text: Array.from({ length: RANDOM_TOKENS }, () => random.int(d_vocab)),
    source: "random token ids (the model has no tokenizer)",
  };
}

function baseName(folder: string): string {
  return resolve(folder).split(/[\\/]/).pop() ?? folder;
}

const DECLARATIONS = "this package’s declaration files (without comments)";

async function readJob(folder: string | undefined, options: Options): Promise<Job> {
  if (options.text !== undefined && options.tokens !== undefined) {
    throw refuse("--text and --tokens were both given. Give one of them.", "text");
  }
  const { title, seed, maxTokens } = options;
  const rest = { folder, title, seed, maxTokens };
  if (options.tokens !== undefined)
    return { ...rest, text: parseIds(await readText(options.tokens), options.tokens), source: options.tokens };
  if (options.text === undefined) return { ...rest, text: await declarations(), source: DECLARATIONS };
  const text = await readText(options.text);
  if (text.trim() === "")
    throw refuse(`${options.text} is empty. Give at least a line of what the model was trained on.`, "text");
  return { ...rest, text, source: options.text };
}

/** The declaration files that the build writes, which lie beside this one (seen from the sources, in dist/), without comments. */
async function declarations(): Promise<string> {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const folder of [here, join(here, "..", "dist")]) {
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".d.ts")).sort();
    if (names.length === 0) continue;
    const files = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    return files
      .join("\n")
      .replace(/\/\*[^]*?\*\//g, "")
      .replace(/\n\s*\n/g, "\n");
  }
  throw refuse(
    "the declaration files of this package are missing. Build it (npm run build), or give a text with --text.",
    "text",
  );
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const why =
      { ENOENT: "there is no such file", EISDIR: "it is a folder, not a file", EACCES: "permission denied" }[
        cause.code ?? ""
      ] ?? cause.message;
    throw refuse(`cannot read ${file}: ${why}.`, "text", cause);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(
      `${file} is not UTF-8 text. Convert it, or give token ids with --tokens.`,
      { operation: "report", argument: "text", actual: file },
      { cause },
    );
  }
}

/** Token ids of a file: JSON, or numbers between spaces or commas. */
function parseIds(text: string, file: string): number[] {
  const words = text
    .replace(/[[\],]/g, " ")
    .trim()
    .split(/\s+/);
  const ids = words[0] === "" ? [] : words.map(Number);
  const wrong = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (wrong >= 0) {
    const shown = JSON.stringify((words[wrong] ?? "").slice(0, 40));
    throw new FormatError(
      `${file} holds ${shown} where token ${wrong} should be. Give a list of token ids such as [0, 17, 5].`,
      {
        operation: "report",
        argument: "tokens",
        expected: "token ids",
        actual: words[wrong],
      },
    );
  }
  return ids;
}

/** Refuses, before any work, output files that cannot be written or hold something else. */
async function checkOutputs({ output, json, force = false }: Options): Promise<string[]> {
  const files = [output, ...(json === undefined ? [] : [json])].map((file) => resolve(file));
  if (files[0] === files[1])
    throw refuse(`${output} is named both for the report and for the numbers. Name two files.`, "json");
  for (const [i, file] of files.entries()) {
    const folder = await stat(dirname(file)).catch(() => undefined);
    if (folder?.isDirectory() !== true)
      throw refuse(`cannot write ${file}: there is no folder ${dirname(file)}. Make it first.`, "output");
    await access(dirname(file), constants.W_OK).catch((cause: unknown) => {
      throw refuse(`cannot write ${file}: the folder is write-protected. Name a file elsewhere.`, "output", cause);
    });
    const old = await stat(file).catch(() => undefined);
    if (old === undefined) continue;
    if (old.isDirectory()) throw refuse(`cannot write ${file}: it is a folder. Name a file in it.`, "output");
    const mark = i === 0 ? 'name="generator" content="transformer-circuits"' : '{"version":1,"title":';
    if (!force && old.size > 0 && !(await beginning(file)).includes(mark)) {
      throw refuse(
        `${file} is there already and is not a report. Name another file, or overwrite it with --force.`,
        "output",
      );
    }
  }
  return files;
}

async function beginning(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2048), 0, 2048, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Writes a file under another name and renames it, so that a half-written one never bears its name. */
async function writeWhole(file: string, text: string, signal: AbortSignal): Promise<void> {
  const temporary = join(dirname(file), `.${NAME}-${process.pid}.tmp`);
  try {
    await writeFile(temporary, text, { signal });
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    signal.throwIfAborted();
    throw refuse(`cannot write ${file}: ${(cause as Error).message}.`, "output", cause);
  }
}

function refuse(message: string, argument: string, cause?: unknown): InputError {
  return new InputError(message, { operation: "report", argument }, cause === undefined ? {} : { cause });
}

if (isMainThread) {
  // a reader that stops reading, such as head, is no failure
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.exitCode = await main(process.argv);
} else await work(workerData as Job);
