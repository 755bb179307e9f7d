/** The models of test/fixtures/families: weights, prompts and what TransformerLens computes of them, by kind. */
import { readFileSync } from "node:fs";
import { parseSafetensors } from "../../src/io/index.ts";
import { expectedWeights, parseConfig, Transformer } from "../../src/model/index.ts";

const folder = new URL("../fixtures/families/", import.meta.url);

/** The configuration of each kind. */
export const kinds = JSON.parse(readFileSync(new URL("kinds.json", folder), "utf8")) as Readonly<
  Record<string, Readonly<Record<string, unknown>>>
>;

/** All tensors; those of a kind begin with its name. */
export const file = parseSafetensors(readFileSync(new URL("kinds.safetensors", folder)), {
  name: "kinds.safetensors",
});

export function modelOf(kind: string): Transformer {
  const config = parseConfig(kinds[kind] ?? {});
  const names = [...expectedWeights(config).keys()];
  return Transformer.fromWeights(config, new Map(names.map((name) => [name, file.read(`${kind}/weight/${name}`)])));
}

export const tokensOf = (kind: string): number[][] => file.read(`${kind}/tokens`).toNested() as number[][];
