/** Where a run takes place. */
import { spawnSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";

const succeeds = (program, args) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

/** What to put before a command so that it stays on one core; nothing where that cannot be had. */
export function pinPrefix(core) {
  const prefix = ["taskset", "-c", String(core)];
  return succeeds(prefix[0], [...prefix.slice(1), process.execPath, "--version"]) ? prefix : [];
}

export function describeMachine() {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    load: loadavg()[0],
    node: process.versions.node,
    v8: process.versions.v8,
  };
}
