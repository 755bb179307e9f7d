/**
 * The configuration of a transformer, attention-only or with MLPs, under TransformerLens's names.
 *
 * What the library cannot compute exactly as TransformerLens does is refused, by name, rather than ignored:
 * `config-table.ts` is the table.
 */
import { ConfigError, isPromise } from "../errors.ts";
import { ACTIVATIONS } from "./activation.ts";
import { requireAgreement, requireKnownFields, wrongField } from "./config-fields.ts";
import type { Fields } from "./config-table.ts";
import type { ModelConfig, NormalizationType } from "./model-config.ts";

const OPERATION = "parseConfig";

/**
 * Reads a configuration in TransformerLens's form, with TransformerLens's defaults for what it leaves out;
 * `normalization` and `shortformer_pos` of TransformerLens's own repositories are understood.
 *
 * @param json - the parsed content of `config.json`, or any object with its fields. Fields of training, of tokenizers
 * and unknown ones are passed over.
 * @throws {@link ConfigError} when a field is missing, impossible, misspelt, another library's, or asks for what is not
 * supported, naming the field.
 * @category Model
 * @example
 * ```ts
 * import { parseConfig } from "transformer-circuits";
 *
 * const config = parseConfig({
 *   n_layers: 2, n_heads: 12, d_model: 768, d_head: 64, n_ctx: 2048, d_vocab: 50278,
 *   attn_only: true, positional_embedding_type: "shortformer", normalization_type: null,
 * });
 * console.log(config.attn_scale, config.d_vocab_out);
 * // 8 50278
 * ```
 */
export function parseConfig(json: unknown): ModelConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json) || isPromise(json)) {
    const mend = isPromise(json) ? " Write await before the call that gave it." : "";
    throw new ConfigError(`the configuration is not an object of fields such as n_layers and d_model.${mend}`, {
      operation: OPERATION,
      argument: "json",
      expected: "object",
      actual: json,
    });
  }
  requireKnownFields(json as Fields, "transformer-lens", OPERATION);
  const fields = withHubNames(json as Fields);
  const d_model = size(fields, "d_model", undefined);
  const widths = headWidths(fields, d_model);
  const d_vocab = size(fields, "d_vocab", undefined);
  const positional_embedding_type = oneOf(
    {
      ...fields,
      positional_embedding_type:
        fields["positional_embedding_type"] === null ? "none" : fields["positional_embedding_type"],
    },
    "positional_embedding_type",
    ["standard", "shortformer", "rotary", "none"] as const,
    "standard",
  );
  const use_attn_scale = flag(fields, "use_attn_scale", true);
  const attn_only = flag(fields, "attn_only", false);
  const n_layers = size(fields, "n_layers", undefined, 0);
  const attention_dir = oneOf(fields, "attention_dir", ["causal", "bidirectional"] as const, "causal");
  const config: ModelConfig = {
    attn_only,
    ...(attn_only ? {} : mlp(fields, d_model)),
    n_layers,
    d_model,
    ...widths,
    n_ctx: size(fields, "n_ctx", undefined),
    d_vocab,
    d_vocab_out: fields["d_vocab_out"] === -1 ? d_vocab : size(fields, "d_vocab_out", d_vocab),
    positional_embedding_type,
    normalization_type: normalization(fields),
    eps: number(fields, "eps", 1e-5, (v) => v >= 0),
    final_rms: flag(fields, "final_rms", false),
    attention_dir,
    ...windows(fields, n_layers, attention_dir),
    attn_scale: use_attn_scale ? attnScale(fields, widths.d_head) : 1,
    use_attn_scale,
    scale_attn_by_inverse_layer_idx: flag(fields, "scale_attn_by_inverse_layer_idx", false),
    rotary_dim: positional_embedding_type === "rotary" ? rotaryDim(fields, widths.d_head) : null,
    rotary_base: number(fields, "rotary_base", 10000, (v) => v > 0),
    rotary_adjacent_pairs: flag(fields, "rotary_adjacent_pairs", false),
    ...bosOf(fields, d_vocab),
  };
  requireAgreement(json as Fields, "transformer-lens", config, OPERATION);
  return Object.freeze(config);
}

