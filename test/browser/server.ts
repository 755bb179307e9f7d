import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { build } from "esbuild";
import { root } from "../support/files.ts";

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

/** A server of a few files on the loopback interface. */
export interface Site {
  readonly address: string;
  close(): Promise<void>;
}

/** Pages for {@link serve}: a program made of the source, and `/index.html`, which runs it under an element `#at`. */
export async function programPages(program: string): Promise<Readonly<Record<string, string>>> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    write: false,
  });
  return {
    "/favicon.ico": "",
    "/program.js": outputFiles[0]?.text ?? "",
    "/index.html":
      '<!doctype html><html><body><div id="at"></div><script type="module" src="/program.js"></script></body></html>',
  };
}

/**
 * Serves pages written in place and files of folders.
 *
 * @param pages - text by path, as `/index.html`.
 * @param folders - folder on disk by path, as `/dist/`.
 * @param policy - the content-security policy of every answer.
 * @param headers - further headers of every answer.
 */
export async function serve(
  pages: Readonly<Record<string, string>>,
  folders: Readonly<Record<string, string>>,
  policy: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Site> {
  const contentOf = async (path: string): Promise<string | Buffer> => {
    const page = pages[path];
    if (page !== undefined) return page;
    const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start)) ?? [];
    if (prefix === undefined || folder === undefined || path.includes("..")) throw new Error(`nothing at ${path}`);
    return readFile(`${folder}/${path.slice(prefix.length)}`);
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    contentOf(pathname).then(
      (content) => {
        const type = `${types[extname(pathname)] ?? "application/octet-stream"}; charset=utf-8`;
        response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": policy, ...headers }).end(content);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}
