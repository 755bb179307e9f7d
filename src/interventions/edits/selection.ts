/** Where an edit acts: hooks, and which elements of the activation at each. */
import { InputError, nameOf } from "../../errors.ts";
import { headIdOf } from "../../head-id.ts";
import { nearestNames } from "../../nearest.ts";
import { headLabel, hookNames } from "../../model/index.ts";
import type { HeadRef, HookName, ModelConfig } from "../../model/index.ts";
import type { AxisOf } from "../../axes.ts";
import type { Indices } from "../../tensor/index.ts";
import { checkIndices, indicesOf } from "../../tensor/internal.ts";
import { placesIn, placesNamed } from "./heads.ts";
import type { Heads } from "./heads.ts";
import { axesAt, hooksNamed, isLayerSite, layerOf, noSuchSite } from "./short-names.ts";
import type { AxesOfSite, HookSite } from "./short-names.ts";

/**
 * Picks hooks by name.
 * @category Interventions
 */
export type HookPredicate = (name: HookName) => boolean;

/**
 * Which elements of which activations. What is left out selects all.
 * @category Interventions
 */
export interface Selection {
  /**
   * A short name (`"pattern"`: of every layer), the full name of a hook, or a predicate over full names; the heads'
   * outputs `"z"` where it is left out.
   */
  readonly hook?: HookSite | HookName | HookPredicate;
  /** Layers of a short name. */
  readonly layer?: Indices;
  readonly head?: Heads;
  /** Elements of the batch: prompts. */
  readonly batch?: Indices;
  readonly pos?: Indices;
  /** Positions that look, at scores and patterns. */
  readonly query_pos?: Indices;
  /** Positions that are looked at, at scores and patterns. */
  readonly key_pos?: Indices;
  /** How far back is looked, at scores and patterns: query minus key; 1 is the previous token. */
  readonly offset?: Indices;
  /** Coordinates of the last axis: of the stream, of a head, tokens of the logits. */
  readonly feature?: Indices;
  /** Neurons of an MLP. */
  readonly neuron?: Indices;
}

/**
 * What {@link edit} takes for where: a selection, the name of a hook for all of it, a head by label or place (its
 * output `z`), a predicate over hook names, or a list of these, whose union is meant.
 * @category Interventions
 */
export type EditTarget = Selection | HookSite | HookName | HeadRef | HookPredicate | EditTargets;

/**
 * A list of selections; their union is meant.
 * @category Interventions
 */
export type EditTargets = readonly (Selection | HookSite | HookName | HeadRef | HookPredicate)[];

/** The hook that a target names. */
type HookOf<T> = T extends HookSite | HookName
  ? T
  : T extends { readonly hook: infer H }
    ? H
    : T extends HookPredicate
      ? T
      : "z";

/** The axes at what a target names; of a predicate, known at run time. */
export type AxesAt<T> = T extends readonly (infer One)[]
  ? AxesAt<One>
  : HookOf<T> extends HookSite | HookName
    ? AxesOfSite<HookOf<T>>
    : string;

type LastNames = "d_model" | "d_head" | "d_mlp" | "d_vocab";

/** The fields that select along some axes. */
type FieldsOf<A extends string> =
  | Extract<AxisOf<A>, "batch" | "pos" | "query_pos" | "key_pos" | "head">
  | ("key_pos" extends AxisOf<A> ? "offset" : never)
  | (Extract<AxisOf<A>, LastNames> extends never ? never : "feature")
  | ("d_mlp" extends AxisOf<A> ? "neuron" : never);

/** The fields that a selection at some hook may have. */
type FieldsAt<T> =
  | "hook"
  | (HookOf<T> extends HookName ? never : "layer")
  | (string extends AxesAt<T> ? keyof Selection : FieldsOf<AxesAt<T>>);

/** Nothing has it: it stands in the compiler's complaint. */
interface NoSuchField<Axes extends string> {
  readonly "the activation there has the axes": Axes;
}

/** A head of a model names its place; of a selection whose fields only the run time knows nothing is checked. */
type CheckedOne<T> = T extends string | HookPredicate | { readonly W_OV: unknown }
  ? T
  : Selection extends T
    ? T
    : { readonly [F in keyof T]: F extends FieldsAt<T> ? T[F] : NoSuchField<AxesAt<T>> };

