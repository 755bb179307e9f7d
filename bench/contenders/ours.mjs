/** This library as its users have it: the built package, public functions, ordinary tensors. */
import { readFileSync } from "node:fs";
import * as weights from "../../dist/circuits.js";
import * as heads from "../../dist/heads.js";
import * as interventions from "../../dist/interventions.js";
import * as linear from "../../dist/linear.js";
import * as model from "../../dist/model.js";
import * as paths from "../../dist/paths.js";
import * as tensors from "../../dist/tensor.js";
import * as training from "../../dist/train.js";
import { randomWeights, sizes } from "../lib/models.mjs";

const library = { ...tensors, ...linear, ...model, ...weights, ...paths, ...heads, ...interventions, ...training };
const { Tensor, batchMatmul, dense, eigenvalues, matmul, multiply, softmax, svd } = library;

/** Looked up by name: a build without one of them skips its rows, visibly. */
const { causalAttention, causalSoftmax, useThreads } = library;

const missing = (name) => ({ skip: `this build has no ${name}` });

export async function open({ threads } = {}) {
  let refusal;
  if (threads !== undefined) {
    if (useThreads === undefined) refusal = missing("useThreads");
    else await useThreads(threads);
  }
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const { name: kernels } = library.kernelInfo();
  return {
    versions: { "transformer-circuits": `${version}, kernels "${kernels}"` },
    prepare: (work, inputs) => refusal ?? prepare[work.kind](work, ...inputs),
  };
}

/** A task whose `run` returns a tensor. */
const tensorTask = (run) => ({ run, result: () => Promise.resolve(run()).then(({ data }) => Float32Array.from(data)) });

