/** A path expansion: terms that are evaluated when asked for, picked, ranked, written as formulas, and certified. */
import { InputError, nameOf, requireOptions, requireKinds, requireKind, requireObject } from "../../errors.ts";
import { parseHead } from "../../model/index.ts";
import { requireChoice, requireCount } from "../../model/internal.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Shown, shownAs } from "../../show/index.ts";
import type { Part, Showing } from "../../show/index.ts";
import { add, Tensor } from "../../tensor/index.ts";
import { describeTensor, meanOf, rowNorms } from "../../tensor/internal.ts";
import type { FactoredModel } from "../factored-model.ts";
import { finalBias } from "../frozen/frozen-layers.ts";
import { requireNoPadding, throughFinalNorm, unembed } from "../frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "../frozen/frozen-run.ts";
import { streamsByOrder } from "../frozen/order-streams.ts";
import { readAlong, readoutOf } from "../targets.ts";
import { attributePaths, precisionOf } from "./attribution.ts";
import { certificateOf } from "./certificate.ts";
import type { PathCertificate } from "./certificate.ts";
import { termFormula } from "./formula.ts";
import type { FormulaFormat } from "./formula.ts";
import { GROUPINGS, groupTerms } from "./groups.ts";
import type { TermGrouping } from "./groups.ts";
import type { AttributionOptions, PathFilter, RankedTerm, RankOptions, TermMetric } from "./options.ts";
import type { FrozenSource } from "./sources.ts";
import { PATH_TERM, enumeratePaths, PathNode, termJSON, termShowing } from "./terms.ts";
import type { PathTerm } from "./terms.ts";

/** Terms that a display lists. */
const SHOWN = 12;

/** Terms x tokens x d_model up to which a display evaluates them: less than a second's work. */
const QUICK = 4e6;

/**
 * A model's logits on some tokens as a sum of terms, evaluated when asked for.
 *
 * Held are the paths and, once used, the residual-stream contribution of every path that longer ones go on from,
 * `[batch, pos, d_model]` in float64; nothing of the size of the vocabulary. Made by {@link pathExpansion}.
 * @category Path expansion
 * @example
 * ```ts
 * import { pathExpansion } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const expansion = pathExpansion(model, [0, 300, 301, 302, 300, 301, 302]);
 * const viaL1H4 = expansion.select({ last: "L1H4" });
 * console.log(viaL1H4.length, viaL1H4.slice(0, 3).map(({ label }) => label).join(" "));
 * // 9 L1H4 L0H0→L1H4 L0H1→L1H4
 * console.log(String(expansion.attribution()));
 * // Tensor[term=82 batch=1 pos=6] float64
 * ```
 */
export class PathExpansion extends Shown {
  readonly model: Transformer;
  /** `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /**
   * The paths: those of no head first, the direct one before what MLPs wrote and biases, then by order, head by head.
   */
  readonly terms: readonly PathTerm[];
  /**
   * Everything that begins in a bias ($b_V$, $b_O$, those of norms, and in the logits $b_U$), along all paths together;
   * where biases are sources of paths, $b_U$ alone.
   */
  readonly bias: PathTerm;
  /** All paths longer than `maxOrder` together; absent when every path is written out. */
  readonly remainder: PathTerm | undefined;
  /** The most heads on a path that is written out. */
  readonly maxOrder: number;
  readonly #frozen: FrozenRun;
  readonly #nodes: readonly PathNode[];
  readonly #inner: readonly PathNode[];

  /** @internal */
  constructor({ frozen }: FactoredModel, sources: readonly FrozenSource[], maxOrder: number, splitBiases: boolean) {
    super();
    const { model, run } = frozen;
    const roots = sources.map((source) => PathNode.root(frozen, source));
    this.model = model;
    this.tokens = run.tokens;
    this.maxOrder = maxOrder;
    this.#frozen = frozen;
    this.#nodes = enumeratePaths(frozen, roots, maxOrder);
    this.#inner = roots.filter((root) => !this.#nodes.includes(root));
    this.terms = this.#nodes;
    this.bias = splitBiases
      ? lumpedTerm("b_U", 0, () => Tensor.zeros("batch pos d_model", run.cache.get("hook_embed").shape, "float64"))
      : lumpedTerm("bias", 0, () => finalBias(frozen));
    this.remainder =
      maxOrder < model.config.n_layers
        ? lumpedTerm("remainder", maxOrder + 1, () => longerPaths(frozen, maxOrder, splitBiases))
        : undefined;
  }

  /** The logits of the model's own run, which the terms sum to. */
  get modelLogits(): Tensor<"batch pos d_vocab"> {
    return this.#frozen.run.logits;
  }

  /** The tokens, and the labels of all terms. */
  override toJSON(): object {
    return { type: "PathExpansion", tokens: this.tokens.toNested(), maxOrder: this.maxOrder, labels: this.labels };
  }

