/** The derivatives of edits, so that gradients go through them: of each action that changes every element by itself. */
import type { EditDerivative, ModelConfig, PaddingMask } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { longForm } from "./action.ts";
import type { Action } from "./action.ts";
import { eachSelected, siteOf } from "./activation.ts";
import type { Part } from "./selection.ts";

/**
 * The derivative of an action on parts of an activation; undefined where an element goes by others of the activation,
 * as its own mean does.
 */
export function derivativeOfAction(
  action: Action,
  parts: readonly Part[],
  config: ModelConfig,
  mask: PaddingMask | undefined,
): EditDerivative | undefined {
  const slope = slopeOf(action);
  if (slope === undefined) return undefined;
  return ((gradient: Tensor, value: Tensor): Tensor => {
    const given = rawData(gradient);
    const out = given.slice();
    for (const part of parts) {
      eachSelected(siteOf(part, value, config, mask), config.attention_dir !== "causal", (i) => {
        out[i] = slope === 0 ? 0 : slope * (given[i] as number);
      });
    }
    return Tensor.from(gradient.axes, gradient.shape, out);
  }) as unknown as EditDerivative;
}

/** By how much what takes the place of an element moves with it. */
function slopeOf(action: Action): number | undefined {
  const long = longForm(action);
  if ("set" in long || "copyFrom" in long) return 0;
  if ("scale" in long) return long.scale;
  if ("add" in long) return 1;
  if ("noise" in long) return long.relative === true ? undefined : 1;
  if ("mean" in long) return long.of === undefined ? undefined : 0;
  if ("resample" in long) return long.from === undefined ? undefined : 0;
  return undefined;
}
