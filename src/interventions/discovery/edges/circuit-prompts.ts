/** The prompts that a circuit is found or judged on, and what a cut edge carries on them. */
import { InputError, requireObject, ShapeError } from "../../../errors.ts";
import { toTokenTensor } from "../../../model/index.ts";
import type { AttentionMask, PaddingMask, TokensLike, Transformer } from "../../../model/index.ts";
import { paddingMask, requireChoice } from "../../../model/internal.ts";
import { gather, Tensor } from "../../../tensor/index.ts";
import { drawnPrompts, textsOf } from "../../drawn-prompts.ts";

/**
 * What a cut edge carries: nothing (`"zero"`); the mean over prompts of what its sender writes at each position
 * (`"mean"`); what it writes in another prompt, drawn at random (`"resample"`); what it writes in the corrupted prompt
 * (`"counterfactual"`, the benchmark's `patching`).
 * @category Circuit discovery
 */
export type EdgeAblation = "zero" | "mean" | "resample" | "counterfactual";

/** The ablations, in the order in which tables have them. */
export const ABLATIONS = ["zero", "mean", "resample", "counterfactual"] as const;

/**
 * The prompts that a circuit is found or judged on, all of one length: the prompts alone, or with others beside them.
 * @category Circuit discovery
 */
export type CircuitPrompts =
  | TokensLike
  | {
      /** The prompts. */
      readonly clean: TokensLike;
      /** A corrupted prompt for each, for `"counterfactual"`. */
      readonly corrupted?: TokensLike | undefined;
      /**
       * Other prompts, of which `"mean"` is the mean and from which `"resample"` draws; the prompts themselves unless
       * given.
       */
      readonly reference?: TokensLike | undefined;
    };

/**
 * Which positions of a circuit's prompts are text (1) and which are padding (0), as a run takes it: of the prompts and
 * their corrupted counterparts alike, or of each kind by itself. The text of a prompt and of its counterpart lie at the
 * same positions.
 * @category Circuit discovery
 */
export type CircuitMask =
  | AttentionMask
  | {
      readonly clean?: AttentionMask | undefined;
      readonly corrupted?: AttentionMask | undefined;
      readonly reference?: AttentionMask | undefined;
    };

/** Prompts, and what of them is padding. */
export interface MaskedTokens {
  readonly tokens: Tensor<"batch pos">;
  /** As a run takes it; undefined where nothing is padding. */
  readonly attentionMask: Tensor<"batch pos"> | undefined;
  readonly mask: PaddingMask | undefined;
}

/** {@link CircuitPrompts}, checked. */
export interface CheckedPrompts {
  readonly clean: MaskedTokens;
  readonly corrupted: MaskedTokens | undefined;
  readonly reference: MaskedTokens | undefined;
}

/** Prompts of one length that the model can run. */
export function checkPrompts(
  model: Transformer,
  prompts: CircuitPrompts,
  operation: string,
  attentionMask?: CircuitMask,
): CheckedPrompts {
  const parts = isParts(prompts) ? prompts : { clean: prompts };
  if (isParts(prompts)) requireObject(prompts, "prompts", operation, "clean corrupted reference");
  const masks = masksOf(attentionMask, parts.reference !== undefined, operation);
  const clean = masked(toTokenTensor(model.config, parts.clean, operation), masks.clean, operation);
  const { shape } = clean.tokens;
  const [corrupted, reference] = (["corrupted", "reference"] as const).map((name) => {
    const given = parts[name];
    if (given === undefined) return undefined;
    const tokens = toTokenTensor(model.config, given, operation);
    const [batch, pos] = tokens.shape;
    if (pos === shape[1] && (name === "reference" || batch === shape[0])) return masked(tokens, masks[name], operation);
    const mend = name === "reference" ? "Give prompts of the same length." : "Give one of the same length for each.";
    throw new ShapeError(
      `the ${name} prompts are [${tokens.shape.join(", ")}], the prompts [${shape.join(", ")}]. ${mend}`,
      { operation, argument: name, expected: shape, actual: tokens.shape },
    );
  });
  requireSameText(clean, corrupted, operation);
  return { clean, corrupted, reference };
}

const isParts = (prompts: CircuitPrompts): prompts is Exclude<CircuitPrompts, TokensLike> =>
  typeof prompts === "object" && (prompts as unknown) !== null && "clean" in prompts;

type Masks = Exclude<CircuitMask, AttentionMask>;

