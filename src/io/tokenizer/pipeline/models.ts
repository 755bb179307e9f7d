/** How a word becomes token ids: the models of `tokenizer.json`. */
import { readBpe } from "./bpe.ts";
import type { Model, Part } from "./part.ts";
import { readUnigram } from "./unigram.ts";

function readWordLevel(part: Part, ids: ReadonlyMap<string, number>): Model {
  const unknown = ids.get(part.text("unk_token", "<unk>"));
  return (word, refuse) => [ids.get(word) ?? unknown ?? refuse(word)];
}

function readWordPiece(part: Part, ids: ReadonlyMap<string, number>): Model {
  const unknown = ids.get(part.text("unk_token", "[UNK]"));
  const prefix = part.text("continuing_subword_prefix", "##");
  const longest = part.count("max_input_chars_per_word", 100);
  return (word, refuse) => {
    const characters = [...word];
    const found: number[] = [];
    for (let start = 0; start < characters.length && characters.length <= longest;) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = ids.get((start > 0 ? prefix : "") + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown ?? refuse(word)];
      found.push(id);
      start = end;
    }
    return found.length > 0 ? found : [unknown ?? refuse(word)];
  };
}

/**
 * Makes a model of its part of a `tokenizer.json`.
 *
 * @param ids - of the model's own vocabulary, added tokens left out.
 */
export function readModel(part: Part, ids: ReadonlyMap<string, number>): Model {
  return part.build<Model>({
    BPE: (model) => readBpe(model, ids),
    Unigram: (model) => readUnigram(model, ids),
    WordLevel: (model) => readWordLevel(model, ids),
    WordPiece: (model) => readWordPiece(model, ids),
  });
}
