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
  const [first, second, third] = ["_parameters", "_buffers", "_modules"].map((name) => dictOf(items?.get(name)));
  if (items === undefined || first === undefined || second === undefined || third === undefined) return undefined;
  const [parameters, buffers, modules] = [present(first), present(second), present(third)];
  const passing = new Set(listed(items.get("_non_persistent_buffers_set")));
  for (const name of buffers.keys()) if (passing.has(name)) buffers.delete(name);
  const config = [items.get("cfg"), items.get("config")].find((held) => held instanceof PickleObject);
  return {
    tensors: new Map([...parameters, ...buffers]),
    modules,
    config: config ?? [items.get("cfg"), items.get("config")].find((held) => held instanceof PickleDict),
  };
}

function dictOf(value: PickleValue | undefined): PickleDict | undefined {
  const dict = value instanceof PickleObject ? value.contents : value;
  return dict instanceof PickleDict ? dict : undefined;
}

/** The items of a dict that are there: a parameter or a module may be None. */
function present(dict: PickleDict): Map<string, PickleValue> {
  const found = new Map<string, PickleValue>();
  for (const [key, item] of dict.items) if (item !== null) found.set(String(key), item);
  return found;
}

function listed(value: PickleValue | undefined): readonly PickleValue[] {
  return value instanceof PickleList || value instanceof PickleTuple ? value.items : [];
}
