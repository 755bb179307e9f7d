/** The places that a sweep goes through, one change or several together for each entry of its result. */
import { InputError, nameOf, requireKind } from "../../errors.ts";
import { hookNames } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { requireOwnKeys, siteHook } from "../../model/internal.ts";
import type { Change, PartialSite, Variant } from "../../model/internal.ts";
import type { Sources } from "./sources.ts";

/** The axes that a result may have. */
type Axis = "hook" | "layer" | "head" | "pos" | "query_pos" | "key_pos";

/** Which parts of the model a sweep is over. */
export interface Extent {
  readonly over: string;
  readonly layers?: readonly number[] | undefined;
  readonly heads?: readonly number[] | undefined;
  readonly positions?: readonly number[] | undefined;
  readonly keys?: readonly number[] | undefined;
}

const PER_HEAD: readonly PartialSite[] = ["q", "k", "v", "attn_scores", "pattern", "z", "result"];
const OF_PAIRS: readonly PartialSite[] = ["attn_scores", "pattern"];
const SITES: readonly PartialSite[] = [
  ...(["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"] as const),
  ...PER_HEAD,
];

/** The entries of a sweep's result. */
export class Grid {
  readonly axes: readonly Axis[];
  /** What the entries along each axis are of. */
  readonly labels: Readonly<Record<string, readonly (string | number)[]>>;
  readonly shape: readonly number[];
  readonly size: number;
  readonly #sites: readonly PartialSite[];
  readonly #all: Readonly<Record<Axis, readonly number[] | undefined>>;
  readonly #layers: readonly number[];
  readonly #isCausal: boolean;

  constructor(
    config: ModelConfig,
    sites: readonly PartialSite[],
    hasHookAxis: boolean,
    pos: number,
    extent: Extent,
    operation: string,
  ) {
    const refuse = refusalOf(operation);
    requireKind("list", sites, "at", operation);
    requireSites(config, sites, refuse);
    const named = axesOf(extent.over, sites, refuse);
    this.axes = hasHookAxis ? ["hook", ...named] : named;
    this.#sites = sites;
    this.#isCausal = config.attention_dir === "causal";
    this.#layers = chosen(extent.layers, config.n_layers, "layers", operation);
    const positions = chosen(extent.positions, pos, "positions", operation);
    const keys = chosen(extent.keys, pos, "keys", operation);
    if (sites.includes("k") || sites.includes("v")) requireOwnKeys(config, operation);
    const heads = chosen(extent.heads, config.n_heads, "heads", operation);
    if (extent.heads !== undefined) requireSitesOf(sites, PER_HEAD, "heads", refuse);
    if (extent.keys !== undefined) requireSitesOf(sites, OF_PAIRS, "keys", refuse);
    const entries = { layer: this.#layers, head: heads, pos: positions, query_pos: positions, key_pos: keys };
    this.labels = Object.freeze(
      Object.fromEntries(
        this.axes.map((axis) => [axis, Object.freeze(axis === "hook" ? [...sites] : [...entries[axis]])]),
      ),
    );
    this.shape = this.axes.map((axis) => this.labels[axis]?.length ?? 0);
    this.size = this.shape.reduce((a, b) => a * b, 1);
    // What is no axis is changed together: all of it, or what was chosen.
    const whole = { heads: extent.heads && heads, positions: extent.positions && positions, keys: extent.keys && keys };
    this.#all = {
      ...{ hook: undefined, layer: undefined, head: whole.heads, key_pos: whole.keys },
      ...{ pos: whole.positions, query_pos: whole.positions },
    };
  }

  /** What the entry of an index is of, by axis. */
  at(index: number): Readonly<Record<string, string | number>> {
    const out: Record<string, string | number> = {};
    let rest = index;
    for (let a = this.axes.length - 1; a >= 0; a--) {
      const axis = this.axes[a] as Axis;
      const list = this.labels[axis] ?? [];
      out[axis] = list[rest % list.length] ?? 0;
      rest = Math.floor(rest / list.length);
    }
    return Object.fromEntries(this.axes.map((axis) => [axis, out[axis] as string | number]));
  }

