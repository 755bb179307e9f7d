/**
 * LayerNorm and RMSNorm: $y = (x - \bar{x}) / s \odot w + b$ with
 * $s = \sqrt{\mathrm{mean}((x - \bar{x})^2) + \epsilon}$; RMSNorm takes no mean out and has no $b$; the `Pre` kinds
 * have no weights.
 *
 * With the scale $s$ frozen at its value in a run, a norm is affine in $x$: that is what makes path expansion exact
 * (A Mathematical Framework for Transformer Circuits, "Handling Layer Normalization").
 */
import { AxisError, requireKind } from "../errors.ts";
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";
import { add, divide, mean, multiply, subtract } from "../tensor/index.ts";
import { describeTensor, allocateData, dataForResult, kernelData, rawData, tensorOf } from "../tensor/internal.ts";
import type { Tensor, TensorData } from "../tensor/index.ts";

/**
 * The kind of a norm; see {@link NormalizationType}.
 * @category Model
 */
export type NormKind = "LN" | "LNPre" | "RMS" | "RMSPre";

/**
 * One norm of a model, over `d_model` or, after SoLU, over `d_mlp`; affine in the residual stream once its scale is
 * frozen (*A Mathematical Framework for Transformer Circuits*, "Handling Layer Normalization").
 *
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { Norm } from "transformer-circuits/model";
 *
 * const norm = new Norm("LNPre", 0);
 * const resid = Tensor.fromNested("batch pos d_model", [[[5, 1, 5, 1]]]);
 * const scale = norm.scaleOf(resid);
 * console.log(scale.at(0, 0, 0));
 * // 2
 * console.log(norm.applyFrozen(resid, scale).toNested());
 * // [ [ [ 1, -1, 1, -1 ] ] ]
 * console.log(norm.apply(resid).at(0, 0, 0), norm.normalize(resid).scale.at(0, 0, 0));
 * // 1 2
 * ```
 */
export class Norm<Axis extends "d_model" | "d_mlp" = "d_model"> extends Shown {
  /** LayerNorm or RMSNorm, with weights or without. */
  readonly kind: NormKind;
  /** Added to the variance inside the square root. */
  readonly eps: number;
  /** Multiplies the normalised stream; absent in the `Pre` kinds. */
  readonly w: Tensor<Axis> | undefined;
  /** Added at the end; LayerNorm only. */
  readonly b: Tensor<Axis> | undefined;
  /** The axis that is normalised over. */
  readonly axis: Axis;

  /**
   * @param w - `[d_model]`, for the kinds with weights.
   * @param b - `[d_model]`, for LayerNorm with weights.
   * @param axis - `d_model` unless given.
   */
  constructor(kind: NormKind, eps: number, w?: Tensor<Axis>, b?: Tensor<Axis>, axis?: Axis) {
    super();
    this.kind = kind;
    this.eps = eps;
    this.w = w;
    this.b = b;
    this.axis = axis ?? ("d_model" as Axis);
  }

  /** @internal */
  override showing(): Showing {
    return { title: `Norm ${this.kind} over ${this.axis}, eps ${this.eps}` };
  }

  /** Whether the mean is taken out. */
  get centers(): boolean {
    return this.kind === "LN" || this.kind === "LNPre";
  }

  /**
   * The whole norm, $(x - \bar{x}) / s \odot w + b$, with the stream's own scale.
   *
   * @param x - `[batch, pos, d_model]`, or `d_mlp` where the norm is of neurons.
   * @returns the same axes.
   */
  apply(x: Tensor<`batch pos ${Axis}`>): Tensor<`batch pos ${Axis}`> {
    return this.addBias(this.applyWeights(this.normalize(x).normalized));
  }

