/** A whole run as text for a terminal and as a section of docs/performance.md. */
import { markdownTable, plainTable, ratioText } from "./format.mjs";
import { lossesOf, notesOf, tablesOf } from "./tables.mjs";

function machineLines({ machine, versions, date, command, pinned, plan, ceiling }) {
  const { processor, cores, memoryGiB, platform, node, v8, load } = machine;
  return [
    `${processor}, ${cores} cores, ${memoryGiB} GiB, ${platform}; load ${load.toFixed(1)} at the start`,
    `Node ${node} (V8 ${v8})`,
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    ...(ceiling === undefined ? [] : [`the engine's ceiling in this run: ${ceiling.toFixed(1)} GFLOPS`]),
    `${date}, \`${command}\`, ${plan} plan, ${pinned ? "single-thread contenders pinned to one core" : "not pinned"}`,
  ];
}

const lossText = ({ work, peer, ratio }) => `${work}: ${peer} (${ratioText(ratio)})`;

/** @returns {string} */
export function textReport(run) {
  const sections = run.groups.flatMap((group) => [
    `\n== ${group.title}`,
    ...tablesOf(group).map((table) => `\n${table.caption}\n${plainTable(table)}`),
    ...notesOf(group).map((note) => `  ${note}`),
  ]);
  const losses = lossesOf(run.groups);
  return [
    ...machineLines(run),
    ...sections,
    "",
    losses.length === 0 ? "Nowhere slower than a peer." : "Slower than a peer (their time over ours):",
    ...losses.map((loss) => `  ${lossText(loss)}`),
  ].join("\n");
}

/** @returns {string} */
export function markdownReport(run) {
  const sections = run.groups.flatMap((group) => {
    const notes = notesOf(group);
    return [
      `### ${group.title}`,
      ...tablesOf(group).map((table) => `${table.caption}:\n\n${markdownTable(table)}`),
      ...(notes.length === 0 ? [] : [notes.map((note) => `- ${note}`).join("\n")]),
    ];
  });
  const losses = lossesOf(run.groups);
  return [
    machineLines(run)
      .map((line) => `- ${line}`)
      .join("\n"),
    ...sections,
    "### Where it loses",
    losses.length === 0
      ? "Nowhere in this run was a peer faster."
      : `Their time over ours, minima, the worst first:\n\n${losses.map((loss) => `- ${lossText(loss)}`).join("\n")}`,
  ].join("\n\n");
}
