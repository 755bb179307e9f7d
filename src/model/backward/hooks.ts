/**
 * The hooks of a backward pass: where gradients are kept, where they are put in, and how they go through edits. The
 * gradient at a hook is that by the value that went on from it, after an edit, as `tensor.grad` of what a hook of
 * TransformerLens returned.
 */
import { InputError, ShapeError } from "../../errors.ts";
import type { FloatArray } from "../../kernels/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { dataForResult, describeTensor, rawData, tensorOf } from "../../tensor/internal.ts";
import type { EditDerivative } from "../edit-derivatives.ts";
import type { HookName } from "../hooks.ts";

/** An array of so many numbers for the time of a pass, whose content is undefined. */
export type Take = (length: number) => Float32Array;

/** An edit as a backward pass sees it. */
export interface PassedEdit {
  readonly derivative: EditDerivative | undefined;
  /** What the edit was given in the run. */
  readonly before: Tensor;
}

/** What a backward pass is asked for. */
export interface BackwardRequest {
  /** All hooks of the model, in the order in which they fire. */
  readonly order: ReadonlyMap<string, number>;
  readonly wanted: ReadonlySet<HookName>;
  /** Gradients that are put in, by the value at a hook. */
  readonly seeds: ReadonlyMap<HookName, Tensor>;
  readonly edits: ReadonlyMap<HookName, PassedEdit>;
  /** The place in `order` of the first hook, or parameter, whose gradient is asked for. */
  readonly first: number;
  readonly take: Take;
}

/** One backward pass's hooks. */
export class GradientHooks {
  readonly #kept = new Map<HookName, Tensor>();
  readonly #request: BackwardRequest;

  constructor(request: BackwardRequest) {
    this.#request = request;
  }

  /** Whether a gradient is asked for. */
  wants(name: HookName): boolean {
    return this.#request.wanted.has(name);
  }

  /** Whether a gradient changes at a hook. */
  changes(name: HookName): boolean {
    return this.#request.seeds.has(name) || this.edits(name);
  }

  /** Whether the run edited an activation. */
  edits(name: HookName): boolean {
    return this.#request.edits.has(name);
  }

  /** Whether a hook is asked for or changes what passes. */
  sees(name: HookName): boolean {
    return this.wants(name) || this.changes(name);
  }

  /** Whether something is asked for that lies before a hook. */
  goesBefore(name: HookName): boolean {
    return this.#request.first < (this.#request.order.get(name) ?? 0);
  }

  /** What an edit was given. */
  before(name: HookName): Tensor | undefined {
    return this.#request.edits.get(name)?.before;
  }

  /** A gradient that is put in. */
  seed(name: HookName): FloatArray | undefined {
    const seed = this.#request.seeds.get(name);
    return seed === undefined ? undefined : (rawData(seed) as FloatArray);
  }

  /**
   * Passes a gradient through a hook: what is put in there is added, the sum is kept where it is asked for, and it goes
   * through the edit. Returns another array where it changes; the one given stays as it is.
   */
  pass(name: HookName, axes: string, shape: readonly number[], gradient: Float32Array): Float32Array {
    const { seeds, edits, take } = this.#request;
    let passed = gradient;
    const seed = seeds.get(name);
    if (seed !== undefined) {
      const added = rawData(seed);
      passed = take(gradient.length);
      for (let i = 0; i < passed.length; i++) passed[i] = (gradient[i] as number) + (added[i] as number);
    }
    this.keep(name, axes, shape, passed);
    const edit = edits.get(name);
    if (edit === undefined || !this.goesBefore(name)) return passed;
    if (edit.derivative === undefined) throw noDerivative(name);
    const given = tensorOf(axes, shape, Float32Array.from(passed));
    const result = edit.derivative(given as never, edit.before as never, name);
    const out = take(passed.length);
    out.set(rawData(checked(name, axes, shape, result)));
    return out;
  }

  /** The gradients that were asked for, in the order in which hooks fire. */
  inOrder(): Map<HookName, Tensor> {
    const names = [...this.#request.order.keys()] as HookName[];
    return new Map(
      names.flatMap((name) => {
        const gradient = this.#kept.get(name);
        return gradient === undefined ? [] : [[name, gradient] as const];
      }),
    );
  }

  /** The same edits, with nothing put in and nothing kept: for what one head alone reads. */
  forHead(): GradientHooks {
    return new GradientHooks({ ...this.#request, wanted: new Set(), seeds: new Map() });
  }

  /** Keeps a copy of a gradient that is asked for. */
  keep(name: HookName, axes: string, shape: readonly number[], gradient: Float32Array): void {
    if (!this.wants(name)) return;
    const copy = dataForResult("float32", gradient.length);
    copy.set(gradient);
    this.#kept.set(name, tensorOf(axes, shape, copy));
  }
}

function noDerivative(name: HookName): InputError {
  return new InputError(
    `the run edits "${name}", and the gradient cannot pass a function whose derivative is unknown. Give it: editWithDerivative(edit, (gradient) => …); one that returns zeros holds the edit constant. Or ask for gradients after that hook alone.`,
    { operation: "gradients", argument: name, expected: "an edit with a derivative", actual: "a function" },
  );
}

function checked(name: HookName, axes: string, shape: readonly number[], result: Tensor): Tensor {
  const text = `the derivative of the edit of "${name}" returned`;
  const details = { operation: "gradients", argument: name, expected: shape };
  if (!((result as unknown) instanceof Tensor)) {
    throw new InputError(`${text} no tensor. Return the gradient by what the edit was given.`, {
      ...details,
      actual: typeof result,
    });
  }
  if (result.axes === axes && result.shape.every((n, a) => n === shape[a])) return result;
  throw new ShapeError(`${text} ${describeTensor(result)} for a gradient [${axes}] of shape [${shape.join(", ")}].`, {
    ...details,
    actual: result.shape,
  });
}
