/** The command `figure`: makes one figure of the papers of a model, as SVG or as a page. */
import { resolve } from "node:path";
import { InputError } from "../errors.ts";
import type { FigureCheckpoint, FigureEntry, FigureNeed } from "../figures/index.ts";
import type { Transformer } from "../model/index.ts";
import type { Figure } from "../viz/index.ts";
import { checkpointPaths } from "./checkpoints.ts";
import type { CheckpointPath } from "./checkpoints.ts";
import { modelName, openModel } from "./model.ts";
import { checkOutputs, writeWhole } from "./outputs.ts";
import { runCommand } from "./run.ts";
import { isNamedText, readGivenText, textFor } from "./text.ts";
import type { GivenText, TextOptions } from "./text.ts";
import { runInWorker, serveJob } from "./worker.ts";

/** What the command line says. */
export interface FigureCommandOptions extends TextOptions {
  readonly list?: boolean;
  readonly output?: string;
  readonly png?: boolean;
  readonly json?: string;
  readonly title?: string;
  /** Labels of heads. */
  readonly head: readonly string[];
  readonly seed: number;
  readonly threads: number;
  readonly force?: boolean;
}

/** What the worker is given to do. */
export interface FigureJob {
  readonly command: "figure";
  readonly name: string;
  /** The model's folder or file; the bundled model without one. */
  readonly path: string | undefined;
  /** The checkpoints, of which the model is the last, for figures that follow a model through its training. */
  readonly checkpoints: readonly CheckpointPath[];
  /** Read for figures that run the model. */
  readonly given: GivenText | undefined;
  readonly heads: readonly string[];
  readonly title: string | undefined;
  readonly seed: number;
  readonly form: Form;
  /** Whether the data are wanted as JSON. */
  readonly json: boolean;
  /** How many threads compute. */
  readonly threads: number;
}

/** What a file of a figure is. */
type Form = "svg" | "png" | "html";

interface Done {
  readonly drawing: string | Uint8Array;
  readonly json: string | undefined;
  readonly label: string;
  readonly model: string;
  readonly source: string | undefined;
}

const OPERATION = "figure";

/**
 * Runs the command; returns the exit status.
 *
 * @param command - the command's own file.
 */
export async function figure(
  command: string,
  name: string | undefined,
  paths: readonly string[],
  options: FigureCommandOptions,
): Promise<number> {
  const { figureEntries, figureEntry } = await import("../figures/index.ts");
  if (options.list === true) return runCommand("figures", () => Promise.resolve(listed(figureEntries())));
  return runCommand("loading the model", async ({ signal, onProgress }) => {
    if (name === undefined) throw refuse("name a figure; --list shows their names.", "name");
    const entry = figureEntry(name);
    const form = formOf(entry, options);
    const files = await checkFiles(entry, options, form);
    const job = await readJob(command, entry, paths, options, form);
    const done = await runInWorker<FigureJob, Done>(command, job, signal, (fraction) =>
      onProgress(fraction, 1, `figure ${name}`),
    );
    const contents = [done.drawing, done.json ?? ""];
    for (const [i, file] of files.entries()) await writeWhole(file, contents[i] ?? "", signal, OPERATION);
    const [drawing = "", json] = files;
    return [
      done.label,
      line("model", done.model),
      ...(done.source === undefined ? [] : [line("text", done.source)]),
      line(
        "figure",
        `${drawing} (${Math.ceil(done.drawing.length / 1000)} kB, ${(performance.now() / 1000).toFixed(1)} s)`,
      ),
      ...(json === undefined ? [] : [line("data", json)]),
    ].join("\n");
  });
}

function line(name: string, text: string): string {
  return `${name.padEnd(12)} ${text}`;
}

const NEED_WORDS: Readonly<Record<FigureNeed, string>> = {
  text: "a text",
  layer: "a layer of heads",
  "two layers": "two layers",
  mlps: "MLPs",
  "next token": "output tokens that are the input tokens",
  causal: "causal attention",
  positions: "positions",
  "table of positions": "embeddings of positions",
  tokenizer: "a tokenizer",
  checkpoints: "several checkpoints",
};

/** Each figure: its name and title, and on a line below them what it needs. */
function listed(entries: readonly FigureEntry[]): string {
  const width = Math.max(...entries.map(({ name }) => name.length));
  return entries
    .map(({ name, title, needs, output, takesText = false }) => {
      const needed = needs.map((need) => NEED_WORDS[need]);
      const takes = takesText ? "; takes a text" : "";
      const kind = output === "html" ? "a page; " : "";
      const said = needed.length === 0 ? "any model" : `needs ${needed.join(", ")}`;
      return `${name.padEnd(width)}  ${title}\n${" ".repeat(width + 2)}${kind}${said}${takes}`;
    })
    .join("\n");
}

