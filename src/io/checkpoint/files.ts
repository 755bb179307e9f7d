/** Which files of a folder are its weights. */
import { InputError } from "../../errors.ts";
import { FORBIDDEN_KEY, fault, quoted } from "../bytes/fault.ts";
import type { Source } from "../bytes/fault.ts";
import type { PlainObject } from "../json/plain.ts";

/** Files that lie beside weights and are none. */
const BESIDE = /^(training_args|optimizer|scheduler|rng_state|scaler)[\w.-]*\.(bin|pt|pth|ckpt)$/;

/** What is taken for the weights, in this order; the first pattern that one file has decides. */
const PATTERNS: readonly RegExp[] = [
  /^model\.safetensors$/,
  /^model\.safetensors\.index\.json$/,
  /\.safetensors\.index\.json$/,
  /\.safetensors$/,
  /^pytorch_model\.bin$/,
  /\.bin\.index\.json$/,
  /final\.pth$/,
  /\.(pth|pt|bin|ckpt)$/,
  /\.gguf$/,
  /\.npz$/,
  /\.npy$/,
];

/** Whether a file is taken for weights, or for the index of some. */
export const isWeights = (name: string): boolean => !BESIDE.test(name) && PATTERNS.some((one) => one.test(name));

/**
 * The one file of a folder that holds its weights, or the index of those that do.
 *
 * @param where - the folder, for error texts.
 */
export function weightsAmong(names: readonly string[], operation: string, where: string): string {
  const candidates = names.filter((name) => !BESIDE.test(name));
  for (const pattern of PATTERNS) {
    const found = candidates.filter((name) => pattern.test(name));
    if (found.length === 1) return found[0] as string;
    if (found.length > 1) {
      const shards = found.every((name) => /-\d+-of-\d+\./.test(name));
      throw new InputError(
        `${where} holds several files of weights: ${some(found)}. ${shards ? "Their index, such as model.safetensors.index.json, is missing." : "Name one of them."}`,
        { operation, argument: "files", expected: "one file of weights", actual: found },
      );
    }
  }
  throw new InputError(
    `${where} holds no weights; ${names.length === 0 ? "it holds nothing" : `it holds ${some(names)}`}. Read are safetensors, with or without an index, PyTorch (.pth, .pt, .bin, .ckpt), .gguf, .npz and .npy.`,
    { operation, argument: "files", expected: "a file of weights", actual: names },
  );
}

/** The first names of a list, for error texts. */
export function some(names: readonly string[], most = 12): string {
  return names.slice(0, most).join(", ") + (names.length > most ? `, … (${names.length} in all)` : "");
}

/** Whether a file is an index of weights in several files. */
export function isIndex(name: string): boolean {
  return name.endsWith(".index.json");
}

/** The files that an index names, and which tensors it says each of them holds. */
export function shardsOf(index: PlainObject, source: Source): ReadonlyMap<string, readonly string[]> {
  const map = index.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw fault(source, "it has no weight_map, an object of tensors' names and their files.");
  }
  const files = map as PlainObject;
  const shards = new Map<string, string[]>();
  for (const tensor in files) {
    const file = files[tensor];
    if (typeof file !== "string" || file === "" || /[\\/]|^\.\.?$/.test(file) || file === FORBIDDEN_KEY) {
      const shown = typeof file === "string" ? quoted(file) : "something else than a string";
      throw fault(source, `its file is ${shown}, not the name of a file beside the index.`, tensor);
    }
    const tensors = shards.get(file) ?? [];
    tensors.push(tensor);
    shards.set(file, tensors);
  }
  if (shards.size === 0) throw fault(source, "its weight_map is empty.");
  return shards;
}
