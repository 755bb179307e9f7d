/** What is timed: groups of cases. A case is data; contenders know how to do it or say why not. */

const matmul = (name, m, k, n, batch) => ({
  name,
  kind: "matmul",
  m,
  k,
  n,
  batch,
  flops: 2 * (batch ?? 1) * m * k * n,
});
const cube = (n) => matmul(`${n}³`, n, n, n);

const scores = (kind, prefix, shape, more = {}) => ({ name: `${prefix}${shape.join("×")}`, kind, shape, ...more });
const attention = (positions, route) => ({
  name: `12 heads × ${positions} positions${route === "explicit" ? ", step by step" : ""}`,
  kind: "attention",
  route,
  heads: 12,
  positions,
  d_head: 64,
  flops: 4 * 12 * positions * positions * 64,
});
const dense = (kind, prefix, count) => ({
  name: `${prefix} 64×64${count > 1 ? `, ${count} of them` : ""}`,
  kind,
  size: 64,
  count,
});

const modelNames = { small: "small", arena: "ARENA", "twelve-layer": "12 layers" };
const circuits = (size, what, task, recorded) => ({
  name: `${modelNames[size]}: ${what}`,
  kind: "circuits",
  size,
  task,
  recorded,
});

const sweep = (size, what, task) => ({ name: `${modelNames[size]}: ${what}`, kind: "sweep", size, task });

const gradients = (size) => ({ name: `${modelNames[size]}: loss and all gradients`, kind: "gradients", size });

const headScores = (size) => ({ name: `${modelNames[size]}: scores of all heads`, kind: "headScores", size });

const wholeRun = (size, what, task) => ({ name: `${modelNames[size]}: ${what}`, kind: "wholeRun", size, task });

const ovTop1 = (tokens) => ({ name: `${tokens} tokens`, kind: "ovTop1", tokens, d_model: 128, d_head: 16 });

/** Ours cuts every edge in a call, TransformerLens a few, each with a run of its own. */
const edges = (size, count) => ({
  name: `${modelNames[size]}: an edge, of all ${count} at 64 positions`,
  kind: "edges",
  size,
  each: { ours: count, "transformer-lens": 4 },
});

/** The peers that share a table with the library, in its columns' order. */
const everyone = ["ceiling", "ours", "tfjs", "ort", "jax", "ml-matrix", "torch"];

/**
 * @typedef {object} Workload one row; the other fields are the sizes that its kind needs
 * @property {string} name
 * @property {string} kind
 * @property {number} [flops]
 * @property {Record<string, number>} [each] how many of what is asked for a contender does in a call; times are of one
 * @property {number} [recorded] milliseconds of TransformerLens 3.9, which is not part of a run
 */

/**
 * @typedef {object} WorkloadGroup
 * @property {string} id what `--only` matches
 * @property {string} title
 * @property {string} form which table it becomes: "ratios", "threads", "alone", "recorded" or "start"
 * @property {string[]} contenders
 * @property {Workload[]} cases
 */

