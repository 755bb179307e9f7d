/** Pickles put together by hand. */
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
