/** Tables and numbers as text. */

/**
 * @typedef {object} Table
 * @property {string[]} head
 * @property {string[][]} rows the first column is text, the others are numbers
 */

/**
 * Three significant digits, without an exponent.
 *
 * @param {number} value
 * @returns {string}
 */
export function threeDigits(value) {
  if (!Number.isFinite(value)) return String(value);
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const rounded = Number(value.toPrecision(3));
  return rounded.toFixed(Math.min(6, Math.max(0, 2 - magnitude)));
}

/**
 * A ratio: two decimals below ten, none from a hundred on.
 *
 * @param {number} value
 * @returns {string}
 */
export function ratioText(value) {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/**
 * Columns padded to their widest cell.
 *
 * @param {Table} table
 * @returns {string}
 */
export function plainTable({ head, rows }) {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const text = (line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [text(head), rule, ...rows.map(text)].join("\n");
}

/**
 * @param {Table} table
 * @returns {string}
 */
export function markdownTable({ head, rows }) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map((_, column) => (column === 0 ? "---" : "--:")).join("|")}|`, ...rows.map(line)].join(
    "\n",
  );
}

/**
 * Puts `content` between the lines `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`, which stay.
 *
 * @param {string} text
 * @param {string} name
 * @param {string} content
 * @returns {string}
 * @throws Error when the text has not exactly one such pair.
 */
export function replaceBetweenMarkers(text, name, content) {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const start = text.indexOf(open);
  const end = text.indexOf(close);
  const isOnePair = start >= 0 && end > start && text.indexOf(open, start + 1) < 0 && text.indexOf(close, end + 1) < 0;
  if (!isOnePair) throw new Error(`the text needs one "${open}" and after it one "${close}".`);
  return `${text.slice(0, start + open.length)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}
