/** The front page: README's first code, with what it prints, and a picture. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { files, pages, root, site } from "./paths.mjs";

export function writeFront() {
  const readme = readFileSync(`${root}README.md`, "utf8");
  const [code] = /^```ts\n[\s\S]*?^```$/m.exec(readme);
  mkdirSync(`${files}figures`, { recursive: true });
  writeFileSync(`${files}figures/front.svg`, readFileSync(`${root}docs/images/induction-pattern.svg`));
  const text = readFileSync(`${site}index.md`, "utf8").replace("%code%", () => code);
  writeFileSync(`${pages}index.md`, text);
}
