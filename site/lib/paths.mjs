/** Where the site's pieces lie. */
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
export const site = `${root}site/`;
/** The pages that VitePress renders: all of them are made by the build. */
export const pages = `${site}pages/`;
/** Files that the site holds as they are. */
export const files = `${pages}public/`;
/** What pages and configuration read as JSON. */
export const data = `${pages}data/`;
export const dist = `${site}dist/`;