/** The two fields that the `config.json` of TransformerLens's own repositories names otherwise. */
function withHubNames(fields: Fields): Fields {
  const { normalization, shortformer_pos } = fields;
  const norm = normalization === undefined ? {} : { normalization_type: normalization };
  if (shortformer_pos === undefined) return { ...norm, ...fields };
  const isShortformer = flag(fields, "shortformer_pos", false);
  const positional_embedding_type = isShortformer ? "shortformer" : "standard";
  const given = fields["positional_embedding_type"];
  if (given !== undefined && (given === "shortformer") !== isShortformer) {
    throw wrong("shortformer_pos", isShortformer, undefined, `positional_embedding_type is ${JSON.stringify(given)}.`);
  }
  return { ...norm, positional_embedding_type, ...fields };
}

function mlp(
  fields: Fields,
  d_model: number,
): Pick<ModelConfig, "d_mlp" | "act_fn" | "parallel_attn_mlp" | "gated_mlp"> {
  if (fields["act_fn"] === undefined || fields["act_fn"] === null) {
    throw wrong(
      "act_fn",
      fields["act_fn"],
      `one of ${ACTIVATIONS.join(", ")}`,
      "MLPs need it. A model without them says so with attn_only.",
    );
  }
  const activation = oneOf(fields, "act_fn", ACTIVATIONS, "gelu");
  const isGated = flag(fields, "gated_mlp", false);
  if (isGated && activation === "solu_ln") {
    throw wrong("gated_mlp", true, false, "an MLP whose neurons are normalised has no gate.");
  }
  return {
    d_mlp: size(fields, "d_mlp", 4 * d_model),
    act_fn: activation,
    parallel_attn_mlp: flag(fields, "parallel_attn_mlp", false),
    ...(isGated ? { gated_mlp: true } : {}),
  };
}

type Windows = Pick<ModelConfig, "use_local_attn" | "window_size" | "attn_types">;

/** Which layers see a window of positions; nothing where none does. */
function windows(fields: Fields, n_layers: number, attention_dir: ModelConfig["attention_dir"]): Windows {
  if (!flag(fields, "use_local_attn", false)) return {};
  const given: unknown = fields["attn_types"];
  const isType = (type: unknown): type is "global" | "local" => type === "global" || type === "local";
  if (!Array.isArray(given) || given.length !== n_layers || !given.every(isType)) {
    const why = "use_local_attn asks which layers see a window of positions.";
    throw wrong("attn_types", given, `"global" or "local" for each of ${n_layers} layers`, why);
  }
  if (!given.includes("local")) return {};
  if (attention_dir !== "causal") {
    throw wrong("use_local_attn", true, false, "windows are of positions before a query; this model looks both ways.");
  }
  const types: readonly ("global" | "local")[] = given;
  return { use_local_attn: true, window_size: size(fields, "window_size", undefined), attn_types: [...types] };
}

function headWidths(fields: Fields, d_model: number): Pick<ModelConfig, "n_heads" | "n_key_value_heads" | "d_head"> {
  const given = fields["n_heads"];
  const hasHeads = given !== undefined && given !== null && given !== -1;
  const share = hasHeads && typeof given === "number" ? d_model / given : undefined;
  if (share !== undefined && !Number.isInteger(share) && (fields["d_head"] ?? undefined) === undefined) {
    const why = `d_model=${d_model} is no multiple of n_heads=${String(given)}, so that it does not follow from them.`;
    throw wrong("d_head", undefined, "the width of a head, or other numbers there", why);
  }
  const d_head = size(fields, "d_head", share);
  const n_heads = hasHeads ? size(fields, "n_heads", undefined) : Math.floor(d_model / d_head);
  if (n_heads < 1) throw wrong("n_heads", given, "at least 1", `d_model=${d_model} holds no head of d_head=${d_head}.`);
  const groups = size(fields, "n_key_value_heads", n_heads);
  if (n_heads % groups !== 0) {
    const why = "as many heads share each key and value, so that it divides n_heads.";
    throw wrong("n_key_value_heads", groups, `a divisor of ${n_heads}`, why);
  }
  return { n_heads, ...(groups === n_heads ? {} : { n_key_value_heads: groups }), d_head };
}

