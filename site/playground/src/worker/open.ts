/** Opens the bundled model, or files that were dropped. */
import { openCheckpoint, repeatedTokens, transformerFromCheckpoint } from "transformer-circuits";
import type { Tokenizer, Transformer } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";
import { tokenizerFromFiles } from "transformer-circuits/io";
import type { ModelFacts, OpenAsk } from "../protocol.ts";
import { sent } from "./errors.ts";
import { Session } from "./session.ts";
import type { Work } from "./work.ts";

export interface Opened {
  readonly session: Session;
  readonly facts: ModelFacts;
}

const EXAMPLE = {
  text: "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }\ninterface Array<",
  other:
    "interface Array<K> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }\ninterface Array<",
};

const PROSE = "When Mary and John went to the store, John gave a drink to";
/** What may stand for John the second time, until the text has as many tokens. */
const OTHERS = ["Mary", "Paul", "he", "Anna"];

/** Two texts of one length; the same twice where there are none. */
function prose(session: Session): { readonly text: string; readonly other: string } {
  const { ids } = session.encode(PROSE);
  const others = OTHERS.map((name) => PROSE.replace("John gave", `${name} gave`));
  return { text: PROSE, other: others.find((other) => session.encode(other).ids.length === ids.length) ?? PROSE };
}

export async function open({ files }: OpenAsk, work: Work): Promise<Opened> {
  if (files === undefined || files.length === 0) {
    const { model, tokenizer } = await openBundledModel();
    const session = new Session(model, tokenizer);
    return {
      session,
      facts: factsOf(session, { name: "bundled model", isBundled: true, head: "L1H4", ...EXAMPLE }, []),
    };
  }
  const named = new Map(files.map((file) => [file.name, file]));
  const name = files.length === 1 ? (files[0]?.name ?? "") : "the files";
  const config = await configAmong(named);
  const checkpoint = await openCheckpoint(files.length === 1 && files[0] !== undefined ? files[0] : named, {
    name,
    ...(config !== undefined && { config }),
  });
  const model = await transformerFromCheckpoint(checkpoint, work);
  const notes = [...model.notes];
  const tokenizer = await tokenizerAmong(named, model, notes);
  const session = new Session(model, tokenizer);
  const shownName = checkpoint.files[0] ?? name;
  const example = tokenizer === undefined ? exampleIds(session) : prose(session);
  return { session, facts: factsOf(session, { name: shownName, isBundled: false, head: "L0H0", ...example }, notes) };
}

/** Files of JSON that are no configuration of a model. */
const OTHER_JSON =
  /^(tokenizer|vocab|merges|added_tokens|special_tokens|generation_config|preprocessor)|\.index\.json$/;

/** The one file that can be the configuration, where it is not called `config.json`. */
async function configAmong(files: ReadonlyMap<string, File>): Promise<string | undefined> {
  if (files.has("config.json") || files.size < 2) return undefined;
  const found = [...files.values()].filter(({ name }) => /\.json$/.test(name) && !OTHER_JSON.test(name));
  return found.length === 1 ? found[0]?.text() : undefined;
}

/** The tokenizer among the files; one that cannot be used does not stand in the way of the model. */
async function tokenizerAmong(
  files: ReadonlyMap<string, File>,
  { config }: Transformer,
  notes: string[],
): Promise<Tokenizer | undefined> {
  try {
    const tokenizer = await tokenizerFromFiles(files);
    if (tokenizer !== undefined && tokenizer.vocabSize > config.d_vocab)
      notes.push(
        `The tokenizer has ${tokenizer.vocabSize} tokens and the model d_vocab=${config.d_vocab}: one of them may belong to another model.`,
      );
    return tokenizer;
  } catch (error) {
    notes.push(`The tokenizer cannot be used, so texts are token ids. ${sent(error).message}`);
    return undefined;
  }
}

/** Random tokens that repeat, the second time with another first half. */
function exampleIds({ model, bos }: Session): { readonly text: string; readonly other: string } {
  const { n_ctx, d_vocab } = model.config;
  const first = bos === undefined ? 0 : 1;
  const length = Math.min(12, Math.floor((n_ctx - first) / 2), d_vocab - first);
  if (length < 2) return { text: "0", other: "0" };
  const [text = [], other = []] = repeatedTokens(model.config, { length, batch: 2, seed: 0, bos: bos ?? null });
  const end = first + 2 * length - 3;
  const half = first + length;
  return {
    text: text.slice(0, end).join(" "),
    other: [...other.slice(0, half), ...text.slice(half, end)].join(" "),
  };
}

function factsOf(
  { model, tokenizer }: Session,
  given: Pick<ModelFacts, "name" | "isBundled" | "head" | "text" | "other">,
  notes: readonly string[],
): ModelFacts {
  const { n_layers, n_heads, d_model, d_vocab, n_ctx, attn_only, attention_dir, normalization_type } = model.config;
  const plural = (n: number, one: string): string => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  const parts = [
    `${plural(n_layers, "layer")} of ${plural(n_heads, "head")}`,
    `d_model ${d_model}`,
    plural(d_vocab, "token"),
    plural(n_ctx, "position"),
    attn_only ? "attention only" : "with MLPs",
    normalization_type === null ? "no norms" : `${normalization_type} norms`,
  ];
  return {
    ...given,
    sizes: parts.join(", "),
    n_layers,
    n_heads,
    hasTokenizer: tokenizer !== undefined,
    isCausal: attention_dir === "causal",
    notes,
    isFast: compilesWasm(),
  };
}

/** Whether WebAssembly runs here: old engines and strict policies refuse it, and the library computes without. */
function compilesWasm(): boolean {
  try {
    new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    return true;
  } catch {
    return false;
  }
}