const prepare = {
  matmul(work, a, b) {
    if (work.batch === undefined) {
      const left = Tensor.from("pos d_model", a.shape, a.data);
      const right = Tensor.from("d_model d_vocab", b.shape, b.data);
      return tensorTask(() => matmul(left, right));
    }
    const left = Tensor.from("head query_pos d_head", a.shape, a.data);
    const right = Tensor.from("head d_head key_pos", b.shape, b.data);
    return tensorTask(() => batchMatmul(left, right));
  },
  softmax(work, { shape, data }) {
    const scores = Tensor.from("head query_pos key_pos", shape, data);
    return tensorTask(() => softmax(scores, "key_pos"));
  },
  causalSoftmax(work, { shape, data }) {
    if (causalSoftmax === undefined) return missing("causalSoftmax");
    const scores = Tensor.from("head query_pos key_pos", shape, data);
    return tensorTask(() => causalSoftmax(scores));
  },
  attention(work, q, k, v) {
    if (work.route === "fused") {
      if (causalAttention === undefined) return missing("causalAttention");
      const [queries, keys, values] = [q, k, v].map(asHeadVectors);
      return {
        run: () => causalAttention(queries, keys, values),
        result: () => {
          const z = causalAttention(queries, keys, values).select("batch", 0);
          return Promise.resolve(Float32Array.from(z.permute("head pos d_head").data));
        },
      };
    }
    const queries = Tensor.from("head query_pos d_head", q.shape, q.data);
    const keys = Tensor.from("head key_pos d_head", k.shape, k.data);
    const values = Tensor.from("head key_pos d_head", v.shape, v.data);
    if (causalSoftmax === undefined) return missing("causalSoftmax");
    const scale = 1 / Math.sqrt(work.d_head);
    return tensorTask(() => {
      const scores = batchMatmul(multiply(queries, scale), keys.permute("head d_head key_pos"));
      return batchMatmul(causalSoftmax(scores), values);
    });
  },
  layerNorm(work, { shape, data }) {
    const norm = new library.Norm("LNPre", 1e-5);
    const resid = Tensor.from("batch pos d_model", [1, ...shape], data);
    return tensorTask(() => norm.apply(resid));
  },
  eigenvalues({ count, size }, { data }) {
    const matrices = split(count, size, data);
    return {
      run: () => matrices.map((matrix) => eigenvalues(matrix)),
      result: () => concat(matrices.map((matrix) => eigenvalues(matrix)).flatMap(({ re, im }) => [re, im])),
    };
  },
  svd({ count, size }, { data }) {
    const matrices = split(count, size, data);
    return {
      run: () => matrices.map((matrix) => svd(matrix)),
      result: () => concat(matrices.map((matrix) => svd(matrix)).flatMap(({ U, S, V }) => [U.data, S, V.data])),
    };
  },
  vocabulary({ head, task }) {
    const circuit = circuits(head);
    const tasks = {
      accuracy: () => library.diagonalRanks(circuit(), { atMost: 5 }),
      largest: () => library.topKOverall(circuit(), 20),
    };
    return { run: tasks[task] };
  },
  async model({ task, positions }) {
    const { openBundledModel } = await import("../../dist/bundled.js");
    const { model } = await openBundledModel();
    const tokens = Array.from({ length: positions ?? 0 }, (_, i) => (i * 37) % model.config.d_vocab);
    const tasks = {
      forward: () => model.forward(tokens),
      run: () => model.run(tokens),
      composition: () => library.compositionScores(model),
    };
    return { run: tasks[task] };
  },
  sweep({ task, size }) {
    const { sweep, logitDifference, crossEntropy } = library;
    if (sweep === undefined) return missing("sweep");
    const model = randomModel(size);
    const [clean, corrupted] = [prompt(11, model), prompt(500, model)];
    const metric = logitDifference({ answer: 5, wrong: 9 });
    const loss = crossEntropy(clean);
    const tasks = {
      stream: () => sweep(model, { clean, corrupted }, { at: "resid_pre", over: "layer pos", metric }),
      heads: () => sweep(model, { clean, corrupted }, { at: "z", over: "layer head", metric }),
      ablation: () => sweep(model, clean, { at: "z", over: "layer head", put: "zero", metric: loss }),
    };
    return { run: tasks[task] };
  },
  wholeRun({ size, task }) {
    const { logitAttribution } = library;
    const model = randomModel(size);
    const tokens = prompt(11, model);
    const tasks = {
      forward: () => model.forward(tokens),
      kept: () => model.run(tokens),
      attribution: () => logitAttribution(model, tokens),
    };
    return { run: tasks[task] };
  },
  ovTop1({ tokens, d_model, d_head }) {
    const { linear, compose, diagonalTopK } = library;
    const map = (from, to, rows, cols, seed) =>
      linear(from, to, Tensor.from(`${from} ${to}`, [rows, cols], normals(rows * cols, 1, seed)));
    const circuit = compose(
      map("d_vocab", "d_model", tokens, d_model, 1),
      map("d_model", "d_head", d_model, d_head, 2),
      map("d_head", "d_model", d_head, d_model, 3),
      map("d_model", "d_vocab", d_model, tokens, 4),
    );
    return { run: () => diagonalTopK(circuit) };
  },
  gradients({ size }) {
    const { gradients, crossEntropy } = library;
    if (gradients === undefined) return missing("gradients");
    const model = randomModel(size);
    const tokens = prompt(11, model);
    const metric = crossEntropy(tokens);
    return { run: () => gradients(model, tokens, metric) };
  },
  train({ each }) {
    const { initialModel, train, adamW } = library;
    const sizes = { n_layers: 2, d_model: 48, n_heads: 4, d_head: 12, n_ctx: 85, d_vocab: 128, attn_only: true };
    const config = { ...sizes, normalization_type: null, positional_embedding_type: "standard" };
    const model = initialModel(config, { seed: 1 });
    const prompts = Array.from({ length: 128 }, (_, b) =>
      Array.from({ length: 85 }, (_, i) => (37 * i * b + 11 * i + b) % 128),
    );
    const optimizer = adamW({ lr: 1e-3, betas: [0.9, 0.98], weightDecay: 1 });
    return { run: () => train(model, () => ({ tokens: prompts }), { steps: each.ours, optimizer }) };
  },
  headScores({ size }) {
    const { headScores } = library;
    const model = randomModel(size);
    const { d_vocab } = model.config;
    const tokens = Array.from({ length: 10 }, (_, b) => {
      const some = Array.from({ length: 50 }, (_, i) => 1 + ((37 * i + 101 * b + 11) % (d_vocab - 1)));
      return [0, ...some, ...some];
    });
    return { run: () => headScores(model, { tokens, period: 50 }) };
  },
  edges({ size, each }) {
    const { exactEdges, circuitGraph, logitDifference } = library;
    if (exactEdges === undefined) return missing("exactEdges");
    const model = randomModel(size);
    const { size: count } = circuitGraph(model);
    if (count !== each.ours) throw new Error(`the model has ${count} edges, not ${each.ours}`);
    const prompts = { clean: prompt(11, model), corrupted: prompt(500, model) };
    const metric = logitDifference({ answer: 5, wrong: 9 });
    return { run: () => exactEdges(model, prompts, metric) };
  },
  circuits({ task, size }) {
    const { parseConfig, Transformer } = library;
    const config = parseConfig(sizes[size]);
    const weights = randomWeights(library, sizes[size]);
    let model = Transformer.fromWeights(config, weights);
    const tokens = Array.from({ length: 64 }, (_, i) => (i * 37 + 11) % config.d_vocab);
    let expansion;
    const tasks = {
      composition: { run: () => library.compositionScores(model) },
      "first copying": {
        renew() {
          model = Transformer.fromWeights(config, weights);
        },
        run: () => library.ovSpectrum(model),
      },
      copying: { run: () => library.ovSpectrum(model) },
      attribution: {
        renew() {
          expansion = library.pathExpansion(model, tokens);
        },
        run: () => expansion.attribution(),
      },
      totals: { run: () => library.pathTotals(model, tokens) },
    };
    return tasks[task];
  },
};

