/** The tables of a run. Every peer's figure is its time divided by ours: above 1 we are faster. */
import { ratioText, threeDigits } from "./format.mjs";

/**
 * @typedef {object} Outcome of one contender on one case; times are of one call, in milliseconds
 * @property {number} [min]
 * @property {number} [median]
 * @property {number} [p90]
 * @property {number} [n]
 * @property {number} [gflops] at the minimum
 * @property {{ before: number, after: number, largest: number }} [rss] resident bytes
 * @property {string} [skip] why it was not asked
 * @property {string} [wrong] how its result differs
 * @property {string} [failed] what went wrong
 */

/**
 * @typedef {object} Group
 * @property {string} id
 * @property {string} title
 * @property {string} form
 * @property {{ id: string, label: string, absence?: string }[]} contenders
 * @property {{ name: string, recorded?: number, outcomes: Record<string, Outcome> }[]} cases `recorded`: milliseconds of a peer that does not run here
 */

const isTimed = (outcome) => outcome?.min !== undefined;

/**
 * Peer over ours: of the minima and of the medians.
 *
 * @param {Outcome | undefined} peer
 * @param {Outcome | undefined} ours
 * @returns {{ min: number, median: number } | undefined}
 */
export function ratioOf(peer, ours) {
  if (!isTimed(peer) || !isTimed(ours)) return undefined;
  return { min: peer.min / ours.min, median: peer.median / ours.median };
}

/** A word for what was not timed. */
function absentCell(outcome) {
  if (outcome?.wrong !== undefined) return "wrong";
  return outcome?.failed !== undefined ? "failed" : "–";
}

const ratioCell = (peer, ours) => {
  const ratio = ratioOf(peer, ours);
  return ratio === undefined ? absentCell(peer) : `${ratioText(ratio.min)} / ${ratioText(ratio.median)}`;
};

const timeCell = (outcome) =>
  isTimed(outcome) ? `${threeDigits(outcome.min)} / ${threeDigits(outcome.median)}` : absentCell(outcome);

const percent = (part) => `${Math.round(100 * part)} %`;
const mebibytes = (bytes) => `${bytes < 0 ? "−" : "+"}${Math.abs(bytes / 2 ** 20).toFixed(0)} MiB`;

/** The contenders that are there, without the ceiling, ours first. */
const shown = ({ contenders }) => contenders.filter(({ id, absence }) => id !== "ceiling" && absence === undefined);

