/**
 * Sorting of tables by click; finds every table on the page that is not ready yet, so that it may be there many times.
 */
export const TABLE_SCRIPT = String.raw`(function(){
for (const box of document.querySelectorAll("[data-tc-table]:not([data-tc-ready])")) {
  box.setAttribute("data-tc-ready", "");
  const body = box.querySelector("tbody");
  const heads = Array.from(box.querySelectorAll("thead th"));
  const original = Array.from(body.rows);
  const key = function(row, column) {
    const cell = row.cells[column];
    if (cell.hasAttribute("data-v")) return Number(cell.getAttribute("data-v"));
    return cell.classList.contains("tc-num") ? NaN : cell.textContent;
  };
  const compare = function(a, b) {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    const badA = !Number.isFinite(a), badB = !Number.isFinite(b);
    return badA || badB ? 0 : a - b;
  };
  heads.forEach(function(head, column) {
    const button = head.querySelector("button");
    button.addEventListener("click", function() {
      const was = head.getAttribute("aria-sort");
      const first = head.classList.contains("tc-num") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const now = was === null ? first : was === first ? second : null;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (now !== null) head.setAttribute("aria-sort", now);
      const good = [], bad = [];
      for (const row of original) {
        const value = key(row, column);
        (typeof value === "number" && !Number.isFinite(value) ? bad : good).push(row);
      }
      const sign = now === "descending" ? -1 : 1;
      good.sort(function(a, b) { return sign * compare(key(a, column), key(b, column)); });
      body.append.apply(body, now === null ? original : good.concat(bad));
    });
  });
}
})();`;
