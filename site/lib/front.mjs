/** The front page: README's first code, with what it prints, and its picture. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { files, pages, root, site } from "./paths.mjs";

export function writeFront() {
  const readme = readFileSync(`${root}README.md`, "utf8");
  const [code] = /^```ts\n[\s\S]*?^```$/m.exec(readme);
  const [, path, words] = /<img src="([^"]+)"[^>]* alt="([^"]+)"/.exec(readme);
  mkdirSync(`${files}figures`, { recursive: true });
  const picture = readFileSync(root + path);
  writeFileSync(`${files}figures/front.svg`, picture);
  const text = readFileSync(`${site}index.md`, "utf8")
    .replace("%code%", () => code)
    .replace("%picture%", () => `![${words}](/figures/front.svg)`);
  writeFileSync(`${pages}index.md`, text);
}
