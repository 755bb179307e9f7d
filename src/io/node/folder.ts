/** Models on disk: a folder or a file of any format, with the configuration and the tokenizer beside it. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requireOptions } from "../../errors.ts";
import type { CircuitsError } from "../../errors.ts";
import type { ModelConfig, Transformer } from "../../model/index.ts";
import { transformerOf } from "../checkpoint/from-checkpoint.ts";
import type { LayoutOptions } from "../layouts/index.ts";
import { parsePlainJson } from "../json/plain-json.ts";
import { fitted, readTokenizerBeside } from "../tokenizer/beside.ts";
import { tokenizerFromCheckpoint } from "../tokenizer/gguf.ts";
import type { TokenizerBeside } from "../tokenizer/beside.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { folderOf, openPathFor, readBeside } from "./files.ts";

/**
 * What a model folder holds.
 * @category Files
 */
export interface LoadedFolder {
  readonly model: Transformer;
  /**
   * `undefined` where the folder has none. One that does not fit the model or cannot be read throws `tokenizerFault`
   * when it is asked for text or ids.
   */
  readonly tokenizer: Tokenizer | undefined;
  /** Why the tokenizer cannot be used; `undefined` where nothing is wrong. */
  readonly tokenizerFault: CircuitsError | undefined;
  /** The model's configuration, defaults filled in. */
  readonly config: ModelConfig;
}

/**
 * What is given in place of the files beside the weights.
 * @category Files
 */
export interface GivenFiles {
  /** The configuration, in place of `config.json`: parsed, as JSON text or as bytes. */
  readonly config?: unknown;
  /**
   * The tokenizer, in place of those of the folder: one that is loaded, or the content of a `tokenizer.json`, parsed,
   * as text or as bytes. `null` for none.
   */
  readonly tokenizer?: unknown;
}

/**
 * How {@link loadFolder} reads.
 * @category Files
 */
export interface LoadFolderOptions extends LayoutOptions, GivenFiles {
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the number of bytes read and of bytes of the whole model. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Loads a model from a folder, or from a single file of weights, in any format that `openCheckpoint` and any layout
 * that `transformerFromTensors` reads: safetensors in one file or several, GGUF, `*_final.pth` and other PyTorch files,
 * `.npz`. `config.json` and the tokenizer are those beside the weights, where they are, unless given: `tokenizer.json`,
 * or GPT-2's `vocab.json` and `merges.txt`; `tokenizer_config.json` names the beginning-of-sequence token. A GGUF file
 * has both in its header.
 *
 * @param path - the folder, or a file or index in it, as a path or a `file:` URL. In a folder with several files of
 * weights, name one.
 * @throws {@link InputError} when the path is not there or holds no weights or several; {@link FormatError} and
 * {@link ConfigError} for whatever `openCheckpoint` and `transformerFromCheckpoint` refuse, and `loadTokenizer` of a
 * tokenizer that is given. What is wrong with a tokenizer of the folder is thrown when it is asked for something.
 * @category Files
 * @example
 * ```ts no-run
 * import { loadFolder } from "transformer-circuits/node";
 *
 * const { model, tokenizer } = await loadFolder("models/attn-only-2l");
 * console.log(model.config.n_layers, tokenizer?.encode("Hello"));
 * const arena = await loadFolder("downloads/attn_only_2L_half.pth");
 * console.log(arena.config.positional_embedding_type);
 * ```
 */
export async function loadFolder(path: string | URL, options: LoadFolderOptions = {}): Promise<LoadedFolder> {
  requireOptions(options, "loadFolder", "config tokenizer prefix ignore act_fn signal onProgress");
  return loadAt("loadFolder", typeof path === "string" ? path : fileURLToPath(path), options);
}

/** {@link loadFolder} on behalf of another operation, of given weights in a folder. */
export async function loadAt(
  operation: string,
  path: string,
  options: LoadFolderOptions & { readonly weights?: string },
): Promise<LoadedFolder> {
  requireOptions(options, operation);
  const { signal } = options;
  const checkpoint = await openPathFor(operation, path, options);
  try {
    const folder = await folderOf(path);
    const beside = (file: string): Promise<Uint8Array | undefined> => readBeside(operation, folder, file, signal);
    const json = checkpoint.config === undefined ? await beside("config.json") : undefined;
    const source = { operation, name: join(folder, "config.json") };
    const config = checkpoint.config ?? (json === undefined ? undefined : parsePlainJson(json, source));
    const found = await readTokenizerBeside(options.tokenizer, beside, () => tokenizerFromCheckpoint(checkpoint));
    const where = options.tokenizer === undefined ? folder : "the options";
    const fit = (d_vocab: number): TokenizerBeside => fitted(found, d_vocab, operation, where);
    const bos = (d_vocab: number): number | undefined => fit(d_vocab).tokenizer?.bos;
    const model = await transformerOf(operation, checkpoint, { ...options, config, bos });
    return { model, ...fit(model.config.d_vocab), config: model.config };
  } finally {
    await checkpoint.close();
  }
}
