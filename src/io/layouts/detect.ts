/** Which library wrote a checkpoint, told from the names and shapes of its tensors, and the model that it makes. */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { Transformer } from "../../model/index.ts";
import { NAMED_TENSORS, bosOf, requireChoice } from "../../model/internal.ts";
import { toJson } from "../bytes/bytes.ts";
import { some } from "../checkpoint/files.ts";
import { fault } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { Checkpoint, takeFrom } from "./checkpoint.ts";
import type { ListedTensors, NamedTensors, Taking } from "./checkpoint.ts";
import { convertGguf } from "./gguf.ts";
import { convertGptNeo } from "./gpt-neo.ts";
import { convertGptNeoX } from "./gpt-neox.ts";
import { convertGpt2 } from "./gpt2.ts";
import type { Converted } from "./gpt2.ts";
import { convertLlama } from "./llama.ts";
import { convertNanda, isNanda } from "./nanda.ts";
import { bareNames, below, findSign } from "./names.ts";
import type { BareNames, Known, LayoutOptions, Sign } from "./names.ts";
import { convertMinGpt, convertNanoGpt } from "./nanogpt.ts";
import { convertOldSolu, convertTransformerLens, convertTransformerLens4, isOldSolu } from "./transformer-lens.ts";

/**
 * How a checkpoint names and stores its weights.
 * @category Files
 */
export type CheckpointLayout =
  | "transformer-lens"
  | "transformer-lens-4"
  | "solu-old"
  | "huggingface-gpt2"
  | "huggingface-gpt-neo"
  | "huggingface-gpt-neox"
  | "huggingface-llama"
  | "gguf"
  | "nanogpt"
  | "mingpt"
  | "nanda-2022";

/**
 * The tensors of a checkpoint with its configuration.
 * @category Files
 */
export interface TransformerTensors extends LayoutOptions {
  /** By name; what is not asked for is not read. */
  readonly tensors: NamedTensors;
  /** The content of `config.json`, or nanoGPT's `model_args`: parsed, as text or as bytes. */
  readonly config?: unknown;
  /** What error texts call the tensors; `the weights` unless given. */
  readonly name?: string;
  /** The layout, for who knows it; names and shapes tell it unless given. */
  readonly layout?: CheckpointLayout | undefined;
}

type Converter = (checkpoint: Checkpoint, config: unknown, options: Known) => Taking<Converted>;

const CONVERTERS: Readonly<Record<CheckpointLayout, Converter>> = {
  "transformer-lens": convertTransformerLens,
  "transformer-lens-4": convertTransformerLens4,
  "solu-old": convertOldSolu,
  "huggingface-gpt2": convertGpt2,
  "huggingface-gpt-neo": convertGptNeo,
  "huggingface-gpt-neox": convertGptNeoX,
  "huggingface-llama": convertLlama,
  gguf: convertGguf,
  nanogpt: convertNanoGpt,
  mingpt: convertMinGpt,
  "nanda-2022": convertNanda,
};

const LAYOUTS = Object.keys(CONVERTERS) as CheckpointLayout[];

/** The token embedding under each layout's name, which every checkpoint has. */
const ANCHORS: readonly Sign<CheckpointLayout>[] = [
  ["embed.W_E", "transformer-lens"],
  ["transformer.wte.weight", "huggingface-gpt2"],
  ["gpt_neox.embed_in.weight", "huggingface-gpt-neox"],
  ["model.embed_tokens.weight", "huggingface-llama"],
  ["wte.weight", "huggingface-gpt2"],
  ["embed_in.weight", "huggingface-gpt-neox"],
  ["embed_tokens.weight", "huggingface-llama"],
  ["tok_emb.weight", "mingpt"],
  ["embed.weight", "transformer-lens-4"],
  ["token_embd.weight", "gguf"],
];

/** Other names by which a checkpoint without its embedding is known, so that the error says what is missing. */
const SIGNS: readonly Sign<CheckpointLayout>[] = [
  ["blocks.0.attn.W_Q", "transformer-lens"],
  ["unembed.W_U", "transformer-lens"],
  ["transformer.h.0.attn.c_attn.weight", "huggingface-gpt2"],
  ["h.0.attn.c_attn.weight", "huggingface-gpt2"],
  ["gpt_neox.layers.0.attention.query_key_value.weight", "huggingface-gpt-neox"],
  ["layers.0.attention.query_key_value.weight", "huggingface-gpt-neox"],
  ["model.layers.0.self_attn.q_proj.weight", "huggingface-llama"],
  ["layers.0.self_attn.q_proj.weight", "huggingface-llama"],
  ["transformer.h.0.attn.attention.q_proj.weight", "huggingface-gpt2"],
  ["h.0.attn.attention.q_proj.weight", "huggingface-gpt2"],
  ["blocks.0.attn.query.weight", "mingpt"],
  ["blocks.0.attn.q.weight", "transformer-lens-4"],
  ["transformer.ln_f.weight", "huggingface-gpt2"],
  ["gpt_neox.final_layer_norm.weight", "huggingface-gpt-neox"],
  ["final_layer_norm.weight", "huggingface-gpt-neox"],
  ["unembed.weight", "transformer-lens-4"],
  ["blk.0.attn_norm.weight", "gguf"],
];

