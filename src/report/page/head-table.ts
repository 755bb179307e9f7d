/** The table of heads, column by column. */
import { table } from "../../viz/index.ts";
import type { Figure, NumberFormat } from "../../viz/index.ts";
import { ROLES } from "../heads.ts";
import type { HeadFacts, HeadScoreValues } from "../types.ts";
import type { PageContext } from "./context.ts";

interface Column {
  readonly label: string;
  readonly help?: string;
  readonly kind?: "bar" | "number" | "text";
  readonly format?: NumberFormat;
  readonly cell: (head: HeadFacts) => string | number | null;
}

const TWO = { decimals: 2 };
const SIGNED = { decimals: 2, sign: true };

function score(label: string, name: keyof HeadScoreValues, help: string): Column {
  return { label, kind: "number", format: TWO, help, cell: (head) => head.scores?.[name] ?? null };
}

const COLUMNS: readonly Column[] = [
  { label: "head", kind: "text", cell: (head) => head.label },
  { label: "role", kind: "text", cell: rolesText },
  score("previous", "previous", "attention to the token before"),
  score("current", "current", "attention to the present token"),
  score("first", "first", "attention to the first token"),
  score("duplicate", "duplicate", "attention to the earlier copy of the present token"),
  score("induction", "inductionStrict", "attention to the token after the earlier copy"),
  {
    label: "copying",
    kind: "bar",
    format: TWO,
    help: "Σλ / Σ|λ| of the full OV circuit",
    cell: (head) => head.copying,
  },
  {
    label: "z",
    kind: "number",
    format: { decimals: 1, sign: true },
    help: "copying score in standard deviations of random heads’",
    cell: (head) => head.copyingZ,
  },
  {
    label: "matching",
    kind: "number",
    format: TWO,
    help: "Σλ / Σ|λ| of the full QK circuit",
    cell: (head) => head.matching,
  },
  {
    label: "effect",
    kind: "number",
    format: SIGNED,
    help: "direct effect on the right token’s logit, second copy",
    cell: (head) => head.attribution,
  },
  {
    label: "Δ loss",
    kind: "bar",
    format: SIGNED,
    help: "change of the loss on the second copy when ablated, nats",
    cell: (head) => head.ablation,
  },
];

/** Its roles, each with its positions where it is not everywhere. */
function rolesText({ roles, evidence }: HeadFacts): string {
  const texts = roles.map((role) => {
    const found = evidence.find(({ kind }) => ROLES[kind] === role);
    return found === undefined || found.isEverywhere ? role : `${role} (${found.positions.join("–")})`;
  });
  return texts.join(", ");
}

/** All heads with what was measured of them; columns of which nothing was measured are left out. */
export function headTable(page: PageContext): Figure {
  const { heads } = page.data;
  const columns = COLUMNS.filter(({ cell }) => heads.some((head) => cell(head) !== null));
  return table({
    columns,
    rows: heads.map((head) => columns.map(({ cell }) => cell(head))),
  });
}
