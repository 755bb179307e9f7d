/**
 * A table that sorts by a click on the name of a column. A function without anything from outside, since its text is a
 * part of the script that figures carry.
 */
export function setUpTable(box) {
  const body = box.querySelector("tbody");
  const heads = Array.from(box.querySelectorAll("thead th"));
  const original = Array.from(body.rows);
  const key = function (row, column) {
    const cell = row.cells[column];
    if (cell.hasAttribute("data-v")) return Number(cell.getAttribute("data-v"));
    return cell.classList.contains("tc-num") ? NaN : cell.textContent;
  };
  const compare = function (a, b) {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    return Number.isFinite(a) && Number.isFinite(b) ? a - b : 0;
  };
  heads.forEach(function (head, column) {
    head.querySelector("button").addEventListener("click", function () {
      const was = head.getAttribute("aria-sort");
      const first = head.classList.contains("tc-num") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const now = was === null ? first : was === first ? second : null;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (now !== null) head.setAttribute("aria-sort", now);
      const good = [];
      const bad = [];
      for (const row of original) {
        const value = key(row, column);
        (typeof value === "number" && !Number.isFinite(value) ? bad : good).push(row);
      }
      const sign = now === "descending" ? -1 : 1;
      good.sort(function (a, b) {
        return sign * compare(key(a, column), key(b, column));
      });
      body.append(...(now === null ? original : good.concat(bad)));
    });
  });
}
