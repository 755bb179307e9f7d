/** The inputs of a backward pass: the model, the activations of its run, its hooks, and arrays for gradients. */
import type { FloatArray } from "../../kernels/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { PaddingMask } from "../attention-mask.ts";
import type { ModelParts } from "../embedding.ts";
import type { HookName } from "../hooks.ts";
import type { Norm } from "../norm.ts";
import { GradientHooks } from "./hooks.ts";
import type { BackwardRequest, Take } from "./hooks.ts";

/**
 * Where the gradient of a parameter goes, all of it; undefined where nobody asks for it. That of the token embedding is
 * given as zeros, since few of its rows are written.
 */
export type ParameterGradients = (name: string) => FloatArray | undefined;

/** The inputs of a backward pass. */
export class Backward {
  readonly model: ModelParts;
  readonly hooks: GradientHooks;
  readonly take: Take;
  readonly batch: number;
  readonly pos: number;
  /** Which positions are padding, where some are. */
  readonly mask: PaddingMask | undefined;
  /** What the run kept: see {@link activationsFor}. */
  readonly activation: (name: HookName) => Tensor;
  readonly parameter: ParameterGradients;

  constructor(
    model: ModelParts,
    prompts: { readonly tokens: Tensor<"batch pos">; readonly mask: PaddingMask | undefined },
    activation: (name: HookName) => Tensor,
    request: BackwardRequest,
    parameter: ParameterGradients,
    hooks: GradientHooks = new GradientHooks(request),
  ) {
    this.model = model;
    this.activation = activation;
    this.hooks = hooks;
    this.take = request.take;
    this.parameter = parameter;
    [this.batch = 0, this.pos = 0] = prompts.tokens.shape;
    this.mask = prompts.mask;
    this.forHead = () => new Backward(model, prompts, activation, request, () => undefined, hooks.forHead());
  }

  /** The same pass for what one head alone reads: nothing of it is kept. */
  readonly forHead: () => Backward;

  /** The output of a norm in the run. */
  normOutput(norm: Norm | undefined, place: "ln_final" | `blocks.${number}.${"ln1" | "ln2"}`, input: HookName): Tensor {
    if (norm === undefined) return this.activation(input);
    return norm.addBias(norm.applyWeights(this.activation(`${place}.hook_normalized`)));
  }
}
