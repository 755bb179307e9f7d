/** Which weights a configuration calls for, under TransformerLens 3.x's names, and the check that they are there. */
import { ConfigError, InputError, requireObject, requireKind } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { rawData } from "../tensor/internal.ts";
import type { Tensor } from "../tensor/index.ts";
import { requireSizes } from "./config.ts";
import type { ModelConfig } from "./model-config.ts";
import { Norm } from "./norm.ts";
import type { NormKind } from "./norm.ts";

export const NAMED_TENSORS: Kind = {
  member: "get",
  what: "a Map of tensors by name",
  remedy: "Make one with new Map([[name, tensor]])",
};

/**
 * The weights of a model by their TransformerLens 3.x names.
 * @category Model
 */
export type Weights = ReadonlyMap<string, Tensor>;

/** @inline */
interface Expectation {
  readonly axes: string;
  readonly shape: readonly number[];
}

/** The kind of the norm before the unembedding; without other norms there is none either, as in TransformerLens 3.x. */
export function finalNormKind(config: ModelConfig): NormKind | null {
  if (!config.final_rms || config.normalization_type === null) return config.normalization_type;
  const hasWeights = config.normalization_type === "LN" || config.normalization_type === "RMS";
  return hasWeights ? "RMS" : "RMSPre";
}

/** The kind of the norm after SoLU, which is a LayerNorm whatever the others are. */
export function neuronNormKind(config: ModelConfig): NormKind | null {
  if (config.act_fn !== "solu_ln") return null;
  return config.normalization_type === "LN" ? "LN" : "LNPre";
}

function expectNorm(
  expected: Map<string, Expectation>,
  name: string,
  kind: NormKind | null,
  width: number,
  axes = "d_model",
): void {
  if (kind === "LN" || kind === "RMS") expected.set(`${name}.w`, { axes, shape: [width] });
  if (kind === "LN") expected.set(`${name}.b`, { axes, shape: [width] });
}

/**
 * What the weights of queries, keys and values are called: TransformerLens puts a line before the names of those that
 * several heads share.
 */
export function queryKeyValueNames({ n_key_value_heads }: Pick<ModelConfig, "n_key_value_heads">): {
  readonly [name in "W_K" | "W_V" | "b_K" | "b_V"]: name | `_${name}`;
} & { readonly [name in "W_Q" | "b_Q"]: name } {
  const own = { W_Q: "W_Q", b_Q: "b_Q" } as const;
  return n_key_value_heads === undefined
    ? { ...own, W_K: "W_K", W_V: "W_V", b_K: "b_K", b_V: "b_V" }
    : { ...own, W_K: "_W_K", W_V: "_W_V", b_K: "_b_K", b_V: "_b_V" };
}

function expectMlp(expected: Map<string, Expectation>, layer: number, config: ModelConfig): void {
  const { d_model, d_mlp } = config;
  if (d_mlp === undefined) return;
  const at = `blocks.${layer}` as const;
  expectNorm(expected, `${at}.ln2`, config.normalization_type, d_model);
  if (config.gated_mlp === true) expected.set(`${at}.mlp.W_gate`, { axes: "d_model d_mlp", shape: [d_model, d_mlp] });
  expected.set(`${at}.mlp.W_in`, { axes: "d_model d_mlp", shape: [d_model, d_mlp] });
  expected.set(`${at}.mlp.b_in`, { axes: "d_mlp", shape: [d_mlp] });
  expectNorm(expected, `${at}.mlp.ln`, neuronNormKind(config), d_mlp, "d_mlp");
  expected.set(`${at}.mlp.W_out`, { axes: "d_mlp d_model", shape: [d_mlp, d_model] });
  expected.set(`${at}.mlp.b_out`, { axes: "d_model", shape: [d_model] });
}

/**
 * The weights that a configuration calls for: name, axes and shape of each.
 *
 * @throws {@link ConfigError} when a size of the configuration is not a whole number, or it has more than 100,000
 * layers.
 * @category Model
 * @example
 * ```ts
 * import { expectedWeights, parseConfig } from "transformer-circuits";
 *
 * const config = parseConfig({
 *   n_layers: 0, n_heads: 1, d_model: 4, d_head: 4, n_ctx: 8, d_vocab: 10, attn_only: true,
 *   positional_embedding_type: "none", normalization_type: null,
 * });
 * console.log([...expectedWeights(config).keys()]);
 * // [ 'embed.W_E', 'unembed.W_U', 'unembed.b_U' ]
 * ```
 */
export function expectedWeights(config: ModelConfig): Map<string, Expectation> {
  requireObject(config, "config", "expectedWeights");
  requireSizes(config, "expectedWeights");
  const { d_model, d_head, n_heads, n_key_value_heads = n_heads, d_vocab, d_vocab_out, n_ctx } = config;
  const expected = new Map<string, Expectation>([
    ["embed.W_E", { axes: "d_vocab d_model", shape: [d_vocab, d_model] }],
  ]);
  if (config.positional_embedding_type === "standard" || config.positional_embedding_type === "shortformer") {
    expected.set("pos_embed.W_pos", { axes: "pos d_model", shape: [n_ctx, d_model] });
  }
  for (let layer = 0; layer < config.n_layers; layer++) {
    expectNorm(expected, `blocks.${layer}.ln1`, config.normalization_type, d_model);
    const { W_K, W_V, b_K, b_V } = queryKeyValueNames(config);
    for (const name of ["W_Q", W_K, W_V]) {
      const shape = [name === "W_Q" ? n_heads : n_key_value_heads, d_model, d_head];
      expected.set(`blocks.${layer}.attn.${name}`, { axes: "head d_model d_head", shape });
    }
    expected.set(`blocks.${layer}.attn.W_O`, { axes: "head d_head d_model", shape: [n_heads, d_head, d_model] });
    for (const name of ["b_Q", b_K, b_V]) {
      const shape = [name === "b_Q" ? n_heads : n_key_value_heads, d_head];
      expected.set(`blocks.${layer}.attn.${name}`, { axes: "head d_head", shape });
    }
    expected.set(`blocks.${layer}.attn.b_O`, { axes: "d_model", shape: [d_model] });
    expectMlp(expected, layer, config);
  }
  expectNorm(expected, "ln_final", finalNormKind(config), d_model);
  expected.set("unembed.W_U", { axes: "d_model d_vocab", shape: [d_model, d_vocab_out] });
  expected.set("unembed.b_U", { axes: "d_vocab", shape: [d_vocab_out] });
  return expected;
}