/** What the file's ending says, or is asked for; otherwise what the figure is at home as. */
function formOf({ output: home }: FigureEntry, { output, png = false }: FigureCommandOptions): Form {
  const ending = /\.(svg|html?|png|jpe?g|webp|pdf)$/i.exec(output ?? "")?.[1]?.toLowerCase();
  const form = ending === "htm" ? "html" : (ending ?? (png ? "png" : home));
  if (form !== "svg" && form !== "html" && form !== "png") {
    throw refuse(
      `a figure is a drawing (.svg), an image (.png) or a page (.html), and ${output} ends in .${form}. Name such a file.`,
      "output",
    );
  }
  if (png && form !== "png") throw refuse(`--png asks for an image, and ${output} ends in .${ending}.`, "png");
  return form;
}

const DRAWING_MARK = /class="tc-fig|name="generator" content="transformer-circuits"/;
const PNG_MARK = /^.PNG\r\n/;

/** Files named or, for the drawing, after the figure. */
async function checkFiles({ name }: FigureEntry, options: FigureCommandOptions, form: Form): Promise<string[]> {
  const file = options.output ?? `${name}.${form}`;
  const { json, force = false } = options;
  if (json !== undefined && resolve(file) === resolve(json))
    throw refuse(`${file} is named both for the figure and for its data. Name two files.`, "json");
  const drawing = { file, what: "a figure", mark: form === "png" ? PNG_MARK : DRAWING_MARK };
  const data = json === undefined ? [] : [{ file: json, what: "a figure’s data", mark: /^\{"figure":/ }];
  return checkOutputs([drawing, ...data], force, OPERATION);
}

async function readJob(
  command: string,
  { name, needs, takesCheckpoints = false, takesText = false }: FigureEntry,
  paths: readonly string[],
  options: FigureCommandOptions,
  form: Form,
): Promise<FigureJob> {
  if (paths.length > 1 && !takesCheckpoints)
    throw refuse(`${name} is made of one model, and ${paths.length} paths were given. Give one of them.`, "path");
  const checkpoints = takesCheckpoints ? await checkpointPaths(paths) : [];
  if (needs.includes("checkpoints") && checkpoints.length < 2) {
    const given = checkpoints.length === 0 ? "none was named" : `${paths.join(" ")} is one`;
    throw refuse(
      `${name} follows a model through its training: name two or more checkpoints, or a folder of them; ${given}.`,
      "paths",
    );
  }
  const path = checkpoints.length > 0 ? checkpoints[checkpoints.length - 1]?.path : paths[0];
  const { title, seed, head: heads, json, threads } = options;
  const isGiven = options.text !== undefined || options.tokens !== undefined;
  const wanted = needs.includes("text") || (takesText && isGiven);
  if (!wanted && isGiven) {
    const option = options.text === undefined ? "tokens" : "text";
    throw refuse(`${name} takes no text; --${option} has no use. Leave it out.`, option);
  }
  const given = wanted ? await readGivenText(options, command, OPERATION) : undefined;
  const asked = { path, checkpoints, given, heads, title, seed, form, threads };
  return { command: "figure", name, ...asked, json: json !== undefined };
}

/** The worker's side: everything but files. */
export async function serveFigure(job: FigureJob): Promise<void> {
  await serveJob<Done>(job.threads, async (tell) => {
    const { figureJson, makeFigure } = await import("../figures/index.ts");
    const { parseHead } = await import("../model/index.ts");
    const heads = job.heads.map(parseHead);
    const { model, tokenizer } = await openModel(job.path, isNamedText(job.given));
    const text = job.given && (await textFor(job.given, tokenizer !== undefined, model.config.d_vocab, job.seed));
    const { data, figure: drawn } = await makeFigure(
      job.name,
      {
        model,
        tokenizer,
        text: text?.text,
        ...(job.checkpoints.length > 0 && {
          checkpoints: job.checkpoints.map((one) => toCheckpoint(one, job.path, model)),
        }),
      },
      {
        ...(heads.length > 0 && { heads }),
        seed: job.seed,
        ...(job.title !== undefined && { title: job.title }),
        onProgress: (done, total) => tell(total === 0 ? 1 : done / total),
      },
    );
    return {
      drawing: await fileOf(drawn, job.form),
      json: job.json ? figureJson(job.name, data) : undefined,
      label: drawn.label,
      model: job.path === undefined ? "the bundled model" : modelName(job.path),
      source: text?.source,
    };
  });
}

/** A checkpoint that is read when a figure comes to it; the last is the model, which is open. */
function toCheckpoint(
  { path, label, step }: CheckpointPath,
  opened: string | undefined,
  model: Transformer,
): FigureCheckpoint {
  return { label, step, load: async () => (path === opened ? model : (await openModel(path)).model) };
}

async function fileOf(figure: Figure, form: Form): Promise<string | Uint8Array> {
  if (form === "png") return figure.png();
  return form === "svg" ? figure.svg : pageOf(figure.label, figure.html);
}

/** A page with the figure alone. */
export function pageOf(title: string, html: string): string {
  const escaped = title.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="generator" content="transformer-circuits">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escaped}</title>
<style>body{margin:24px}@media (prefers-color-scheme:dark){body{background:#14171c}}</style>
${html}
</html>
`;
}

function refuse(message: string, argument: string): InputError {
  return new InputError(message, { operation: OPERATION, argument });
}
