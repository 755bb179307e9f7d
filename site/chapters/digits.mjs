/**
 * Numbers in prose that were typed by hand, which no run keeps true. These are none: names in code (`W_Q`, `L1H2`,
 * `topKOfRow(map, 5)`, but not a number alone), formulas between dollars, the targets of links, names of heads and of
 * models (GPT-2), years from 1900 to 2099, and the marks `1.` of a list.
 */
const NO_NUMBERS = [
  /^(`{3,}).*?^\1$/gms,
  /\{\{=.+?\}\}/g,
  /`[^`\n]*[A-Za-z_][^`\n]*`/g,
  /\$\$[^]*?\$\$/g,
  /\$[^$]+\$/g,
  /\]\([^)\s]+\)/g,
  /\b(?:L\d+H\d+|GPT-\d|SmolLM\d)\b/g,
  /\b(?:19|20)\d\d\b/g,
  /^\d+\. /gm,
];

/** @returns {string[]} each number with the words around it. */
export function typedNumbers(text) {
  const rest = NO_NUMBERS.reduce(
    (prose, pattern) => prose.replace(pattern, (found) => found.replace(/[\d$]/g, "·")),
    text,
  );
  return [...rest.matchAll(/\d[\d.,]*/g)].map(({ index }) => text.slice(Math.max(0, index - 20), index + 20));
}
