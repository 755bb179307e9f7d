/** A configuration and a file of weights to a model. */
import { requireObject } from "../errors.ts";
import type { Transformer } from "../model/index.ts";
import { toBytes, toJson } from "./bytes/bytes.ts";
import type { Bytes } from "./bytes/bytes.ts";
import { fault } from "./bytes/fault.ts";
import type { Source } from "./bytes/fault.ts";
import { kindOf } from "./bytes/file-kind.ts";
import { convert, namesOfParts } from "./layouts/index.ts";
import type { LayoutOptions, NamedTensors } from "./layouts/index.ts";
import { openSafetensors } from "./safetensors/safetensors.ts";

/**
 * What {@link loadTransformer} reads.
 * @category Files
 */
export interface TransformerFiles extends LayoutOptions {
  /** The configuration: the parsed object, its JSON text or the bytes of `config.json`. */
  readonly config: unknown;
  /** The bytes of a safetensors file. */
  readonly weights: Bytes;
  /** What error texts call the weights' file; `the weights` unless given. */
  readonly name?: string;
}

/**
 * Makes a model of a configuration and a safetensors file in any floating-point type, whichever of the libraries that
 * {@link transformerFromTensors} names wrote them; it computes in float32.
 *
 * With TransformerLens 3.x's names (`embed.W_E`, `blocks.0.attn.W_Q`, …), the causal mask buffers (`attn.mask`,
 * `attn.IGNORE`) are not read, rotary tables (`attn.rotary_sin`, `attn.rotary_cos`) are compared with the configuration
 * and dropped, and a missing `unembed.b_U` is zero, as in TransformerLens; every other weight that the configuration
 * calls for must be there. Aligned float32 data are not copied, so do not write to the bytes afterwards.
 *
 * Files of other formats go through {@link openCheckpoint} and {@link transformerFromCheckpoint}.
 *
 * @throws {@link FormatError} when the bytes are not a sound safetensors file, the configuration is not JSON or the
 * names are those of no layout that is read; {@link ConfigError} when the configuration cannot be used or contradicts
 * the weights, naming the tensor; {@link InputError} when a weight is not finite.
 * @category Files
 * @example
 * ```ts
 * import { loadTransformer, writeSafetensors } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const weights = writeSafetensors(model.weights);
 * const again = loadTransformer({ config: model.config, weights });
 * console.log(again.config.n_layers, again.config.n_heads, again.config.d_vocab);
 * // 2 8 1024
 * ```
 */
export function loadTransformer(files: TransformerFiles): Transformer {
  requireObject(files, "files", "loadTransformer");
  const source = { operation: "loadTransformer", name: files.name ?? "the weights" };
  return readTransformer(files, source);
}

/** {@link loadTransformer} on behalf of another operation. */
export function readTransformer(files: TransformerFiles, source: Source): Transformer {
  const { config, weights: bytes } = files;
  const json = toJson(config, source.operation, "config.json");
  const kind = kindOf(toBytes(bytes, source.operation, source.name));
  if (kind !== undefined && kind !== "safetensors") {
    const what =
      kind === "npy"
        ? "a NumPy file"
        : kind === "gguf"
          ? "a GGUF file"
          : kind === "zip"
            ? "a ZIP archive, as PyTorch and NumPy write them"
            : "a PyTorch file";
    throw fault(
      source,
      `it is ${what}, not safetensors. Read it with openCheckpoint() and transformerFromCheckpoint(), or make safetensors of it: npx transformer-circuits convert.`,
    );
  }
  const file = openSafetensors(bytes, source);
  const tensors: NamedTensors = {
    keys: () => namesOfParts(file.tensors.keys(), file),
    has: (name) => file.tensors.has(name) || file.unread.has(name),
    get: (name) => (file.tensors.has(name) || file.unread.has(name) ? file.read(name) : undefined),
  };
  return convert({ ...files, tensors, config: json }, source);
}