/**
 * The token that begins sequences; another library's default may lie outside the vocabulary, and then there is none.
 */
export function bosOf(fields: Fields, d_vocab: number): Pick<ModelConfig, "bos_token_id"> {
  const id = fields["bos_token_id"];
  return typeof id === "number" && Number.isInteger(id) && id >= 0 && id < d_vocab ? { bos_token_id: id } : {};
}

function attnScale(fields: Fields, d_head: number): number {
  if (fields["attn_scale"] === -1) return Math.sqrt(d_head);
  return number(fields, "attn_scale", Math.sqrt(d_head), (v) => v > 0);
}

function rotaryDim(fields: Fields, d_head: number): number {
  const dim = size(fields, "rotary_dim", d_head);
  if (dim % 2 !== 0 || dim > d_head) {
    throw wrong(
      "rotary_dim",
      dim,
      `an even number up to d_head=${d_head}`,
      "coordinates are rotated in pairs within a head.",
    );
  }
  return dim;
}

function normalization(fields: Fields): NormalizationType {
  const value = fields["normalization_type"];
  if (value === null || value === "none") return null;
  return oneOf(fields, "normalization_type", ["LN", "LNPre", "RMS", "RMSPre"] as const, "LN");
}

function wrong(field: string, actual: unknown, expected: unknown, why: string): ConfigError {
  return wrongField(field, actual, expected, why, OPERATION);
}

const SIZES = ["n_layers", "n_heads", "d_model", "d_head", "d_vocab", "d_vocab_out", "n_ctx"] as const;
const MOST_LAYERS = 100_000;

/** Refuses a configuration made by hand whose sizes are none: lists of its weights and hooks might have no end. */
export function requireSizes(config: ModelConfig, operation: string): void {
  const ofSome = (["n_key_value_heads", "window_size"] as const).filter((field) => config[field] !== undefined);
  for (const field of [...SIZES, ...ofSome]) {
    const value: unknown = config[field];
    const isSize = Number.isSafeInteger(value) && (value as number) >= 0;
    if (isSize && (field !== "n_layers" || (value as number) <= MOST_LAYERS)) {
      if (field !== "n_key_value_heads" || config.n_heads % (value as number) === 0) continue;
    }
    const expected = `a whole number from 0${field === "n_layers" ? ` to ${MOST_LAYERS}` : ""}${field === "n_key_value_heads" ? ` that divides n_heads=${config.n_heads}` : ""}`;
    throw new ConfigError(
      `${field} is ${String(value)}; it is a size, ${expected}. Make configurations with parseConfig.`,
      {
        operation,
        argument: field,
        expected,
        actual: value,
      },
    );
  }
}

function size(fields: Fields, field: string, fallback: number | undefined, least = 1): number {
  const value = fields[field] ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
    throw wrong(field, value, `an integer of at least ${least}`, "it is a size.");
  }
  return value;
}

function number(fields: Fields, field: string, fallback: number, isValid: (value: number) => boolean): number {
  const value = fields[field] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || !isValid(value)) {
    throw wrong(field, value, "a number in range", "it cannot be used.");
  }
  return value;
}

function flag(fields: Fields, field: string, fallback: boolean): boolean {
  const value = fields[field] ?? fallback;
  if (typeof value !== "boolean") throw wrong(field, value, "true or false", "it is a switch.");
  return value;
}

function oneOf<const T extends string>(fields: Fields, field: string, choices: readonly T[], fallback: T): T {
  const value = fields[field] ?? fallback;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw wrong(field, value, choices.join(", "), "it is none of the kinds supported.");
  return found;
}
