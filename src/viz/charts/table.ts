import { InputError, requireKind } from "../../errors.ts";
import { checkCount, checkNonEmpty, checkObjects, checkOptions, checkText } from "../check.ts";
import { extent } from "../parts/scale.ts";
import { Figure } from "../figure.ts";
import { tableStill } from "./table-still.ts";
import { accessibleName, type Captions } from "../parts/frame.ts";
import { PAGE_SCRIPT } from "../page/script.ts";
import { escapeHtml, formatNumber, labelText, plural, px, visibleToken, type NumberFormat } from "../parts/text.ts";

/**
 * A column of a {@link table}.
 * @category Figures
 */
export interface TableColumn {
  readonly label: string;
  /**
   * `text`; `number`, aligned at the right; `bar`, a number with a bar from zero beside it; `token`, whitespace made
   * visible; `tokens`, a list of them. Found from the cells if left out: numbers are `number`, lists are `tokens`.
   */
  readonly kind?: "text" | "number" | "bar" | "token" | "tokens";
  /** How numbers of the column are written. */
  readonly format?: NumberFormat;
  /** What the column means, on hover. */
  readonly help?: string;
}

/**
 * A cell of a {@link table}; `null` is an empty one.
 * @category Figures
 */
export type TableCell = string | number | readonly string[] | null;

/**
 * What {@link table} draws.
 * @category Figures
 */
export interface TableOptions extends Captions {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly TableCell[])[];
  /** Whether a click on a column's name sorts by it; it does unless this is `false`. */
  readonly sortable?: boolean;
  /** For pages whose content-security policy asks for a nonce. */
  readonly nonce?: string;
}

type Kind = NonNullable<TableColumn["kind"]>;

/**
 * A table with aligned numbers, bars and readable tokens, sorted on a page by a click on (or Enter at) a column's name.
 *
 * @param options - columns and rows.
 * @returns the figure. Numbers that are NaN or infinite are printed as such and sort last.
 * @throws ShapeError if there are no columns or a row has another number of cells.
 * @throws InputError if a cell's type does not fit its column.
 * @category Figures
 * @example
 * ```ts
 * import { table } from "transformer-circuits/viz";
 *
 * const figure = table({
 *   columns: [{ label: "head" }, { label: "induction", format: { decimals: 2 } }],
 *   rows: [["L1H4", 0.914], ["L1H7", 0.88]],
 * });
 * console.log(figure.html.match(/<td[^]*?<\/td>/g)?.join(""));
 * // <td>L1H4</td><td class="tc-num" data-v="0.914">0.91</td><td>L1H7</td><td class="tc-num" data-v="0.88">0.88</td>
 * ```
 */
