import { execFileSync } from "node:child_process";

/** The command of Deno that needs no download; undefined where there is none. */
export function denoCommand(): readonly [program: string, ...given: string[]] | undefined {
  const commands = [["deno"], ["npx", "--offline", "--yes", "deno@2.9.6"]] as const;
  return commands.find(([program, ...given]) => {
    try {
      execFileSync(program, [...given, "--version"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}