/** A target whose fields all select along axes that the activation has. */
export type CheckedTarget<T> = T extends readonly unknown[]
  ? { readonly [I in keyof T]: CheckedOne<T[I]> }
  : CheckedOne<T>;

const FIELDS = "hook layer head batch pos query_pos key_pos offset feature neuron".split(" ");
const LAST = ["d_model", "d_head", "d_mlp", "d_vocab"];

/** The axis along which a field selects; undefined where the activation has none. */
function axisOf(field: string, axes: readonly string[]): string | undefined {
  if (field === "offset") return axes.includes("key_pos") ? "key_pos" : undefined;
  if (field === "feature") return axes.find((axis) => LAST.includes(axis));
  const axis = field === "neuron" ? "d_mlp" : field;
  return axes.includes(axis) ? axis : undefined;
}

/** One target in the long form. */
export function selectionOf(target: Selection | HookSite | HookName | HeadRef | HookPredicate): Selection {
  if (typeof target === "function") return { hook: target };
  if (typeof target !== "string") return target;
  return axesAt(target) === undefined ? { head: target as HeadRef } : { hook: target as HookSite | HookName };
}

/** Refuses a target that no model could have: to be called when an edit is made. */
export function checkTarget(target: unknown, operation: string): void {
  if (Array.isArray(target)) {
    if (target.length === 0) {
      throw new InputError("at is an empty list, so nothing is selected. Name a hook or a head.", {
        operation,
        argument: "at",
      });
    }
    for (const one of target) {
      if (Array.isArray(one)) throw notATarget(one, operation);
      checkTarget(one, operation);
    }
    return;
  }
  if (typeof target === "function") return;
  if (typeof target === "string") {
    if (axesAt(target) !== undefined) return;
    if (!/^L?\d+[H.]\d+$/.test(target)) throw noSuchSite(target, operation);
    headIdOf(target as HeadRef, operation, "head");
    return;
  }
  if (typeof target !== "object" || target === null) throw notATarget(target, operation);
  checkFields(target as Record<string, unknown>, operation);
}

function notATarget(target: unknown, operation: string): InputError {
  return new InputError(
    `at is ${nameOf(target)}. Give a selection { hook, layer, head, … }, the name of a hook, a head as "L0H5", a predicate over hook names, or a list of these.`,
    { operation, argument: "at", expected: "a selection", actual: target },
  );
}

function checkFields(selection: Record<string, unknown>, operation: string): void {
  const { hook = "z" } = selection;
  if (typeof hook !== "string" && typeof hook !== "function") {
    throw new InputError(`hook is ${nameOf(hook)}. Give a name, as "pattern", or a predicate over names.`, {
      operation,
      argument: "hook",
      actual: hook,
    });
  }
  const axes = typeof hook === "string" ? axesAt(hook) : undefined;
  if (typeof hook === "string" && axes === undefined) throw noSuchSite(hook, operation);
  for (const [field, value] of Object.entries(selection)) {
    if (value === undefined || field === "hook") continue;
    if (!FIELDS.includes(field)) {
      const [near] = nearestNames(field, FIELDS, 1);
      throw new InputError(
        `a selection has no field ${JSON.stringify(field)}. ${near === undefined ? `Its fields are ${FIELDS.join(", ")}.` : `Did you mean ${near}?`}`,
        { operation, argument: field, expected: FIELDS, actual: field },
      );
    }
    if (field === "layer" && typeof hook === "string" && !isLayerSite(hook)) {
      throw new InputError(
        `layer is given, but "${hook}" is one hook. Name it for all layers, as "resid_pre", or leave layer out.`,
        { operation, argument: "layer", actual: value },
      );
    }
    if (axes !== undefined && field !== "layer") requireField(field, String(hook), axes, operation);
    checkIndices(value, field, operation, field === "head" ? placesIn(undefined, 0, operation) : undefined);
  }
}

function requireField(field: string, hook: string, axes: readonly string[], operation: string): string {
  const axis = axisOf(field, axes);
  if (axis !== undefined) return axis;
  const fields = FIELDS.filter((name) => axisOf(name, axes) !== undefined);
  throw new InputError(
    `${field} selects nothing at "${hook}", whose axes are "${axes.join(" ")}"; there it takes ${fields.join(", ")}.`,
    { operation, argument: field, expected: fields, actual: field },
  );
}