  /** The changes of an entry; none where they cannot matter. */
  variant(index: number, sources: Sources): Variant {
    const at = this.at(index) as Partial<Record<Axis, number>>;
    const site = ((at.hook as unknown) ?? this.#sites[0]) as PartialSite;
    const one = (axis: Axis): readonly number[] | undefined => (at[axis] === undefined ? this.#all[axis] : [at[axis]]);
    const positions = one(at.query_pos === undefined ? "pos" : "query_pos");
    const keys = OF_PAIRS.includes(site) ? one("key_pos") : undefined;
    const heads = PER_HEAD.includes(site) ? one("head") : undefined;
    const isUnseen = this.#isCausal && positions !== undefined && keys?.every((key) => key > Math.max(...positions));
    if (isUnseen === true) return [];
    const layers = at.layer === undefined ? this.#layers : [at.layer];
    return layers.map((layer): Change => ({ layer, site, source: sources.at(layer, site), heads, positions, keys }));
  }
}

type Refusal = (argument: string, message: string, expected: unknown, actual: unknown) => InputError;

const refusalOf =
  (operation: string): Refusal =>
  (argument, message, expected, actual) =>
    new InputError(message, { operation, argument, expected, actual });

function requireSites(config: ModelConfig, sites: readonly PartialSite[], refuse: Refusal): void {
  if (sites.length === 0) throw refuse("at", 'at is an empty list. Name what is changed, as at: "z".', SITES, sites);
  const names = new Set<string>(hookNames(config));
  for (const site of sites) {
    if (!SITES.includes(site)) {
      throw refuse("at", `at is ${nameOf(site)}; the choices are ${SITES.join(", ")}.`, SITES, site);
    }
    if (config.n_layers > 0 && !names.has(siteHook(0, site))) {
      const why = config.attn_only ? "it has no MLPs" : "its MLPs stand beside the attention";
      throw refuse("at", `this model has no ${site}: ${why}.`, "a hook of the model", site);
    }
  }
}

function requireSitesOf(
  sites: readonly PartialSite[],
  those: readonly PartialSite[],
  argument: string,
  refuse: Refusal,
): void {
  const wrong = sites.find((site) => !those.includes(site));
  if (wrong === undefined) return;
  throw refuse(argument, `${wrong} has no ${argument}; ${those.join(", ")} have.`, those, wrong);
}

/** The axes of a result, checked against what they are of. */
function axesOf(over: string, sites: readonly PartialSite[], refuse: Refusal): Axis[] {
  const known = ["layer", "head", "pos", "query_pos", "key_pos"];
  const names = typeof over === "string" ? over.split(" ").filter((name) => name !== "") : [];
  const wrong = names.find((name, i) => !known.includes(name) || names.indexOf(name) !== i);
  if (names.length === 0 || wrong !== undefined || (names.includes("pos") && names.includes("query_pos"))) {
    const shown = typeof over === "string" ? JSON.stringify(over) : nameOf(over);
    throw refuse(
      "over",
      `over is ${shown}. Give distinct names from ${known.join(", ")}, as over: "layer pos"; pos and query_pos are one.`,
      known,
      over,
    );
  }
  if (names.includes("head")) requireSitesOf(sites, PER_HEAD, "heads", refuse);
  if (names.includes("query_pos") || names.includes("key_pos"))
    requireSitesOf(sites, OF_PAIRS, "query_pos and key_pos", refuse);
  return names as Axis[];
}

/** Places counted from the start; all of them unless some are given. */
export function chosen(
  given: readonly number[] | undefined,
  size: number,
  argument: string,
  operation: string,
): readonly number[] {
  if (given === undefined) return Array.from({ length: size }, (_, i) => i);
  requireKind("list", given, argument, operation);
  const found = Array.from(given, (i) => (i < 0 ? i + size : i));
  const wrong = found.findIndex((i, at) => !Number.isInteger(i) || i < 0 || i >= size || found.indexOf(i) !== at);
  if (wrong < 0 && found.length > 0) return found;
  throw refusalOf(operation)(
    argument,
    found.length === 0
      ? `${argument} is an empty list. Leave it out for all.`
      : `${nameOf(given[wrong])} in ${argument} is none of ${size}, or named twice.`,
    [-size, size - 1],
    found.length === 0 ? given : given[wrong],
  );
}
