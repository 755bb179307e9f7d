import { readText } from "./files.ts";

/** README's first pictures: the code for a script, for a page and for a cell of a notebook. */
export function firstPictures(): Readonly<Record<"script" | "page" | "cell", string>> {
  const [, section = ""] = /^## A first picture$([\s\S]*?)^## /m.exec(readText("README.md")) ?? [];
  const [script = "", page = "", cell = ""] = [...section.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
    ([, code = ""]) => code,
  );
  return { script, page, cell };
}
