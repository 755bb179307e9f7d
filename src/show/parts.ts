/** What there is to see of a value. */

/** Numbers along named axes. */
export interface Numbers {
  readonly kind: "numbers";
  readonly names: readonly string[];
  readonly shape: readonly number[];
  readonly at: (...index: readonly number[]) => number;
}

/** Names with what they are. */
export interface Facts {
  readonly kind: "facts";
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** A table of words and numbers, most important row first. */
export interface Rows {
  readonly kind: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** How many of the first columns say what a row is of, such as `layer` and `head`; 0 unless given. */
  readonly indices?: number;
  /** How many rows there are in all, where not all are given. */
  readonly total?: number;
}

/** A line of text, as a formula; cut where it is long. */
export interface Words {
  readonly kind: "words";
  readonly text: string;
}

export type Part = Numbers | Facts | Rows | Words;

/** What a value shows of itself. */
export interface Showing {
  /** What it is, in one line: `Tensor[pos=5 d_model=64] float32`. */
  readonly title: string;
  /** What is in it; worked out only where there is room for it. */
  readonly parts?: (() => readonly Part[]) | undefined;
}