function masksOf(given: CircuitMask | undefined, hasReference: boolean, operation: string): Masks {
  if (given === undefined) return {};
  const isEach = typeof given === "object" && !Array.isArray(given) && !("rawElements" in given);
  if (isEach) {
    requireObject(given, "attentionMask", operation, "clean corrupted reference");
    return given as Masks;
  }
  if (hasReference) {
    throw new InputError(
      "the attention mask is of the prompts, and there are reference prompts too. Say of each: { clean, corrupted, reference }; those left out have no padding.",
      { operation, argument: "attentionMask", expected: "{ clean, corrupted, reference }", actual: given },
    );
  }
  return { clean: given as AttentionMask, corrupted: given as AttentionMask };
}

function masked(tokens: Tensor<"batch pos">, given: AttentionMask | undefined, operation: string): MaskedTokens {
  const mask = paddingMask(given, tokens, operation);
  const attentionMask =
    mask && Tensor.from("batch pos", [mask.batch, mask.pos], Int32Array.from(mask.visible), "int32");
  return { tokens, attentionMask, mask };
}

/** Of each prompt, where its text lies. */
export const textsIn = ({ tokens, mask }: MaskedTokens): string[] =>
  textsOf(mask, tokens.sizeOf("batch"), tokens.sizeOf("pos"));

function requireSameText(clean: MaskedTokens, corrupted: MaskedTokens | undefined, operation: string): void {
  if (corrupted === undefined) return;
  const theirs = textsIn(corrupted);
  const b = textsIn(clean).findIndex((text, i) => text !== theirs[i]);
  if (b < 0) return;
  throw new InputError(
    `the text of corrupted prompt ${b} lies at other positions than that of prompt ${b}. Give texts of one length, padded alike, and one attention mask.`,
    { operation, argument: "attentionMask", expected: textsIn(clean)[b], actual: theirs[b] },
  );
}

/** Some prompts in turn, or those from one to another. */
export function somePrompts(
  { tokens, attentionMask }: MaskedTokens,
  prompts: readonly number[],
): Pick<MaskedTokens, "tokens" | "attentionMask"> {
  return {
    tokens: gather(tokens, "batch", prompts),
    attentionMask: attentionMask && gather(attentionMask, "batch", prompts),
  };
}

/** Which prompt stands in for each when edges carry another's: one of the others, or any of the reference. */
export function promptsDrawn({ clean, reference }: CheckedPrompts, seed: number): number[] {
  return drawnPrompts(seed, textsIn(clean), reference && textsIn(reference));
}

/**
 * The ablation asked for, or the one that the prompts allow: counterfactual where there are corrupted ones, else zero.
 */
export function ablationOf(asked: EdgeAblation | undefined, prompts: CheckedPrompts, operation: string): EdgeAblation {
  const ablation = asked ?? (prompts.corrupted === undefined ? "zero" : "counterfactual");
  requireChoice(ablation, [...ABLATIONS], "ablation", operation);
  const why = whyNot(ablation, prompts);
  if (why === undefined) return ablation;
  const [what, remedy] = why;
  throw new InputError(`${what}. ${remedy}`, {
    operation,
    argument: ablation === "counterfactual" ? "corrupted" : "prompts",
    expected: `prompts for "${ablation}"`,
    actual: prompts.clean.tokens.shape,
  });
}

/** Why prompts do not allow an ablation, and what to give; undefined where they do. */
export function whyNot(
  ablation: EdgeAblation,
  prompts: CheckedPrompts,
): readonly [what: string, remedy: string] | undefined {
  const { clean, corrupted, reference } = prompts;
  if (ablation === "counterfactual" && corrupted === undefined) {
    return ["there are no corrupted prompts", "Give them: { clean, corrupted }, or another ablation."];
  }
  if (ablation !== "mean" && ablation !== "resample") return undefined;
  if (reference === undefined && clean.tokens.sizeOf("batch") < 2) {
    const remedy = "Give several prompts, or reference prompts.";
    return [`there is one prompt alone, whose "${ablation}" is itself, so nothing would change`, remedy];
  }
  if (ablation === "resample") {
    const b = promptsDrawn(prompts, 0).indexOf(-1);
    if (b < 0) return undefined;
    return [`no other prompt has its text at the positions of prompt ${b}`, "Give several of each length."];
  }
  const [own, theirs] = [textsIn(clean), textsIn(reference ?? clean)];
  const isCovered = (p: number): boolean => theirs.some((text) => text[p] === "1");
  const p = [...(own[0] ?? "")].findIndex((_, at) => own.some((text) => text[at] === "1") && !isCovered(at));
  return p < 0 ? undefined : [`position ${p} is padding in all prompts that the mean is of`, "Give longer ones."];
}