/** Queries, keys and values of GPT-Neo, whose other names are GPT-2's. */
const APART = /(^|\.)h\.\d+\.attn\.attention\.[qkv]_proj\.weight$/;

/** What a checkpoint is, and where its tensors are. */
export interface Detected {
  readonly layout: CheckpointLayout;
  /** The names that the layout has, with the files' own. */
  readonly names: BareNames;
}

/** What tensors in memory say of themselves. */
function listed(tensors: NamedTensors, operation: string): ListedTensors {
  requireKind(NAMED_TENSORS, tensors, "tensors", operation);
  return { keys: () => tensors.keys(), shapeOf: (name) => tensors.get(name)?.shape };
}

/** Where the tensors of a layout are: nothing but what stands before its names is told by them. */
function namesOfLayout(
  tensors: ListedTensors,
  layout: CheckpointLayout,
  source: Source,
  options: LayoutOptions,
): Detected {
  const names = bareNames(tensors.keys(), options, source);
  const kin =
    layout === "solu-old" || layout === "nanda-2022"
      ? "transformer-lens"
      : layout === "nanogpt" || layout === "huggingface-gpt-neo"
        ? "huggingface-gpt2"
        : layout;
  const signs = [...ANCHORS, ...SIGNS].filter(([, its]) => its === kin);
  return { layout, names: below(names, findSign(names, signs, source)?.prefix ?? "") };
}

/** Tells the layout by names, shapes and configuration. */
export function detect(tensors: ListedTensors, config: unknown, source: Source, options: LayoutOptions): Detected {
  const all = bareNames(tensors.keys(), options, source);
  const found = findSign(all, [...ANCHORS, ...SIGNS], source);
  if (found === undefined) {
    throw fault(
      source,
      `no token embedding was found under a known name (${ANCHORS.map(([anchor]) => anchor).join(", ")}); the tensors are ${some([...tensors.keys()], 4) || "none"}. Read are checkpoints of TransformerLens, Hugging Face's GPT-2, GPT-Neo, GPT-NeoX and llama family, nanoGPT and minGPT.`,
    );
  }
  const names = below(all, found.prefix);
  const shapeOf = (name: string): readonly number[] | undefined => tensors.shapeOf(names.get(name)?.[0] ?? name);
  const { layout } = found;
  if (layout === "transformer-lens" && isNanda({ keys: () => names.keys(), shapeOf })) {
    return { layout: "nanda-2022", names };
  }
  if (layout === "transformer-lens" && isOldSolu({ keys: () => names.keys(), shapeOf }, config)) {
    return { layout: "solu-old", names };
  }
  if (layout !== "huggingface-gpt2") return { layout, names };
  for (const name of names.keys()) {
    if (APART.test(name)) return { layout: "huggingface-gpt-neo", names };
  }
  // [d_model, 3 d_model] in a Conv1D, the other way round in a Linear.
  const joint = [...names.keys()].find((name) => name.endsWith("h.0.attn.c_attn.weight"));
  const [rows = 0, cols = 0] = joint === undefined ? [] : (shapeOf(joint) ?? []);
  return { layout: rows > cols ? "nanogpt" : layout, names };
}

/**
 * Which library wrote a checkpoint, from the names and shapes of its tensors.
 *
 * @throws {@link FormatError} when no layout that is read has such names.
 * @category Files
 * @example
 * ```ts
 * import { checkpointLayout } from "transformer-circuits/io";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(checkpointLayout({ tensors: model.weights, config: model.config }));
 * // transformer-lens
 * ```
 */
export function checkpointLayout(given: TransformerTensors): CheckpointLayout {
  requireObject(given, "given", "checkpointLayout");
  const { tensors, config, name } = given;
  const source = { operation: "checkpointLayout", name: name ?? "the weights" };
  const json = toJson(config, source.operation, "config.json");
  return detect(listed(tensors, source.operation), json, source, given).layout;
}