/**
 * Checks weights against a configuration and gives each its axis names: nothing missing, nothing left over, every shape
 * right, every number finite.
 *
 * @param known - weights whose numbers are known to be finite.
 */
export function checkWeights(
  config: ModelConfig,
  weights: Weights,
  operation: string,
  known?: Weights,
): Map<string, Tensor> {
  requireObject(config, "config", operation);
  requireKind(NAMED_TENSORS, weights, "weights", operation);
  const checked = new Map<string, Tensor>();
  // Weights for more layers than there are weights are missing: one such layer shows it, and a list of all might have
  // no end.
  const n_layers = Math.min(config.n_layers, weights.size + 1);
  const expected = expectedWeights({ ...config, n_layers });
  for (const [name, { axes, shape }] of expected) {
    const given = weights.get(name);
    if (given !== undefined) requireKind("tensor", given, name, operation);
    else {
      throw new ConfigError(
        `the weights have no "${name}" [${shape.join(", ")}], which the configuration calls for. ${hint(config, weights)}`,
        { operation, argument: name, expected: shape, actual: undefined },
      );
    }
    if (given.rank !== shape.length || given.shape.some((n, a) => n !== shape[a])) {
      throw new ConfigError(
        `"${name}" has shape [${given.shape.join(", ")}] but the configuration calls for [${shape.join(", ")}] (${axes}). One of the two is wrong.`,
        { operation, argument: name, expected: shape, actual: given.shape },
      );
    }
    if (known?.get(name) !== given) requireFinite(name, given, operation);
    checked.set(name, named(given, axes));
  }
  for (const name of weights.keys()) {
    if (!expected.has(name)) {
      throw new ConfigError(
        `the weights have a "${name}" that the configuration does not call for. ${hint(config, weights)}`,
        {
          operation,
          argument: name,
          expected: [...expected.keys()],
          actual: name,
        },
      );
    }
  }
  return checked;
}

/** The same numbers under other axis names. */
function named(t: Tensor, axes: string): Tensor {
  const names = axes.split(" ");
  if (t.axes === axes) return t;
  const temporary = names.reduce((r: Tensor, _, a) => r.rename(r.names[a] ?? "", `renamed_${a}`), t);
  return names.reduce((r: Tensor, name, a) => r.rename(`renamed_${a}`, name), temporary);
}

/** What the weights themselves say about the model, where that helps to see which side is wrong. */
function hint(config: ModelConfig, weights: Weights): string {
  const layers = new Set([...weights.keys()].flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? []));
  const facts = [
    `the configuration has n_layers=${config.n_layers}, normalization_type=${String(config.normalization_type)}, positional_embedding_type=${config.positional_embedding_type}`,
    `the weights have ${layers.size} layers, ${weights.has("blocks.0.ln1.w") ? "a" : "no"} ln1, ${weights.has("pos_embed.W_pos") ? "a" : "no"} W_pos`,
  ];
  const hasMlp = weights.has("blocks.0.mlp.W_in");
  const mismatch = `attn_only is ${config.attn_only}, but the weights have ${hasMlp ? "MLPs" : "no MLP"}.`;
  return `Note that ${facts.join("; ")}.${hasMlp === config.attn_only ? ` And ${mismatch}` : ""}`;
}

function requireFinite(name: string, t: Tensor, operation: string): void {
  const data = rawData(t);
  // Nothing but finite numbers times zero adds up to zero: a third of the time of a look at each.
  let zero = 0;
  for (let i = 0; i < data.length; i++) zero += (data[i] as number) * 0;
  if (zero === 0) return;
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    const index = t.shape.map((n, a) => {
      const inner = t.shape.slice(a + 1).reduce((p, size) => p * size, 1);
      return Math.floor(i / inner) % n;
    });
    throw new InputError(
      `"${name}" holds ${String(data[i])} at [${index.join(", ")}]. A model with weights that are not finite computes nothing of use; the file is damaged or the training diverged.`,
      { operation, argument: name, expected: "finite numbers", actual: data[i] },
    );
  }
}

/** The norm of a given name, with its weights. */
export function normFrom<Axis extends "d_model" | "d_mlp" = "d_model">(
  weights: Weights,
  name: string,
  kind: NormKind | null,
  eps: number,
  axis?: Axis,
): Norm<Axis> | undefined {
  if (kind === null) return undefined;
  return new Norm(
    kind,
    eps,
    weights.get(`${name}.w`) as Tensor<Axis> | undefined,
    weights.get(`${name}.b`) as Tensor<Axis> | undefined,
    axis,
  );
}
