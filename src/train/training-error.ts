/** The error of a run of training that came to no finite numbers. */
import { CircuitsError } from "../errors.ts";
import type { TrainingState } from "./training-state.ts";

/**
 * A loss or a gradient is no finite number any more. The run before that step is in `state`.
 *
 * @category Training
 * @example
 * ```ts
 * import { TrainingError, initialModel, sgd, train } from "transformer-circuits/train";
 *
 * const config = { n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 4, d_vocab: 5, attn_only: true };
 * const model = initialModel(config, { seed: 1 });
 * try {
 *   await train(model, [{ tokens: [[1, 2, 3, 4]] }], { steps: 100, optimizer: sgd({ lr: 1e30 }) });
 * } catch (error) {
 *   if (error instanceof TrainingError) console.log(error.step, error.rate, error.state?.step);
 *   // 1 1e+30 1
 * }
 * ```
 */
export class TrainingError extends CircuitsError {
  override readonly name = "TrainingError";
  /** The step whose loss or gradient it was. */
  readonly step: number;
  /** The rate at that step. */
  readonly rate: number;
  /** The run before that step; undefined where its update was beyond float32. */
  declare readonly state: TrainingState | undefined;

  /** @internal */
  constructor(what: string, step: number, rate: number, state: TrainingState | undefined) {
    const mend = "Take a lower rate (adamW({ lr })), warm it up, or clip gradients ({ clip: { norm: 1 } })";
    const kept = state === undefined ? "" : " The run before this step is error.state.";
    super(`step ${step}: ${what}, at a rate of ${rate}. ${mend}.${kept}`, {
      operation: "train",
      expected: "finite numbers",
      actual: what,
    });
    this.step = step;
    this.rate = rate;
    // Not in sight: a console would print all of it.
    Object.defineProperty(this, "state", { value: state, enumerable: false });
  }
}
