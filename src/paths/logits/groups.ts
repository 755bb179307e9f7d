/** Terms of a path expansion taken together. */
import { headLabel } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import { add } from "../../tensor/index.ts";
import type { Stream } from "../frozen/frozen-run.ts";
import { termJSON, termShowing } from "./terms.ts";
import type { PathTerm } from "./terms.ts";

/**
 * How {@link PathExpansion.group} takes terms together: by the number of heads on the path, its first or last head, its
 * source, the layers it passes through, or a function that names the group of a term.
 * @category Path expansion
 */
export type TermGrouping = "order" | "first" | "last" | "source" | "layers" | ((term: PathTerm) => string);

const KEYS: Readonly<Record<Extract<TermGrouping, string>, (term: PathTerm) => string>> = {
  order: ({ order }) => `order ${order}`,
  first: (term) => headAt(term, 0),
  last: (term) => headAt(term, -1),
  source: ({ source }) => source,
  layers: ({ path, source }) => (path.length === 0 ? source : path.map(({ layer }) => `L${layer}`).join("→")),
};

/** The names under which {@link PathExpansion.group} knows its groupings. */
export const GROUPINGS = Object.keys(KEYS);

function headAt({ path, source }: PathTerm, at: number): string {
  const head = path.at(at);
  return head === undefined ? source : headLabel(head);
}

/** Groups in the order in which their first terms stand; a term that is not a path is a group by itself. */
export function groupTerms(terms: readonly PathTerm[], by: TermGrouping): PathTerm[] {
  const keyOf = typeof by === "function" ? by : KEYS[by];
  const groups = new Map<string, PathTerm[]>();
  for (const term of terms) {
    const key = term.kind === "path" || term.kind === "group" ? keyOf(term) : term.label;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [term]);
    else members.push(term);
  }
  return [...groups].map(([label, members]) => {
    const only = members[0] as PathTerm;
    return members.length === 1 && only.kind !== "path" ? only : groupOf(label, members);
  });
}

function groupOf(label: string, members: readonly PathTerm[]): PathTerm {
  let resid: Stream | undefined;
  const first = members[0] as PathTerm;
  const group: PathTerm = {
    label,
    kind: "group",
    source: first.source,
    path: [],
    order: Math.min(...members.map(({ order }) => order)),
    get resid(): Stream {
      resid ??= members.map((term) => term.resid).reduce((a, b) => add(a, b));
      return resid;
    },
  };
  return shownAs(group, termShowing, termJSON);
}
