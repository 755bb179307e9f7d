/** Induction: for each induction head the evidence, and what happens without the heads that it leans on. */
import { inductionExamples } from "../figures/index.ts";
import type {
  CompositionDiagram,
  FigureInput,
  PlainData,
  InductionExamples,
  PositivityScatter,
} from "../figures/index.ts";
import { plainData } from "../figures/internal.ts";
import { ablatedLosses, inductionScores } from "../heads/index.ts";
import { combineEdits, editAt, headLabel } from "../model/index.ts";
import type { AttentionHead, Edits, HookName, Transformer } from "../model/index.ts";
import { multiply, Tensor } from "../tensor/index.ts";
import { meanOf } from "../tensor/internal.ts";
import { secondCopyFrom } from "./heads.ts";
import type { Prompts } from "./heads.ts";
import type { HeadFacts, InductionFacts, InductionHead, ReportFoundHeads, RoleEvidence } from "./types.ts";

/** The attention by which a head counts, and the first and last position where it does; `null` for everywhere. */
export type Where = Pick<InductionHead, "attention" | "positions">;

/** The findings that the evidence is about. */
export interface StoryInput {
  /** The model and a passage of the text. */
  readonly passage: FigureInput;
  readonly facts: readonly HeadFacts[];
  readonly found: ReportFoundHeads;
  readonly composition: CompositionDiagram | undefined;
  readonly positivity: PositivityScatter | undefined;
}

/** The evidence for the induction heads found; `null` where there is none. */
export async function inductionFacts(
  { passage, facts, found, composition, positivity }: StoryInput,
  repeated: Prompts,
  clean: number,
  pause: (part: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<InductionFacts | null> {
  const { model } = passage;
  const induction = model.heads.filter(({ label }) => found.induction.includes(label));
  if (induction.length === 0) return null;
  const previous = model.heads.filter(({ label }) => found.previousToken.includes(label));
  const without = previous.length === 0 ? undefined : scoresWithout(model, repeated, previous);
  await pause(0.3);
  const ablated: InductionFacts["ablated"][number][] = [{ what: "nothing", heads: [], loss: clean, delta: 0 }];
  for (const [what, heads] of [
    ["the induction heads", induction],
    ["the previous-token heads", previous],
  ] as const) {
    if (heads.length === 0) continue;
    const losses = ablatedLosses(model, repeated.prompts, heads, { signal });
    const loss = meanOf(losses.slice("pos", secondCopyFrom(repeated)).data);
    ablated.push({ what, heads: heads.map(({ label }) => label), loss, delta: loss - clean });
    await pause(0.3 + 0.3 * (ablated.length - 1));
  }
  const factsOf = (label: string): HeadFacts | undefined => facts.find((head) => head.label === label);
  return {
    heads: induction.map((head) => {
      const earlier = previous.filter(({ layer }) => layer < head.layer);
      return {
        ...storyOf(head, factsOf(head.label), positivity),
        scoreWithoutPrevious: earlier.length === 0 ? null : (without?.[head.layer]?.at(head.head) ?? null),
        partners: partnersOf(head, earlier, composition),
      };
    }),
    previous: previous.map(({ label }) => {
      const { attention: score, positions } = whereOf(factsOf(label), "previous");
      return { label, score, positions, ablation: factsOf(label)?.ablation ?? null };
    }),
    baseline: { mean: composition?.corrected.baseline.mean ?? 0, std: composition?.corrected.baseline.std ?? 0 },
    ablated,
    examples: examplesOf(passage, facts, induction),
  };
}

/** Strict induction scores of the heads of each layer while some heads give nothing. */
function scoresWithout(
  model: Transformer,
  { prompts, period, bos }: Prompts,
  heads: readonly AttentionHead[],
): Tensor<"head">[] {
  const { cache } = model.run(prompts, {
    cache: (name: HookName) => name.endsWith("hook_pattern"),
    edits: zeroOutputs(model, heads),
    unembed: "none",
  });
  return model.layers.map(({ layer }) =>
    inductionScores(cache.get(`blocks.${layer}.attn.hook_pattern`), {
      period,
      variant: "strict",
      bos: bos !== undefined,
    }),
  );
}

/** Edits that set the outputs of some heads to zero. */
function zeroOutputs({ config }: Transformer, heads: readonly AttentionHead[]): Edits {
  const layers = [...new Set(heads.map(({ layer }) => layer))];
  return combineEdits(
    ...layers.map((layer) => {
      const kept = Array.from({ length: config.n_heads }, (_, head) =>
        heads.some((one) => one.layer === layer && one.head === head) ? 0 : 1,
      );
      const keep = Tensor.from("head", [config.n_heads], kept);
      return editAt(`blocks.${layer}.attn.hook_z`, (z) => multiply(z, keep));
    }),
  );
}

/** The attention of a head that was found to be of a kind, and where it is so. */
export function whereOf(facts: HeadFacts | undefined, kind: RoleEvidence["kind"]): Where {
  const evidence = facts?.evidence.find((one) => one.kind === kind);
  return { attention: evidence?.score ?? 0, positions: evidence?.isEverywhere === false ? evidence.positions : null };
}

function storyOf(
  { label, layer, head }: AttentionHead,
  facts: HeadFacts | undefined,
  positivity: PositivityScatter | undefined,
): Omit<InductionHead, "scoreWithoutPrevious" | "partners"> {
  return {
    label,
    score: facts?.scores?.induction ?? 0,
    strict: facts?.scores?.inductionStrict ?? 0,
    ...whereOf(facts, "induction"),
    prefixMatching: facts?.scores?.prefixMatching ?? 0,
    copying: facts?.copying ?? 0,
    copyingZ: facts?.copyingZ ?? null,
    qkPositivity: positivity?.points.find((point) => point.layer === layer && point.head === head)?.QK ?? null,
    attribution: facts?.attribution ?? null,
    ablation: facts?.ablation ?? null,
  };
}

function partnersOf(
  reader: AttentionHead,
  earlier: readonly AttentionHead[],
  composition: CompositionDiagram | undefined,
): InductionHead["partners"] {
  if (composition === undefined) return [];
  const { K, baseline } = composition.corrected;
  const { mean, std = 0 } = baseline;
  return earlier
    .map(({ label, layer, head }) => {
      const k = K.at(layer, head, reader.layer, reader.head);
      return { label, k, z: std > 0 ? (k - mean) / std : 0 };
    })
    .sort((a, b) => b.k - a.k);
}

/** How many places are shown. */
const SHOWN = 2;

/** Places in the passage where the best induction head looks at what followed an earlier copy of the present token. */
function examplesOf(
  passage: FigureInput,
  facts: readonly HeadFacts[],
  induction: readonly AttentionHead[],
): PlainData<InductionExamples> | null {
  const strict = (head: AttentionHead): number =>
    facts.find(({ label }) => label === headLabel(head))?.scores?.inductionStrict ?? 0;
  const [best] = [...induction].sort((a, b) => strict(b) - strict(a));
  if (best === undefined) return null;
  const made = inductionExamples(passage, { heads: [{ layer: best.layer, head: best.head }] });
  const examples = made.examples.filter(
    ({ query, key }) => key > 0 && made.tokens[key - 1]?.id === made.tokens[query]?.id,
  );
  return examples.length === 0 ? null : plainData({ ...made, examples: examples.slice(0, SHOWN) }, 6);
}
