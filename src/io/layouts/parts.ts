/** Which of the names that a file has beside its sound tensors are those of a model's parts. */

/** Modules and tensors that layouts have. */
const PART =
  /(^|\.)(embed|pos_embed|unembed|blocks|attn_blocks|ln_final|norm|transformer|h|wte|wpe|ln_f|lm_head|gpt_neox|layers|embed_in|embed_out|embed_tokens|token_embd|position_embd|blk|output_norm|output|final_layer_norm|tok_emb|pos_emb|head)(\.|$)/;

/** What a file holds beside tensors that are read under their own names. */
export interface Beside {
  /** What is not read. */
  readonly unread: ReadonlyMap<string, string>;
  /** Other names of tensors, which metadata give. */
  readonly aliases: ReadonlySet<string>;
}

/**
 * The names of which a model is made: those of a part that is not read too, so that it is missed by its name and not in
 * silence; an alias or a foreign entry of any other name is no part of it.
 */
export function* namesOfParts(tensors: Iterable<string>, { unread, aliases }: Beside): Generator<string> {
  for (const name of tensors) if (!aliases.has(name) || PART.test(name)) yield name;
  for (const name of unread.keys()) if (PART.test(name)) yield name;
}
