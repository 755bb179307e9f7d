/** The model that a command works on. */
import { resolve } from "node:path";

type Opened = Awaited<ReturnType<(typeof import("../io/node.ts"))["loadFolder"]>>;

/**
 * Opens the model of a folder or file, or the bundled one; says on standard error what was taken for granted. A
 * tokenizer that cannot be used is left out and told, unless a text was named for it to read: then it says why it
 * cannot.
 */
export async function openModel(
  path: string | undefined,
  readsText = false,
): Promise<Pick<Opened, "model" | "tokenizer">> {
  if (path === undefined) return (await import("../io/bundled.ts")).openBundledModel();
  const { model, tokenizer, tokenizerFault } = await (await import("../io/node.ts")).loadFolder(path);
  for (const note of model.notes) process.stderr.write(`Note: ${note}\n`);
  if (tokenizerFault === undefined || readsText) return { model, tokenizer };
  process.stderr.write(`Note: the tokenizer is not used. ${tokenizerFault.message}\n`);
  return { model, tokenizer: undefined };
}

/** What a model is called by its path: the last part of it. */
export function modelName(path: string): string {
  return resolve(path).split(/[\\/]/).pop() ?? path;
}
