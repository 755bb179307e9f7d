/** The hub, played by a server on the loopback address that speaks the same paths. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { downloadFromHub, loadFromHub } from "../../../src/io/node.ts";
import { golden } from "../formats.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_secret";

const pth = golden("tl-pth-ln/tl-pth-ln_final.pth");
const config = golden("tl-pth-ln/config.json");
const sharded = [
  "config.json",
  "model.safetensors.index.json",
  ...[1, 2, 3, 4, 5].map((i) => `model-0000${i}-of-00005.safetensors`),
];
const repos: Record<string, Record<string, Uint8Array>> = {
  "org/tl": {
    "config.json": config,
    "model_final.pth": pth,
    "checkpoints/model_100.pth": pth,
    "README.md": new Uint8Array(10),
  },
  "org/sharded": Object.fromEntries(sharded.map((name) => [name, golden(`hf-gpt2-bf16-sharded/${name}`)])),
  "org/private": { "config.json": config, "model_final.pth": pth },
  "org/bundled": Object.fromEntries(
    ["config.json", "model.safetensors", "tokenizer.json"].map((name) => [name, golden(`bundled/${name}`)]),
  ),
  "org/empty": { "README.md": new Uint8Array(10) },
  "org/web": { "model.safetensors": new TextEncoder().encode("<!DOCTYPE html>") },
};

let server: Server;
let hubUrl = "";
let cacheDir = "";
let asked: string[] = [];
let cutShort = false;
beforeAll(async () => {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  asked = [];
  cutShort = false;
  cacheDir = await mkdtemp(join(tmpdir(), "transformer-circuits-hub-"));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "", hubUrl);
  asked.push(url.pathname);
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };
  const [, repo = "", kind = "", revision = "", path = ""] =
    /^(?:\/api\/models)?\/(org\/[\w.-]+)\/(revision|tree|resolve)\/([^/]+)\/?(.*)$/.exec(url.pathname) ?? [];
  const files = repos[repo];
  if (files === undefined || !["main", "v1", COMMIT].includes(revision)) return json(404, { error: "not found" });
  if (repo === "org/private" && request.headers.authorization !== `Bearer ${TOKEN}`) return json(401, { error: "no" });
  if (kind === "revision") return json(200, { _id: "1", id: repo, sha: COMMIT, downloads: 0, likes: 0 });
  if (kind === "tree") {
    const recursive = url.searchParams.get("recursive") === "true";
    const names = Object.keys(files).filter((name) => recursive || !name.includes("/"));
    return json(
      200,
      names.map((name) => ({ type: "file", path: name, size: files[name]?.length, oid: "0" })),
    );
  }
  const bytes = files[path];
  if (bytes === undefined) return json(404, {});
  const [, begin = "0", end] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const last = end === undefined || end === "" ? bytes.length - 1 : Math.min(Number(end), bytes.length - 1);
  const part = bytes.subarray(Number(begin), last + 1);
  response.writeHead(request.headers.range === undefined ? 200 : 206, {
    etag: '"tag"',
    "content-length": part.length,
    ...(request.headers.range === undefined ? {} : { "content-range": `bytes ${begin}-${last}/${bytes.length}` }),
  });
  if (cutShort && part.length > 1000) {
    response.write(part.subarray(0, 500));
    setTimeout(() => response.destroy(), 20);
  } else response.end(part);
}

const rejected = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: unknown) => String(error),
  );

describe("downloadFromHub", () => {
  test("the weights and what belongs to them, under the commit", async () => {
    const told: (readonly [number, number])[] = [];
    const onProgress = (done: number, total: number): void => void told.push([done, total]);
    const got = await downloadFromHub("org/tl", { hubUrl, cacheDir, revision: "v1", onProgress });
    const folder = join(cacheDir, "models--org--tl", "snapshots", COMMIT);
    expect(got).toEqual({
      folder,
      commit: COMMIT,
      weights: "model_final.pth",
      files: ["config.json", "model_final.pth"],
    });
    expect(await readFile(join(folder, "model_final.pth"))).toEqual(Buffer.from(pth));
    expect((await readdir(folder)).sort()).toEqual(["config.json", "model_final.pth"]);
    const total = pth.length + config.length;
    expect(told.at(-1)).toEqual([total, total]);
    expect(told.every(([done], i) => done >= (told[i - 1]?.[0] ?? 0))).toBe(true);
  });

  test("a second time from the folder; a commit without the network", async () => {
    await downloadFromHub("org/tl", { hubUrl, cacheDir });
    asked = [];
    await downloadFromHub("org/tl", { hubUrl, cacheDir });
    expect(asked.filter((path) => path.includes("/resolve/"))).toEqual([]);
    asked = [];
    const again = await downloadFromHub("org/tl", { hubUrl, cacheDir, revision: COMMIT });
    expect(again.files).toEqual(["config.json", "model_final.pth"]);
    expect(asked).toEqual([]);
  });

  test("a half-written file never bears its name", async () => {
    cutShort = true;
    expect(await rejected(downloadFromHub("org/tl", { hubUrl, cacheDir }))).toMatch(
      /^InputError: downloadFromHub: cannot fetch org\/tl at main: .+\.$/,
    );
    const folder = join(cacheDir, "models--org--tl", "snapshots", COMMIT);
    expect((await readdir(folder)).filter((name) => name !== "config.json")).toEqual([]);
    cutShort = false;
    expect((await downloadFromHub("org/tl", { hubUrl, cacheDir })).files.length).toBe(2);
  });
});

describe("loadFromHub", () => {
  test("one file", async () => {
    const { model, tokenizer, config } = await loadFromHub("org/tl", { hubUrl, cacheDir });
    expect(config).toMatchObject({ n_layers: 2, normalization_type: "LN" });
    expect(model.config).toBe(config);
    expect(tokenizer).toBeUndefined();
  });

  test("with a tokenizer", async () => {
    const { model, tokenizer } = await loadFromHub("org/bundled", { hubUrl, cacheDir });
    expect(tokenizer?.vocabSize).toBe(model.config.d_vocab);
  });

  test("several, by their index", async () => {
    const { config } = await loadFromHub("org/sharded", { hubUrl, cacheDir });
    expect(config).toMatchObject({ n_layers: 3, act_fn: "gelu_new" });
  });

  test("a training checkpoint in a folder of the repository", async () => {
    const { config } = await loadFromHub("org/tl", { hubUrl, cacheDir, weights: "checkpoints/model_100.pth" });
    expect(config).toMatchObject({ n_layers: 2 });
    const weights = new Set(asked.filter((path) => path.endsWith(".pth")));
    expect([...weights]).toEqual([`/org/tl/resolve/${COMMIT}/checkpoints/model_100.pth`]);
  });

  test("with a token", async () => {
    const { config } = await loadFromHub("org/private", { hubUrl, cacheDir, token: TOKEN });
    expect(config.n_layers).toBe(2);
    expect(await rejected(loadFromHub("org/private", { hubUrl, cacheDir: `${cacheDir}/other`, token: "" }))).toBe(
      "InputError: loadFromHub: cannot fetch org/private at main: it is private, gated or not there, or the token does not open it.",
    );
  });

  test("what is not there, and what is no checkpoint", async () => {
    const of = (repo: string, more = {}): Promise<string> => rejected(loadFromHub(repo, { hubUrl, cacheDir, ...more }));
    expect(await of("org/none")).toBe(
      "InputError: loadFromHub: cannot fetch org/none at main: there is no such repository, revision or file.",
    );
    expect(await of("org/tl", { revision: "v9" })).toContain("cannot fetch org/tl at v9: there is no such");
    expect(await of("org/tl", { weights: "b.pth" })).toBe(
      'InputError: loadFromHub: there is no file "b.pth" in org/tl at main.',
    );
    expect(await of("org/empty")).toContain("org/empty holds no weights; it holds README.md.");
    expect(await of("org/web")).toContain("it is a web page, not the file itself.");
    for (const repo of ["", "a/b/c", "../x", "org/..", "org/a b"]) {
      expect(await of(repo)).toBe(
        `InputError: loadFromHub: a repository is named as org/name, not ${JSON.stringify(repo)}.`,
      );
    }
    expect(await rejected(loadFromHub("org/tl", { hubUrl: "http://127.0.0.1:1", cacheDir }))).toMatch(
      /^InputError: loadFromHub: cannot fetch org\/tl at main: fetch failed/,
    );
  });

  test("a signal stops it", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    expect(await rejected(loadFromHub("org/tl", { hubUrl, cacheDir, signal }))).toBe("Error: enough");
    const cancel = new AbortController();
    const onProgress = (): void => cancel.abort(new Error("during"));
    expect(await rejected(loadFromHub("org/tl", { hubUrl, cacheDir, signal: cancel.signal, onProgress }))).toBe(
      "Error: during",
    );
  });
});
