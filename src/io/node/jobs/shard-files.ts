/** The files of a sweep's results: one a shard, in a folder, to which lines are only added. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { InputError, ResourceError } from "../../../errors.ts";
import type { Shard } from "../../../jobs/index.ts";

/** A file of results. */
export interface ShardFile extends Shard {
  readonly file: string;
}

const NAME = /^shard-(\d+)-of-(\d+)\.jsonl$/;

/** The file of a shard in a folder. */
export function shardFile(folder: string, { index, count }: Shard): string {
  return join(folder, `shard-${String(index).padStart(String(count).length, "0")}-of-${count}.jsonl`);
}

/** The files of results in a folder, in their order; none where there is no folder. */
export function shardFiles(folder: string, operation: string): ShardFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cannot("read", folder, cause, operation);
  }
  const found = names.flatMap((name): ShardFile[] => {
    const [, index, count] = NAME.exec(name) ?? [];
    return index === undefined ? [] : [{ file: join(folder, name), index: Number(index), count: Number(count) }];
  });
  return found.sort((a, b) => a.count - b.count || a.index - b.index);
}

/** Refuses a folder whose results are cut into another number of shards: jobs would be done twice. */
export function requireOneCount(files: readonly Shard[], folder: string, operation: string, count?: number): void {
  const counts = [...new Set([...files.map((one) => one.count), ...(count === undefined ? [] : [count])])];
  if (counts.length < 2) return;
  throw new InputError(
    `${folder} has results in ${files[0]?.count} shards, and ${counts.find((one) => one !== files[0]?.count)} are asked for or there too. Go on with as many, or name another folder.`,
    { operation, argument: "shard", expected: files[0]?.count, actual: count },
  );
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file may not become larger",
  EROFS: "the disk cannot be written to",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of the path is a file",
  EISDIR: "it is a folder",
  EIO: "the disk failed",
};

/** What the system said, in words. */
export function cannot(
  verb: "read" | "write",
  file: string,
  cause: unknown,
  operation: string,
  mend = "",
): ResourceError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const why = WHY[code] ?? message;
  return new ResourceError(
    `cannot ${verb} ${file}: ${why}.${mend}`,
    { operation, argument: file, actual: code },
    { cause },
  );
}
