/** Pickles put together by hand, and PyTorch's older files of them. */
const encoder = new TextEncoder();

/** Parts of a pickle: opcodes and text as strings (one byte a character), or bytes. */
export function pickle(...parts: (string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)),
  );
}

export function str(text: string): number[] {
  const bytes = encoder.encode(text);
  const length = new Uint8Array(new Uint32Array([bytes.length]).buffer);
  return [0x58, ...length, ...bytes];
}

export function int(value: number): number[] {
  return [0x4a, ...new Uint8Array(new Int32Array([value]).buffer)];
}

export const tuple = (...items: (readonly number[])[]): number[] => [0x28, ...items.flat(), 0x74];
export const global = (name: string): number[] => {
  const cut = name.lastIndexOf(".");
  return [...encoder.encode(`c${name.slice(0, cut)}\n${name.slice(cut + 1)}\n`)];
};
export const call = (name: string, ...args: (readonly number[])[]): number[] => [
  ...global(name),
  ...tuple(...args),
  0x52,
];

export const storage = (key: string, numel: number, type = "Float"): number[] => [
  ...tuple(str("storage"), global(`torch.${type}Storage`), str(key), str("cpu"), int(numel)),
  0x51,
];

export interface TensorParts {
  readonly storage?: readonly number[];
  readonly offset?: readonly number[];
  readonly size?: readonly number[];
  readonly stride?: readonly number[];
}

/** `_rebuild_tensor_v2` of four floats in storage "0", unless told otherwise. */
export function tensor(parts: TensorParts = {}): number[] {
  return call(
    "torch._utils._rebuild_tensor_v2",
    parts.storage ?? storage("0", 4),
    parts.offset ?? int(0),
    parts.size ?? tuple(int(4)),
    parts.stride ?? tuple(int(1)),
    [0x89],
    [...global("collections.OrderedDict"), 0x29, 0x52],
  );
}

export const dict = (...items: (readonly number[])[]): number[] => [0x7d, 0x28, ...items.flat(), 0x75];

/** A whole pickle of protocol 2. */
export const whole = (value: readonly number[]): Uint8Array => Uint8Array.from([0x80, 2, ...value, 0x2e]);

/** A file as `torch.save` wrote it before 2020: a pickle, and storages of float32 with the keys "0", "1" … */
export function legacyOf(value: Uint8Array, storages: readonly Float32Array[]): Uint8Array {
  const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
  return joined([
    [...magic, 0x80, 2, 0x4d, 0xe9, 3, 0x2e, 0x80, 2, ...dict(str("little_endian"), [0x88]), 0x2e],
    value,
    [0x80, 2, 0x5d, 0x28],
    ...storages.map((_, i) => str(String(i))),
    [0x65, 0x2e],
    ...storages.flatMap(({ length, buffer }) => [
      new Uint8Array(BigUint64Array.of(BigInt(length)).buffer),
      new Uint8Array(buffer),
    ]),
  ]);
}

/** Bytes one after the other. */
export function joined(parts: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
