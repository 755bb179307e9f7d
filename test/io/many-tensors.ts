/** Files that are nearly all names: many tensors, each of nothing or next to nothing. */
import { zipSync } from "fflate";
import { fileOf } from "./bytes.ts";
import { global, joined, legacyOf, str } from "./torch/pickles.ts";

const encoder = new TextEncoder();
const nameOf = (i: number): string => `t${String(i).padStart(6, "0")}`;

/** A safetensors file of empty tensors. */
export function emptyTensors(count: number): Uint8Array {
  const entry = (_: unknown, i: number): string => `"${nameOf(i)}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
  return fileOf(`{${Array.from({ length: count }, entry).join(",")}}`);
}

/** The same, the last name beyond Latin letters, so that the header's text takes two bytes a character, and shapes of rank 4. */
export function wideTensors(count: number): Uint8Array {
  const entry = (_: unknown, i: number): string =>
    `"${i === count - 1 ? "β" : nameOf(i)}":{"dtype":"U8","shape":[${i},1,2,0],"data_offsets":[0,0]}`;
  return fileOf(`{${Array.from({ length: count }, entry).join(",")}}`);
}

/** A safetensors file of one-byte tensors whose header lists them last first. */
export function reversedTensors(count: number): Uint8Array {
  const entry = (_: unknown, i: number): string =>
    `"${nameOf(i)}":{"dtype":"U8","shape":[1],"data_offsets":[${count - 1 - i},${count - i}]}`;
  return fileOf(`{${Array.from({ length: count }, entry).join(",")}}`, new Uint8Array(count));
}

/** A safetensors file without tensors, all metadata. */
export function manyNotes(count: number): Uint8Array {
  const note = (_: unknown, i: number): string => `"${nameOf(i)}":""`;
  return fileOf(`{"__metadata__":{${Array.from({ length: count }, note).join(",")}}}`);
}

/** An archive of arrays of one float, stored or deflated: the same array again and again, deflated once. */
export function manyArrays(count: number, isDeflated: boolean): Uint8Array {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".padEnd(117) + "\n";
  const array = new Uint8Array(132);
  array.set([0x93, ...encoder.encode("NUMPY"), 1, 0, 118, 0]);
  array.set(encoder.encode(header), 10);
  const whole = zipSync({ [`${nameOf(0)}.npy`]: array }, { level: isDeflated ? 6 : 0 });
  const directory = new DataView(whole.buffer).getUint32(whole.length - 6, true);
  return archiveOf(whole.subarray(0, directory), whole.subarray(directory, -22), count);
}

/** An archive in which one entry and its line of the directory come again under other names of the same length. */
function archiveOf(entry: Uint8Array, line: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(count * (entry.length + line.length) + 22);
  const view = new DataView(out.buffer);
  for (let i = 0; i < count; i++) {
    const name = encoder.encode(nameOf(i));
    const at = count * entry.length + i * line.length;
    out.set(entry, i * entry.length);
    out.set(name, i * entry.length + 30);
    out.set(line, at);
    out.set(name, at + 46);
    view.setUint32(at + 42, i * entry.length, true);
  }
  const end = out.length - 22;
  out.set([0x50, 0x4b, 5, 6, 0, 0, 0, 0], end);
  view.setUint16(end + 8, count % 2 ** 16, true);
  view.setUint16(end + 10, count % 2 ** 16, true);
  view.setUint32(end + 12, count * line.length, true);
  view.setUint32(end + 16, count * entry.length, true);
  return out;
}

const u32 = (value: number): number[] => [...new Uint8Array(new Uint32Array([value]).buffer)];
const put = (note: number): number[] => [0x71, note];
const get = (note: number): number[] => [0x68, note];

/** The pickle of a dict of tensors of one float as `torch.save` writes it: names that come again are noted. */
function tensorsPickle(count: number, isShared: boolean, isLegacy = false): Uint8Array {
  const first = [
    [0x80, 2, 0x7d, 0x28],
    [...str("notes"), 0x28, ...global("torch._utils._rebuild_tensor_v2"), ...put(1), ...str("storage"), ...put(2)],
    [...global("torch.FloatStorage"), ...put(3), ...str("cpu"), ...put(4)],
    [...global("collections.OrderedDict"), ...put(5), 0x31, 0x4e],
  ];
  const storage = (key: string): number[] => [
    ...[0x28, ...get(2), ...get(3), ...str(key), ...get(4), 0x4b, 1],
    ...(isLegacy ? [0x4e, 0x74, 0x51] : [0x74, 0x51]),
  ];
  const tensors = Array.from({ length: count }, (_, i) => {
    const note = (at: number): number[] => [0x72, ...u32(6 + 4 * i + at)];
    return [
      ...str(nameOf(i)), ...note(0), ...get(1), 0x28, ...storage(isShared ? "0" : String(i)), 0x4b, 0, 0x4b, 1, 0x85,
      ...note(1), 0x4b, 1, 0x85, ...note(2), 0x89, ...get(5), 0x29, 0x52, ...note(3), 0x74, 0x52,
    ]; // prettier-ignore
  });
  return joined([...first, ...tensors, [0x75, 0x2e]]);
}

/** A PyTorch archive of tensors of one float, of one storage or each of its own. */
export function manyTorchTensors(count: number, isShared: boolean): Uint8Array {
  const storages = Array.from({ length: isShared ? 1 : count }, (_, i) => [`a/data/${i}`, new Uint8Array(4)] as const);
  return zipSync({ "a/data.pkl": tensorsPickle(count, isShared), ...Object.fromEntries(storages) }, { level: 0 });
}

/** A module that holds many modules without tensors, each with its hooks, as `torch.save(model)` writes them. */
export function manyModules(count: number): Uint8Array {
  const keys = ["_parameters", "_buffers", "_modules", "_forward_hooks", "training"];
  const first = [
    [0x80, 2, ...global("__main__.Net"), ...put(1), 0x30, ...global("collections.OrderedDict"), ...put(2), 0x30],
    ...keys.map((key, i) => [...str(key), ...put(10 + i), 0x30]),
  ];
  const hooks = [...get(2), 0x29, 0x52];
  const state = (modules: readonly number[]): number[] => [
    ...[...get(10), 0x7d, ...get(11), 0x7d, ...get(12), ...modules],
    ...[...get(13), ...hooks, ...get(14), 0x88],
  ];
  const inner = Array.from({ length: count }, (_, i) => {
    const note = (at: number): number[] => [0x72, ...u32(100 + 2 * i + at)];
    return [
      ...[...str(nameOf(i)), ...get(1), 0x29, 0x81, ...note(0), 0x7d, ...note(1), 0x28],
      ...[...state([0x7d]), 0x75, 0x62],
    ];
  });
  const outer = [...get(1), 0x29, 0x81, 0x7d, 0x28, ...get(10), 0x7d, ...get(11), 0x7d, ...get(12), 0x7d, 0x28];
  return zipSync({ "a/data.pkl": joined([...first, outer, ...inner, [0x75, 0x75, 0x62, 0x2e]]) }, { level: 0 });
}

/** A dict of many objects of other libraries, of which nothing but their names is kept. */
export function manyObjects(count: number): Uint8Array {
  const first = [[0x80, 2, ...global("__main__.Odd"), ...put(1), 0x30, 0x7d, 0x28]];
  const objects = Array.from({ length: count }, (_, i) => [...str(nameOf(i)), ...get(1), 0x4b, 1, 0x85, 0x52]);
  return zipSync({ "a/data.pkl": joined([...first, ...objects, [0x75, 0x2e]]) }, { level: 0 });
}

/** A safetensors file whose metadata give many other names to one tensor. */
export function manyAliases(count: number): Uint8Array {
  const note = (_: unknown, i: number): string => `"${nameOf(i)}":"a"`;
  const notes = `"__metadata__":{${Array.from({ length: count }, note).join(",")}}`;
  return fileOf(`{${notes},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`);
}

/** The same in PyTorch's older layout. */
export function manyLegacyTensors(count: number, isShared: boolean): Uint8Array {
  const storages = Array.from({ length: isShared ? 1 : count }, () => new Float32Array(1));
  return legacyOf(tensorsPickle(count, isShared, true), storages);
}

/** A folder of safetensors in shards, with their index. */
export function manyShards(count: number, shards: number): ReadonlyMap<string, Uint8Array> {
  const fileOfShard = (k: number): string =>
    `model-${String(k + 1).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}.safetensors`;
  const names = Array.from({ length: count }, (_, i) => [nameOf(i), fileOfShard(i % shards)] as const);
  const files = new Map<string, Uint8Array>([
    ["model.safetensors.index.json", encoder.encode(JSON.stringify({ weight_map: Object.fromEntries(names) }))],
  ]);
  for (let k = 0; k < shards; k++) {
    const own = names
      .filter((_, i) => i % shards === k)
      .map(([name]) => `"${name}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`);
    files.set(fileOfShard(k), fileOf(`{${own.join(",")}}`));
  }
  return files;
}

/** A configuration of some length: numbers, names, or lists in lists. */
export function longConfig(length: number, item: string): Uint8Array {
  return encoder.encode(`{"d_model":4,"more":[${`${item},`.repeat(Math.floor(length / (item.length + 1)))}0]}`);
}
