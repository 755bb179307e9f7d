/**
 * The derivative of an MLP: $f(n(x) W_{in} + b_{in}) W_{out} + b_{out}$, or with a gate
 * $(f(n(x) W_{gate}) \odot n(x) W_{in} + b_{in}) W_{out} + b_{out}$.
 */
import type { FloatArray } from "../../kernels/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { activate } from "../activation.ts";
import type { MLP } from "../mlp.ts";
import { backThroughActivation } from "./activation.ts";
import type { Backward } from "./pass.ts";
import { backThroughNorm } from "./norm.ts";
import { linearGradients, sumRows } from "./products.ts";

/** The gradient by what an MLP reads of the stream, of that by what it writes. */
export function backThroughMlp(pass: Backward, mlp: MLP, atOut: Float32Array): Float32Array {
  const { hooks, take, batch, pos, model } = pass;
  const at = `blocks.${mlp.layer}` as const;
  const rows = batch * pos;
  const d_mlp = mlp.b_in.size;
  const d_model = mlp.b_out.size;
  const shape = [batch, pos, d_mlp];
  const raw = take(rows * d_mlp);
  linearGradients({
    ...{ rows, inner: d_mlp, outer: d_model },
    x: { data: rawData(pass.activation(`${at}.mlp.hook_post`)) as FloatArray },
    W: rawData(model.weight(`${at}.mlp.W_out`)) as FloatArray,
    gradient: { data: atOut },
    byW: pass.parameter(`${at}.mlp.W_out`),
    byB: pass.parameter(`${at}.mlp.b_out`),
    byX: { data: raw },
  });
  const atPost = hooks.pass(`${at}.mlp.hook_post`, "batch pos d_mlp", shape, raw);

  if (mlp.W_gate !== undefined) return backThroughGate(pass, mlp, atPost);
  const mid = (): Tensor => pass.activation(`${at}.mlp.hook_mid`);
  const throughNorm = backThroughNorm(pass, mlp.ln, `${at}.mlp.ln`, mid, atPost);
  const atMid =
    mlp.ln === undefined ? throughNorm : hooks.pass(`${at}.mlp.hook_mid`, "batch pos d_mlp", shape, throughNorm);
  const pre = rawData(pass.activation(`${at}.mlp.hook_pre`)) as FloatArray;
  const active = backThroughActivation(mlp.act_fn, pre, d_mlp, atMid, take(rows * d_mlp));
  const atPre = hooks.pass(`${at}.mlp.hook_pre`, "batch pos d_mlp", shape, active);

  return backThroughReaders(pass, mlp, [["W_in", atPre, pass.parameter(`${at}.mlp.b_in`)]]);
}

/** The gradient by what an MLP reads of the stream, of that by the product of its activations and what they gate. */
function backThroughGate(pass: Backward, mlp: MLP, atPost: Float32Array): Float32Array {
  const { hooks, take, batch, pos } = pass;
  const at = `blocks.${mlp.layer}.mlp` as const;
  const d_mlp = mlp.b_in.size;
  const shape = [batch, pos, d_mlp];
  const byIn = pass.parameter(`${at}.b_in`);
  if (byIn !== undefined) sumRows(atPost, d_mlp, byIn);
  const gate = pass.activation(`${at}.hook_pre`);
  const active = rawData(activate(mlp.act_fn, gate));
  const input = rawData(pass.activation(`${at}.hook_pre_linear`));
  const [byActive, byInput] = [take(atPost.length), take(atPost.length)];
  for (let i = 0; i < atPost.length; i++) {
    byActive[i] = (atPost[i] as number) * (input[i] as number);
    byInput[i] = (atPost[i] as number) * (active[i] as number);
  }
  const atLinear = hooks.pass(`${at}.hook_pre_linear`, "batch pos d_mlp", shape, byInput);
  const pre = rawData(gate) as FloatArray;
  const byPre = backThroughActivation(mlp.act_fn, pre, d_mlp, byActive, take(atPost.length));
  const atPre = hooks.pass(`${at}.hook_pre`, "batch pos d_mlp", shape, byPre);
  return backThroughReaders(pass, mlp, [
    ["W_in", atLinear],
    ["W_gate", atPre],
  ]);
}

/** The gradient by what an MLP reads of the stream, of those by what its maps give. */
function backThroughReaders(
  pass: Backward,
  mlp: MLP,
  readers: readonly (readonly [name: "W_in" | "W_gate", gradient: Float32Array, byB?: FloatArray | undefined])[],
): Float32Array {
  const { hooks, take, batch, pos, model } = pass;
  const at = `blocks.${mlp.layer}` as const;
  const [rows, d_mlp, d_model] = [batch * pos, mlp.b_in.size, mlp.b_out.size];
  const atInput = take(rows * d_model);
  const input = pass.normOutput(mlp.ln2, `${at}.ln2`, `${at}.hook_mlp_in`);
  for (const [i, [name, gradient, byB]] of readers.entries()) {
    linearGradients({
      ...{
        rows,
        inner: d_model,
        outer: d_mlp,
        x: { data: rawData(input) as FloatArray },
        gradient: { data: gradient },
      },
      W: rawData(model.weight(`${at}.mlp.${name}`)) as FloatArray,
      ...{ byW: pass.parameter(`${at}.mlp.${name}`), byB, byX: { data: atInput }, accumulate: i > 0 },
    });
  }
  const x = (): Tensor => pass.activation(`${at}.hook_mlp_in`);
  const throughLn2 = backThroughNorm(pass, mlp.ln2, `${at}.ln2`, x, atInput);
  return hooks.pass(`${at}.hook_mlp_in`, "batch pos d_model", [batch, pos, d_model], throughLn2);
}