  /** @internal */
  override showing(): Showing {
    const { terms, all, maxOrder, tokens } = this;
    const [first, second] = terms.map((term) => termFormula(this.model, term, "text"));
    const end = all.length > 2 ? [`… (${all.length} terms)`] : [];
    const formula = `logits = ${[first, second]
      .filter((part) => part !== undefined)
      .concat(end)
      .join(" + ")}`;
    const title = `PathExpansion on tokens ${describeTensor(tokens)}, paths through at most ${maxOrder} heads`;
    const isMean = tokens.sizeOf("pos") > 1 && this.#frozen.trace?.mask === undefined;
    const isQuick = isMean && terms.length * tokens.size * this.model.config.d_model <= QUICK;
    const largest = (): Part[] => {
      const rows = this.rank("attribution", { k: SHOWN }).map(({ term, value }) => [term.label, value] as const);
      return [
        { kind: "rows", columns: ["largest terms", "mean attribution to the next token"], rows, total: all.length },
      ];
    };
    return { title, parts: () => [{ kind: "words", text: formula }, ...(isQuick ? largest() : [])] };
  }

  /** All that sums to the logits: the paths, the bias, and the remainder if there is one. */
  get all(): readonly PathTerm[] {
    return [...this.terms, this.bias, ...(this.remainder === undefined ? [] : [this.remainder])];
  }

  /** The labels of {@link PathExpansion.all}, in order. */
  get labels(): string[] {
    return this.all.map(({ label }) => label);
  }

  /**
   * The logits that a term contributes, `[batch, pos, d_vocab]`, float64: its residual contribution times $W_U$; $b_U$
   * belongs to the bias.
   */
  logits(term: PathTerm): Tensor<"batch pos d_vocab"> {
    requireKind(PATH_TERM, term, "term", "logits");
    const logits = unembed(this.model, term.resid);
    return term.kind === "bias" ? add(logits, this.model.b_U) : logits;
  }

