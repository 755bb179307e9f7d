/**
 * Runs with edges cut, by the hooks of an ordinary run alone: every reader's input is put together from what the
 * senders wrote,
 * kept or ablated. Slow and plain: what the engine of discovery is compared with.
 */
import type { CircuitGraph } from "../../../src/interventions/index.ts";
import { combineEdits, editAt } from "../../../src/model/index.ts";
import type { Edits, HookName, Transformer } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";

/** What each sender writes, `[batch, pos, d_model]`, float64. */
export type Outputs = Map<string, Float64Array>;

/** What the senders of a model write in a plain run. */
export function outputsOf(model: Transformer, tokens: number[][]): Outputs {
  const { cache } = model.run(tokens);
  const outputs: Outputs = new Map([["input", Float64Array.from(cache.get("hook_embed").data)]]);
  for (const { layer, heads, mlp } of model.layers) {
    const results = cache.get(`blocks.${layer}.attn.hook_result`);
    for (const { head } of heads)
      outputs.set(`a${layer}.h${head}`, Float64Array.from(results.select("head", head).data));
    if (mlp !== undefined) outputs.set(`m${layer}`, Float64Array.from(cache.get(`blocks.${layer}.hook_mlp_out`).data));
  }
  return outputs;
}

/**
 * The logits of a run in which `isKept` says of each edge, position and coordinate whether it carries what its sender
 * writes in this run.
 */
export function runWithEdges(
  model: Transformer,
  graph: CircuitGraph,
  tokens: number[][],
  ablated: Outputs,
  isKept: (edge: string, pos: number, coordinate: number) => boolean,
): Tensor<"batch pos d_vocab"> {
  const [batch, pos, d] = [tokens.length, tokens[0]?.length ?? 0, model.config.d_model];
  const written: Outputs = new Map();
  const reading = new Map<string, { name: string; from: string }[]>();
  for (const { name, from, to, input } of graph.edges) {
    const reader = `${to} ${input}`;
    reading.set(reader, [...(reading.get(reader) ?? []), { name, from }]);
  }
  const inputOf = (node: string, side: string | undefined, resid: Float64Array): Float64Array => {
    const sum = Float64Array.from(resid);
    for (const { name, from } of reading.get(`${node} ${side}`) ?? []) {
      const own = written.get(from);
      if (own === undefined) continue;
      const other = ablated.get(from);
      for (let row = 0; row < batch * pos; row++) {
        for (let i = row * d; i < (row + 1) * d; i++)
          if (!isKept(name, row % pos, i % d)) sum[i] = (sum[i] ?? 0) + (other?.[i] ?? 0) - (own[i] ?? 0);
      }
    }
    return sum;
  };
  const perHead = (t: Tensor, head: number): Float64Array => Float64Array.from(t.select("head", head).data);
  const edits: Edits[] = [
    editAt("hook_embed", (x) => {
      written.set("input", Float64Array.from(x.data));
      // Without layers the logits read the embedding itself.
      if (model.config.n_layers > 0) return x;
      return Tensor.from(x.axes, x.shape, Float32Array.from(inputOf("logits", undefined, Float64Array.from(x.data))));
    }),
  ];
  for (const { layer, heads, mlp } of model.layers) {
    for (const side of ["q", "k", "v"] as const) {
      const name: HookName = `blocks.${layer}.hook_${side}_input`;
      edits.push(
        editAt(name, (x) => {
          const out = new Float32Array(x.size);
          for (const { head } of heads) {
            const sum = inputOf(`a${layer}.h${head}`, side, perHead(x, head));
            for (let row = 0; row < batch * pos; row++)
              for (let i = 0; i < d; i++) out[(row * heads.length + head) * d + i] = sum[row * d + i] ?? 0;
          }
          return Tensor.from(x.axes, x.shape, out);
        }),
      );
    }
    edits.push(
      editAt(`blocks.${layer}.attn.hook_result`, (x) => {
        for (const { head } of heads) written.set(`a${layer}.h${head}`, perHead(x, head));
        return x;
      }),
    );
    const whole = (node: string) => (x: Tensor<"batch pos d_model">) =>
      Tensor.from(x.axes, x.shape, Float32Array.from(inputOf(node, undefined, Float64Array.from(x.data))));
    if (mlp !== undefined) {
      edits.push(editAt(`blocks.${layer}.hook_mlp_in`, whole(`m${layer}`)));
      edits.push(
        editAt(`blocks.${layer}.hook_mlp_out`, (x) => {
          written.set(`m${layer}`, Float64Array.from(x.data));
          return x;
        }),
      );
    }
    if (layer === model.config.n_layers - 1) edits.push(editAt(`blocks.${layer}.hook_resid_post`, whole("logits")));
  }
  return model.run(tokens, { edits: combineEdits(...edits), cache: [] }).logits;
}
