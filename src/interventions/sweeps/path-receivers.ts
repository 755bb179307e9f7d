/** Who gives and who reads what a path carries. */
import { InputError, nameOf, requireObject } from "../../errors.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId, HeadRef, HookName, Transformer } from "../../model/index.ts";
import { requireOwnKeys } from "../../model/internal.ts";
import type { BaseRun, Change, Variant } from "../../model/internal.ts";
import { add } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Sources } from "./sources.ts";

/**
 * Who reads the end of a path: the logits, the stream before a layer, or a head by its queries, keys or values.
 * @category Interventions
 */
export type PathReceiver =
  "logits" | { readonly stream: number } | { readonly head: HeadRef; readonly input: "q" | "k" | "v" };

/**
 * Who gives what a path carries: a head, the MLP of a layer, the embedding of tokens, or that of positions where it is
 * added to the stream.
 * @category Interventions
 */
export type PathSender = HeadRef | { readonly mlp: number } | "embed" | "pos_embed";

/** A sender, checked. */
type Sender = { readonly label: string } & (
  | { readonly kind: "head"; readonly at: HeadId }
  | { readonly kind: "mlp"; readonly layer: number }
  | { readonly kind: "embed" | "pos_embed" }
);

/** What a model has as a sender. */
export function senderOf(model: Transformer, given: PathSender): Sender {
  const refuse = (message: string): InputError =>
    new InputError(message, { operation: "pathPatching", argument: "senders", actual: given });
  const { config } = model;
  if (given === "embed") return { kind: given, label: given };
  if (given === "pos_embed") {
    const type = config.positional_embedding_type;
    if (type === "standard") return { kind: given, label: given };
    throw refuse(`the stream of this model begins without positions, which are ${type}. Leave "pos_embed" out.`);
  }
  if (typeof given !== "object" || (given as unknown) === null || !("mlp" in given)) {
    const at = model.head(given as HeadRef);
    return { kind: "head", at: { layer: at.layer, head: at.head }, label: headLabel(at) };
  }
  requireObject(given, "senders", "pathPatching", "mlp");
  const layer = given.mlp;
  if (config.attn_only) throw refuse("this model has no MLPs. Name heads.");
  if (Number.isInteger(layer) && layer >= 0 && layer < config.n_layers)
    return { kind: "mlp", layer, label: `${layer}_mlp_out` };
  throw refuse(`the MLP of layer ${nameOf(layer)} is none of ${config.n_layers}.`);
}

/** Whether senders give something before the first layer. */
export const isEmbedding = ({ kind }: Sender): boolean => kind === "embed" || kind === "pos_embed";

/** What changes where senders give what they gave in the other run. */
export function changesOf(
  senders: readonly Sender[],
  base: BaseRun,
  sources: Sources,
  positions: readonly number[] | undefined,
): Variant {
  const changes = senders.flatMap((sender): Change[] => {
    if (sender.kind === "mlp")
      return [{ layer: sender.layer, site: "mlp_out", source: sources.at(sender.layer, "mlp_out"), positions }];
    if (sender.kind !== "head") return [];
    const { layer, head } = sender.at;
    return [{ layer, site: "z", source: sources.at(layer, "z"), heads: [head], positions }];
  });
  const given = new Set(senders.filter(isEmbedding).map(({ kind }) => `hook_${kind}` as HookName));
  if (given.size === 0) return changes;
  const partOf = (name: HookName): Tensor => (given.has(name) ? sources.of(name) : base.cache.get(name));
  const isStandard = base.model.config.positional_embedding_type === "standard";
  const source = isStandard ? add(partOf("hook_embed"), partOf("hook_pos_embed")) : partOf("hook_embed");
  return [{ layer: 0, site: "resid_pre", source, positions }, ...changes];
}

/** One input of a head. */
export interface HeadInput extends HeadId {
  readonly input: "q" | "k" | "v";
}

/** Who reads the ends of paths, checked. */
type Receivers =
  | { readonly kind: "logits"; readonly what: string }
  | { readonly kind: "stream"; readonly what: string; readonly layer: number }
  | { readonly kind: "heads"; readonly what: string; readonly inputs: readonly HeadInput[] };

export function receiversOf(model: Transformer, given: PathReceiver | readonly PathReceiver[] | undefined): Receivers {
  const refuse = (message: string): InputError =>
    new InputError(
      `${message} Give "logits", { stream: layer }, or inputs of heads, as { head: "L1H4", input: "k" }.`,
      {
        operation: "pathPatching",
        argument: "receivers",
        actual: given,
      },
    );
  const list = (Array.isArray(given) ? given : [given ?? "logits"]) as readonly PathReceiver[];
  const [first] = list;
  if (first === undefined) throw refuse("receivers is an empty list.");
  if (first === "logits" && list.length === 1) return { kind: "logits", what: "the logits" };
  for (const one of list) {
    if (typeof one !== "object" || (one as unknown) === null) {
      throw refuse(one === "logits" ? "the logits read beside other receivers." : `a receiver is ${nameOf(one)}.`);
    }
  }
  if ("stream" in (first as object)) {
    const { stream: layer } = first as { stream: number };
    const { n_layers } = model.config;
    if (list.length > 1) throw refuse("a stream reads beside other receivers.");
    if (!Number.isInteger(layer) || layer < 0 || layer >= n_layers) {
      throw refuse(`the stream before layer ${nameOf(layer)} is none of ${n_layers}.`);
    }
    return { kind: "stream", what: `the stream before layer ${layer}`, layer };
  }
  const inputs = (list as readonly { head: HeadRef; input: "q" | "k" | "v" }[]).map((one): HeadInput => {
    requireObject(one, "receivers", "pathPatching", "head input");
    if (!["q", "k", "v"].includes(one.input))
      throw refuse(`the input of a head is ${nameOf(one.input)}, not q, k or v.`);
    const { layer, head } = model.head(one.head);
    if (one.input !== "q") requireOwnKeys(model.config, "pathPatching");
    return { layer, head, input: one.input };
  });
  return { kind: "heads", what: inputs.map((one) => `${one.input} of ${headLabel(one)}`).join(", "), inputs };
}
