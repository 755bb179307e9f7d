/** How a tensor shows itself, and what answers habits from other languages: `tensor[0]`, `tensor + 1`. */
import { InputError } from "../errors.ts";
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";

/** What a tensor is made on. */
export abstract class TensorHabits extends Shown {
  abstract readonly names: readonly string[];
  abstract readonly shape: readonly number[];
  abstract readonly size: number;
  abstract at(...indices: readonly number[]): number;
  abstract item(): number;

  /**
   * The text of a tensor in a template literal, and the number of a tensor of one number in arithmetic.
   *
   * @throws {@link InputError} where more numbers are used as one, as in `tensor + 1`.
   */
  [Symbol.toPrimitive](hint: string): string | number {
    if (hint === "string") return this.toString();
    if (this.size === 1) return this.item();
    throw new InputError(
      `${String(this)} is used as one number. Write add(t, 1), multiply(a, b) and the like for arithmetic, and \`\${t}\` for its text.`,
      { operation: "Tensor", expected: "a tensor of one number", actual: this },
    );
  }

  /** Answers `tensor[0]`, which other languages have. */
  protected get 0(): never {
    const [axis] = this.names;
    const indices = this.names.map(() => "0").join(", ");
    const rest = this.names.length > 1 ? `, or select("${axis}", 0) for a tensor` : "";
    throw new InputError(`${String(this)} has no elements in brackets. Write at(${indices}) for a number${rest}.`, {
      operation: "Tensor",
      argument: "index",
      actual: 0,
    });
  }

  /** @internal */
  override showing(): Showing {
    const { names, shape } = this;
    const at = (...index: readonly number[]): number => this.at(...index);
    return { title: this.toString(), parts: () => [{ kind: "numbers", names, shape, at }] };
  }
}