/** What is selected of one activation: for each axis the indices meant, known once its size is. */
export interface Part {
  readonly hook: HookName;
  /** Specifications by axis; an axis that has none is taken whole. */
  readonly picks: ReadonlyMap<string, Indices | readonly number[]>;
  /** Offsets of query and key. */
  readonly offset: Indices | undefined;
}

/** The parts of activations that a selection names in a model. */
export function partsOf(selection: Selection, config: ModelConfig, operation: string): Part[] {
  const { hook = "z", layer, head } = selection;
  const named = typeof hook === "function" ? hookNames(config).filter(hook) : hooksNamed(hook, config, operation);
  if (named.length === 0) {
    throw new InputError("the predicate picks no hook of this model; hookNames(model.config) lists them.", {
      operation,
      argument: "hook",
    });
  }
  const layers = layer === undefined ? undefined : layersOf(layer, config, operation);
  if (head !== undefined) requirePlaces(head, layers, config, operation);
  const parts = named
    .filter((name) => layers === undefined || layers.includes(layerOf(name) ?? -1))
    .flatMap((name) => partAt(name, selection, config, operation) ?? []);
  if (parts.length > 0) return parts;
  throw new InputError("nothing is selected: no hook picked lies in these layers, or no head is left of them.", {
    operation,
    argument: "at",
    actual: selection,
  });
}

const layersOf = (layer: Indices, { n_layers }: ModelConfig, operation: string): number[] => {
  const among = `the ${n_layers} layers of this model`;
  return indicesOf(layer, { field: "layer", low: 0, high: n_layers, isFromEnd: true, among }, operation);
};

/** Refuses heads named by place that are not there, or not in the layers that are named beside them. */
function requirePlaces(
  head: Heads,
  layers: readonly number[] | undefined,
  { n_layers, n_heads }: ModelConfig,
  operation: string,
): void {
  for (const id of placesNamed(head)) {
    const isThere = id.layer >= 0 && id.layer < n_layers && id.head >= 0 && id.head < n_heads;
    if (isThere && layers?.includes(id.layer) !== false) continue;
    throw new InputError(
      isThere
        ? `${headLabel(id)} lies in none of the layers selected, ${layers?.join(", ")}. Leave layer out, or name the head by its number.`
        : `there is no head ${headLabel(id)}: this model has ${n_layers} layers of ${n_heads} heads, counted from 0.`,
      { operation, argument: "head", expected: [n_layers, n_heads], actual: headLabel(id) },
    );
  }
}

/** The sizes that a model gives its axes. */
const sizesOf = ({ n_heads, d_model, d_head, d_mlp = 0, d_vocab_out }: ModelConfig): ReadonlyMap<string, number> =>
  new Map(Object.entries({ head: n_heads, d_model, d_head, d_mlp, d_vocab: d_vocab_out }));

/** Refuses a selection that nothing is left of. */
export function requireSome<T>(indices: readonly T[], field: string, hook: string, operation: string): readonly T[] {
  if (indices.length > 0) return indices;
  throw new InputError(`nothing is selected at "${hook}": ${field} leaves nothing over.`, {
    operation,
    argument: field,
  });
}

/** What a selection names of one activation; nothing where it names heads of other layers. */
function partAt(name: HookName, selection: Selection, config: ModelConfig, operation: string): Part | undefined {
  const axes = axesAt(name) ?? [];
  const picks = new Map<string, Indices | readonly number[]>();
  for (const [field, spec] of Object.entries(selection)) {
    if (spec === undefined || field === "hook" || field === "layer") continue;
    const axis = requireField(field, name, axes, operation);
    if (field === "offset") continue;
    const shares = field === "head" && /hook_((rot_)?[kv]|[kv]_input)$/.test(name);
    const high = (shares ? config.n_key_value_heads : undefined) ?? sizesOf(config).get(axis);
    if (high === undefined) picks.set(axis, spec as Indices);
    else {
      const among = `the ${high} ${field === "head" ? "heads of a layer" : `of ${axis}`} of this model`;
      const counted = { field, low: 0, high, isFromEnd: true, among };
      const indices = indicesOf(
        spec,
        counted,
        operation,
        field === "head" ? placesIn(layerOf(name), high, operation) : undefined,
      );
      if (indices.length === 0 && field === "head") return undefined;
      picks.set(axis, requireSome(indices, field, name, operation));
    }
  }
  return { hook: name, picks, offset: selection.offset };
}
