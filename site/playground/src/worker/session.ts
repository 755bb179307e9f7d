/** The model that is open, and runs of it on the reader's texts. */
import { InputError } from "./errors.ts";
import type { Run, Tokenizer, Transformer } from "transformer-circuits";
import { edit } from "transformer-circuits/interventions";
import { visibleToken } from "transformer-circuits/viz";
import type { Ablation } from "../protocol.ts";

/** A head by its label. */
export type HeadLabel = `L${number}H${number}`;

/** The longest text that is run. */
const MOST_TOKENS = 256;

/** Token ids of a text, and how many did not fit. */
export interface Encoded {
  readonly ids: readonly number[];
  readonly cut: number;
}

export class Session {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer | undefined;
  /** The last runs, by what they are of. */
  readonly #runs = new Map<string, Run>();

  constructor(model: Transformer, tokenizer: Tokenizer | undefined) {
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** The token that begins every sequence. */
  get bos(): number | undefined {
    return this.tokenizer?.bos ?? this.model.config.bos_token_id ?? undefined;
  }

  /** A text, or the ids in it where there is no tokenizer. */
  encode(text: string): Encoded {
    const all = this.tokenizer === undefined ? idsIn(text) : this.#beginning(this.tokenizer.encode(text));
    const most = Math.min(MOST_TOKENS, this.model.config.n_ctx);
    return { ids: all.slice(0, most), cut: Math.max(0, all.length - most) };
  }

  #beginning(ids: readonly number[]): readonly number[] {
    return this.bos === undefined ? ids : [this.bos, ...ids];
  }

  /** A token by itself, whitespace visible. */
  label(id: number): string {
    return this.tokenizer === undefined ? `#${id}` : visibleToken(this.tokenizer.tokenString(id));
  }

  /** Tokens by themselves as the explorer takes them. */
  texts(ids: readonly number[]): string[] {
    return ids.map((id) => this.tokenizer?.tokenString(id) ?? `#${id} `);
  }

  /** One token that the reader names, by its text or its id. */
  oneToken(text: string): number {
    const bare = /^#?(\d+)$/.exec(text)?.[1];
    if (this.tokenizer === undefined || text.startsWith("#")) {
      if (bare !== undefined) return Number(bare);
      throw new InputError(`${JSON.stringify(text)} is no token id. Write a number, as 12.`);
    }
    // a space is easily missed in a field of a page
    const written = text.replaceAll("·", " ").replaceAll("⏎", "\n");
    return this.tokenizer.toSingleToken(written);
  }

  /** The run of a text with heads switched off. */
  run(ids: readonly number[], { off, put }: Ablation): Run {
    const key = JSON.stringify([ids, off, off.length === 0 ? "" : put]);
    const known = this.#runs.get(key);
    if (known !== undefined) return known;
    const edits = off.length === 0 ? {} : { edits: turnedOff(this.model, off, put) };
    const run = this.model.run([...ids], edits);
    if (this.#runs.size >= keptRuns(this.model, ids.length)) this.#runs.delete([...this.#runs.keys()][0] ?? "");
    this.#runs.set(key, run);
    return run;
  }
}

/** Bytes that kept runs may take, as good as. */
const KEPT_BYTES = 2 ** 29;

/** How many runs are kept: a text with and without heads, and perhaps those of another. */
function keptRuns({ config }: Transformer, pos: number): number {
  const { n_layers, n_heads, d_model, d_vocab_out } = config;
  const floats = pos * (2 * n_layers * n_heads * pos + 10 * n_layers * d_model + d_vocab_out);
  return Math.max(2, Math.min(6, Math.floor(KEPT_BYTES / (4 * floats))));
}

/** What switches heads off: nothing in place of their output, or its mean over the positions of the text. */
function turnedOff(model: Transformer, off: readonly string[], put: Ablation["put"]): ReturnType<typeof edit>[] {
  return off.map((label) => {
    const { layer, head } = model.head(label as HeadLabel);
    return edit({ hook: "z", layer, head }, put === "zero" ? "zero" : { mean: "batch pos" });
  });
}

function idsIn(text: string): number[] {
  const words = text.split(/[\s,;[\]]+/).filter((word) => word !== "");
  const bad = words.find((word) => !/^#?\d+$/.test(word));
  if (bad === undefined) return words.map((word) => Number(word.replace("#", "")));
  throw new InputError(
    `${JSON.stringify(bad)} is no token id. This model has no tokenizer: write ids, as 12 7 9, or drop tokenizer.json with the model.`,
  );
}
