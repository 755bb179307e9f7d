/** The shares of kernels, packing, memory and JavaScript in a profile of V8. */
import { readFileSync } from "node:fs";

const binaries = readFileSync(new URL("../../src/kernels/wasm/binaries.ts", import.meta.url), "utf8");

/** The numbers of functions in the kernels' module, by which a profile knows them. */
function numbersOf(names) {
  const [, text] = /PLAIN_KERNELS =\s*"([^"]+)"/.exec(binaries) ?? [];
  const module = new WebAssembly.Module(Buffer.from(text, "base64"));
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] =
      kind === "memory" ? new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared: true }) : () => 0;
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  return new Set(names.map((name) => Number(exports[name].name)));
}

/** The functions that put operands in order. */
const PACKS = numbersOf(["copyBlock", "packDeep", "packPanels", "copyDoubles", "packDoubles"]);
const MEMORY =
  /garbage collector|^(tellCollector|keepForKernels|allocateForResult|allocate|allocateData|lend|takeBlock)\d*$/;

/** `kernel`, `packing`, `memory` or `JavaScript`, or nothing for a sample outside of all calls. */
function kindsOf(nodes) {
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node])));
  const isWasm = (node) => node?.callFrame.url.startsWith("wasm://") === true;
  // Packing is a matter of the kernels' module, which runAlone calls; that for weights numbers its functions anew.
  const callerOf = (node) => {
    const parent = parents.get(node.id);
    return parent === undefined || !/^(js-to-wasm|GenericJSToWasm)/.test(parent.callFrame.functionName)
      ? parent?.callFrame.functionName
      : callerOf(parent);
  };
  const kernels = nodes.find((node) => isWasm(node) && callerOf(node) === "runAlone")?.callFrame.url;
  // What follows a pause of a call is a call from nowhere; only waiting and the profiler itself are no part of it.
  const isOfCall = (node) =>
    node !== undefined && (/^(measured|step)$/.test(node.callFrame.functionName) || isOfCall(parents.get(node.id)));
  return new Map(
    nodes.map((node) => {
      const { functionName, url } = node.callFrame;
      if (functionName !== "(garbage collector)" && !isOfCall(node)) return [node.id, undefined];
      if (MEMORY.test(functionName)) return [node.id, "memory"];
      if (!isWasm(node)) return [node.id, "JavaScript"];
      const number = Number(/\d+/.exec(functionName)?.[0]);
      return [node.id, url === kernels && PACKS.has(number) ? "packing" : "kernel"];
    }),
  );
}

/**
 * The shares of a profile, in per cent.
 *
 * @param {{ nodes: object[], samples: number[], timeDeltas: number[] }} profile
 */
export function sharesOf({ nodes, samples, timeDeltas }) {
  const kinds = kindsOf(nodes);
  const sums = { kernel: 0, packing: 0, memory: 0, JavaScript: 0 };
  samples.forEach((id, i) => {
    const kind = kinds.get(id);
    if (kind !== undefined) sums[kind] += timeDeltas[i];
  });
  const all = Object.values(sums).reduce((a, b) => a + b, 0);
  return Object.values(sums).map((sum) => `${Math.round((100 * sum) / all)} %`);
}
