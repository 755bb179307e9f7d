/** A module of PyTorch that was saved whole: the parts of the object that its state dict is made of. */
import { PickleDict, PickleList, PickleObject, PickleTuple } from "./pickle/values.ts";
import type { PickleValue } from "./pickle/values.ts";

/** What a module holds, by name. */
export interface ModuleParts {
  /** Its parameters, and its buffers unless they are said not to persist. */
  readonly tensors: ReadonlyMap<string, PickleValue>;
  readonly modules: ReadonlyMap<string, PickleValue>;
  /** What TransformerLens calls `cfg` and others `config`. */
  readonly config: PickleValue | undefined;
}

/** The parts of an object that is a module; `undefined` for every other object. */
export function partsOf(value: PickleObject): ModuleParts | undefined {
  const items = value.attributes?.items;
  const [parameters, buffers, modules] = ["_parameters", "_buffers", "_modules"].map((name) => named(items?.get(name)));
  if (items === undefined || parameters === undefined || buffers === undefined || modules === undefined)
    return undefined;
  const passing = new Set(listed(items.get("_non_persistent_buffers_set")));
  for (const name of buffers.keys()) if (passing.has(name)) buffers.delete(name);
  const config = [items.get("cfg"), items.get("config")].find((held) => held instanceof PickleObject);
  return {
    tensors: new Map([...parameters, ...buffers]),
    modules,
    config: config ?? [items.get("cfg"), items.get("config")].find((held) => held instanceof PickleDict),
  };
}

/** The items of a dict that are there: a parameter or a module may be None. */
function named(value: PickleValue | undefined): Map<string, PickleValue> | undefined {
  const dict = value instanceof PickleObject ? value.contents : value;
  if (!(dict instanceof PickleDict)) return undefined;
  const found = new Map<string, PickleValue>();
  for (const [key, item] of dict.items) if (item !== null) found.set(String(key), item);
  return found;
}

function listed(value: PickleValue | undefined): readonly PickleValue[] {
  return value instanceof PickleList || value instanceof PickleTuple ? value.items : [];
}
