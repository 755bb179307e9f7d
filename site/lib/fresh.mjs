/** Whether site/dist/ is of the repository as it is. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dist, root } from "./paths.mjs";

const made = /^site[\\/](node_modules|pages|dist|\.vitepress[\\/]cache)([\\/]|$)/;

/** Files of a folder, as paths from the root; one file is itself. */
const filesOf = (path) =>
  statSync(root + path).isFile()
    ? [path]
    : readdirSync(root + path).flatMap((name) => (made.test(`${path}/${name}`) ? [] : filesOf(`${path}/${name}`)));

/** Whether no file that the site is made of is newer than the site. */
export function siteIsFresh() {
  const page = `${dist}index.html`;
  if (!existsSync(page)) return false;
  const built = statSync(page).mtimeMs;
  const sources = ["src", "docs", "examples", "site", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
  return sources.flatMap(filesOf).every((path) => statSync(root + path).mtimeMs <= built);
}

/** Whether what builds the site is installed. */
export const isInstalled = () => existsSync(`${root}site/node_modules/vitepress`);
