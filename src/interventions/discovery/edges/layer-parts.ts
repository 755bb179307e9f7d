/** Parts of a layer without hooks. */
import { activate } from "../../../model/index.ts";
import type { MLP } from "../../../model/index.ts";
import type { Tensor } from "../../../tensor/index.ts";

/** What an MLP adds to the stream that it reads. */
export function mlpOf(mlp: MLP, x: Tensor<"batch pos d_model">): Tensor<"batch pos d_model"> {
  const active = activate(mlp.act_fn, mlp.preActivations(mlp.ln2 === undefined ? x : mlp.ln2.apply(x)));
  return mlp.write(mlp.ln === undefined ? active : mlp.ln.apply(active));
}
