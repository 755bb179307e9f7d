/**
 * A step of training in TensorFlow.js: the model, prompts and AdamW of ours.mjs, heads as products of all of them at once.
 *
 * Tokens are embedded by a product with their one-hot rows, which are made once: the WebAssembly backend lacks the kernel
 * that the gradient of a look-up needs. The optimizer of the package is Adam; the decay goes before it.
 */
const [batch, pos, vocab, d, heads, layers] = [128, 85, 128, 48, 4, 2];
const [rate, decay] = [1e-3, 1];

/** @param {any} tf the package, with its gradients */
export function trainingStep(tf) {
  const kept = [];
  const keep = (tensor) => (kept.push(tensor), tensor);
  const variables = new Map();
  const variable = (name, ...shape) => {
    const values = tf.randomNormal(shape, 0, 0.1, "float32", variables.size + 1);
    variables.set(name, keep(tf.variable(values, true)));
    values.dispose();
  };
  variable("embed.W_E", vocab, d);
  variable("pos_embed.W_pos", pos, d);
  for (let layer = 0; layer < layers; layer++) {
    for (const name of "QKVO") {
      variable(`blocks.${layer}.attn.W_${name}`, d, d);
      variable(`blocks.${layer}.attn.b_${name}`, d);
    }
  }
  variable("unembed.W_U", d, vocab);
  variable("unembed.b_U", vocab);
  const weight = (name) => variables.get(name);

  const tokens = Int32Array.from({ length: batch * pos }, (_, at) => {
    const [b, i] = [Math.floor(at / pos), at % pos];
    return (37 * i * b + 11 * i + b) % vocab;
  });
  const oneHot = (ids) => keep(tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(ids, "int32"), vocab), "float32")));
  const inputs = oneHot(tokens);
  // No row of zeros has a class: the last position predicts nothing.
  const targets = oneHot(tokens.map((_, at) => (at % pos === pos - 1 ? -1 : tokens[at + 1])));
  const mask = new Float32Array(pos * pos);
  for (let i = 0; i < pos; i++) mask.fill(-1e9, i * pos + i + 1, (i + 1) * pos);
  const causal = keep(tf.tensor(mask, [pos, pos]));

  const linear = (x, layer, name) => {
    const of = (kind) => weight(`blocks.${layer}.attn.${kind}_${name}`);
    return tf.add(tf.matMul(x, of("W")), of("b"));
  };
  const loss = () => {
    const embedded = tf.reshape(tf.matMul(inputs, weight("embed.W_E")), [batch, pos, d]);
    let x = tf.reshape(tf.add(embedded, weight("pos_embed.W_pos")), [batch * pos, d]);
    for (let layer = 0; layer < layers; layer++) {
      const [q, k, v] = [..."QKV"].map((name) =>
        tf.transpose(tf.reshape(linear(x, layer, name), [batch, pos, heads, d / heads]), [0, 2, 1, 3]),
      );
      const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(d / heads));
      const z = tf.matMul(tf.softmax(tf.add(scores, causal)), v);
      x = tf.add(x, linear(tf.reshape(tf.transpose(z, [0, 2, 1, 3]), [batch * pos, d]), layer, "O"));
    }
    const logits = tf.add(tf.matMul(x, weight("unembed.W_U")), weight("unembed.b_U"));
    return tf.div(tf.sum(tf.mul(targets, tf.logSoftmax(logits))), -batch * (pos - 1));
  };

  const adam = tf.train.adam(rate, 0.9, 0.98, 1e-8);
  const step = () =>
    tf.tidy(() => {
      const { value, grads } = tf.variableGrads(loss, [...variables.values()]);
      for (const each of variables.values()) each.assign(tf.mul(each, 1 - rate * decay));
      adam.applyGradients(grads);
      return value;
    });
  return {
    variables,
    run: () => step().dispose(),
    result: async () => {
      const value = step();
      const numbers = await value.data();
      value.dispose();
      return numbers;
    },
    dispose() {
      kept.forEach((tensor) => tensor.dispose());
      adam.dispose();
    },
  };
}
