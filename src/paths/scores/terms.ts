/** The terms of a head's attention scores. */
import type { HeadId } from "../../model/index.ts";
import type { Kind } from "../../errors.ts";

export const SCORE_TERM: Kind = {
  member: "queryPath",
  what: "a term of a score expansion",
  remedy: "Take it from its terms",
};

/**
 * One term of a head's scores: a part of the queries against a part of the keys.
 * @category Attention scores
 */
export interface ScoreTerm {
  /** `embed · L0H5`: the query's part, the key's part. */
  readonly label: string;
  readonly query: string;
  readonly key: string;
  /** Whether heads moved the query's part, the key's, both or neither. */
  readonly composition: "none" | "Q" | "K" | "both";
  /** The heads that moved the query's part, earliest first; of a sum over paths those that they share. */
  readonly queryPath: readonly HeadId[];
  /** The heads that moved the key's part. */
  readonly keyPath: readonly HeadId[];
}
