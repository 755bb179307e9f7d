/** One mistake, and what the compiler says of it; without `at`, the code is right and the compiler says nothing. */
export interface Mistake {
  readonly title: string;
  readonly code: string;
  /** The words of the code that the complaint underlines. */
  readonly at?: string;
  readonly text?: string;
}

export const mistakes: readonly Mistake[] = [
  {
    title: "matmul: operands that fit",
    code: "export const q: Tensor<'pos d_head'> = matmul(resid, W_Q);",
  },
  {
    title: "matmul: the inner axes differ",
    code: "matmul(resid, W_O);",
    at: "W_O",
    text: [
      `Argument of type 'Tensor<"d_head d_model">' is not assignable to parameter of type 'Tensor<"d_model d_model">'.`,
      `  Type '"d_head d_model"' is not assignable to type '"d_model d_model"'.`,
    ].join("\n"),
  },
  {
    title: "matmul: the inner axes differ, with both operands written in place",
    code: 'matmul(tensor("pos d_model"), tensor("d_head d_model"));',
    at: 'tensor("d_head d_model")',
    text: [
      `Argument of type 'Tensor<"d_head d_model">' is not assignable to parameter of type 'Tensor<"d_model d_model">'.`,
      `  Type '"d_head d_model"' is not assignable to type '"d_model d_model"'.`,
    ].join("\n"),
  },
  {
    title: "matmul: the inner axes differ behind two leading axes",
    code: 'matmul(tensor("batch pos d_model"), W_O);',
    at: "W_O",
    text: [
      `Argument of type 'Tensor<"d_head d_model">' is not assignable to parameter of type 'Tensor<"d_model d_model">'.`,
      `  Type '"d_head d_model"' is not assignable to type '"d_model d_model"'.`,
    ].join("\n"),
  },
  {
    title: "matmul: the result is not what it is said to be",
    code: "export const q: Tensor<'pos d_model'> = matmul(resid, W_Q);",
    at: "q",
    text: [
      `Type 'Tensor<"pos d_head">' is not assignable to type 'Tensor<"pos d_model">'.`,
      `  Type '"pos d_head"' is not assignable to type '"pos d_model"'.`,
    ].join("\n"),
  },
  {
    title: "softmax: the axis is not there",
    code: 'softmax(scores, "key");',
    at: '"key"',
    text: `Argument of type '"key"' is not assignable to parameter of type '"head" | "key_pos" | "query_pos"'.`,
  },
  {
    title: "sum: the axis is not there",
    code: 'sum(resid, "head");',
    at: '"head"',
    text: `Argument of type '"head"' is not assignable to parameter of type '"d_model" | "pos"'.`,
  },
  {
    title: "sum: the axis is not there in the result of another call",
    code: 'sum(sum(scores, "head"), "head");',
    at: '"head"',
    text: `Argument of type '"head"' is not assignable to parameter of type '"key_pos" | "query_pos"'.`,
  },
  {
    title: "matmul: the inner axes differ in the result of another call",
    code: 'matmul(tensor("head pos d_model").select("head", 0), W_O);',
    at: "W_O",
    text: [
      `Argument of type 'Tensor<"d_head d_model">' is not assignable to parameter of type 'Tensor<"d_model d_model">'.`,
      `  Type '"d_head d_model"' is not assignable to type '"d_model d_model"'.`,
    ].join("\n"),
  },
  {
    title: "stack: a list of tensors of different axes",
    code: 'stack("batch", [resid, scores]);',
    at: "[resid, scores]",
    text: [
      `Argument of type '(Tensor<"head query_pos key_pos"> | Tensor<"pos d_model">)[]' is not assignable to parameter of type 'Alike<"head query_pos key_pos" | "pos d_model">'.`,
      `  Property '"these tensors have different axes"' is missing in type '(Tensor<"head query_pos key_pos"> | Tensor<"pos d_model">)[]' but required in type 'SameAxes'.`,
    ].join("\n"),
  },
  {
    title: "compose: maps that fit",
    code: "export const ov: Linear<'d_vocab', 'd_vocab'> = compose(W_E, W_OV, W_U);",
  },
  {
    title: "compose: the full QK circuit",
    code: "export const qk: Linear<'d_vocab', 'd_vocab*'> = compose(W_E, W_QK, transpose(W_E));",
  },
  {
    title: "compose: a middle map is missing",
    code: "compose(W_E, W_V, W_U);",
    at: "W_U",
    text: [
      `Argument of type 'Linear<"d_model", "d_vocab">' is not assignable to parameter of type 'Linear<"d_head", "d_vocab">'.`,
      `  Type '"d_model"' is not assignable to type '"d_head"'.`,
    ].join("\n"),
  },
  {
    title: "compose: a middle map is missing, with all maps written in place",
    code: 'compose(linearMap("d_vocab", "d_model"), linearMap("d_model", "d_head"), linearMap("d_model", "d_vocab"));',
    at: 'linearMap("d_model", "d_vocab")',
    text: [
      `Argument of type 'Linear<"d_model", "d_vocab">' is not assignable to parameter of type 'Linear<"d_head", "d_vocab">'.`,
      `  Type '"d_model"' is not assignable to type '"d_head"'.`,
    ].join("\n"),
  },
  {
    title: "compose: two maps that do not meet",
    code: "compose(W_E, W_E);",
    at: "W_E",
    text: [
      `Argument of type 'Linear<"d_vocab", "d_model">' is not assignable to parameter of type 'Linear<"d_model", "d_model">'.`,
      `  Type '"d_vocab"' is not assignable to type '"d_model"'.`,
    ].join("\n"),
  },
  {
    title: "dual spaces: the transpose is forgotten",
    code: "compose(W_E, W_QK, W_E);",
    at: "W_E",
    text: [
      `Argument of type 'Linear<"d_vocab", "d_model">' is not assignable to parameter of type 'Linear<"d_model*", "d_model">'.`,
      `  Type '"d_vocab"' is not assignable to type '"d_model*"'.`,
    ].join("\n"),
  },
  {
    title: "dual spaces: attention scores read as logits",
    code: "compose(W_E, W_QK, W_U);",
    at: "W_U",
    text: [
      `Argument of type 'Linear<"d_model", "d_vocab">' is not assignable to parameter of type 'Linear<"d_model*", "d_vocab">'.`,
      `  Type '"d_model"' is not assignable to type '"d_model*"'.`,
    ].join("\n"),
  },
  {
    title: "dual spaces: a reader's scores handed on as a residual",
    code: "compose(W_QK, W_OV);",
    at: "W_OV",
    text: [
      `Argument of type 'Linear<"d_model", "d_model">' is not assignable to parameter of type 'Linear<"d_model*", "d_model">'.`,
      `  Type '"d_model"' is not assignable to type '"d_model*"'.`,
    ].join("\n"),
  },
  {
    title: "dual spaces: an output circuit where scores are meant",
    code: "export const qk: Linear<'d_model', 'd_model*'> = W_OV;",
    at: "qk",
    text: [
      `Type 'Linear<"d_model", "d_model">' is not assignable to type 'Linear<"d_model", "d_model*">'.`,
      `  Type '"d_model"' is not assignable to type '"d_model*"'.`,
    ].join("\n"),
  },
  {
    title: "sumMaps and composeAll: lists of maps that fit, in place or known at run time",
    code: [
      "declare const heads: readonly Linear<'d_model', 'd_model'>[];",
      "declare const unnamed: readonly Linear[];",
      "export const sums: Linear<'d_model', 'd_model'>[] = [sumMaps([W_OV, W_OV]), sumMaps(heads), composeAll(heads)];",
      "export const untyped: Linear[] = [sumMaps(unnamed), composeAll(unnamed), sumMaps([W_V]), composeAll([W_OV, W_OV])];",
    ].join("\n"),
  },
  {
    title: "sumMaps: a list of maps between different spaces",
    code: "sumMaps([W_OV, W_QK]);",
    at: "[W_OV, W_QK]",
    text: [
      `Argument of type '(Linear<"d_model", "d_model"> | Linear<"d_model", "d_model*">)[]' is not assignable to parameter of type 'readonly Linear<"d_model", "d_model" | "d_model*">[] & SameSpaces'.`,
      `  Property '"these maps are between different spaces"' is missing in type '(Linear<"d_model", "d_model"> | Linear<"d_model", "d_model*">)[]' but required in type 'SameSpaces'.`,
    ].join("\n"),
  },
  {
    title: "composeAll: a list of maps of different spaces to themselves",
    code: 'composeAll([W_OV, linearMap("d_head", "d_head")]);',
    at: '[W_OV, linearMap("d_head", "d_head")]',
    text: [
      `Argument of type '(Linear<"d_head", "d_head"> | Linear<"d_model", "d_model">)[]' is not assignable to parameter of type 'readonly Linear<"d_head" | "d_model", "d_head" | "d_model">[] & SameSpaces'.`,
      `  Property '"these maps are between different spaces"' is missing in type '(Linear<"d_head", "d_head"> | Linear<"d_model", "d_model">)[]' but required in type 'SameSpaces'.`,
    ].join("\n"),
  },
  {
    title: "composeProducts: tensor products whose features do not meet",
    code: "composeProducts(onFeatures(W_E), onFeatures(W_E));",
    at: "onFeatures(W_E)",
    text: [
      `Argument of type 'TensorProduct<"d_vocab", "d_model">' is not assignable to parameter of type 'TensorProduct<"d_model", "d_model">'.`,
      `  Type '"d_vocab"' is not assignable to type '"d_model"'.`,
    ].join("\n"),
  },
  {
    title: "cache: each hook has its axes",
    code: [
      'export const pattern: Tensor<"batch head query_pos key_pos"> = cache.get("blocks.1.attn.hook_pattern");',
      'export const z: Tensor<"batch pos head d_head"> = cache.get("blocks.0.attn.hook_z");',
      'export const resid0: Tensor<"batch pos d_model"> = cache.get("blocks.0.hook_resid_pre");',
      'export const embed: Tensor<"batch pos d_model"> = cache.get("hook_embed");',
    ].join("\n"),
  },
  {
    title: "cache: a hook name that does not exist",
    code: 'cache.get("blocks.0.attn.hook_patern");',
    at: '"blocks.0.attn.hook_patern"',
    text: `Argument of type '"blocks.0.attn.hook_patern"' is not assignable to parameter of type 'HookName'.`,
  },
  {
    title: "cache: the axes of another hook",
    code: 'export const z: Tensor<"batch pos head d_head"> = cache.get("blocks.1.attn.hook_pattern");',
    at: "z",
    text: [
      `Type 'Tensor<"batch head query_pos key_pos">' is not assignable to type 'Tensor<"batch pos head d_head">'.`,
      `  Type '"batch head query_pos key_pos"' is not assignable to type '"batch pos head d_head"'.`,
    ].join("\n"),
  },
  {
    title: "run: an edit that returns the value has the right axes",
    code: 'model.run([0, 1], { edits: { "blocks.0.attn.hook_z": (z) => z } });',
  },
  {
    title: "run: an edit that returns other axes",
    code: 'model.run([0, 1], { edits: { "blocks.0.attn.hook_z": () => tensor("batch pos d_model") } });',
    at: "edits",
    text: [
      `Type '{ "blocks.0.attn.hook_z": () => Tensor<"batch pos d_model">; }' is not assignable to type 'EditsLike | undefined'.`,
      `  The types returned by '"blocks.0.attn.hook_z"(...)' are incompatible between these types.`,
      `    Type 'Tensor<"batch pos d_model">' is not assignable to type 'Tensor<"batch pos head d_head">'.`,
      `      Type '"batch pos d_model"' is not assignable to type '"batch pos head d_head"'.`,
    ].join("\n"),
  },
  {
    title: "run: an edit at a hook that does not exist",
    code: 'model.run([0, 1], { edits: { "blocks.0.attn.hook_zz": (z: Tensor) => z } });',
    at: '"blocks.0.attn.hook_zz"',
    text: `Object literal may only specify known properties, and '"blocks.0.attn.hook_zz"' does not exist in type 'EditsLike'.`,
  },
  {
    title: "edit: a selection along an axis that the activation has not",
    code: 'edit({ hook: "resid_pre", head: 3 }, "zero");',
    at: "head",
    text: [
      `Type '3' is not assignable to type '3 & NoSuchField<"batch pos d_model">'.`,
      `  Type 'number' is not assignable to type 'NoSuchField<"batch pos d_model">'.`,
    ].join("\n"),
  },
  {
    title: "subtract: a number on the left",
    code: "export const rest: Tensor<'pos d_model'> = subtract(1, resid);",
  },
  {
    title: "subtract: axes that the first operand has not",
    code: "subtract(resid, scores);",
    at: "scores",
    text: [
      `Argument of type 'Tensor<"head query_pos key_pos">' is not assignable to parameter of type 'number | Within<"pos d_model", "head query_pos key_pos">'.`,
      `  Type 'Tensor<"head query_pos key_pos">' is not assignable to type 'Within<"pos d_model", "head query_pos key_pos">'.`,
      `    Property '"its axes must be among"' is missing in type 'Tensor<"head query_pos key_pos">' but required in type 'NotAmong<"pos d_model">'.`,
    ].join("\n"),
  },
];
