/** The site as VitePress builds it: pages of site/pages/, all made by site/build.mjs, and nothing from outside. */
import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "vitepress";
import { data } from "../lib/paths.mjs";
import { navigation, sidebar } from "./navigation.mjs";
import { search } from "./search.mjs";

const read = (name, otherwise) => (existsSync(data + name) ? JSON.parse(readFileSync(data + name, "utf8")) : otherwise);

const base = process.env.SITE_BASE ?? "/";

export default defineConfig({
  title: "transformer-circuits",
  description:
    "Take transformers apart exactly: circuits, composition, path expansion and induction heads in TypeScript.",
  lang: "en",
  base,
  srcDir: "pages",
  outDir: "dist",
  metaChunk: true,
  lastUpdated: false,
  ignoreDeadLinks: [/\/playground\//],
  head: [
    ["link", { rel: "icon", href: "data:," }],
    ["link", { rel: "stylesheet", href: `${base}figures/figures.css` }],
  ],
  markdown: {
    math: true,
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    anchor: { permalink: undefined },
  },
  themeConfig: {
    nav: navigation(),
    sidebar: sidebar({ chapters: read("chapters.json", {}), reference: read("reference.json", {}) }),
    outline: { level: [2, 3], label: "On this page" },
    search,
    docFooter: { prev: "Before", next: "Next" },
    externalLinkIcon: true,
  },
});
