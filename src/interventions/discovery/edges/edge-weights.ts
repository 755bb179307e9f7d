/** Which edges a run keeps, and what that means for what each reader reads. */
import type { CircuitGraph } from "../circuits/index.ts";

/** Which edges a run keeps. */
export interface EdgeMask {
  /** 1 for each edge that is kept, or, where `cuts`, for each that is not. */
  readonly edges: Uint8Array;
  /** Whether `edges` are those that are cut; all others are kept. */
  readonly cuts?: boolean;
  /**
   * Positions at which the mask counts for the edges of a sender, one byte each; all positions where a sender has none.
   */
  readonly positions?: ReadonlyMap<number, Uint8Array> | undefined;
  /** Coordinates of what a sender writes, in which the mask counts for its edges; all where a sender has none. */
  readonly neurons?: ReadonlyMap<number, Uint8Array> | undefined;
}

/** What a mask means for each edge: how much of a sender's difference a reader gets, all of it and of a part. */
export class EdgeWeights {
  readonly #graph: CircuitGraph;
  readonly #mask: EdgeMask;
  readonly #live: Uint8Array;
  readonly #whole: Uint8Array;
  /** The senders for which it counts at some positions or in some coordinates alone. */
  readonly partial: readonly number[];

  constructor(graph: CircuitGraph, mask: EdgeMask) {
    this.#graph = graph;
    this.#mask = mask;
    this.partial = [...new Set([...(mask.positions?.keys() ?? []), ...(mask.neurons?.keys() ?? [])])];
    this.#whole = new Uint8Array(graph.readers.length);
    for (const [reader, { senders }] of graph.readers.entries()) {
      let isWhole = true;
      for (let s = 0; s < senders && isWhole; s++)
        isWhole = this.#weight(s, reader, false) === 1 && this.#weight(s, reader, true) === 0;
      this.#whole[reader] = isWhole ? 1 : 0;
    }
    this.#live = this.#findLive();
  }

  /** The places at which a sender's edges are masked, or `undefined` where they are everywhere. */
  positionsOf(sender: number): Uint8Array | undefined {
    return this.#mask.positions?.get(sender);
  }

  /** The coordinates in which a sender's edges are masked, or `undefined` where they are in all. */
  neuronsOf(sender: number): Uint8Array | undefined {
    return this.#mask.neurons?.get(sender);
  }

  /** Whether the mask counts for a part of what a sender writes alone. */
  isPartial(sender: number): boolean {
    return this.#mask.positions?.has(sender) === true || this.#mask.neurons?.has(sender) === true;
  }

  /** Whether a reader gets everything. */
  isWhole(reader: number): boolean {
    return this.#whole[reader] === 1;
  }

  /** Whether anything that a node writes reaches the logits. */
  isLive(node: number): boolean {
    return this.#live[node] === 1;
  }

  /** The weights of one reader's senders, on all of their differences or on the part for which the mask counts. */
  fill(reader: number, inPart: boolean, out: Float32Array): void {
    for (let s = 0; s < out.length; s++) out[s] = this.#weight(s, reader, inPart);
  }

  /** The same text for readers that read the same. */
  key(reader: number): string {
    const senders = this.#graph.readers[reader]?.senders ?? 0;
    let key = "";
    for (let s = 0; s < senders; s++) key += this.#isNamed(s, reader) ? "1" : "0";
    return key;
  }

  #isNamed(sender: number, reader: number): boolean {
    const edge = this.#graph.between(sender, reader);
    return edge !== undefined && this.#mask.edges[edge] === 1;
  }

  #weight(sender: number, reader: number, inPart: boolean): number {
    const isNamed = this.#isNamed(sender, reader);
    const isPartial = this.isPartial(sender);
    if (this.#mask.cuts !== true) return isNamed && isPartial === inPart ? 1 : 0;
    if (inPart) return isNamed && isPartial ? -1 : 0;
    return isNamed && !isPartial ? 0 : 1;
  }

  #findLive(): Uint8Array {
    const { nodes, readers } = this.#graph;
    const live = new Uint8Array(nodes.length);
    live[nodes.length - 1] = 1;
    for (let reader = readers.length - 1; reader >= 0; reader--) {
      const { node, senders } = readers[reader] ?? { node: "logits", senders: 0 };
      if (live[this.#graph.place(node) ?? 0] !== 1) continue;
      for (let s = 0; s < senders; s++) {
        if (this.#weight(s, reader, false) !== 0 || this.#weight(s, reader, true) !== 0) live[s] = 1;
      }
    }
    return live;
  }
}
