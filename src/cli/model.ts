/** The model that a command works on. */
import { resolve } from "node:path";

type Opened = Awaited<ReturnType<(typeof import("../io/node.ts"))["loadFolder"]>>;

/** Opens the model of a folder or file, or the bundled one; says on standard error what was taken for granted. */
export async function openModel(path: string | undefined): Promise<Pick<Opened, "model" | "tokenizer">> {
  if (path !== undefined) {
    const opened = await (await import("../io/node.ts")).loadFolder(path);
    for (const note of opened.model.notes) process.stderr.write(`Note: ${note}\n`);
    return opened;
  }
  return (await import("../io/bundled.ts")).openBundledModel();
}

/** What a model is called by its path: the last part of it. */
export function modelName(path: string): string {
  return resolve(path).split(/[\\/]/).pop() ?? path;
}
