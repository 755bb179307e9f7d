/** The few ONNX graphs of ort.mjs, encoded as protocol buffers by hand (onnx.proto3, IR version 8, opset 17). */

const concat = (parts) => Buffer.concat(parts.flat(Infinity));

function varint(value) {
  const bytes = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

/** Field number and wire type, then the value. */
const integer = (field, value) => [varint(field * 8), varint(value)];
const bytes = (field, value) => [varint(field * 8 + 2), varint(value.length), value];
const text = (field, value) => bytes(field, Buffer.from(value));
const message = (field, ...parts) => bytes(field, concat(parts));

const FLOAT = 1;
const ATTRIBUTE_INTS = 7;
const ATTRIBUTE_INT = 2;

/** `attributes`: an integer or a list of integers by name. */
function node(type, inputs, output, attributes = {}) {
  return message(
    1,
    inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, type),
    Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value)
        ? message(
            5,
            text(1, name),
            value.map((entry) => integer(8, entry)),
            integer(20, ATTRIBUTE_INTS),
          )
        : // A negative axis would need ten bytes; callers count from the front.
          message(5, text(1, name), integer(3, value), integer(20, ATTRIBUTE_INT)),
    ),
  );
}

const value = (field, name, shape) =>
  message(
    field,
    text(1, name),
    message(
      2,
      message(
        1,
        integer(1, FLOAT),
        message(
          2,
          shape.map((size) => message(1, integer(1, size))),
        ),
      ),
    ),
  );

function constant(name, shape, data) {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return message(
    5,
    shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, name),
    bytes(9, raw),
  );
}

/**
 * @param inputs shapes by name
 * @param output `[name, shape]`
 * @param constants `[shape, Float32Array]` by name
 * @param nodes lists of arguments of `node`
 */
function model({ inputs, output, constants = {}, nodes }) {
  const graph = message(
    7,
    nodes.map((line) => node(...line)),
    text(2, "bench"),
    Object.entries(constants).map(([name, [shape, data]]) => constant(name, shape, data)),
    Object.entries(inputs).map(([name, shape]) => value(11, name, shape)),
    value(12, ...output),
  );
  return concat([integer(1, 8), graph, message(8, text(1, ""), integer(2, 17))]);
}

function causalMask(n) {
  const mask = new Float32Array(n * n);
  for (let i = 0; i < n; i++) mask.fill(-1e9, i * n + i + 1, (i + 1) * n);
  return [[n, n], mask];
}

/** Models with inputs `x0`, `x1` … and the output `y`. */
export const models = {
  matmul({ batch, m, k, n }) {
    const stack = batch === undefined ? [] : [batch];
    return model({
      inputs: { x0: [...stack, m, k], x1: [...stack, k, n] },
      output: ["y", [...stack, m, n]],
      nodes: [["MatMul", ["x0", "x1"], "y"]],
    });
  },
  softmax: ({ shape }) =>
    model({ inputs: { x0: shape }, output: ["y", shape], nodes: [["Softmax", ["x0"], "y", { axis: 2 }]] }),
  causalSoftmax: ({ shape, masked }) =>
    masked === "before"
      ? models.softmax({ shape })
      : model({
          inputs: { x0: shape },
          output: ["y", shape],
          constants: { mask: causalMask(shape[1]) },
          nodes: [
            ["Add", ["x0", "mask"], "scores"],
            ["Softmax", ["scores"], "y", { axis: 2 }],
          ],
        }),
  attention({ heads, positions, d_head }) {
    const shape = [heads, positions, d_head];
    return model({
      inputs: { x0: shape, x1: shape, x2: shape },
      output: ["y", shape],
      constants: { mask: causalMask(positions), scale: [[1], Float32Array.of(1 / Math.sqrt(d_head))] },
      nodes: [
        ["Mul", ["x0", "scale"], "queries"],
        ["Transpose", ["x1"], "keys", { perm: [0, 2, 1] }],
        ["MatMul", ["queries", "keys"], "products"],
        ["Add", ["products", "mask"], "scores"],
        ["Softmax", ["scores"], "pattern", { axis: 2 }],
        ["MatMul", ["pattern", "x2"], "y"],
      ],
    });
  },
  layerNorm: ({ shape }) =>
    model({
      inputs: { x0: shape },
      output: ["y", shape],
      constants: { weight: [[shape[1]], new Float32Array(shape[1]).fill(1)] },
      nodes: [["LayerNormalization", ["x0", "weight"], "y", { axis: 1 }]],
    }),
};
