/** What chapters gave that need a file which is not everywhere, such as a large model: kept beside their source. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chapterSteps, guide } from "./chapter.mjs";

const fileOf = ({ name }) => join(guide, `${name}.json`);

/** Keeps what a chapter gave, with the code that gave it. */
export function keep(chapter, given) {
  writeFileSync(fileOf(chapter), `${JSON.stringify({ steps: chapterSteps(chapter), given })}\n`);
}

/** What a chapter gave when it ran last; refuses what other code gave. */
export function kept(chapter) {
  const { name, needs } = chapter;
  const again = `Run it where its file is: ${needs}=… node site/chapters/index.mjs ${name.slice(0, 2)}`;
  if (!existsSync(fileOf(chapter))) throw new Error(`${name}: nothing is kept of a run. ${again}`);
  const { steps, given } = JSON.parse(readFileSync(fileOf(chapter), "utf8"));
  if (JSON.stringify(steps) === JSON.stringify(chapterSteps(chapter))) return given;
  throw new Error(`${name}: its code is no longer that whose results are kept. ${again}`);
}
