/** What the list of figures says of each: its name, what it needs, how it is made and drawn. */
import type { Captions, Figure } from "../viz/index.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "./input.ts";

/**
 * One figure of the list.
 * @category Figures
 */
export interface FigureEntry<Data = unknown> {
  /** The name by which the command draws it, `ov-eigenvalues`. */
  readonly name: string;
  /**
   * Its place among the figures of the papers and of ARENA's chapter, in which figures of one family share a number.
   */
  readonly number: number;
  /** What it shows, in one line. */
  readonly title: string;
  /** Where the figure comes from: paper and section. */
  readonly source: string;
  /** What it cannot be made without. */
  readonly needs: readonly FigureNeed[];
  /** Whether it follows a model through several checkpoints of its training; not unless this is `true`. */
  readonly takesCheckpoints?: boolean;
  /** Whether it is made of the text where one is given, and of random tokens otherwise; not unless this is `true`. */
  readonly takesText?: boolean;
  /** What its drawing is a file of. */
  readonly output: "svg" | "html";
  /** The figure's data: plain values and tensors, which {@link figureJson} writes. */
  make(input: FigureInput, options?: FigureOptions): Data | Promise<Data>;
  /** The drawing of the data. */
  draw(data: Data, captions?: Captions): Figure;
}
