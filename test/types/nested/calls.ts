/** What the tables of this folder are made of: expressions that give a value of some type, and calls that take one. */

/** An expression that gives what is asked for; undefined where it cannot. */
export interface Giver {
  readonly name: string;
  readonly giving: (wanted: string) => string | undefined;
}

/** A call with an argument. */
export interface Taker {
  /** What is called: an exported name, or a method with its class, `Tensor#select`. */
  readonly name: string;
  /** What the argument must be: the axes of a tensor, or the two spaces of a map. */
  readonly of: string;
  readonly call: (argument: string) => string;
  /** The type of the call, as an editor shows it; undefined where it does not depend on the argument's. */
  readonly type: string | undefined;
  /** A mistake that the compiler must refuse: the call itself, or the argument's axes or spaces alone. */
  readonly mistake: ((argument: string) => string) | { readonly of: string };
}

/** The call with its argument where `_` stands. */
export const fill =
  (call: string) =>
  (argument: string): string =>
    call.replace(/\b_\b/g, () => argument);
