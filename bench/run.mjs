/**
 * `npm run bench`: this library against its peers, in turns, in one run. See docs/performance.md for how to read it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensureBuild } from "../scripts/ensure-build.mjs";
import { Contender, contenderKinds } from "./lib/contender.mjs";
import { describeMachine, pinPrefix } from "./lib/environment.mjs";
import { replaceBetweenMarkers } from "./lib/format.mjs";
import { measureCase, plans } from "./lib/measure.mjs";
import { commandText, parseOptions, usage } from "./lib/options.mjs";
import { markdownReport, textReport } from "./lib/report.mjs";
import { measureStart, startContenders } from "./lib/start.mjs";
import { groups, selectGroups } from "./lib/workloads.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const documentPath = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const say = (text) => process.stderr.write(`${text}\n`);

/** The peers are packages of bench/ alone; they come with the first run, and again when the lock file changes. */
function ensurePackages() {
  const installed = `${here}node_modules/.package-lock.json`;
  const isFresh = existsSync(installed) && statSync(installed).mtimeMs >= statSync(`${here}package-lock.json`).mtimeMs;
  if (isFresh) return;
  say(
    "Installing the packages to compare with into bench/node_modules (npm ci, about 220 MB; the library itself needs none of them).",
  );
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: here, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("npm ci in bench/ failed: the packages to compare with are not there.");
}

/** Whether a group compares the library with anything but itself. */
const needsPackages = ({ form, contenders }) =>
  form === "start" ||
  contenders.some((id) => !["ours", "one-thread", "two-threads", "transformer-lens", "torch"].includes(id));

/** Runs the same command under Node 24. */
function underNode24(args) {
  const rest = args.filter((arg) => arg !== "--node24");
  const command = ["--yes", "-p", "node@24", "node", fileURLToPath(import.meta.url), ...rest];
  return (
    spawnSync("npx", command, { stdio: "inherit", env: { ...process.env, BENCH_COMMAND: commandText(args) } }).status ??
    1
  );
}

async function openContenders(ids, kinds, prefix) {
  const contenders = [];
  for (const id of ids) {
    const kind = kinds[id];
    const contender = new Contender(id, kind, kind.unpinned ? [] : prefix);
    await contender.open();
    contenders.push(contender);
  }
  return contenders;
}

/** One group: every contender in a process of its own, alive for all cases of the group. */
async function measureGroup(group, { kinds, prefix, plan }) {
  const contenders = await openContenders(group.contenders, kinds, prefix);
  const present = contenders.filter(({ absence }) => absence === undefined);
  try {
    const cases = [];
    for (const work of group.cases) {
      say(`${group.id}: ${work.name}`);
      cases.push({ name: work.name, recorded: work.recorded, outcomes: await measureCase(work, present, plan) });
    }
    return {
      ...group,
      cases,
      contenders: contenders.map(({ id, label, absence }) => ({ id, label, absence })),
      versions: Object.assign({}, ...contenders.map(({ versions }) => versions)),
    };
  } finally {
    for (const contender of contenders) contender.close();
  }
}

async function measureStartGroup(group, { python, quick }) {
  say(`${group.id}: fresh processes`);
  const contenders = startContenders(python);
  const outcomes = await measureStart(contenders, quick ? 5 : 10);
  return {
    ...group,
    contenders: [{ id: "process", label: "process" }],
    cases: contenders.map(({ id, label }) => ({ name: label, outcomes: { process: outcomes[id] } })),
    versions: {},
  };
}

async function main(args) {
  const options = parseOptions(args);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  if (options.node24) return underNode24(args);
  const selected = selectGroups(options.only);
  if (selected.length === 0) {
    const names = groups.map(({ id, cases }) => [id, ...cases.map(({ name }) => name)].join(", "));
    throw new Error(`--only ${options.only.join(",")} names nothing. There are:\n  ${names.join("\n  ")}`);
  }
  if (selected.some(needsPackages)) ensurePackages();
  ensureBuild();

  const prefix = pinPrefix(options.core);
  const context = {
    ...options,
    prefix,
    kinds: contenderKinds(options.python),
    plan: options.quick ? plans.quick : plans.full,
  };
  const machine = describeMachine();
  const measured = [];
  for (const group of selected) {
    measured.push(await (group.form === "start" ? measureStartGroup(group, context) : measureGroup(group, context)));
  }
  const ceilings = measured.flatMap(({ cases }) => cases.map(({ outcomes }) => outcomes.ceiling?.gflops ?? 0));
  const run = {
    machine,
    versions: Object.assign({}, ...measured.map(({ versions }) => versions)),
    date: new Date().toISOString().slice(0, 10),
    command: process.env.BENCH_COMMAND ?? commandText(args),
    plan: options.quick ? "quick" : "full",
    pinned: prefix.length > 0,
    ceiling: Math.max(...ceilings) > 0 ? Math.max(...ceilings) : undefined,
    groups: measured,
  };

  console.log(textReport(run));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(run, undefined, 1)}\n`);
  if (options.markdown) {
    const section = `node-${machine.node.split(".")[0]}`;
    writeFileSync(
      documentPath,
      replaceBetweenMarkers(readFileSync(documentPath, "utf8"), section, markdownReport(run)),
    );
    say(`Written into docs/performance.md, section ${section}.`);
  }
  // A peer that does not run here is told in the notes; a wrong result, or a failure of ours, is an error.
  const isWrong = measured.some(({ cases }) =>
    cases.some(({ outcomes }) =>
      Object.entries(outcomes).some(
        ([id, { wrong, failed }]) => wrong !== undefined || (failed !== undefined && /^(ours|.*-threads?)$/.test(id)),
      ),
    ),
  );
  return isWrong ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