export function table(options: TableOptions): Figure {
  checkOptions(options, "table", "columns rows sortable nonce");
  checkObjects(options.columns, "table", "columns");
  for (const [j, { label }] of options.columns.entries()) checkText(label, "table", `columns[${j}].label`);
  requireKind("list", options.rows, "rows", "table");
  for (const [i, row] of options.rows.entries()) requireKind("list", row, `rows[${i}]`, "table");
  const { columns, rows } = options;
  checkNonEmpty(columns.length, "table", "columns");
  for (const [i, row] of rows.entries()) checkCount(row.length, columns.length, "table", `rows[${i}]`, "columns");
  const kinds = columns.map((column, j) => column.kind ?? kindOf(rows.map((row) => row[j] ?? null)));
  const scales = columns.map((_, j) => barScale(rows.map((row) => row[j] ?? null)));
  const sortable = options.sortable !== false;
  const heads = columns.map((column, j) => {
    const help = column.help === undefined ? "" : ` title="${escapeHtml(column.help)}"`;
    const name = sortable ? `<button type="button">${escapeHtml(column.label)}</button>` : escapeHtml(column.label);
    return `<th scope="col"${isNumeric(kinds[j]) ? ' class="tc-num"' : ""}${help}>${name}</th>`;
  });
  const body = rows.map((row, i) => {
    const cells = row.map((cell, j) =>
      drawCellOf(cell, kinds[j] ?? "text", {
        format: columns[j]?.format ?? {},
        scale: scales[j] ?? 1,
        at: `rows[${i}][${j}]`,
      }),
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  const caption =
    options.title === undefined && options.subtitle === undefined ? "" : `<caption>${captionOf(options)}</caption>\n`;
  // Bars of many columns give way where the place is narrow.
  const density = columns.length > 4 ? " tc-many" : columns.length > 2 ? " tc-some" : "";
  const markup = `<div class="tc-fig tc-table${density}"${sortable ? " data-tc-table" : ""}><table>\n${caption}<thead><tr>${heads.join("")}</tr></thead>\n<tbody>\n${body.join("\n")}\n</tbody>\n</table></div>`;
  const still = tableStill(
    options,
    columns.map(({ label, format = {} }, j) => ({
      ...{ label, format, kind: kinds[j] ?? "text", scale: scales[j] ?? 1 },
      cells: rows.map((row) => row[j] ?? null),
    })),
    rows.length,
  );
  return new Figure({
    kind: "table",
    ...still,
    label: accessibleName(options, `table of ${plural(rows.length, "row")}`),
    markup,
    script: sortable ? PAGE_SCRIPT : undefined,
    nonce: options.nonce,
  });
}

function captionOf(captions: Captions): string {
  const title = captions.title === undefined ? "" : `<strong>${escapeHtml(captions.title)}</strong>`;
  return title + (captions.subtitle === undefined ? "" : `<span>${escapeHtml(captions.subtitle)}</span>`);
}

function isNumeric(kind: Kind | undefined): boolean {
  return kind === "number" || kind === "bar";
}

function kindOf(cells: readonly TableCell[]): Kind {
  const first = cells.find((cell) => cell !== null);
  return typeof first === "number" ? "number" : typeof first === "object" ? "tokens" : "text";
}

/** The magnitude of a full bar. */
function barScale(cells: readonly TableCell[]): number {
  const numbers = cells.filter((cell) => typeof cell === "number");
  const [low, high] = extent([numbers]) ?? [0, 1];
  return Math.max(Math.abs(low), Math.abs(high)) || 1;
}

interface CellStyle {
  readonly format: NumberFormat;
  readonly scale: number;
  readonly at: string;
}

function drawCellOf(cell: TableCell, kind: Kind, style: CellStyle): string {
  if (cell === null) return `<td${isNumeric(kind) ? ' class="tc-num"' : ""}></td>`;
  if (isNumeric(kind)) {
    if (typeof cell !== "number") throw cellError(cell, "a number", kind, style.at);
    const bar = kind === "bar" ? barOf(cell, style.scale) : "";
    return `<td class="tc-num${kind === "bar" ? " tc-bar" : ""}" data-v="${cell}">${bar}${escapeHtml(formatNumber(cell, style.format))}</td>`;
  }
  if (kind === "tokens" || kind === "token") {
    const list = kind === "token" ? [cell] : cell;
    if (!Array.isArray(list) || !list.every((token) => typeof token === "string"))
      throw cellError(cell, kind === "token" ? "a string" : "a list of strings", kind, style.at);
    return `<td>${list.map((token: string) => `<span class="tc-token">${escapeHtml(visibleToken(token))}</span>`).join(" ")}</td>`;
  }
  if (typeof cell === "object") throw cellError(cell, "a string or number", kind, style.at);
  return `<td>${escapeHtml(labelText(cell))}</td>`;
}

function cellError(cell: TableCell, expected: string, kind: Kind, at: string): InputError {
  return new InputError(
    `${at} is ${JSON.stringify(cell)}, but its column is of kind "${kind}" and takes ${expected}. Change the cell or the column's kind.`,
    {
      operation: "table",
      argument: at,
      expected,
      actual: cell,
    },
  );
}

/** A bar from the middle: negative to the left. Drawn as SVG, since a strict policy refuses `style` attributes. */
function barOf(value: number, scale: number): string {
  if (!Number.isFinite(value)) return "";
  const length = (Math.abs(value) / scale) * 30;
  const bar = `<rect class="tc-f-${value < 0 ? "neg" : "pos"}" fill-opacity="0.8" x="${px(value < 0 ? 30 - length : 30)}" width="${px(length)}" height="9"/>`;
  return `<svg width="61" height="9" aria-hidden="true"><path class="tc-s-axis" d="M30.5 0v9"/>${bar}</svg>`;
}