  /**
   * What every term adds to the logit of a target, by default the correct next token: one dot product with a column of
   * $W_U$ per position, without the term's other logits. All paths together cost little more than what they share.
   *
   * @param options - `targets`, `terms`, `precision`, `signal`, `onProgress`.
   * @returns `[term, batch, pos]`, float64 storage, in logits; terms as asked for, one position fewer than the prompt
   * for next tokens.
   * @throws {@link InputError} when a prompt has no next token or a target is no output token; {@link ShapeError} when
   * targets do not fit the prompts.
   */
  attribution(options: AttributionOptions = {}): Tensor<"term batch pos"> {
    requireOptions(options, "attribution", "targets precision terms signal onProgress");
    const { targets = "next" } = options;
    const readout = readoutOf(this.model, this.tokens, targets, "attribution");
    const batch = this.tokens.sizeOf("batch");
    const size = batch * readout.positions;
    const { terms = this.all, precision = precisionOf(this.#frozen) } = options;
    requireChoice(precision, ["float32", "float64"], "precision", "attribution");
    const out = new Float64Array(terms.length * size);
    const steps = new Steps(options, terms.length);
    const paths = options.terms === undefined ? this.#nodes.length : 0;
    if (paths > 0) {
      attributePaths(this.#frozen, this.#nodes, this.#inner, readout, precision, (t, values) => {
        out.set(values, t * size);
        steps.advance();
      });
    }
    for (const [t, term] of terms.entries()) {
      if (t < paths) continue;
      const values = readAlong(readout, term.resid);
      out.set(term.kind === "bias" ? values.map((x, i) => x + (readout.constants[i] as number)) : values, t * size);
      steps.advance();
    }
    return Tensor.from("term batch pos", [terms.length, batch, readout.positions], out);
  }

  /**
   * The paths that meet every condition given, in order; bias and remainder are none.
   * @throws {@link InputError} when a head's label cannot be read.
   */
  select(filter: PathFilter): PathTerm[] {
    requireObject(filter, "filter", "select", "order head layer last source");
    const isHead = (ref: HeadRef): ((id: { layer: number; head: number }) => boolean) => {
      const wanted = typeof ref === "string" ? parseHead(ref) : ref;
      return (id) => id.layer === wanted.layer && id.head === wanted.head;
    };
    const { order, head, layer, last, source } = filter;
    return this.terms.filter(
      ({ path, source: from }) =>
        (source === undefined || from === source) &&
        (order === undefined || path.length === order) &&
        (head === undefined || path.some(isHead(head))) &&
        (layer === undefined || path.some((id) => id.layer === layer)) &&
        (last === undefined || path.slice(-1).some(isHead(last))),
    );
  }

  /**
   * Terms taken together: by order, by first or last head, by source, by the layers passed through, or as a function
   * says. Each group is a term, the sum of its members, and can be ranked, attributed and certified like any other;
   * bias and remainder stay as they are.
   *
   * @param terms - what to group; {@link PathExpansion.all} by default.
   * @throws {@link InputError} for an unknown grouping.
   */
  group(by: TermGrouping, terms: readonly PathTerm[] = this.all): PathTerm[] {
    requireKinds(PATH_TERM, terms, "terms", "group");
    if (typeof by !== "function") requireChoice(by, GROUPINGS, "by", "group");
    return groupTerms(terms, by);
  }

  /**
   * The terms with the largest values of a metric, in absolute value, largest first.
   *
   * @param metric - `"attribution"` by default.
   * @param options - `k`, `positions`; `targets`, `terms`, `precision`, `signal` and `onProgress` as for
   * {@link PathExpansion.attribution}.
   * @throws {@link InputError} for a position that has no value, a mean over the padding of a run, and as
   * {@link PathExpansion.attribution}.
   */
  rank(metric: TermMetric = "attribution", options: RankOptions = {}): RankedTerm[] {
    requireOptions(options, "rank", "targets precision terms signal onProgress k positions");
    const { k, positions, ...rest } = options;
    if (k !== undefined) requireCount(k, "k", "rank");
    if (typeof metric !== "function") requireChoice(metric, ["attribution", "norm"], "metric", "rank");
    if (typeof metric !== "function") requireNoPadding(this.#frozen, "rank", positions);
    const { terms = this.all } = rest;
    const evaluate = metric === "norm" ? undefined : this.attribution(rest);
    const ranked = terms.map((term, t) => {
      const all = evaluate?.select("term", t) ?? Tensor.from("batch pos", this.tokens.shape, rowNorms(term.resid));
      const values = positions === undefined ? all : atPositions(all, positions);
      return { term, value: typeof metric === "function" ? metric(term, values) : meanOf(values.data) };
    });
    return ranked.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, k ?? ranked.length);
  }

  /**
   * The expansion as a formula, `"text"` or `"latex"`: of one term, or of all of them with plus signs between.
   * @param format - `"text"` by default.
   */
  formula(format: FormulaFormat = "text", term?: PathTerm): string {
    if (term !== undefined) requireKind(PATH_TERM, term, "term", "formula");
    requireChoice(format, ["text", "latex"], "format", "formula");
    if (term !== undefined) return termFormula(this.model, term, format);
    const parts = this.all.map((each) => termFormula(this.model, each, format));
    return `${format === "latex" ? "\\mathrm{logits}" : "logits"} = ${parts.join(" + ")}`;
  }

  /**
   * Sums terms in float64 and compares with the model's logits: the largest deviation, and the most that the rounding
   * of the model's own float32 run explains. With `maxOrder` the remainder is among the terms; it is computed on its
   * own, by recursion over orders, not as a difference.
   *
   * @param terms - what to sum; {@link PathExpansion.all} by default.
   * @param options - `signal`, `onProgress`, per term.
   * @throws {@link ShapeError} when a term is not of the run's sizes.
   */
  certificate(terms: readonly PathTerm[] = this.all, options: ProgressOptions = {}): PathCertificate {
    requireKinds(PATH_TERM, terms, "terms", "certificate", options, "signal onProgress");
    const complete = this.remainder === undefined;
    return { ...certificateOf(this.#frozen, terms, options), maxOrder: this.maxOrder, complete };
  }
}

/** A term that is not one path; kept once computed. */
function lumpedTerm(label: "bias" | "remainder" | "b_U", order: number, compute: () => Stream): PathTerm {
  let resid: Stream | undefined;
  const term: PathTerm = {
    label,
    kind: label === "b_U" ? "bias" : label,
    source: label === "b_U" ? "b_U" : "direct",
    path: [],
    order,
    get resid(): Stream {
      resid ??= compute();
      return resid;
    },
  };
  return shownAs(term, termShowing, termJSON);
}

/** All paths longer than `maxOrder`, through the final norm. */
function longerPaths(frozen: FrozenRun, maxOrder: number, withBiases: boolean): Stream {
  const sums = streamsByOrder(frozen, { withBiases, most: maxOrder + 1 });
  return throughFinalNorm(frozen, sums[maxOrder + 1] as Stream);
}

/** The values at some positions. */
function atPositions(values: Tensor<"batch pos">, positions: readonly number[]): Tensor<"batch pos"> {
  const [batch = 0, count = 0] = values.shape;
  requireKind("list", positions, "positions", "rank");
  if (positions.length === 0) throw noPositions("positions is empty. Name one or more", count, positions);
  const wrong = positions.find((position) => !(Number.isInteger(position) && position >= 0 && position < count));
  if (wrong !== undefined) throw noPositions(`position ${nameOf(wrong)} has no value`, count, positions);
  const taken = Array.from({ length: batch }, (_, b) => positions.map((position) => values.at(b, position)));
  return Tensor.from("batch pos", [batch, positions.length], Float64Array.from(taken.flat()));
}

function noPositions(what: string, count: number, actual: unknown): InputError {
  return new InputError(`${what}; there are values at the ${count} positions 0 to ${count - 1}.`, {
    operation: "rank",
    argument: "positions",
    expected: [0, count - 1],
    actual,
  });
}
