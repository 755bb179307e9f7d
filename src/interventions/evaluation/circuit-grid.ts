/**
 * One circuit judged in every usual way (the choices of Miller et al. 2407.08734): by edges or by whole nodes; what is
 * cut set to zero, to its mean, to another prompt's or to the corrupted prompt's; kept at all positions or at the
 * circuit's own; the circuit alone (is it sufficient?) or all but the circuit (is it necessary?). Of a node that keeps
 * some of its neurons alone, the circuit is these; EAP-IG lets them pass along edges that are cut too.
 */
import { InputError, requireKind } from "../../errors.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { MetricLike, Transformer } from "../../model/index.ts";
import { meanOf } from "../../tensor/internal.ts";
import { pruneCircuit } from "../discovery/index.ts";
import type { Circuit, CircuitMask, CircuitPrompts, EdgeAblation } from "../discovery/index.ts";
import { ABLATIONS, checkPrompts, CircuitRuns, requireCircuit, whyNot } from "../discovery/internal.ts";
import type { CheckedPrompts, EdgeMask } from "../discovery/internal.ts";

/**
 * One way of judging a circuit, and what it says.
 * @category Circuit evaluation
 */
export interface GridCell {
  /** Whether the circuit is its edges, or its nodes with all edges between them. */
  readonly unit: "edge" | "node";
  /** What a cut edge carries. */
  readonly ablation: EdgeAblation;
  /** Whether the circuit acts at all positions, or at those it has. */
  readonly positions: "all" | "circuit";
  /** Whether the circuit alone is kept, or all but the circuit. The input, a node of every circuit, is kept in both. */
  readonly kept: "circuit" | "complement";
  /** The mean metric. */
  readonly metric: number;
  /** $f$: 0 with every edge cut, 1 as the whole model. */
  readonly faithfulness: number;
}

/**
 * How {@link circuitGrid} judges.
 * @category Circuit evaluation
 */
export interface CircuitGridOptions extends ProgressOptions {
  /** The seed of `"resample"`; 0 unless given. */
  readonly seed?: number | undefined;
  /**
   * Which positions are text and which are padding; all are text unless given. Positions of a circuit are those of the
   * padded prompts.
   */
  readonly attentionMask?: CircuitMask | undefined;
}

/**
 * What {@link circuitGrid} says.
 * @category Circuit evaluation
 */
export interface CircuitGrid {
  readonly cells: readonly GridCell[];
  /** What is not in the table, and why. */
  readonly notes: readonly string[];
}

/**
 * Judges a circuit in every usual way: 16 ways where it has no positions of its own, 32 where it has some, fewer where
 * prompts do not allow an ablation; `notes` say what is left out.
 *
 * @param circuit - the circuit; what leads nowhere in it does not count.
 * @param prompts - prompts of one length, padded or not, with corrupted ones and others to take means of where there
 * are some.
 * @param options - `seed`, `attentionMask`, `signal`, `onProgress` (in runs).
 * @throws {@link InputError} or {@link ShapeError} for prompts, a metric or a circuit that do not fit the model; the
 * signal's reason when aborted.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { Circuit, circuitGraph, circuitGrid } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 12, batch: 2, seed: 0, bos: 0 });
 * const layer0 = Circuit.from(circuitGraph(model), { edges: ({ from, to }) => !`${from} ${to}`.includes("a1") });
 * const { cells, notes } = circuitGrid(model, layer0, prompts, crossEntropy(prompts));
 * console.log(cells.length, notes[0]);
 * // 12 "counterfactual" is left out: there are no corrupted prompts.
 * ```
 */
export function circuitGrid(
  model: Transformer,
  circuit: Circuit,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: CircuitGridOptions = {},
): CircuitGrid {
  const operation = "circuitGrid";
  requireKind("model", model, "model", operation, options, "seed attentionMask signal onProgress");
  requireCircuit(circuit, operation);
  const checked = checkPrompts(model, prompts, operation, options.attentionMask);
  requirePositions(circuit, checked.clean.tokens.sizeOf("pos"), operation);
  const { ablations, notes } = possibleAblations(checked, circuit);
  const masks = gridMasks(circuit);
  const steps = new Steps(options, ablations.length * (masks.length + 2));
  const cells = ablations.flatMap((ablation) => {
    const runs = new CircuitRuns(model, circuit.graph, checked, metric, { ...options, ablation, operation });
    return gridCells(runs, masks, () => {
      steps.advance();
    });
  });
  return { cells, notes };
}