/** @type {WorkloadGroup[]} */
export const groups = [
  {
    id: "matmul",
    title: "Matrix products (float32)",
    form: "ratios",
    contenders: everyone,
    cases: [
      cube(64),
      cube(128),
      cube(256),
      cube(512),
      matmul("128×768×64", 128, 768, 64),
      matmul("128×768×768", 128, 768, 768),
      matmul("12 × (128×64×128)", 128, 64, 128, 12),
      matmul("12 × (512×64×512)", 512, 64, 512, 12),
      matmul("256×64×50257", 256, 64, 50257),
    ],
  },
  {
    id: "softmax",
    title: "Softmax (float32)",
    form: "ratios",
    contenders: ["ours", "tfjs", "ort", "jax", "torch"],
    cases: [
      scores("softmax", "", [12, 256, 256]),
      scores("softmax", "", [12, 1024, 1024]),
      scores("causalSoftmax", "causal ", [12, 256, 256], { masked: "before" }),
      scores("causalSoftmax", "causal ", [12, 1024, 1024], { masked: "before" }),
      scores("causalSoftmax", "mask and causal ", [12, 256, 256], { masked: "inside" }),
      scores("causalSoftmax", "mask and causal ", [12, 1024, 1024], { masked: "inside" }),
    ],
  },
  {
    id: "attention",
    title: "Causal attention (float32, d_head 64)",
    form: "ratios",
    contenders: ["ours", "tfjs", "ort", "jax", "torch"],
    cases: [attention(256, "fused"), attention(512, "fused"), attention(256, "explicit"), attention(512, "explicit")],
  },
  {
    id: "layer-norm",
    title: "Layer norm (float32)",
    form: "ratios",
    contenders: ["ours", "tfjs", "ort", "jax", "torch"],
    cases: [{ name: "512×768", kind: "layerNorm", shape: [512, 768] }],
  },
  {
    id: "linalg",
    title: "Decompositions (float64)",
    form: "ratios",
    contenders: ["ours", "ml-matrix", "torch"],
    cases: [
      dense("eigenvalues", "eigenvalues", 1),
      dense("eigenvalues", "eigenvalues", 12),
      dense("svd", "SVD", 1),
      dense("svd", "SVD", 12),
    ],
  },
  {
    id: "threads",
    title: "Two threads against one",
    form: "threads",
    contenders: ["one-thread", "two-threads", "one-thread-ceiling", "two-thread-ceiling"],
    cases: [cube(512), cube(1024)],
  },
  {
    id: "model",
    title: "The bundled model (2 layers, d_model 128, 8 heads × 16, 1,024 tokens)",
    form: "alone",
    contenders: ["ours"],
    cases: [
      { name: "forward, 64 positions", kind: "model", task: "forward", positions: 64 },
      { name: "forward, 128 positions", kind: "model", task: "forward", positions: 128 },
      { name: "run with cache, 64 positions", kind: "model", task: "run", positions: 64 },
      { name: "run with cache, 128 positions", kind: "model", task: "run", positions: 128 },
      { name: "composition scores Q, K and V", kind: "model", task: "composition" },
    ],
  },
  {
    id: "runs",
    title: "Runs over 64 positions, of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: ["small", "arena"].flatMap((size) => [
      wholeRun(size, "forward", "forward"),
      wholeRun(size, "run with cache", "kept"),
      wholeRun(size, "run and logit attribution by head", "attribution"),
    ]),
  },
  {
    id: "ov-top-1",
    title: "Top-1 accuracy of a head's OV circuit with known halves (d_head 16), of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: [64, 256, 1024, 4096].map(ovTop1),
  },
  {
    id: "circuits",
    title: "Circuits of whole models, of random weights",
    form: "recorded",
    contenders: ["one-thread", "two-threads"],
    cases: [
      circuits("small", "composition scores Q, K and V", "composition", 27.7),
      circuits("arena", "composition scores Q, K and V", "composition", 1655),
      circuits("twelve-layer", "composition scores Q, K and V", "composition", 88_477),
      circuits("small", "OV eigenvalues of all heads", "first copying", 7.26),
      circuits("arena", "OV eigenvalues of all heads", "first copying", 6771),
      circuits("arena", "the same, asked again", "copying"),
      circuits("twelve-layer", "OV eigenvalues of all heads", "first copying", 38_574),
      circuits("arena", "attribution of all 169 paths on 64 tokens", "attribution"),
      circuits("twelve-layer", "path totals by order and head on 64 tokens", "totals"),
    ],
  },
  {
    id: "sweeps",
    title: "Patching and ablation of 64 positions, of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: ["small", "arena"].flatMap((size) => [
      sweep(size, "patch the stream, by layer and position", "stream"),
      sweep(size, "patch heads, by layer and head", "heads"),
      sweep(size, "zero-ablate every head, by loss", "ablation"),
    ]),
  },
  {
    id: "gradients",
    title: "Loss of 64 positions and its gradients by all weights, of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: ["small", "arena"].map(gradients),
  },
  {
    id: "train",
    title:
      "A step of training: 2 layers of 4 heads, d_model 48, attention-only, 128 prompts of 85 tokens of 128, AdamW",
    form: "ratios",
    contenders: ["ours", "tfjs", "torch"],
    cases: [{ name: "forward, backward and update", kind: "train", each: { ours: 5 } }],
  },
  {
    id: "head-scores",
    title: "Scores of all heads on ten prompts of 50 tokens repeated, of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: ["small", "arena"].map(headScores),
  },
  {
    id: "edges",
    title: "Exact effects of edges on one pair of prompts, of random weights",
    form: "ratios",
    contenders: ["ours", "transformer-lens"],
    cases: [edges("small", 257), edges("arena", 529)],
  },
  {
    id: "vocabulary",
    title: "Questions to a head's circuits of 50,278 × 50,278 (d_model 768, d_head 64)",
    form: "threads",
    contenders: ["one-thread", "two-threads"],
    cases: [
      { name: "OV top-1 and top-5 accuracy, random head", kind: "vocabulary", head: "random", task: "accuracy" },
      {
        name: "OV top-1 and top-5 accuracy, head that copies 95 %",
        kind: "vocabulary",
        head: "copying",
        task: "accuracy",
      },
      { name: "20 largest entries of OV, random head", kind: "vocabulary", head: "random", task: "largest" },
    ],
  },
  { id: "start", title: "From a fresh process to the first result", form: "start", contenders: [], cases: [] },
];

/**
 * The groups and cases that `--only` asks for: each word must occur in a group's id or in one of its cases' names; a word that
 * names a group keeps all of its cases.
 *
 * @param {readonly string[]} words
 * @param {readonly WorkloadGroup[]} from
 * @returns {readonly WorkloadGroup[]}
 */
export function selectGroups(words, from = groups) {
  if (words.length === 0) return from;
  return from.flatMap((group) => {
    if (words.some((word) => group.id.includes(word))) return [group];
    const cases = group.cases.filter(({ name }) => words.some((word) => name.includes(word)));
    return cases.length === 0 ? [] : [{ ...group, cases }];
  });
}
