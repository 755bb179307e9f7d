/** The derivative of the unembedding, of the logits that a metric reads alone. */
import { gradientKernels, matrix, referenceGradientKernels } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";
import { matrixView, rawData } from "../../tensor/internal.ts";
import { copyRows } from "../rows.ts";
import type { Backward } from "./pass.ts";
import { linearKernel, sumRows, wideInputGradient, wideWeightGradient } from "./products.ts";

/** A gradient by some of the logits. */
export interface LogitGradient {
  /** `[rows, columns]`. */
  readonly data: Float32Array;
  /** Which positions of the batch, counted through; all in order where undefined. */
  readonly rows: Int32Array | undefined;
  /** Which tokens; all where undefined. */
  readonly columns: readonly number[] | undefined;
}

/** The gradient by what the unembedding reads, `[batch, pos, d_model]`. */
export function backThroughUnembedding(pass: Backward, given: LogitGradient | undefined): Float32Array {
  const { hooks, take, batch, pos, model } = pass;
  const { d_model, d_vocab_out: d_vocab } = model.config;
  const shape = [batch, pos, d_model];
  const atFinal = take(batch * pos * d_model);
  let gradient = given;
  if (hooks.sees("unembed.hook_out")) {
    const all = spread(given, batch * pos, d_vocab, take(batch * pos * d_vocab));
    const data = hooks.pass("unembed.hook_out", "batch pos d_vocab", [batch, pos, d_vocab], all);
    gradient = { data, rows: undefined, columns: undefined };
  }
  if (gradient === undefined) noParameters(pass);
  else {
    const { data, rows, columns } = gradient;
    const whole = columns === undefined ? linearKernel(d_model, d_vocab) : undefined;
    if (whole === undefined) {
      parameterGradients(pass, gradient);
      finalGradient(pass, gradient, atFinal);
    } else {
      const count = data.length / d_vocab;
      const byX = rows === undefined ? atFinal : take(count * d_model);
      whole({
        ...{ rows: count, inner: d_model, outer: d_vocab, x: finalRows(pass, rows), gradient: { data } },
        W: rawData(model.weight("unembed.W_U")) as FloatArray,
        ...{ byW: pass.parameter("unembed.W_U"), byB: pass.parameter("unembed.b_U"), byX: { data: byX } },
      });
      if (rows !== undefined) spreadRows(byX, rows, d_model, atFinal);
    }
  }
  if (gradient === undefined) atFinal.fill(0);
  return hooks.pass("unembed.hook_in", "batch pos d_model", shape, atFinal);
}

/** Some of the logits among zeros for all others. */
function spread(given: LogitGradient | undefined, rows: number, d_vocab: number, out: Float32Array): Float32Array {
  out.fill(0);
  if (given === undefined) return out;
  const width = given.columns?.length ?? d_vocab;
  const count = given.rows?.length ?? rows;
  for (let r = 0; r < count; r++) {
    const to = (given.rows?.[r] ?? r) * d_vocab;
    for (let j = 0; j < width; j++) {
      const at = to + (given.columns?.[j] ?? j);
      out[at] = (out[at] as number) + (given.data[r * width + j] as number);
    }
  }
  return out;
}

function noParameters({ parameter }: Backward): void {
  parameter("unembed.b_U")?.fill(0);
  parameter("unembed.W_U")?.fill(0);
}

/** The input of the unembedding at the positions whose logits have a gradient. */
function finalRows({ take, activation, model }: Backward, rows: Int32Array | undefined): MatrixView {
  const final = rawData(activation("unembed.hook_in")) as FloatArray;
  const d = model.config.d_model;
  if (rows === undefined) return matrix(final, d);
  return matrix(copyRows(final, rows, d, take(rows.length * d)), d);
}

function parameterGradients(pass: Backward, { data, rows, columns }: LogitGradient): void {
  const { d_model, d_vocab_out: d_vocab } = pass.model.config;
  const width = columns?.length ?? d_vocab;
  const byBias = pass.parameter("unembed.b_U");
  if (byBias !== undefined) {
    if (columns === undefined) sumRows(data, width, byBias);
    else {
      const some = new Float64Array(width);
      sumRows(data, width, some);
      byBias.fill(0);
      for (const [j, token] of columns.entries()) byBias[token] = some[j] as number;
    }
  }
  const byWeight = pass.parameter("unembed.W_U");
  if (byWeight === undefined) return;
  const sizes = { rows: data.length / width, inner: d_model, outer: width };
  const final = finalRows(pass, rows);
  if (columns === undefined) {
    wideWeightGradient(sizes, final, matrix(data, width), matrix(byWeight, width), pass.take);
    return;
  }
  const some = pass.take(d_model * width);
  wideWeightGradient(sizes, final, matrix(data, width), matrix(some, width), pass.take);
  byWeight.fill(0);
  for (let i = 0; i < d_model; i++) {
    for (const [j, token] of columns.entries()) byWeight[i * d_vocab + token] = some[i * width + j] as number;
  }
}

/** Writes the gradient by what the unembedding reads, zero where no logits have one. */
function finalGradient(pass: Backward, { data, rows, columns }: LogitGradient, out: Float32Array): void {
  const { d_model, d_vocab_out: d_vocab } = pass.model.config;
  const width = columns?.length ?? d_vocab;
  const count = data.length / width;
  const all = matrixView(pass.model.weight("unembed.W_U"));
  const sizes = { rows: count, inner: d_model, outer: width };
  const some = rows === undefined ? out : pass.take(count * d_model);
  wideInputGradient(
    sizes,
    matrix(data, width),
    columns === undefined ? all : someColumns(pass, all, columns),
    some,
    pass.take,
  );
  if (rows !== undefined) spreadRows(some, rows, d_model, out);
}

/** Some rows among zeros; where a row is given twice, the sum. */
function spreadRows(some: Float32Array, rows: Int32Array, width: number, out: Float32Array): void {
  out.fill(0);
  const places = { rows: rows.length, cols: width, from: some, places: rows, out };
  (gradientKernels() ?? referenceGradientKernels).addRowsAt(places);
}

/** Some columns of a matrix of so many rows as the stream is wide. */
function someColumns({ take, model }: Backward, view: MatrixView, columns: readonly number[]): MatrixView {
  const { d_model } = model.config;
  const out = take(d_model * columns.length);
  for (let i = 0; i < d_model; i++) {
    const start = view.offset + i * view.rowStride;
    for (const [j, token] of columns.entries()) {
      out[i * columns.length + j] = view.data[start + token * view.colStride] as number;
    }
  }
  return matrix(out, columns.length);
}
