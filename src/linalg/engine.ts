/** The one place that chooses where the inner loops of the decompositions run. */
import { kernels } from "../kernels/index.ts";
import { plainWorkspace } from "./plain/workspace.ts";
import { wasmWorkspace } from "./wasm/workspace.ts";
import type { Workspace } from "./workspace.ts";

const uses = { wasm: 0, typescript: 0 };

/** Kernels written in TypeScript: who asks for them by `useKernels` wants no WebAssembly here either. */
const plainKernels: readonly string[] = ["reference", "blocked"];

/** A workspace of at least `count` numbers, of any content; its contents last until the next one is asked for. */
export function workspaceFor(count: number): Workspace {
  const workspace = (plainKernels.includes(kernels().name) ? undefined : wasmWorkspace(count)) ?? plainWorkspace(count);
  uses[workspace.name]++;
  return workspace;
}

/** How many workspaces of each kind have been handed out: a test sees by it which loops ran. */
export function workspaceUses(): { readonly wasm: number; readonly typescript: number } {
  return { ...uses };
}
