/**
 * The transformers that Neel Nanda trained in 2022, before TransformerLens: its names, with matrices that act on
 * columns, so `W_E` is `[d_model, d_vocab]`, `W_Q` `[head, d_head, d_model]` and `W_O` `[d_model, head * d_head]`.
 * There are no norms and no bias but those of the MLPs; models without MLPs call their layers `attn_blocks`. Source:
 * transformers.py of mechanistic-interpretability-grokking/progress-measures-paper.
 */
import { ConfigError } from "../../errors.ts";
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, ListedTensors, Taking } from "./checkpoint.ts";
import type { Converted } from "./gpt2.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a model without MLPs calls its first queries, which no other layout does. */
const ATTENTION_ONLY_SIGN = "attn_blocks.0.attn.W_Q";
const MASK = /^(attn_)?blocks\.\d+\.attn\.mask$/;

/** Whether a checkpoint with TransformerLens's names keeps them as these models do: `W_O` as a matrix tells it. */
export function isNanda(tensors: ListedTensors): boolean {
  return tensors.shapeOf(ATTENTION_ONLY_SIGN) !== undefined || tensors.shapeOf("blocks.0.attn.W_O")?.length === 2;
}

/** Fields of the configuration by the names of these files, or TransformerLens's. */
const SIZES = [
  ["n_layers", "num_layers"],
  ["n_heads", "num_heads"],
  ["d_model"],
  ["d_head"],
  ["n_ctx"],
  ["d_vocab"],
  ["d_mlp"],
] as const;

/** Positions by what these files call them. */
const POSITIONS: ReadonlyMap<unknown, ModelConfig["positional_embedding_type"]> = new Map([
  ["orig", "standard"],
  ["standard", "standard"],
  ["shortformer", "shortformer"],
]);

/** Converts such a checkpoint; sizes are read off its tensors, and a configuration may not contradict them. */
export function* convertNanda(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const fields = typeof json === "object" && json !== null ? (json as Fields) : {};
  const blocks = checkpoint.has(ATTENTION_ONLY_SIGN) ? "attn_blocks" : "blocks";
  const [d_model = 0, d_vocab = 0] = (yield* checkpoint.take("embed.W_E")).shape;
  const [n_heads = 0, d_head = 0] = (yield* checkpoint.take(`${blocks}.0.attn.W_Q`)).shape;
  const [n_ctx = 0] = (yield* checkpoint.take("pos_embed.W_pos")).shape;
  const d_vocab_out = (yield* checkpoint.take("unembed.W_U")).shape[1] ?? 0;
  const hasMlp = checkpoint.has(`${blocks}.0.mlp.W_in`);
  const d_mlp = hasMlp ? (yield* checkpoint.take(`${blocks}.0.mlp.W_in`)).shape[0] : undefined;
  const layers = [...checkpoint.names].flatMap((name) => /^(?:attn_)?blocks\.(\d+)\.attn\.W_Q$/.exec(name)?.[1] ?? []);
  const found = { n_layers: layers.length, n_heads, d_model, d_head, n_ctx, d_vocab, d_mlp };
  for (const names of SIZES) {
    const name = names.find((other) => fields[other] !== undefined);
    const size = found[names[0]];
    if (name !== undefined && size !== undefined && fields[name] !== size) throw wrong(checkpoint, name, fields, size);
  }
  if (fields.use_ln === true) throw wrong(checkpoint, "use_ln", fields, false);
  const config = parseConfig({
    ...found,
    d_vocab_out,
    attn_only: !hasMlp,
    normalization_type: null,
    positional_embedding_type: positionsOf(checkpoint, fields),
    ...(hasMlp ? { act_fn: activationOf(checkpoint, fields) } : {}),
  });
  const weights = new Map<string, Tensor>();
  weights.set("embed.W_E", yield* checkpoint.matrix("embed.W_E", [d_vocab, d_model], "out in"));
  weights.set("pos_embed.W_pos", yield* checkpoint.take("pos_embed.W_pos", [n_ctx, d_model]));
  for (let layer = 0; layer < layers.length; layer++) {
    const [from, to] = [`${blocks}.${layer}`, `blocks.${layer}`];
    for (const kind of ["Q", "K", "V"]) {
      const stored = yield* checkpoint.take(`${from}.attn.W_${kind}`, [n_heads, d_head, d_model]);
      weights.set(`${to}.attn.W_${kind}`, swapped(stored));
      weights.set(`${to}.attn.b_${kind}`, yield* checkpoint.takeOrZeros(`${from}.attn.b_${kind}`, [n_heads, d_head]));
    }
    const layout = { order: "out in", n_heads, d_head, d_model, headStep: 1, start: 0, total: n_heads } as const;
    weights.set(`${to}.attn.W_O`, yield* checkpoint.outputMatrices(`${from}.attn.W_O`, layout));
    weights.set(`${to}.attn.b_O`, yield* checkpoint.takeOrZeros(`${from}.attn.b_O`, [d_model]));
    if (d_mlp === undefined) continue;
    for (const [side, shape] of [
      ["in", [d_model, d_mlp]],
      ["out", [d_mlp, d_model]],
    ] as const) {
      weights.set(`${to}.mlp.W_${side}`, yield* checkpoint.matrix(`${from}.mlp.W_${side}`, shape, "out in"));
      weights.set(`${to}.mlp.b_${side}`, yield* checkpoint.take(`${from}.mlp.b_${side}`, [shape[1]]));
    }
  }
  weights.set("unembed.W_U", yield* checkpoint.take("unembed.W_U", [d_model, d_vocab_out]));
  weights.set("unembed.b_U", yield* checkpoint.takeOrZeros("unembed.b_U", [d_vocab_out]));
  checkpoint.finish([MASK], "the layout of 2022");
  return { config, weights };
}

function positionsOf(checkpoint: Checkpoint, fields: Fields): ModelConfig["positional_embedding_type"] {
  const name = ["pos_embed_type", "positional_embedding_type"].find((other) => fields[other] !== undefined);
  const positions = name === undefined ? "standard" : POSITIONS.get(fields[name]);
  if (positions === undefined) throw wrong(checkpoint, name ?? "", fields, [...POSITIONS.keys()]);
  return positions;
}

/** What neurons compute, which nothing else in the file says. */
function activationOf(checkpoint: Checkpoint, fields: Fields): string {
  const name = ["act_type", "act_fn"].find((other) => fields[other] !== undefined) ?? "act_type";
  const given = fields[name];
  if (given === undefined) {
    checkpoint.notes.push(
      "act_fn is taken to be relu, as in every published run of this layout. Where that is wrong, pass a configuration with act_type.",
    );
    return "relu";
  }
  const known = typeof given === "string" ? given.toLowerCase() : undefined;
  if (known !== "relu" && known !== "gelu") throw wrong(checkpoint, name, fields, ["ReLU", "GeLU"]);
  return known;
}

function swapped(t: Tensor): Tensor {
  const [head = "", row = "", col = ""] = t.names;
  const view = t.permute(`${head} ${col} ${row}`);
  return Tensor.from(`${head} ${col} ${row}`, view.shape, view.data);
}

function wrong(checkpoint: Checkpoint, name: string, fields: Fields, expected: unknown): ConfigError {
  const { operation } = checkpoint.source;
  return new ConfigError(
    `the configuration's "${name}" is ${JSON.stringify(fields[name])}, but a checkpoint of this layout and these tensors has ${JSON.stringify(expected)}.`,
    { operation, argument: name, expected, actual: fields[name] },
  );
}
