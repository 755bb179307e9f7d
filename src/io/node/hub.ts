/**
 * Models from the Hugging Face Hub, by its official client `@huggingface/hub`, an optional peer dependency that is
 * loaded when it is needed. Files are kept in the cache that other Hugging Face libraries use, under the commit they
 * are of.
 */
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { CircuitsError, InputError } from "../../errors.ts";
import { isIndex, shardsOf, weightsAmong } from "../checkpoint/files.ts";
import { parsePlainJson } from "../json/plain-json.ts";
import type { LayoutOptions } from "../layouts/index.ts";
import { TOKENIZER_FILES } from "../tokenizer/beside.ts";
import { loadAt } from "./folder.ts";
import type { GivenFiles, LoadedFolder } from "./folder.ts";
import { readList, writeList } from "./hub-list.ts";

type Client = typeof import("@huggingface/hub");

/**
 * How {@link loadFromHub} and {@link downloadFromHub} fetch.
 * @category Files
 */
export interface HubOptions extends LayoutOptions, GivenFiles {
  /** A branch, tag or commit; `main` unless given. */
  readonly revision?: string | undefined;
  /** An access token, for private and gated repositories; the environment's `HF_TOKEN` unless given. */
  readonly token?: string | undefined;
  /** The hub's address; `https://huggingface.co` unless given. */
  readonly hubUrl?: string | undefined;
  /**
   * Where files are kept; Hugging Face's own cache unless given (`HF_HUB_CACHE`, `HF_HOME`,
   * `~/.cache/huggingface/hub`).
   */
  readonly cacheDir?: string | undefined;
  /** The file of weights, where the repository has several, such as a training checkpoint in a folder of it. */
  readonly weights?: string | undefined;
  /** Stops the download; the promise rejects with the signal's reason. A half-written file never bears its name. */
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes arrive, with the number of bytes there and of bytes to be there. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * A repository's files on this machine.
 * @category Files
 */
export interface HubFolder {
  /** The folder of the commit. */
  readonly folder: string;
  /** The commit that the revision stands for. */
  readonly commit: string;
  /** The file of weights, or the index of several, as a path in the folder. */
  readonly weights: string;
  /** All files fetched, as paths in the folder. */
  readonly files: readonly string[];
}

/** What is fetched beside the weights, where it is there. */
const BESIDE = ["config.json", "generation_config.json", ...TOKENIZER_FILES];
const COMMIT = /^[0-9a-f]{40}$/;

/**
 * Fetches a model's weights, `config.json` and tokenizer from the Hugging Face Hub into a folder, or finds them there
 * from an earlier time. A revision that is a whole commit and was fetched before needs no network.
 *
 * @param repo - the repository, `org/name`.
 * @returns the folder and the files in it.
 * @throws {@link InputError} when `@huggingface/hub` is not installed, the repository or revision is not there or not
 * open to the token, it has no weights or several, or the network fails.
 * @category Files
 * @example
 * ```ts no-run
 * import { downloadFromHub } from "transformer-circuits/node";
 *
 * const { folder, files } = await downloadFromHub("NeelNanda/Attn_Only_2L512W_C4_Code");
 * console.log(folder, files);
 * ```
 */
export async function downloadFromHub(repo: string, options: HubOptions = {}): Promise<HubFolder> {
  return download("downloadFromHub", repo, options);
}

/**
 * Loads a model from the Hugging Face Hub: fetches its files as {@link downloadFromHub} does and loads them as
 * {@link loadFolder} does, with the tokenizer where there is one. To look at the tensors alone, open the folder of
 * {@link downloadFromHub} with {@link openPath}.
 *
 * @param repo - the repository, `org/name`.
 * @throws {@link InputError} for whatever {@link downloadFromHub} refuses; {@link FormatError} and {@link ConfigError}
 * as {@link loadFolder}.
 * @category Files
 * @example
 * ```ts no-run
 * import { loadFromHub } from "transformer-circuits/node";
 *
 * const { model, tokenizer } = await loadFromHub("EleutherAI/pythia-70m", { revision: "step1000" });
 * console.log(model.config.n_layers, tokenizer?.encode("Hello"));
 * ```
 */
export async function loadFromHub(repo: string, options: HubOptions = {}): Promise<LoadedFolder> {
  const { folder, weights } = await download("loadFromHub", repo, options);
  // A folder of the cache may hold weights of other calls; those of this one are meant.
  const { prefix, ignore, act_fn, signal, config, tokenizer } = options;
  return loadAt("loadFromHub", folder, { prefix, ignore, act_fn, signal, config, tokenizer, weights });
}

interface Job {
  readonly operation: string;
  readonly repo: string;
  readonly client: Client;
  readonly revision: string;
  readonly options: HubOptions;
  /** What every call of the client is given. */
  readonly access: { readonly fetch: typeof fetch; readonly hubUrl?: string; readonly accessToken?: string };
}

async function download(operation: string, repo: string, options: HubOptions): Promise<HubFolder> {
  const { signal } = options;
  signal?.throwIfAborted();
  const part = /^[\w][\w.-]*$/;
  const parts = typeof repo === "string" ? repo.split("/") : [];
  if (parts.length < 1 || parts.length > 2 || !parts.every((text) => part.test(text) && !text.includes(".."))) {
    throw new InputError(`a repository is named as org/name, not ${JSON.stringify(repo)}.`, {
      operation,
      argument: "repo",
      actual: repo,
    });
  }
  const job = await prepare(operation, repo, options);
  const home = join(options.cacheDir ?? defaultCache(), `models--${parts.join("--")}`, "snapshots");
  if (COMMIT.test(job.revision)) {
    const kept = await readList(join(home, job.revision), options);
    if (kept !== undefined) return { folder: join(home, job.revision), commit: job.revision, ...kept };
  }
  try {
    const commit = await commitOf(job);
    const folder = join(home, commit);
    const { weights, sizes } = await chosen(job, commit, folder);
    await fetchAll(job, commit, folder, sizes);
    await writeList(folder, options, { weights, files: [...sizes.keys()] });
    return { folder, commit, weights, files: [...sizes.keys()] };
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof CircuitsError ? error : refused(job, error);
  }
}

async function prepare(operation: string, repo: string, options: HubOptions): Promise<Job> {
  const client = await import("@huggingface/hub").catch((cause: unknown) => {
    throw new InputError(
      "the package @huggingface/hub is not installed. It is optional: npm install @huggingface/hub.",
      { operation },
      { cause },
    );
  });
  const { hubUrl, signal, token = process.env.HF_TOKEN } = options;
  return {
    operation,
    repo,
    client,
    revision: options.revision ?? "main",
    options,
    access: {
      fetch: (input, init) => fetch(input, signal === undefined ? init : { ...init, signal }),
      ...(hubUrl === undefined ? {} : { hubUrl: hubUrl.replace(/\/+$/, "") }),
      ...(token === undefined || token === "" ? {} : { accessToken: token }),
    },
  };
}

function defaultCache(): string {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  return HF_HUB_CACHE ?? join(HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface"), "hub");
}

function refused({ operation, repo, revision }: Job, cause: unknown): InputError {
  const { statusCode } = cause as { statusCode?: number };
  const why =
    statusCode === 401 || statusCode === 403
      ? "it is private, gated or not there, or the token does not open it"
      : statusCode === 404
        ? "there is no such repository, revision or file"
        : cause instanceof Error
          ? `${cause.message}${cause.cause instanceof Error ? ` (${cause.cause.message})` : ""}`
          : String(cause);
  return new InputError(
    `cannot fetch ${repo} at ${revision}: ${why}.`,
    { operation, argument: "repo", actual: repo },
    { cause },
  );
}

async function commitOf({ client, repo, revision, access }: Job): Promise<string> {
  const { sha } = await client.modelInfo({ name: repo, revision, additionalFields: ["sha"], ...access });
  if (typeof sha !== "string" || !COMMIT.test(sha)) throw new Error("the hub does not say which commit it is");
  return sha;
}

/** The files to be fetched and their sizes. */
async function chosen(
  job: Job,
  commit: string,
  folder: string,
): Promise<{ weights: string; sizes: Map<string, number> }> {
  const { client, repo, operation, options, access } = job;
  const there = new Map<string, number>();
  const recursive = options.weights?.includes("/") === true;
  for await (const { type, path, size } of client.listFiles({ repo, revision: commit, recursive, ...access })) {
    if (type === "file") there.set(path, size);
  }
  const weights = options.weights ?? weightsAmong([...there.keys()], operation, repo);
  const sizes = new Map<string, number>();
  const want = (path: string): void => {
    const size = there.get(path);
    if (size === undefined || path.split(/[\\/]/).includes("..")) {
      throw new InputError(`there is no file ${JSON.stringify(path)} in ${repo} at ${job.revision}.`, {
        operation,
        argument: "weights",
        actual: path,
      });
    }
    sizes.set(path, size);
  };
  for (const path of BESIDE) if (there.has(path)) want(path);
  want(weights);
  if (isIndex(weights)) {
    await fetchFile(job, commit, folder, weights, () => undefined);
    const source = { operation, name: `${repo}/${weights}` };
    for (const shard of shardsOf(parsePlainJson(await readFile(join(folder, weights)), source), source).keys())
      want(shard);
  }
  return { weights, sizes };
}

async function fetchAll(job: Job, commit: string, folder: string, sizes: ReadonlyMap<string, number>): Promise<void> {
  const { onProgress } = job.options;
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const [path, size] of sizes) {
    const before = done;
    await fetchFile(job, commit, folder, path, (bytes) => {
      done += bytes;
      onProgress?.(done, total);
    });
    if (done < before + size) {
      done = before + size;
      onProgress?.(done, total);
    }
  }
}

/** Fetches a file that is not there yet. */
async function fetchFile(
  job: Job,
  commit: string,
  folder: string,
  path: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { client, repo, access, options } = job;
  const file = join(folder, path);
  if ((await stat(file).catch(() => undefined))?.isFile() === true) return;
  const blob = await client.downloadFile({ repo, path, revision: commit, xet: false, ...access });
  if (blob === null) throw new Error(`there is no ${path}`);
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.incomplete`;
  try {
    let arrived = 0;
    const counted = async function* (parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const bytes of parts) {
        arrived += bytes.byteLength;
        onBytes(bytes.byteLength);
        yield bytes;
      }
    };
    const body = Readable.fromWeb(blob.stream() as ReadableStream<Uint8Array>);
    const write = createWriteStream(temporary);
    await (options.signal === undefined
      ? pipeline(body, counted, write)
      : pipeline(body, counted, write, { signal: options.signal }));
    if (arrived !== blob.size) throw new Error(`${path} came with ${arrived} of its ${blob.size} bytes`);
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}
