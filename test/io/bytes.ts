/** Safetensors files put together by hand, sound and unsound ones. */

/** A file of any header text and data. */
export function fileOf(header: string | Uint8Array, data: ArrayLike<number> = [], length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

/** The header of one tensor "x". */
export function headerOf(dtype: string, shape: string, offsets: string): string {
  return `{"x":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`;
}

/** A file of one tensor "x" of a dtype, one dimension. */
export function vectorOf(dtype: string, length: number, data: ArrayLike<number>): Uint8Array {
  return fileOf(headerOf(dtype, `[${length}]`, `[0,${data.length}]`), data);
}

/** The error that a call throws: its name and its text. */
export function errorOf(call: () => unknown): { name: string; message: string } {
  try {
    call();
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
  throw new Error("nothing was thrown");
}