/** @type {Record<string, (group: Group) => { caption: string, head: string[], rows: string[][] }[]>} */
const byForm = {
  ratios(group) {
    const peers = shown(group).filter(({ id }) => id !== "ours");
    const hasCeiling = group.cases.some(({ outcomes }) => isTimed(outcomes.ceiling));
    const ratios = {
      caption: "Their time over ours, minimum / median",
      head: ["work", "ours, ms", ...(hasCeiling ? ["GFLOPS", "of ceiling"] : []), ...peers.map(({ label }) => label)],
      rows: group.cases.map(({ name, outcomes: { ours, ceiling, ...others } }) => [
        name,
        timeCell(ours),
        ...(hasCeiling
          ? [
              ours?.gflops === undefined ? "–" : ours.gflops.toFixed(1),
              ours?.gflops === undefined || ceiling?.gflops === undefined ? "–" : percent(ours.gflops / ceiling.gflops),
            ]
          : []),
        ...peers.map(({ id }) => ratioCell(others[id], ours)),
      ]),
    };
    const times = {
      caption: "Times in milliseconds, minimum / median",
      head: ["work", ...shown(group).map(({ label }) => label), "our memory"],
      rows: group.cases.map(({ name, outcomes }) => [
        name,
        ...shown(group).map(({ id }) => timeCell(outcomes[id])),
        memoryCell(outcomes.ours),
      ]),
    };
    return [ratios, times];
  },
  threads: (group) => {
    const hasCeiling = group.cases.some(({ outcomes }) => isTimed(outcomes["two-thread-ceiling"]));
    return [
      {
        caption: "Milliseconds, and one thread's time over two threads', minimum / median",
        head: ["work", "one thread", "two threads", "speed-up", ...(hasCeiling ? ["of registers alone"] : [])],
        rows: group.cases.map(({ name, outcomes }) => [
          name,
          timeCell(outcomes["one-thread"]),
          timeCell(outcomes["two-threads"]),
          ratioCell(outcomes["one-thread"], outcomes["two-threads"]),
          ...(hasCeiling ? [ratioCell(outcomes["one-thread-ceiling"], outcomes["two-thread-ceiling"])] : []),
        ]),
      },
    ];
  },
  alone: (group) => [
    {
      caption: "Milliseconds",
      head: ["work", "minimum", "median", "p90", "our memory"],
      rows: group.cases.map(({ name, outcomes: { ours } }) => [
        name,
        ...(isTimed(ours) ? [ours.min, ours.median, ours.p90].map(threeDigits) : [absentCell(ours), "–", "–"]),
        memoryCell(ours),
      ]),
    },
  ],
  recorded: (group) => [
    {
      caption:
        "Milliseconds, minimum / median; beside them recorded minima of TransformerLens 3.9 (one thread), measured elsewhere and not in this run, and theirs over ours",
      head: ["work", "one thread", "two threads", "recorded", "over one thread", "over two", "our memory"],
      rows: group.cases.map(({ name, recorded, outcomes: { "one-thread": one, "two-threads": two } }) => [
        name,
        timeCell(one),
        timeCell(two),
        recorded === undefined ? "–" : threeDigits(recorded),
        ...[one, two].map((ours) =>
          recorded !== undefined && isTimed(ours) ? ratioText(recorded / ours.min) : absentCell(undefined),
        ),
        memoryCell(one),
      ]),
    },
  ],
  start: (group) => [
    {
      caption: "Milliseconds",
      head: ["process", "minimum", "median", "p90"],
      rows: group.cases.map(({ name, outcomes: { process } }) => [
        name,
        ...(isTimed(process)
          ? [process.min, process.median, process.p90].map((ms) => ms.toFixed(0))
          : [absentCell(process), "–", "–"]),
      ]),
    },
  ],
};

const memoryCell = (outcome) => (outcome?.rss === undefined ? "–" : mebibytes(outcome.rss.after - outcome.rss.before));

/**
 * The tables of one group.
 *
 * @param {Group} group
 * @returns {{ caption: string, head: string[], rows: string[][] }[]}
 */
export function tablesOf(group) {
  return byForm[group.form]?.(group) ?? [];
}

/**
 * Why cells are empty: one line for each contender and reason.
 *
 * @param {Group} group
 * @returns {string[]}
 */
export function notesOf({ contenders, cases }) {
  /** @type {Map<string, string[]>} */
  const notes = new Map();
  for (const { label, absence } of contenders) {
    if (absence !== undefined) notes.set(`${label} is not here: ${absence}`, []);
  }
  for (const { name, outcomes } of cases) {
    for (const { id, label, absence } of contenders) {
      const { skip, wrong, failed } = outcomes[id] ?? {};
      const reason =
        wrong !== undefined ? `gives a wrong result: ${wrong}` : failed !== undefined ? `failed: ${failed}` : skip;
      if (absence !== undefined || reason === undefined) continue;
      const text = `${label}: ${reason}`;
      notes.set(text, [...(notes.get(text) ?? []), name]);
    }
  }
  return [...notes].map(([text, names]) => (names.length === 0 ? text : `${text} (${names.join("; ")})`));
}

/**
 * Where a peer was faster: minimum over minimum below 1, the worst first.
 *
 * @param {readonly Group[]} groups
 * @returns {{ work: string, peer: string, ratio: number }[]}
 */
export function lossesOf(groups) {
  return groups
    .filter(({ form }) => form === "ratios")
    .flatMap(({ title, contenders, cases }) =>
      cases.flatMap(({ name, outcomes }) =>
        contenders
          .filter(({ id }) => id !== "ours" && id !== "ceiling")
          .flatMap(({ id, label }) => {
            const ratio = ratioOf(outcomes[id], outcomes.ours)?.min;
            return ratio !== undefined && ratio < 1 ? [{ work: `${title}, ${name}`, peer: label, ratio }] : [];
          }),
      ),
    )
    .sort((a, b) => a.ratio - b.ratio);
}
