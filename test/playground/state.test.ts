import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TRAIN_DATA } from "../../site/playground/src/protocol.ts";
import { hashOf, INITIAL, MODES, stateOf, VIEWS } from "../../site/playground/src/state.ts";
import type { State } from "../../site/playground/src/state.ts";

const label = fc.tuple(fc.nat(99), fc.nat(99)).map(([layer, head]) => `L${layer}H${head}`);
const count = fc.option(fc.nat(99_999), { nil: undefined });
// a lone surrogate is no character, and addresses have none
const text = fc.string({ unit: "grapheme", maxLength: 40 });

const states: fc.Arbitrary<State> = fc.record({
  model: text,
  text,
  view: fc.constantFrom(...VIEWS),
  head: fc.oneof(fc.constant(""), label),
  off: fc.array(label, { maxLength: 4 }),
  put: fc.constantFrom("zero" as const, "mean" as const),
  at: count,
  target: count,
  other: text,
  by: fc.constantFrom("pos" as const, "head" as const),
  answer: text,
  wrong: text,
  mode: fc.constantFrom(...MODES),
  data: fc.constantFrom(...TRAIN_DATA),
  layers: count,
  heads: count,
  width: count,
  steps: count,
  rate: fc.option(fc.double({ min: 1e-9, max: 10, noNaN: true }), { nil: undefined }),
  seed: count,
  ablated: fc.array(label, { maxLength: 3 }),
});

describe("the address of the playground", () => {
  test("says every state, and restores it", () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(stateOf(hashOf(state))).toEqual(state);
        // as a browser hands it back
        expect(stateOf(new URL(`http://x/${hashOf(state)}`).hash)).toEqual(state);
      }),
      { seed: 1 },
    );
  });

  test("is empty for the state at the beginning", () => {
    expect(hashOf(INITIAL)).toBe("");
    expect(stateOf("")).toEqual(INITIAL);
  });

  test("of others is read as far as it can be", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (hash) => {
        const state = stateOf(hash);
        expect(stateOf(hashOf(state))).toEqual(state);
      }),
      { seed: 2 },
    );
    expect(stateOf("#head=L1&off=a,L0H1,&put=other&at=-1&target=1.5&by=none&view=__proto__")).toEqual({
      ...INITIAL,
      off: ["L0H1"],
    });
  });
});