  /**
   * The stream divided by its own scale, before weights, $(x - \bar{x}) / s$, and that scale; in one pass over it.
   *
   * @param x - as {@link Norm.apply}.
   * @returns `normalized`, as `x`; `scale`, as {@link Norm.scaleOf}.
   * @throws {@link AxisError} when the axes are others, or in another order.
   */
  normalize(x: Tensor<`batch pos ${Axis}`>): {
    readonly normalized: Tensor<`batch pos ${Axis}`>;
    readonly scale: Tensor<"batch pos scale">;
  } {
    requireKind("tensor", x, "x", "normalize");
    const axes = `batch pos ${this.axis}`;
    if ((x as Tensor).axes !== axes) {
      throw new AxisError(
        `x is ${describeTensor(x)}, not [${axes}]. Rename or permute its axes, or add one of size 1.`,
        {
          operation: "normalize",
          argument: "x",
          expected: axes,
          actual: x.axes,
        },
      );
    }
    const [batch = 0, pos = 0, d = 0] = x.shape;
    const rows = batch * pos;
    const scale = allocateData("float32", rows) as FloatArray;
    const output = dataForResult(x.dtype === "float64" ? "float64" : "float32", x.size) as FloatArray;
    kernels().normalize({
      rows,
      cols: d,
      input: kernelData(x) as FloatArray,
      inputOffset: 0,
      eps: this.eps,
      center: this.centers,
      output,
      outputOffset: 0,
      scale,
      scaleOffset: 0,
    });
    return {
      normalized: tensorOf(x.axes, x.shape, output),
      scale: tensorOf("batch pos scale", [batch, pos, 1], scale),
    };
  }

  /** The scale $s$ at each position, `[..., scale]` with one element on the last axis. */
  scaleOf(x: Tensor<`batch pos ${Axis}`>): Tensor<"batch pos scale"> {
    return this.normalize(x).scale;
  }

  /**
   * The norm's linear part with its scale frozen: $(x - \bar{x}) / s \odot w$. Terms that sum to the stream are taken
   * by it to terms that sum to the normalised stream less the norm's bias.
   *
   * @param x - `[..., batch, pos, d_model]`, any leading axes.
   * @param scale - as the run had it.
   */
  applyFrozen<A extends string>(x: Tensor<A>, scale: Tensor<"batch pos scale">): Tensor<A> {
    return this.applyWeights(this.normalizeBy(x, scale));
  }

  /** $x \odot w$. */
  applyWeights<A extends string>(x: Tensor<A>): Tensor<A> {
    return this.w === undefined ? x : (multiply(x as Tensor, this.w as Tensor) as Tensor<A>);
  }

  /** $(x - \bar{x}) / s$ for a given scale, before weights: TransformerLens's `apply_ln_to_stack`. */
  normalizeBy<A extends string>(x: Tensor<A>, scale: Tensor<"batch pos scale">): Tensor<A> {
    requireKind("tensor", x, "x", "applyFrozen");
    requireKind("tensor", scale, "scale", "applyFrozen");
    const divisors = scale.select("scale", 0);
    const stream: Tensor = x;
    const [batch, pos] = divisors.shape;
    if (stream.axes.endsWith(`batch pos ${this.axis}`) && x.shape.at(-3) === batch && x.shape.at(-2) === pos) {
      const out = dataForResult(x.dtype === "float64" ? "float64" : "float32", x.size);
      divideRows(rawData(x), rawData(divisors), this.centers, x.shape.at(-1) ?? 0, out);
      return tensorOf(x.axes, x.shape, out);
    }
    const centered = this.centers ? subtract(stream, mean(stream, this.axis)) : stream;
    return divide(centered, divisors as Tensor) as Tensor<A>;
  }

  /** The affine remainder: adds the norm's bias where it has one. */
  addBias<A extends string>(x: Tensor<A>): Tensor<A> {
    return this.b === undefined ? x : (add(x as Tensor, this.b as Tensor) as Tensor<A>);
  }
}

/**
 * Rows less their means, where they are centred, each divided by its divisor; divisors repeat for every stack of rows.
 */
function divideRows(x: TensorData, divisors: TensorData, centers: boolean, d: number, out: TensorData): void {
  for (let start = 0, row = 0; start < out.length; start += d, row = (row + 1) % divisors.length) {
    let mean = 0;
    if (centers) {
      for (let i = start; i < start + d; i++) mean += x[i] as number;
      mean /= d;
    }
    const divisor = divisors[row] as number;
    for (let i = start; i < start + d; i++) out[i] = ((x[i] as number) - mean) / divisor;
  }
}
