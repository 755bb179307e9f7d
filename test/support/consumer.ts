import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";
import { packRepository } from "./tarball.ts";

/** A new project in a folder of its own, in which npm has installed the packed package. */
export interface Consumer {
  readonly folder: string;
  write(name: string, text: string): void;
  remove(): void;
}

/** Packs the package and installs it as a stranger would. */
export async function newConsumer(): Promise<Consumer> {
  const { path } = await packRepository();
  const folder = mkdtempSync(join(tmpdir(), "transformer-circuits-consumer-"));
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, name), text);
  };
  write("package.json", JSON.stringify({ name: "consumer", private: true }));
  run("npm", ["install", path, "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], folder);
  return {
    folder,
    write,
    remove: () => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
