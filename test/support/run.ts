import { spawnSync } from "node:child_process";
import { root } from "./files.ts";

/** Runs a program to its end; returns what it wrote to standard output, and throws with all it wrote when it fails. */
export function run(program: string, args: readonly string[], cwd: string = root): string {
  // What npm tells the scripts that it runs would send an inner npm to the outer project.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("npm_")));
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
