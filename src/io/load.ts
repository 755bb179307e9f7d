/** A configuration and a file of weights to a model. */
import { ConfigError } from "../errors.ts";
import { expectedWeights, parseConfig, Transformer } from "../model/index.ts";
import type { ModelConfig } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { toJson } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { openSafetensors } from "./safetensors.ts";
import type { SafetensorsFile } from "./safetensors.ts";
import { fault } from "./safetensors-header.ts";
import type { Source } from "./safetensors-header.ts";

/**
 * What {@link loadTransformer} reads.
 * @category Files
 */
export interface TransformerFiles {
  /** TransformerLens's configuration: the parsed object, its JSON text or the bytes of `config.json`. */
  readonly config: unknown;
  /** The bytes of a safetensors file with TransformerLens 3.x's names. */
  readonly weights: Bytes;
  /** What error texts call the weights' file; `the weights` unless given. */
  readonly name?: string;
}

/** What TransformerLens keeps among its weights though it follows from the configuration. */
const MASK_BUFFER = /^blocks\.[0-9]+\.attn\.(mask|IGNORE)$/;
const ROTARY_TABLE = /^blocks\.[0-9]+\.attn\.rotary_(sin|cos)$/;
/** What rounding to a 16-bit element type moves a sine or cosine by, at most. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["F16", 2 ** -11],
  ["BF16", 2 ** -8],
]);

/** How the first tensors of other libraries' checkpoints are called. */
const OTHER_LAYOUTS: readonly (readonly [RegExp, string])[] = [
  [/^(transformer\.)?(wte\.weight|h\.0\.)/, "Hugging Face GPT-2"],
  [/^gpt_neox\./, "Hugging Face GPT-NeoX"],
  [/^(embed\.weight|blocks\.0\.attn\.q\.weight)$/, "TransformerLens 4.x"],
];

/**
 * Makes a model of a TransformerLens configuration and a safetensors file whose tensors have TransformerLens 3.x's names
 * (`embed.W_E`, `blocks.0.attn.W_Q`, …), in any floating-point type; it computes in float32.
 *
 * The causal mask buffers (`attn.mask`, `attn.IGNORE`) are not read; rotary tables (`attn.rotary_sin`, `attn.rotary_cos`)
 * are compared with the configuration and dropped. A missing `unembed.b_U` is zero, as in TransformerLens; every other
 * weight that the configuration calls for must be there. Aligned float32 data are not copied, so do not write to the bytes
 * afterwards.
 *
 * @throws {@link FormatError} when the bytes are not a sound safetensors file, the configuration is not JSON or the names
 * are another library's; {@link ConfigError} when the configuration cannot be used or contradicts the weights, naming the
 * tensor; {@link InputError} when a weight is not finite.
 * @category Files
 * @example
 * ```ts
 * import { loadTransformer, writeSafetensors } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const weights = writeSafetensors(model.weights);
 * const again = loadTransformer({ config: { ...model.config, attn_only: true }, weights });
 * console.log(again.config.n_layers, again.config.n_heads, again.config.d_vocab);
 * // 2 8 1024
 * ```
 */
export function loadTransformer(files: TransformerFiles): Transformer {
  const source = { operation: "loadTransformer", name: files.name ?? "the weights" };
  return readTransformer(files, source);
}

/** {@link loadTransformer} on behalf of another operation. */
export function readTransformer({ config: json, weights: bytes }: TransformerFiles, source: Source): Transformer {
  const config = parseConfig(toJson(json, source.operation, "config.json"));
  const file = openSafetensors(bytes, source);
  refuseOtherLayouts(file, source);
  const weights = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) {
    if (MASK_BUFFER.test(name)) continue;
    if (ROTARY_TABLE.test(name)) checkRotaryTable(file, name, config, source);
    else weights.set(name, file.read(name));
  }
  const b_U = expectedWeights(config).get("unembed.b_U");
  if (b_U !== undefined && !weights.has("unembed.b_U")) weights.set("unembed.b_U", Tensor.zeros(b_U.axes, b_U.shape));
  return Transformer.fromWeights(config, weights);
}

function refuseOtherLayouts(file: SafetensorsFile, source: Source): void {
  if (file.tensors.has("embed.W_E")) return;
  for (const name of file.tensors.keys()) {
    const layout = OTHER_LAYOUTS.find(([pattern]) => pattern.test(name))?.[1];
    if (layout !== undefined) {
      throw fault(
        source,
        `this is ${layout}'s name for a weight, but TransformerLens 3.x's are read: embed.W_E, blocks.0.attn.W_Q, … Save the state_dict() of a HookedTransformer of TransformerLens 3.x as safetensors.`,
        name,
        "embed.W_E",
        name,
      );
    }
  }
}

/** A stored table that is not the configuration's own rotation would silently be another model. */
function checkRotaryTable(file: SafetensorsFile, name: string, config: ModelConfig, source: Source): void {
  const table = file.read(name);
  const dim = config.rotary_dim ?? 0;
  const half = dim / 2;
  const wrong = (message: string): ConfigError =>
    new ConfigError(
      `${source.name}, tensor "${name}": ${message}, rotary_dim=${dim}, rotary_base=${config.rotary_base}, rotary_adjacent_pairs=${config.rotary_adjacent_pairs}. Other rotations are not supported.`,
      { operation: source.operation, argument: name, expected: [config.n_ctx, dim], actual: table.shape },
    );
  if (config.rotary_dim === null || table.shape.join() !== `${config.n_ctx},${dim}`) {
    throw wrong(`a rotary table of shape [${table.shape.join(", ")}] does not belong to n_ctx=${config.n_ctx}`);
  }
  const of = name.endsWith("sin") ? Math.sin : Math.cos;
  const unit = UNITS.get(file.tensors.get(name)?.dtype ?? "F32") ?? 1e-6;
  for (let pos = 0; pos < config.n_ctx; pos++) {
    for (let i = 0; i < dim; i++) {
      const pair = config.rotary_adjacent_pairs ? Math.floor(i / 2) : i % half;
      const expected = of(pos * config.rotary_base ** (-pair / half));
      const actual = table.at(pos, i);
      // The angles, up to pos radians, were float32 too.
      if (!(Math.abs(actual - expected) <= unit + 1e-6 * pos)) {
        throw wrong(
          `the rotary table has ${actual} at [${pos}, ${i}], not the ${expected.toFixed(6)} of this configuration`,
        );
      }
    }
  }
}