/**
 * Makes a model of named tensors and a configuration, whichever of these libraries wrote them: TransformerLens (3.x
 * state dicts, its oldest SoLU models, 4.x's native model), Hugging Face's GPT-2, GPT-Neo, GPT-NeoX or Pythia, llama,
 * Mistral and Qwen2, GGUF files of these, nanoGPT, minGPT. Names and shapes say which, or `layout` does; the
 * configuration is that library's own `config.json` (nanoGPT's `model_args`).
 *
 * Masks and rotation frequencies among the weights are not read, nor is a value head beside the model; what wrappers
 * put into names (`_orig_mod.`, `module.`, `_fsdp_wrapped_module.`) is taken out. What was taken for granted is in the
 * model's `notes`. Missing biases are zero where the layout allows none; tied embeddings are used twice. A `d_vocab`
 * padded beyond the tokenizer's stays padded. ARENA's `attn_only_2L_half.pth` needs no configuration.
 *
 * @throws {@link FormatError} when the names belong to no layout; {@link ConfigError} when the configuration cannot be
 * used, or when a tensor is missing, left over, or of another shape than it says, naming the tensor; {@link InputError}
 * when a weight is not finite.
 * @category Files
 * @example
 * ```ts
 * import { Tensor, transformerFromTensors } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 *
 * // Hugging Face's GPT-2, as small as it can be.
 * const shapes = {
 *   "wte.weight": [5, 4], "wpe.weight": [8, 4], "ln_f.weight": [4], "ln_f.bias": [4],
 *   "h.0.ln_1.weight": [4], "h.0.ln_1.bias": [4], "h.0.ln_2.weight": [4], "h.0.ln_2.bias": [4],
 *   "h.0.attn.c_attn.weight": [4, 12], "h.0.attn.c_attn.bias": [12],
 *   "h.0.attn.c_proj.weight": [4, 4], "h.0.attn.c_proj.bias": [4],
 *   "h.0.mlp.c_fc.weight": [4, 16], "h.0.mlp.c_fc.bias": [16],
 *   "h.0.mlp.c_proj.weight": [16, 4], "h.0.mlp.c_proj.bias": [4],
 * };
 * const tensors = new Map<string, Tensor>();
 * for (const [name, shape] of Object.entries(shapes)) {
 *   tensors.set(name, randomNormal(shape.length === 1 ? "a" : "a b", shape, { seed: 1 }));
 * }
 * const config = { model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 4, n_positions: 8, vocab_size: 5 };
 * const model = transformerFromTensors({ tensors, config });
 * console.log(model.config.act_fn, String(model.weight("blocks.0.attn.W_Q")));
 * // gelu_new Tensor[head=2 d_model=4 d_head=2] float32
 * ```
 */
export function transformerFromTensors(given: TransformerTensors): Transformer {
  requireObject(given, "given", "transformerFromTensors");
  return convert(given, { operation: "transformerFromTensors", name: given.name ?? "the weights" });
}

/** {@link transformerFromTensors} on behalf of another operation. */
export function convert(given: TransformerTensors, source: Source): Transformer {
  const { tensors, config, layout } = given;
  if (layout !== undefined) requireChoice(layout, LAYOUTS, "layout", source.operation);
  const json = toJson(config, source.operation, "config.json");
  const found = listed(tensors, source.operation);
  const detected =
    layout === undefined ? detect(found, json, source, given) : namesOfLayout(found, layout, source, given);
  return takeFrom(tensors, building(detected, json, source, given));
}

/** Makes the model of a checkpoint of a known layout, tensor by tensor as they are handed over. */
export function* building(
  { layout, names }: Detected,
  config: unknown,
  source: Source,
  options: Known,
): Taking<Transformer> {
  const json = toJson(config, source.operation, "config.json");
  const checkpoint = new Checkpoint(names, source);
  if (options.act_fn !== undefined && layout !== "nanogpt" && layout !== "mingpt") {
    throw new InputError(
      `the option act_fn is for checkpoints of nanoGPT and minGPT, which do not say it; this one is of layout ${layout}. Say it in the configuration.`,
      { operation: source.operation, argument: "act_fn", expected: undefined, actual: options.act_fn },
    );
  }
  const converted = yield* CONVERTERS[layout](checkpoint, json, options);
  const { d_vocab } = converted.config;
  const bos = {
    ...bosOf({ bos_token_id: options.bos?.(d_vocab) }, d_vocab),
    ...bosOf((json ?? {}) as { bos_token_id?: unknown }, d_vocab),
  };
  const withBos = Object.freeze({ ...converted.config, ...bos });
  return Transformer.fromWeights(withBos, converted.weights, { notes: checkpoint.notes });
}
