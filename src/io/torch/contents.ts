/**
 * From the value that a pickle holds to its tensors by dotted name, the plain values beside them, and the names of all
 * the rest.
 */
import { fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import { Mapped } from "../bytes/mapped.ts";
import { settingsIn } from "../checkpoint/settings.ts";
import { isFields, plainObject } from "../json/plain.ts";
import type { PlainObject, PlainValue } from "../json/plain.ts";
import { partsOf } from "./module.ts";
import type { ModuleParts } from "./module.ts";
import { PickleDict, PickleGlobal, PickleList, PickleObject, PickleTuple, TensorRef } from "./pickle/values.ts";
import type { PickleValue, StorageRef } from "./pickle/values.ts";
import { checkedTensor, unreadType } from "./tensors.ts";
import type { TorchTensor } from "./tensors.ts";
import { whatIs } from "./unread.ts";

/** What a PyTorch file holds. */
export interface TorchContents {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** The storage of each. */
  readonly storages: ReadonlyMap<string, StorageRef>;
  readonly values: PlainObject;
  /** The configuration of its model, where it has one. */
  readonly settings: PlainObject | undefined;
  /** What is neither a tensor nor a plain value, by name, and what it is. */
  readonly unread: ReadonlyMap<string, string>;
}

const MAX_DEPTH = 64;
/** The name of a tensor that was saved alone. */
const ALONE = "tensor";
/** PyTorch's types, layouts and schemes, which are words. */
const WORD = /^torch\.[a-z][a-z0-9_]*$/;

/** Takes a pickle's value apart; `pickleSize` bounds the work. */
export function contentsOf(value: PickleValue, pickleSize: number, source: Source): TorchContents {
  const checked = (ref: TensorRef, name: string): TorchTensor => checkedTensor(ref, name, source);
  const open = (refs: ReadonlyMap<string, TensorRef>): Pick<TorchContents, "tensors" | "storages"> => ({
    tensors: new Mapped(refs, checked),
    storages: new Mapped(refs, ({ storage }) => storage as StorageRef),
  });
  const only = onlyTensors(value);
  if (only !== undefined) {
    for (const [name, ref] of only) checked(ref, name);
    return { ...open(only), values: plainObject([]), settings: undefined, unread: new Map() };
  }
  const walk = new Walk(pickleSize, source);
  const plain = walk.visit(value, "", 0);
  const values = isFields(plain) ? plain : plainObject([]);
  const settings = walk.settings ?? settingsIn(values);
  return {
    ...open(walk.tensors),
    values,
    settings: settings && withUnread(settings, walk.unread),
    unread: walk.unread,
  };
}

/** The items of a dict of nothing but tensors, as a state dict is: a second map of all names would be megabytes. */
function onlyTensors(value: PickleValue): ReadonlyMap<string, TensorRef> | undefined {
  if (!(value instanceof PickleDict) || value.items.size === 0 || value.others > 0) return undefined;
  for (const [key, item] of value.items) {
    const isName = typeof key === "string" && key !== "";
    if (!isName || !(item instanceof TensorRef) || unreadType(item) !== undefined) return undefined;
  }
  return value.items as ReadonlyMap<string, TensorRef>;
}

/** A configuration with a text in place of each field that is no plain value, so that none is missed in silence. */
function withUnread([path, fields]: readonly [string, PlainObject], unread: ReadonlyMap<string, string>): PlainObject {
  const more: [string, string][] = [];
  for (const [name, what] of unread) if (name.startsWith(`${path}.`)) more.push([name.slice(path.length + 1), what]);
  return more.length === 0 ? fields : plainObject([...Object.entries(fields), ...more]);
}

/** One pass over the value. Shared containers are visited once for each of their names, within a budget. */
class Walk {
  /** Checked, and still as small as the pickle has them. */
  readonly tensors = new Map<string, TensorRef>();
  readonly unread = new Map<string, string>();
  /** The configuration of the first model that was saved whole, and its name. */
  settings: readonly [name: string, fields: PlainObject] | undefined;
  readonly #source: Source;
  readonly #parts = new Map<PickleObject, ModuleParts>();
  readonly #open = new Set<PickleValue>();
  /** Objects around what is visited; what they hold may lead back to them. */
  #objects = 0;
  /** Whether a module around what is visited has a configuration. */
  #isConfigured = false;
  #visits: number;
  #characters: number;

  constructor(pickleSize: number, source: Source) {
    this.#source = source;
    this.#visits = 1000 + pickleSize;
    this.#characters = 65_536 + 16 * pickleSize;
  }

  /** The value as a plain one, without its tensors; `undefined` where nothing else is in it. */
  visit(value: PickleValue, name: string, depth: number): PlainValue | undefined {
    if (--this.#visits < 0 || (this.#characters -= name.length) < 0) {
      throw fault(
        this.#source,
        `its containers share their contents so often that they name more values than the file has bytes.`,
        name,
      );
    }
    if (value instanceof TensorRef) return this.#tensor(value, name === "" ? ALONE : name);
    if (value === null || typeof value !== "object") return value;
    if (value instanceof PickleDict) return this.#inside(value, name, depth, () => this.#dict(value, name, depth));
    if (value instanceof PickleList || value instanceof PickleTuple) {
      return this.#inside(value, name, depth, () => this.#list(value.items, name, depth));
    }
    if (value instanceof PickleObject) return this.#object(value, name, depth);
    if (value instanceof PickleGlobal && WORD.test(value.name)) return value.name;
    return this.#pass(name, whatIs(value));
  }

  /** Notes what is not read. */
  #pass(name: string, what: string): undefined {
    this.unread.set(name, what);
    return undefined;
  }

  #inside<T>(value: PickleValue, name: string, depth: number, visit: () => T): T | undefined {
    if (this.#open.has(value)) {
      if (this.#objects > 0) return this.#pass(name, "what it lies in");
      throw fault(this.#source, "the pickle holds a container that contains itself.", name);
    }
    if (depth >= MAX_DEPTH) throw fault(this.#source, `the pickle is nested deeper than ${MAX_DEPTH} levels.`, name);
    this.#open.add(value);
    const result = visit();
    this.#open.delete(value);
    return result;
  }

  #dict({ items, others }: PickleDict, name: string, depth: number): PlainObject | undefined {
    const plain = new Map<string, PlainValue>();
    // Texts of keys that are none; those that are texts are the dict's own.
    const written = new Set<string>();
    for (const [key, item] of items) {
      const alike = typeof key !== "string" && (items.has(String(key)) || written.has(String(key)));
      const text = alike ? `[${String(key)}]` : String(key);
      if (typeof key !== "string") {
        if (written.has(text) || (alike && items.has(text)))
          throw fault(this.#source, `two keys of a dict are both written ${quoted(text)}.`, name);
        written.add(text);
      }
      const value = this.visit(item, name === "" ? text : `${name}.${text}`, depth + 1);
      if (value !== undefined) plain.set(text, value);
    }
    if (others > 0) this.#pass(name === "" ? "*" : `${name}.*`, `${others} items whose keys are no texts`);
    return plain.size === 0 && items.size > 0 ? undefined : plainObject(plain);
  }

  /** A tensor leaves null in the list, so that the rest keep their places. */
  #list(items: readonly PickleValue[], name: string, depth: number): PlainValue | undefined {
    const plain = items.map((item, i) => this.visit(item, name === "" ? String(i) : `${name}.${i}`, depth + 1));
    if (plain.length > 0 && plain.every((item) => item === undefined)) return undefined;
    return plain.map((item) => item ?? null);
  }

  /** A module is its state dict; any other object what it holds, where that is plain. */
  #object(value: PickleObject, name: string, depth: number): PlainValue | undefined {
    const parts = this.#partsOf(value);
    const held = value.contents ?? value.attributes;
    if (parts === undefined && held === undefined) return this.#pass(name, whatIs(value));
    const open = (): PlainValue | undefined => {
      if (parts !== undefined) return this.#module(parts, name, depth);
      return held instanceof PickleList
        ? this.#list(held.items, name, depth)
        : this.#dict(held ?? new PickleDict(), name, depth);
    };
    this.#objects++;
    const plain = this.#inside(value, name, depth, open);
    this.#objects--;
    return plain;
  }

  /** The parts of a module, found once however often it is named; that an object is none is seen at once. */
  #partsOf(value: PickleObject): ModuleParts | undefined {
    const known = this.#parts.get(value);
    if (known !== undefined) return known;
    const parts = partsOf(value);
    if (parts !== undefined) this.#parts.set(value, parts);
    return parts;
  }

  /** What `state_dict()` would have, in its order, and the configuration of the outermost module that has one. */
  #module({ tensors, modules, config }: ModuleParts, name: string, depth: number): PlainObject | undefined {
    const at = (key: string): string => (name === "" ? key : `${name}.${key}`);
    const hasConfig = config !== undefined && !this.#isConfigured;
    const plain = new Map<string, PlainValue>();
    if (hasConfig) {
      const fields = this.visit(config, at("cfg"), depth + 1);
      if (isFields(fields)) {
        this.settings ??= [at("cfg"), fields];
        plain.set("cfg", fields);
      }
      this.#isConfigured = true;
    }
    for (const [key, item] of tensors) this.visit(item, at(key), depth + 1);
    for (const [key, item] of modules) {
      const inner = this.visit(item, at(key), depth + 1);
      if (isFields(inner)) plain.set(key, inner);
    }
    if (hasConfig) this.#isConfigured = false;
    return plain.size === 0 ? undefined : plainObject(plain);
  }

  #tensor(ref: TensorRef, name: string): undefined {
    if (this.tensors.has(name)) throw fault(this.#source, "two tensors have this name.", name);
    const type = unreadType(ref);
    if (type !== undefined) return this.#pass(name, whatIs(ref));
    checkedTensor(ref, name, this.#source);
    this.tensors.set(name, ref);
    return undefined;
  }
}