function randomModel(size) {
  return library.Transformer.fromWeights(library.parseConfig(sizes[size]), randomWeights(library, sizes[size]));
}

/** 64 tokens. */
const prompt = (shift, { config }) => Array.from({ length: 64 }, (_, i) => (37 * i + shift) % config.d_vocab);

let vocabulary;

/**
 * A head over 50,278 tokens of random embeddings: with a random unembedding and output, or one that undoes embedding and values for all tokens
 * but every twentieth, so that 95 % are copied. Makes a circuit of which nothing is known yet.
 */
function circuits(head) {
  const [tokens, d_model, d_head] = [50278, 768, 64];
  vocabulary ??= { W_E: normals(tokens * d_model, 1, 1), W_V: normals(d_model * d_head, d_model ** -0.5, 2) };
  const { W_E, W_V } = vocabulary;
  const columns = new Float32Array(tokens * d_model);
  const W_O = head === "random" ? normals(d_head * d_model, d_head ** -0.5, 3) : W_V;
  if (head === "random") columns.set(normals(tokens * d_model, d_model ** -0.5, 4));
  else {
    for (let token = 0; token < tokens; token++) {
      const other = token % 20 === 0 ? (token + 20) % tokens : token;
      columns.set(W_E.subarray(other * d_model, (other + 1) * d_model), token * d_model);
    }
  }
  const W_U = Tensor.from(
    "d_model d_vocab",
    [d_model, tokens],
    Tensor.from("d_vocab d_model", [tokens, d_model], columns).permute("d_model d_vocab").data,
  );
  const maps = [
    ["d_vocab", "d_model", Tensor.from("d_vocab d_model", [tokens, d_model], W_E)],
    ["d_model", "d_head", Tensor.from("d_model d_head", [d_model, d_head], W_V)],
    head === "random"
      ? ["d_head", "d_model", Tensor.from("d_head d_model", [d_head, d_model], W_O)]
      : ["d_head", "d_model", Tensor.from("d_model d_head", [d_model, d_head], W_O).permute("d_head d_model")],
    ["d_model", "d_vocab", W_U],
  ].map((map) => library.linear(...map));
  return () => library.compose(...maps);
}

/** Numbers that are nearly normal: sums of six uniform ones, from a small generator. */
function normals(count, scale, seed) {
  let state = seed * 7919;
  return new Float32Array(count).map(() => {
    let sum = 0;
    for (let t = 0; t < 6; t++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      sum += (state >>> 8) / 2 ** 24 - 0.5;
    }
    return scale * Math.SQRT2 * sum;
  });
}

/** `[head, pos, d_head]` as the model holds it, `[batch, pos, head, d_head]`. */
function asHeadVectors({ shape: [heads, pos, d_head], data }) {
  const byHead = Tensor.from("batch head pos d_head", [1, heads, pos, d_head], data);
  return Tensor.from("batch pos head d_head", [1, pos, heads, d_head], byHead.permute("batch pos head d_head").data);
}

const split = (count, size, data) =>
  Array.from({ length: count }, (_, c) => dense(size, size, data.slice(c * size * size, (c + 1) * size * size)));

function concat(parts) {
  const all = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
