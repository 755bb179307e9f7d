/** Derivatives of edits: what a gradient needs to pass an activation that a function changed. */
import { requireKind } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AxesOfHook, Edit, HookName } from "./hooks.ts";

/**
 * The derivative of an edit, transposed: takes the gradient by what the edit returned, and the activation that it was
 * given; returns the gradient by that activation.
 * @category Model
 */
export type EditDerivative<N extends HookName = HookName> = (
  gradient: Tensor<AxesOfHook<N>>,
  value: Tensor<AxesOfHook<N>>,
  name: N,
) => Tensor<AxesOfHook<N>>;

// By function, so that edits stay plain functions and a derivative goes wherever its edit goes.
const derivatives = new WeakMap<Edit, EditDerivative>();

/**
 * An edit with its derivative, so that {@link gradients} can go through it.
 *
 * @param edit - the edit, a function of an activation.
 * @param derivative - takes the gradient by what the edit returned and the activation that it was given; returns the
 * gradient by that activation.
 * @returns the same function; its derivative is remembered.
 * @category Model
 * @example
 * ```ts
 * import { editAt, multiply } from "transformer-circuits";
 * import { editWithDerivative, gradients, logitDifference } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const name = "blocks.1.hook_attn_out";
 * const half = editWithDerivative<typeof name>((x) => multiply(x, 0.5), (gradient) => multiply(gradient, 0.5));
 * const metric = logitDifference({ answer: 5, wrong: 6 });
 * const found = gradients(model, [0, 5, 6, 5], metric, {
 *   at: [name, "blocks.1.attn.hook_result"],
 *   edits: editAt(name, half),
 * });
 * const ratio = found.at("blocks.1.attn.hook_result").at(0, 3, 2, 7) / found.at(name).at(0, 3, 7);
 * console.log(ratio);
 * // 0.5
 * ```
 */
export function editWithDerivative<N extends HookName>(edit: Edit<N>, derivative: EditDerivative<N>): Edit<N> {
  requireKind("function", edit, "edit", "editWithDerivative");
  requireKind("function", derivative, "derivative", "editWithDerivative");
  derivatives.set(edit as unknown as Edit, derivative as unknown as EditDerivative);
  return edit;
}

/** The derivative of an edit, where it was given. */
export function derivativeOf(edit: Edit): EditDerivative | undefined {
  return derivatives.get(edit);
}
