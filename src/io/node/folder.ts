/** Models on disk: a folder or a file of any format, with the configuration and the tokenizer beside it. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../../errors.ts";
import type { ModelConfig, Transformer } from "../../model/index.ts";
import { transformerOf } from "../checkpoint/from-checkpoint.ts";
import type { LayoutOptions } from "../layouts/index.ts";
import { parsePlainJson } from "../json/plain-json.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { folderOf, openPathFor, readBeside } from "./files.ts";

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
export interface LoadFolderOptions extends LayoutOptions {
  /** Stops the reading; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the number of bytes read and of bytes of the whole model. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Loads a model from a folder, or from a single file of weights, in any format that `openCheckpoint` and any layout that
 * `transformerFromTensors` reads: safetensors in one file or several, `*_final.pth` and other PyTorch files, `.npz`. `config.json`,
 * `tokenizer.json` and `tokenizer_config.json` (for the beginning-of-sequence token) are those beside the weights, where they are.
 *
 * @param path - the folder, or a file or index in it, as a path or a `file:` URL. In a folder with several files of weights, name one.
 * @throws {@link InputError} when the path is not there or holds no weights or several; {@link FormatError} and {@link ConfigError} for
 * whatever `openCheckpoint`, `transformerFromCheckpoint` and `loadTokenizer` refuse, and when the tokenizer has more tokens than the model.
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
  return loadAt("loadFolder", typeof path === "string" ? path : fileURLToPath(path), options);
}

/** {@link loadFolder} on behalf of another operation, of given weights in a folder. */
export async function loadAt(
  operation: string,
  path: string,
  options: LoadFolderOptions & { readonly weights?: string },
): Promise<LoadedFolder> {
  const { signal } = options;
  const checkpoint = await openPathFor(operation, path, options);
  try {
    const folder = await folderOf(path);
    const beside = (file: string): Promise<Uint8Array | undefined> => readBeside(operation, folder, file, signal);
    const json = checkpoint.config === undefined ? await beside("config.json") : undefined;
    const source = { operation, name: join(folder, "config.json") };
    const given = checkpoint.config ?? (json === undefined ? undefined : parsePlainJson(json, source));
    const tokenizerJson = await beside("tokenizer.json");
    const tokenizerConfig = tokenizerJson === undefined ? undefined : await beside("tokenizer_config.json");
    const tokenizer =
      tokenizerJson === undefined
        ? undefined
        : loadTokenizer(tokenizerJson, tokenizerConfig === undefined ? {} : { config: tokenizerConfig });
    const model = await transformerOf(operation, checkpoint, { ...options, config: given, bos: tokenizer?.bos });
    const { config } = model;
    if (tokenizer !== undefined && tokenizer.vocabSize > config.d_vocab) {
      throw new ConfigError(
        `the tokenizer in ${folder} has ${tokenizer.vocabSize} tokens but the model's d_vocab is ${config.d_vocab}. One of the two belongs to another model.`,
        { operation, argument: "tokenizer.json", expected: config.d_vocab, actual: tokenizer.vocabSize },
      );
    }
    return { model, tokenizer, config };
  } finally {
    await checkpoint.close();
  }
}
