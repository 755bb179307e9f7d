/** Edits of runs at any hooks, for property tests. */
import fc from "fast-check";
import { hookNames } from "../../src/model/index.ts";
import type { HookName, RunOptions, Transformer } from "../../src/model/index.ts";
import { map } from "../../src/tensor/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

type Change = "scale" | "shift" | "zero" | "wave" | "same";
const change = fc.constantFrom<Change>("scale", "shift", "zero", "wave", "same");

/** A change of an activation that leaves scales above 0, patterns finite and masked scores masked. */
function changed(kind: Change, hook: HookName, x: Tensor): Tensor {
  if (hook === "hook_tokens") return map(x, (id) => 1 - id);
  if (hook.endsWith("hook_scale")) return map(x, (s) => s * (kind === "scale" ? 0.8 : 1.25));
  let i = 0;
  const by: Record<Change, (value: number) => number> = {
    scale: (value) => -0.5 * value,
    shift: (value) => value + 0.3,
    zero: () => 0,
    wave: (value) => value + Math.sin(i++),
    same: (value) => value,
  };
  // A norm divides a stream of zeros by the root of its eps, and enlarges all rounding before beyond a tight bound.
  if (kind === "zero" && /embed|resid/.test(hook)) return map(x, by.scale);
  if (hook.endsWith("attn_scores")) return map(x, (s) => (s === -Infinity ? s : by[kind](s)));
  if (hook.endsWith("pattern")) return map(x, (a) => (a === 0 ? 0 : Math.abs(by[kind](a))));
  return map(x, by[kind]);
}

/** Edits at the hooks that some numbers pick. */
export function editsAt(
  model: Transformer,
  picks: readonly (readonly [number, Change])[],
  among: RegExp,
): RunOptions["edits"] {
  const names = hookNames(model.config).filter((name) => name !== "unembed.hook_out" && among.test(name));
  return Object.fromEntries(
    picks.map(([pick, kind]) => {
      const hook = names[pick % names.length] as HookName;
      return [hook, (x: Tensor) => changed(kind, hook, x)];
    }),
  ) as RunOptions["edits"];
}

/** Picks of hooks and changes, for {@link editsAt}. */
export const picks = fc.array(fc.tuple(fc.nat(1000), change), { minLength: 1, maxLength: 4 });
