/** What the reader chose, in this page and in its address. */
import { useEffect, useState } from "preact/hooks";
import { hashOf, stateOf } from "../state.ts";
import type { State } from "../state.ts";

/** Changes a part of the state. */
export type Change = (part: Partial<State>) => void;

/** The state of the address: changes go into it, and another address restores another state. */
export function useAddress(): readonly [State, Change] {
  const [state, setState] = useState(() => stateOf(location.hash));
  useEffect(() => {
    const restore = (): void => setState(stateOf(location.hash));
    addEventListener("hashchange", restore);
    return () => removeEventListener("hashchange", restore);
  }, []);
  useEffect(() => {
    const hash = hashOf(state);
    if (hash !== location.hash)
      history.replaceState(null, "", hash === "" ? location.pathname + location.search : hash);
  }, [state]);
  return [state, (part) => setState((before) => ({ ...before, ...part }))];
}
