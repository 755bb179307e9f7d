/** The command `report`: analyses a model and writes the page. */
import { resolve } from "node:path";
import { InputError } from "../errors.ts";
import { modelName, openModel } from "./model.ts";
import { checkOutputs, writeWhole } from "./outputs.ts";
import { runCommand } from "./run.ts";
import { isNamedText, readGivenText, readNamed, textFor } from "./text.ts";
import type { GivenText, TextOptions } from "./text.ts";
import { runInWorker, serveJob } from "./worker.ts";
import type { TrainingFilm } from "../train/index.ts";

/** What the command line says. */
export interface ReportCommandOptions extends TextOptions {
  readonly output: string;
  readonly json?: string;
  readonly title?: string;
  readonly film?: string;
  readonly seed: number;
  readonly maxTokens?: number;
  readonly threads: number;
  readonly force?: boolean;
}

/** What the worker is given to do. */
export interface ReportJob {
  readonly command: "report";
  /** The model's folder or file; the bundled model without one. */
  readonly path: string | undefined;
  readonly given: GivenText;
  readonly title: string | undefined;
  /** The film of the training: its file, and what it holds. */
  readonly film: { readonly file: string; readonly text: string } | undefined;
  readonly seed: number;
  readonly maxTokens: number | undefined;
  /** How many threads compute. */
  readonly threads: number;
}

interface Done {
  readonly page: string;
  readonly json: string;
  readonly summary: string;
}

const OPERATION = "report";

/**
 * Runs the command; returns the exit status.
 *
 * @param command - the command's own file.
 */
export async function report(
  command: string,
  path: string | undefined,
  options: ReportCommandOptions,
): Promise<number> {
  return runCommand("loading the model", async ({ signal, onProgress }) => {
    const files = await checkFiles(options);
    const job = await readJob(command, path, options);
    const done = await runInWorker<ReportJob, Done>(command, job, signal, (fraction, step) =>
      onProgress(fraction, 1, step),
    );
    const contents = [done.page, done.json];
    for (const [i, file] of files.entries()) await writeWhole(file, contents[i] ?? "", signal, OPERATION);
    const [page, json] = files;
    const where = `${"report".padEnd(12)} ${page} (${(done.page.length / 1e6).toFixed(1)} MB, ${(performance.now() / 1000).toFixed(1)} s)`;
    return [done.summary, where, ...(json === undefined ? [] : [`${"numbers".padEnd(12)} ${json}`])].join("\n");
  });
}

async function checkFiles({ output, json, force = false }: ReportCommandOptions): Promise<string[]> {
  if (json !== undefined && resolve(output) === resolve(json)) {
    throw new InputError(`${output} is named both for the report and for the numbers. Name two files.`, {
      operation: OPERATION,
      argument: "json",
    });
  }
  const page = { file: output, what: "a report", mark: /name="generator" content="transformer-circuits"/ };
  const numbers = json === undefined ? [] : [{ file: json, what: "a report", mark: /\{"version":1,"title":/ }];
  return checkOutputs([page, ...numbers], force, OPERATION);
}

async function readJob(command: string, path: string | undefined, options: ReportCommandOptions): Promise<ReportJob> {
  const { title, seed, maxTokens, threads } = options;
  const given = await readGivenText(options, command, OPERATION);
  const film = options.film === undefined ? undefined : await readFilm(options.film);
  return { command: "report", path, given, title, film, seed, maxTokens, threads };
}

async function readFilm(file: string): Promise<NonNullable<ReportJob["film"]>> {
  return { file, text: new TextDecoder().decode(await readNamed(file, OPERATION)) };
}

/** The film that a file holds. */
async function filmOf({ file, text }: NonNullable<ReportJob["film"]>): Promise<TrainingFilm> {
  const { trainingFilmFromJSON } = await import("../train/index.ts");
  try {
    return trainingFilmFromJSON(text);
  } catch (cause) {
    const fault = `${file} holds no film. Give the film.json that train writes with --film.`;
    throw new InputError(fault, { operation: OPERATION, argument: "film", actual: file }, { cause });
  }
}

/** The worker's side: everything but files. */
export async function serveReport(job: ReportJob): Promise<void> {
  await serveJob<Done>(job.threads, async (tell) => {
    const { analyse, renderReport, summarise } = await import("../report/index.ts");
    const { model, tokenizer } = await openModel(job.path, isNamedText(job.given));
    const { text, source } = await textFor(job.given, tokenizer !== undefined, model.config.d_vocab, job.seed);
    const data = await analyse(model, tokenizer, text, {
      title:
        job.title ??
        (job.path === undefined ? "The bundled model, taken apart" : `${modelName(job.path)}, taken apart`),
      source,
      film: job.film && (await filmOf(job.film)),
      seed: job.seed,
      maxTokens: job.maxTokens,
      onProgress: ({ fraction, step }) => tell(fraction, step),
    });
    return { page: renderReport(data), json: JSON.stringify(data), summary: summarise(data) };
  });
}
