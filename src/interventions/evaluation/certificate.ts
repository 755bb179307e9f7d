/** What is said of a circuit when it was judged. */
import { resultJSON, Shown } from "../../show/index.ts";
import type { Rows, Showing } from "../../show/index.ts";
import type { Circuit, EdgeAblation } from "../discovery/index.ts";
import type { CircuitFaithfulness } from "./circuit-faithfulness.ts";
import type { CircuitGrid } from "./circuit-grid.ts";
import type { CircuitStability } from "./circuit-stability.ts";
import type { SampleSummary } from "./statistics.ts";

/**
 * A circuit's faithfulness prompt by prompt.
 * @category Circuit evaluation
 */
export interface PromptFaithfulness {
  /** The metric of the model, for each prompt. */
  readonly full: readonly number[];
  /** That of the circuit alone. */
  readonly circuit: readonly number[];
  /** That with every edge cut. */
  readonly empty: readonly number[];
  /** The metric of the circuit less that of the model. */
  readonly deviation: SampleSummary;
  /** $f$ of each prompt; it means little where a prompt's metric hardly changes when every edge is cut. */
  readonly faithfulness: SampleSummary;
  /** The prompts on which the circuit is farthest from the model, the farthest first. */
  readonly worst: readonly {
    readonly prompt: number;
    readonly tokens: readonly number[];
    readonly full: number;
    readonly circuit: number;
    readonly faithfulness: number;
  }[];
}

/**
 * Random circuits of the same size.
 * @category Circuit evaluation
 */
export interface RandomBaseline {
  readonly kind: "connected" | "matched";
  readonly count: number;
  /** $f$ of each. */
  readonly faithfulness: readonly number[];
  readonly summary: SampleSummary;
  /** How many of them are as near to the model as the circuit, by $|1 - f|$. */
  readonly atLeastAsFaithful: number;
  /** The chance of that: `(atLeastAsFaithful + 1) / (count + 1)`. */
  readonly pValue: number;
  /** The same at the sizes of the curve: for each share of the edges random circuits of as many as its circuit has. */
  readonly bySize: readonly {
    readonly share: number;
    readonly edges: number;
    readonly faithfulness: readonly number[];
  }[];
}

/**
 * What a certificate says, without what it can do.
 * @inline
 */
type CertificateParts = Omit<CircuitCertificate, keyof Shown>;

/**
 * What {@link evaluateCircuit} says of a circuit. It prints itself in a few lines, and `JSON.stringify` writes all of
 * it.
 *
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { logitDifference } from "transformer-circuits/model";
 * import { Circuit, circuitGraph, evaluateCircuit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const everything = Circuit.from(circuitGraph(model), { edges: "all" });
 * const metric = logitDifference({ answer: 7, wrong: 8 });
 * const certificate = evaluateCircuit(model, everything, [0, 7, 9, 5, 7], metric, { randomCount: 1 });
 * console.log(certificate.sufficiency, certificate.necessity);
 * // 1 1
 * console.log(String(certificate));
 * // Circuit of 257 of 257 edges, 18 of 18 nodes: alone it keeps 100.0 %, without it 0.0 % is left
 * ```
 */
export class CircuitCertificate extends Shown {
  /** The circuit that was judged: pruned, with the positions that it was judged at. */
  declare readonly circuit: Circuit;
  declare readonly metric: string;
  /** What cut edges carried, where nothing else is said. */
  declare readonly ablation: EdgeAblation;
  /** How many prompts it was judged on. */
  declare readonly prompts: number;
  /** The mean metric of the model. */
  declare readonly full: number;
  /** The mean metric with every edge cut. */
  declare readonly empty: number;
  /** $f$ of the circuit: what it does alone. */
  declare readonly sufficiency: number;
  /** 1 less $f$ of all but the circuit: what is lost without it. */
  declare readonly necessity: number;
  /** CPR and CMD over the benchmark's sizes. */
  declare readonly curve: CircuitFaithfulness;
  declare readonly grid: CircuitGrid;
  declare readonly perPrompt: PromptFaithfulness;
  declare readonly random: RandomBaseline;
  /** Absent where there is one prompt alone. */
  declare readonly stability: CircuitStability | undefined;

  /** @internal */
  constructor(parts: CertificateParts) {
    super();
    Object.freeze(Object.assign(this, parts));
  }

  /** In one line: how large it is, what it keeps alone, and what is left without it. */
  override toString(): string {
    return `${String(this.circuit)}: alone it keeps ${percent(this.sufficiency)}, without it ${percent(1 - this.necessity)} is left`;
  }

  /** All of it as plain data, NaN and infinities as texts. */
  override toJSON(): unknown {
    return resultJSON({ ...this });
  }

  /** @internal */
  override showing(): Showing {
    const rows = (): Rows["rows"] => this.#rows();
    return { title: this.toString(), parts: () => [{ kind: "rows", columns: ["judged by", "result"], rows: rows() }] };
  }

  #rows(): Rows["rows"] {
    const { curve, grid, perPrompt, random, stability } = this;
    const ways = (kept: "circuit" | "complement"): string => {
      const all = grid.cells.filter((cell) => cell.kept === kept).map(({ faithfulness }) => faithfulness);
      return `${percent(Math.min(...all))} to ${percent(Math.max(...all))}`;
    };
    const [worst] = perPrompt.worst;
    const prompts = `${this.prompts} ${this.prompts === 1 ? "prompt" : "prompts"}`;
    const farthest =
      worst === undefined ? "" : `; worst: prompt ${worst.prompt}, ${short(worst.circuit)} for ${short(worst.full)}`;
    return [
      [this.metric, `model ${short(this.full)}, nothing ${short(this.empty)} (${this.ablation} ablation, ${prompts})`],
      ["CPR and CMD", `${short(curve.cpr)} and ${short(curve.cmd)}`],
      [`${grid.cells.length} ways`, `kept alone ${ways("circuit")}; cut ${ways("complement")}`],
      [
        "prompts, 5 to 95 %",
        `${percent(perPrompt.faithfulness.p5)} to ${percent(perPrompt.faithfulness.p95)}${farthest}`,
      ],
      [
        `${random.count} random circuits`,
        `${percent(random.summary.mean)} on average, ${percent(random.summary.max)} at most; as faithful: ${random.atLeastAsFaithful}`,
      ],
      ...(stability === undefined ? [] : [["found again", `Jaccard ${short(stability.jaccard.mean)}`]]),
    ];
  }
}

// No -0.
const percent = (x: number): string => `${(Math.round(1000 * x) / 10 + 0).toFixed(1)} %`;
const short = (x: number): string => x.toPrecision(3);
