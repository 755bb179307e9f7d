/**
 * The entry `transformer-circuits/node`: model folders, checkpoints and figures on disk. It and its folder alone touch the file
 * system.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError, InputError } from "../errors.ts";
import type { ModelConfig, Transformer } from "../model/index.ts";
import { readTransformer } from "./load.ts";
import { loadTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

export { convertPath } from "./node/convert.ts";
export type { Converted, ConvertPathOptions } from "./node/convert.ts";
export { inspectPath, openPath } from "./node/files.ts";
export type { OpenPathOptions } from "./node/files.ts";
export { downloadFromHub, loadFromHub } from "./node/hub.ts";
export type { HubFolder, HubOptions } from "./node/hub.ts";

/**
 * What a model folder holds.
 * @category Files
 */
export interface LoadedFolder {
  readonly model: Transformer;
  /** `undefined` where the folder has no `tokenizer.json`. */
  readonly tokenizer: Tokenizer | undefined;
  /** The model's configuration, defaults filled in. */
  readonly config: ModelConfig;
}

/**
 * How {@link loadFolder} reads.
 * @category Files
 */
export interface LoadFolderOptions {
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Anything that prints as SVG or HTML: what the functions of `transformer-circuits/viz` return.
 * @category Figures
 */
export interface SavableFigure {
  /** The SVG text, where the figure has one. */
  readonly svg?: string | undefined;
  /** The HTML text. */
  readonly html: string;
}

interface Folder {
  readonly path: string;
  readonly files: readonly string[];
  readonly signal: AbortSignal | undefined;
}

const LOAD = "loadFolder";
const SAVE = "saveFigure";
const WANTED = "A model folder holds config.json, model.safetensors and, where text is wanted, tokenizer.json.";

/**
 * Loads a model from a folder with `config.json` and `model.safetensors`, as TransformerLens or Hugging Face name weights (GPT-2,
 * GPT-NeoX and Pythia; see `transformerFromTensors`), and its tokenizer where there is a `tokenizer.json` (with `tokenizer_config.json` for the beginning-of-sequence token).
 *
 * @param path - the folder, as a path or a `file:` URL.
 * @throws {@link InputError} when the folder or a file in it is missing, naming the path; {@link FormatError} and
 * {@link ConfigError} for whatever `loadTransformer` and `loadTokenizer` refuse, and when the tokenizer has more tokens than
 * the model.
 * @category Files
 * @example
 * ```ts no-run
 * import { loadFolder } from "transformer-circuits/node";
 *
 * const { model, tokenizer } = await loadFolder("models/attn-only-2l");
 * console.log(model.config.n_layers, tokenizer?.encode("Hello"));
 * ```
 */
export async function loadFolder(path: string | URL, options: LoadFolderOptions = {}): Promise<LoadedFolder> {
  const folder = await openFolder(path, options.signal);
  const [config, weights, tokenizerJson, tokenizerConfig] = await Promise.all([
    read(folder, "config.json"),
    read(folder, "model.safetensors"),
    readOptional(folder, "tokenizer.json"),
    readOptional(folder, "tokenizer_config.json"),
  ]);
  const source = { operation: LOAD, name: join(folder.path, "model.safetensors") };
  const model = readTransformer({ config, weights }, source);
  if (tokenizerJson === undefined) return { model, tokenizer: undefined, config: model.config };
  const tokenizer = loadTokenizer(tokenizerJson, tokenizerConfig === undefined ? {} : { config: tokenizerConfig });
  if (tokenizer.vocabSize > model.config.d_vocab) {
    throw new ConfigError(
      `the tokenizer in ${folder.path} has ${tokenizer.vocabSize} tokens but the model's d_vocab is ${model.config.d_vocab}. One of the two belongs to another model.`,
      { operation: LOAD, argument: "tokenizer.json", expected: model.config.d_vocab, actual: tokenizer.vocabSize },
    );
  }
  return { model, tokenizer, config: model.config };
}

/**
 * Saves a figure as a file, `.svg` or `.html`, making the folders on the way.
 *
 * @param path - the file, as a path or a `file:` URL; its extension says the format.
 * @param figure - what a function of `transformer-circuits/viz` returned.
 * @throws {@link InputError} when the extension is another one, or the figure is HTML only and `.svg` is asked for.
 * @category Figures
 * @example
 * ```ts no-run
 * import { saveFigure } from "transformer-circuits/node";
 * import { headGrid } from "transformer-circuits/viz";
 *
 * await saveFigure("figures/induction.svg", headGrid({ values: [[0.1, 0.9]], title: "Induction score" }));
 * ```
 */
export async function saveFigure(path: string | URL, figure: SavableFigure): Promise<void> {
  const file = typeof path === "string" ? path : fileURLToPath(path);
  const text = figureText(file, figure);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

function figureText(file: string, figure: SavableFigure): string {
  const extension = extname(file).toLowerCase();
  if (extension === ".html") {
    return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<body>\n${figure.html}\n</body>\n</html>\n`;
  }
  if (extension === ".svg" && figure.svg !== undefined) return `${figure.svg}\n`;
  const why = extension === ".svg" ? "this figure is HTML only" : "a figure is saved as .svg or .html";
  throw new InputError(
    `cannot save to ${file}: ${why}. Name the file with ${extension === ".svg" ? ".html" : "one of these"}.`,
    {
      operation: SAVE,
      argument: "path",
      expected: [".svg", ".html"],
      actual: extension,
    },
  );
}

async function openFolder(path: string | URL, signal: AbortSignal | undefined): Promise<Folder> {
  signal?.throwIfAborted();
  const folder = typeof path === "string" ? path : fileURLToPath(path);
  try {
    return { path: folder, files: (await readdir(folder)).sort(), signal };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const what =
      code === "ENOENT"
        ? "there is no such folder"
        : code === "ENOTDIR"
          ? "it is a file, not a folder"
          : (cause as Error).message;
    throw new InputError(
      `cannot read ${folder}: ${what}. ${WANTED}`,
      { operation: LOAD, argument: "path", actual: folder },
      { cause },
    );
  }
}

async function read(folder: Folder, file: string): Promise<Uint8Array> {
  const bytes = await readOptional(folder, file);
  if (bytes !== undefined) return bytes;
  const holds = folder.files.length === 0 ? "nothing" : folder.files.slice(0, 12).join(", ");
  throw new InputError(
    `there is no ${file} in ${folder.path}, which holds ${holds}. ${otherForm(folder, file)}${WANTED}`,
    {
      operation: LOAD,
      argument: "path",
      expected: file,
      actual: folder.files,
    },
  );
}

/** What to do about weights that are there in a form that is not read. */
function otherForm({ files }: Folder, file: string): string {
  if (file !== "model.safetensors") return "";
  if (files.some((name) => name.endsWith(".safetensors.index.json"))) {
    return "Weights in several files are not read: save them as one safetensors file. ";
  }
  const pickle = files.find((name) => /\.(pth|pt|bin)$/.test(name));
  return pickle === undefined ? "" : `${pickle} is not read: save its tensors with safetensors.torch.save_file. `;
}

async function readOptional({ path, files, signal }: Folder, file: string): Promise<Uint8Array | undefined> {
  if (!files.includes(file)) return undefined;
  try {
    return await readFile(join(path, file), { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new InputError(
      `cannot read ${join(path, file)}: ${(cause as Error).message}.`,
      { operation: LOAD, argument: "path", actual: file },
      { cause },
    );
  }
}
