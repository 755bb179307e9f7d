import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { restrictedComposition } from "../../../src/circuits/index.ts";
import type { PairScores } from "../../../src/circuits/index.ts";
import { repeatedTokens } from "../../../src/heads/index.ts";
import { compositionEffects } from "../../../src/interventions/index.ts";
import { openBundledModel } from "../../../src/io/bundled.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { crossEntropy } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { compositionOnText } from "../../../src/paths/index.ts";

const folder = fileURLToPath(new URL("../../fixtures/two-layer/", import.meta.url));
const trained = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));

async function load(name: string): Promise<Transformer> {
  return (name === "bundled" ? await openBundledModel() : await loadFolder(folder + name)).model;
}

const listOf = (scores: PairScores): number[] => {
  const heads = Array.from({ length: scores.shape[1] ?? 0 }, (_, head) => head);
  return heads.flatMap((writer) => heads.map((reader) => scores.at(0, writer, 1, reader)));
};

const topOf = (list: readonly number[]): number => list.indexOf(Math.max(...list));

/** The share of pairs of one causal and one other that a score has in order. */
function areaUnderRoc(scores: readonly number[], isCausal: readonly boolean[]): number {
  let [right, count] = [0, 0];
  for (const [i, a] of scores.entries()) {
    for (const [j, b] of scores.entries()) {
      if (isCausal[i] !== true || isCausal[j] === true) continue;
      right += a > b ? 1 : a === b ? 0.5 : 0;
      count += 1;
    }
  }
  return count === 0 ? 1 : right / count;
}

describe("of the pairs of trained two-layer models, by keys", () => {
  it.each(["bundled", "foreign/l_2_2_model.pth", ...trained])(
    "%s: those that matter come first by matching and by size on the text",
    async (name) => {
      const model = await load(name);
      const bos = name === "bundled" ? 0 : null;
      const before = bos === null ? 0 : 1;
      const length = Math.floor((Math.min(60, model.config.n_ctx) - before) / 2);
      const prompts = repeatedTokens(model.config, { batch: 8, length, seed: 1, bos, distinct: true });
      const mask = prompts.map((prompt) => prompt.slice(1).map((_, p) => (p >= length + before ? 1 : 0)));
      const effects = listOf(
        compositionEffects(model, prompts, crossEntropy(prompts, { mask }), { ablation: "mean" }).K,
      );
      const isCausal = effects.map((x) => x > Math.max(0.1 * Math.max(...effects), 0.02));
      expect(isCausal).toContain(true);
      const matching = listOf(restrictedComposition(model).K.matching);
      const size = listOf(compositionOnText(model, prompts).K.size);
      for (const scores of [matching, size]) {
        expect(isCausal[topOf(scores)]).toBe(true);
        // The pair that matters most is among the first few: others come close to it.
        expect(scores.filter((x) => x > (scores[topOf(effects)] as number)).length).toBeLessThan(6);
        expect(areaUnderRoc(scores, isCausal)).toBeGreaterThan(0.75);
      }
    },
  );
});
