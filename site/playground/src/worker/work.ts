/** What a job has at hand beside what it is asked. */
import type { Figure } from "transformer-circuits/viz";
import type { FiguresReply, SentFigure } from "../protocol.ts";

/** Options of the library's long computations; what is cancelled ends with the worker. */
export interface Work {
  readonly onProgress: (done: number, total: number) => void;
}

/** A figure as it crosses to the page. */
export function send({ kind, label, width, height, body }: Figure): SentFigure {
  return { kind, label, width, height, body, fragment: "" };
}

/** Figures with sentences. */
export function shown(figures: readonly (Figure | undefined)[], ...notes: readonly string[]): FiguresReply {
  return { figures: figures.flatMap((figure) => (figure === undefined ? [] : [send(figure)])), notes };
}
