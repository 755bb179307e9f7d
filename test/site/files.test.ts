/** The files of the site: its links lead somewhere, and every public name and figure has its place. */
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { publicNames } from "../docs/exports.ts";
import { readText, root } from "../support/files.ts";
import { DIST, htmlOf, pages, siteTests } from "./built-site.ts";

siteTests("the files of the site", () => {
  const html = new Map<string, string>();
  const ids = new Map<string, Set<string>>();
  beforeAll(() => {
    for (const page of pages()) {
      const text = htmlOf(page);
      html.set(page, text);
      ids.set(page, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id = ""]) => id)));
    }
  });

  test("there are guide, reference, gallery, maps and the tasks", () => {
    const found = pages();
    expect(found.length).toBeGreaterThan(300);
    expect(found).toEqual(
      expect.arrayContaining([
        "index.html",
        "tasks.html",
        "gallery.html",
        "paper-map.html",
        "arena-map.html",
        "guide/index.html",
        "reference/index.html",
      ]),
    );
  });

  test("every link inside leads to a page, to a place on it, or to a file", () => {
    const broken: string[] = [];
    for (const [page, text] of html)
      for (const [, link = ""] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (/^(https?:|data:|mailto:)/.test(link)) continue;
        const [path = "", place = ""] = link.replaceAll("&amp;", "&").split("#");
        const target = path === "" ? page : normalize(path.startsWith("/") ? path.slice(1) : join(dirname(page), path));
        const file = target.endsWith("/") || target === "." ? join(target, "index.html") : target;
        const name = existsSync(`${root}/${DIST}/${file}.html`) ? `${file}.html` : file;
        const isThere = name === "" || existsSync(`${root}/${DIST}/${name}`);
        const hasPlace = place === "" || (ids.get(name)?.has(decodeURIComponent(place)) ?? false);
        if (!isThere || !hasPlace) broken.push(`${page}: ${link}`);
      }
    expect([...new Set(broken)]).toEqual([]);
  });

  test("nothing that a page loads is outside", () => {
    const loaded = [...html].flatMap(([page, text]) =>
      [...text.matchAll(/<(?:script|link|img|iframe|source)\b[^>]* (?:src|href)="(https?:[^"]+)"/g)].map(
        ([, address]) => `${page}: ${address}`,
      ),
    );
    expect(loaded).toEqual([]);
  });

  test("every public name has its place in the reference, with its line in a list", () => {
    const names = publicNames().filter(({ kind }) => kind !== "method");
    const places = new Map(JSON.parse(readText("site/pages/data/names.json")) as [string, string][]);
    const lists = [...html].filter(([page]) => /^reference\/.*index\.html$/.test(page)).map(([, text]) => text);
    const missing = names.filter(({ name }) => {
      const [path = "", id = ""] = (places.get(name) ?? "").slice(1).split("#");
      return ids.get(`${path}.html`)?.has(id) !== true || !lists.some((text) => text.includes(`#${id}"`));
    });
    expect(missing.map(({ name }) => name)).toEqual([]);
    expect(places.size).toBeGreaterThan(800);
  });

  test("every figure of the list stands in the gallery, and functions that draw show what they draw", () => {
    const { list, shown } = JSON.parse(readText("site/pages/data/figures.json")) as {
      list: { name: string }[];
      shown: Record<string, { name: string }>;
    };
    const gallery = html.get("gallery.html") ?? "";
    expect(list.filter(({ name }) => !gallery.includes(`data-figure="${name}"`))).toEqual([]);
    const drawing = publicNames().filter(({ name }) => /^draw[A-Z]/.test(name) || name === "heatmap");
    expect(drawing.length).toBeGreaterThan(30);
    expect(drawing.filter(({ name }) => shown[name] === undefined).map(({ name }) => name)).toEqual([]);
  });
});
