/** What users of other libraries write for an activation, `cache["pattern"]`, answered with what to write here. */
import { InputError } from "../errors.ts";
import { Shown } from "../show/index.ts";
import { hookStem } from "./hooks.ts";

/** What hooks are called without their place, beside names that hold `hook_`. */
const SHORT = new Set(
  "tokens embed pos_embed resid_pre resid_mid resid_post attn_in attn_out mlp_in mlp_out q k v z q_input k_input v_input rot_q rot_k attn_scores pattern result pre mid post scale normalized".split(
    " ",
  ),
);

/** What shows itself, with the answer behind all that an object has: nothing that is there comes by it. */
function answering(): typeof Shown {
  abstract class Answering extends Shown {}
  const behind = new Proxy(Shown.prototype, {
    get(target, name, cache: HookHabits): unknown {
      if (typeof name !== "string" || name in target || !isHookLike(name)) return Reflect.get(target, name, cache);
      throw noProperty(name, cache);
    },
  });
  Object.setPrototypeOf(Answering.prototype, behind);
  return Answering;
}

/**
 * What a cache is made on: who asks it for a property that looks like a hook is told to write `get`. Other properties
 * are as absent as in any object, as hosts ask for many.
 */
export abstract class HookHabits extends /* @__PURE__ */ answering() {
  /** The names of what was kept. */
  abstract names(): string[];
}

function isHookLike(name: string): boolean {
  return SHORT.has(name) || /(^|\.)hook_/.test(name) || /^\d+$/.test(name);
}

function noProperty(name: string, cache: HookHabits): InputError {
  const names = keptBy(cache);
  const same = names.find((full) => full === name) ?? names.find((full) => hookStem(full) === hookStem(name));
  const pattern = "blocks.0.attn.hook_pattern";
  const shown = same ?? (names.includes(pattern) ? pattern : (names[0] ?? pattern));
  return new InputError(
    `activations are not in brackets: there is none at ${JSON.stringify(name)}. Write cache.get(${JSON.stringify(shown)}); cache.names() lists what was kept.`,
    { operation: "cache", argument: name, expected: names, actual: name },
  );
}

function keptBy(cache: HookHabits): string[] {
  try {
    return cache.names();
  } catch {
    // The prototype itself, which has kept nothing.
    return [];
  }
}
