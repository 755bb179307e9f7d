/** Names of groups beside their colours. */
import { svgText } from "../figure.ts";
import { SERIES_COLORS, TYPE } from "./style.ts";
import { px, textWidth } from "./text.ts";

/** Names of groups with their colours, in a row that wraps. */
export function drawLegend(
  groups: readonly string[],
  top: number,
  width: number,
  firstColor = 0,
): { markup: string; height: number } {
  if (groups.length === 0) return { markup: "", height: 0 };
  let [x, y] = [0, top];
  const parts = groups.map((group, i) => {
    const room = textWidth(group, TYPE.lab) + 30;
    if (x > 0 && x + room - 14 > width) [x, y] = [0, y + 16];
    const entry = `<circle class="tc-f-c${(firstColor + i) % SERIES_COLORS}" cx="${px(x + 5)}" cy="${px(y - 4)}" r="4"/>${svgText(x + 14, y, "tc-lab tc-f-ink", group)}`;
    x += room;
    return entry;
  });
  return { markup: parts.join("\n"), height: y - top + 18 };
}
