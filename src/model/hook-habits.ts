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

/**
 * What a cache that can be looked at is made on: whoever asks it for a property that looks like a hook is told to write
 * `get`. Other properties are as absent as in any object, as hosts ask for many.
 */
export abstract class HookHabits extends Shown {
  /** The names of what was kept. */
  abstract names(): string[];
}

/** {@link HookHabits} with its answer, which stands behind all that its objects have. */
export const AnswersHooks: typeof HookHabits = /* @__PURE__ */ answering();

function answering(): typeof HookHabits {
  abstract class Answering extends HookHabits {}
  const behind = new Proxy(HookHabits.prototype, {
    get(target, name, cache: unknown): unknown {
      if (typeof name !== "string" || name in target || !isHookLike(name)) return Reflect.get(target, name, cache);
      throw noProperty(name, cache);
    },
  });
  Object.setPrototypeOf(Answering.prototype, behind);
  return Answering;
}

function isHookLike(name: string): boolean {
  return SHORT.has(name) || /(^|\.)hook_/.test(name) || /^\d+$/.test(name);
}

function noProperty(name: string, cache: unknown): InputError {
  const names = keptBy(cache as HookHabits);
  const meant = names.find((full) => full === name) ?? names.find((full) => hookStem(full) === hookStem(name));
  const shown =
    meant ?? names.find((full) => full.endsWith("hook_pattern")) ?? names[0] ?? "blocks.0.attn.hook_pattern";
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
