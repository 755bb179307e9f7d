/** What paths/ lends to the other folders of src/ and is no part of the package. */
export { countPaths, pathEntries } from "./logits/sources.ts";