/** The ablations that the prompts allow, and why others are left out. */
export function possibleAblations(
  prompts: CheckedPrompts,
  circuit: Circuit,
): { readonly ablations: EdgeAblation[]; readonly notes: string[] } {
  const notes: string[] = [];
  const ablations = ABLATIONS.filter((ablation) => {
    const why = whyNot(ablation, prompts);
    if (why !== undefined) notes.push(`"${ablation}" is left out: ${why[0]}.`);
    return why === undefined;
  });
  if (circuit.positions.size === 0) notes.push("the circuit has no positions of its own: it is kept at all of them.");
  return { ablations, notes };
}

/** A mask and what it is. */
export interface GridMask {
  readonly cell: Omit<GridCell, "ablation" | "metric" | "faithfulness">;
  readonly mask: EdgeMask;
}

/** The masks of a circuit: edges and nodes, everywhere and at its positions, kept and cut. */
export function gridMasks(circuit: Circuit): GridMask[] {
  const { graph, kept, keptNodes } = pruneCircuit(circuit);
  const last = graph.nodes.length - 1;
  const readerNode = graph.readers.map(({ node }) => graph.place(node) ?? last);
  const between = kept.map((_, i) => {
    const to = readerNode[graph.readerOf[i] ?? 0] ?? last;
    return (keptNodes[graph.senderOf[i] ?? 0] ?? 0) & (to === last ? 1 : (keptNodes[to] ?? 0));
  });
  const fromNodes = kept.map((_, i) => {
    const from = graph.senderOf[i] ?? 0;
    return from === 0 ? 0 : (keptNodes[from] ?? 0);
  });
  const positions = positionMasks(circuit);
  const neurons = neuronMasks(circuit);
  const places = circuit.positions.size === 0 ? (["all"] as const) : (["all", "circuit"] as const);
  return (["edge", "node"] as const).flatMap((unit) =>
    places.flatMap((where) =>
      (["circuit", "complement"] as const).map((side) => {
        const own = unit === "edge" ? kept : side === "circuit" ? between : fromNodes;
        const cuts = side === "complement";
        const mask = { edges: own, cuts, neurons, positions: where === "all" ? undefined : positions };
        return { cell: { unit, positions: where, kept: side }, mask };
      }),
    ),
  );
}

/** The positions of nodes as masks, by the places of nodes. */
export function positionMasks(circuit: Circuit): Map<number, Uint8Array> {
  const masks = new Map<number, Uint8Array>();
  for (const [name, positions] of circuit.positions) {
    const mask = new Uint8Array(Math.max(0, ...positions.map((p) => p + 1)));
    for (const p of positions) mask[p] = 1;
    masks.set(circuit.graph.place(name) ?? 0, mask);
  }
  return masks;
}

/** The neurons of nodes that keep some of them alone as masks, by the places of nodes. */
export function neuronMasks(circuit: Circuit): Map<number, Uint8Array> {
  const masks = new Map<number, Uint8Array>();
  for (const [name, { kept }] of circuit.neurons) {
    if (kept?.some((isKept) => !isKept) !== true) continue;
    masks.set(circuit.graph.place(name) ?? 0, Uint8Array.from(kept, Number));
  }
  return masks;
}

/** Refuses a circuit with positions that prompts do not have. */
export function requirePositions(circuit: Circuit, pos: number, operation: string): void {
  for (const [name, positions] of circuit.positions) {
    const p = positions.find((position) => position >= pos);
    if (p === undefined) continue;
    throw new InputError(
      `the circuit keeps ${name} at position ${p}, but the prompts have ${pos} tokens. Give prompts as long as those that it was found on.`,
      { operation, argument: "circuit", expected: `positions below ${pos}`, actual: p },
    );
  }
}

/** The cells of one ablation; `onStep` is called after each run. */
export function gridCells(runs: CircuitRuns, masks: readonly GridMask[], onStep: () => void): GridCell[] {
  const size = masks[0]?.mask.edges.length ?? 0;
  const mean = (mask: EdgeMask): number => {
    const value = meanOf(runs.value(mask));
    onStep();
    return value;
  };
  const full = mean({ edges: new Uint8Array(size), cuts: true });
  const empty = mean({ edges: new Uint8Array(size) });
  return masks.map(({ cell, mask }) => {
    const metric = mean(mask);
    return { ...cell, ablation: runs.ablation, metric, faithfulness: (metric - empty) / (full - empty) };
  });
}
