/** What a command runs the model on: a text, token ids, or the declaration files that the build writes. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FormatError, InputError } from "../errors.ts";

/** A text or token ids, and where they come from in words. */
export interface GivenText {
  readonly text: string | readonly number[];
  readonly source: string;
}

/** The options by which a text is named. */
export interface TextOptions {
  readonly text?: string;
  readonly tokens?: string;
}

const DECLARATIONS = "this package’s declaration files (without comments)";
const RANDOM_TOKENS = 4096;

/**
 * Reads what was named, or the package's declaration files.
 *
 * @param command - the command's file, beside which the declaration files lie.
 */
export async function readGivenText(options: TextOptions, command: string, operation: string): Promise<GivenText> {
  const refuse = refusals(operation);
  if (options.text !== undefined && options.tokens !== undefined)
    throw refuse("--text and --tokens were both given. Give one of them.");
  if (options.tokens !== undefined) {
    const text = await readText(options.tokens, operation);
    return { text: parseIds(text, options.tokens, operation), source: options.tokens };
  }
  if (options.text === undefined) return { text: await declarations(command, operation), source: DECLARATIONS };
  const text = await readText(options.text, operation);
  if (text.trim() === "")
    throw refuse(`${options.text} is empty. Give at least a line of what the model was trained on.`);
  return { text, source: options.text };
}

/** Whether a text was named, which a tokenizer must read: not token ids, nor what is taken where nothing is named. */
export function isNamedText(given: GivenText | undefined): boolean {
  return given !== undefined && typeof given.text === "string" && given.source !== DECLARATIONS;
}

/** The text, or for a model without a tokenizer that was given none random tokens, which say so. */
export async function textFor(
  given: GivenText,
  hasTokenizer: boolean,
  d_vocab: number,
  seed: number,
): Promise<GivenText> {
  if (hasTokenizer || given.source !== DECLARATIONS) return given;
  const { Random } = await import("../tensor/index.ts");
  const random = new Random(seed);
  return {
    text: Array.from({ length: RANDOM_TOKENS }, () => random.int(d_vocab)),
    source: "random token ids (the model has no tokenizer that can be used)",
  };
}

/**
 * The declaration files that the build writes, which lie beside the command (seen from the sources, in dist/), without
 * comments.
 */
async function declarations(command: string, operation: string): Promise<string> {
  const here = dirname(command);
  for (const folder of [here, join(here, "..", "dist")]) {
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".d.ts")).sort();
    if (names.length === 0) continue;
    const files = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    return files
      .join("\n")
      .replace(/\/\*[^]*?\*\//g, "")
      .replace(/\n\s*\n/g, "\n");
  }
  throw refusals(operation)(
    "the declaration files of this package are missing. Build it (npm run build), or give a text with --text.",
  );
}

/** The bytes of a file that was named. */
export async function readNamed(file: string, operation: string): Promise<Uint8Array> {
  return readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const why =
      { ENOENT: "there is no such file", EISDIR: "it is a folder, not a file", EACCES: "permission denied" }[
        cause.code ?? ""
      ] ?? cause.message;
    throw refusals(operation)(`cannot read ${file}: ${why}.`, cause);
  });
}

async function readText(file: string, operation: string): Promise<string> {
  const bytes = await readNamed(file, operation);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(
      `${file} is not UTF-8 text. Convert it, or give token ids with --tokens.`,
      { operation, argument: "text", actual: file },
      { cause },
    );
  }
}

/**
 * Token ids of a file: a JSON list, or numbers between spaces or commas; refuses several lists, which are several
 * texts.
 */
function parseIds(text: string, file: string, operation: string): number[] {
  const refuse = (what: string, actual: unknown): FormatError =>
    new FormatError(`${file} holds ${what}. Give a list of token ids such as [0, 17, 5].`, {
      operation,
      argument: "tokens",
      expected: "token ids",
      actual,
    });
  const flat = text.trim().replace(/^\[\s*(\[[^[\]]*\])\s*\]$/, "$1");
  const inner = flat.replace(/^\[([^[\]]*)\]$/, "$1");
  if (/[[\]]/.test(inner)) {
    const lists = inner.match(/\[[^[\]]*\]/g)?.length ?? 0;
    throw lists > 1
      ? refuse(`${lists} lists, and a text is one: joined they would be another text`, lists)
      : refuse("brackets that do not fit", inner.slice(0, 40));
  }
  const words = inner.split(/[\s,]+/).filter((word) => word !== "");
  const ids = words.map((word) => (/^[\d.eE+-]+$/.test(word) ? Number(word) : Number.NaN));
  const wrong = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (wrong < 0) return ids;
  throw refuse(`${JSON.stringify((words[wrong] ?? "").slice(0, 40))} where token ${wrong} should be`, words[wrong]);
}

function refusals(operation: string): (message: string, cause?: unknown) => InputError {
  return (message, cause) =>
    new InputError(message, { operation, argument: "text" }, cause === undefined ? {} : { cause });
}
