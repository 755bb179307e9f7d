/**
 * The look: one palette for light pages and one for dark, and the style sheets made of them. Colours are written twice:
 * as plain rules (any SVG viewer), and as custom properties with both schemes (browsers).
 */

/** Names of the palette; the custom property of `ink` is `--tc-ink`. */
export type Paint = keyof typeof LIGHT;

const LIGHT = {
  bg: "#ffffff",
  ink: "#1b1f24",
  muted: "#5a626e",
  axis: "#8b939e",
  grid: "#e4e7eb",
  panel: "#f5f6f8",
  pos: "#c24a00",
  neg: "#1a5fb4",
  seq: "#54278f",
  on: "#ffffff",
  c0: "#0068b3",
  c1: "#cc5500",
  c2: "#00825f",
  c3: "#8b4fb3",
  c4: "#8f6a00",
  c5: "#b83a78",
  c6: "#2390b8",
  c7: "#5a626e",
} as const;

const DARK: Readonly<Record<Paint, string>> = {
  bg: "#14171c",
  ink: "#e8eaed",
  muted: "#a2abb7",
  axis: "#6b7480",
  grid: "#2b3038",
  panel: "#1c2026",
  pos: "#ff9248",
  neg: "#62aaff",
  seq: "#c7a2ff",
  on: "#111418",
  c0: "#5cb3f0",
  c1: "#ff9450",
  c2: "#35c79b",
  c3: "#c69be6",
  c4: "#e0b341",
  c5: "#f285b5",
  c6: "#6fd0ee",
  c7: "#a2abb7",
};

/** How many colours there are for series and groups before they repeat. */
export const SERIES_COLORS = 8;

/** The light palette's colour, for what is fixed in bytes (an image). */
export function lightColor(paint: Paint): string {
  return LIGHT[paint];
}

interface PaintRule {
  readonly name: string;
  readonly property: "fill" | "stroke";
  readonly paint: Paint;
}

/** Fills are `tc-f-<paint>`, strokes `tc-s-<paint>`. */
function paintRules(): PaintRule[] {
  const paints = Object.keys(LIGHT) as Paint[];
  return paints.flatMap((paint): PaintRule[] => [
    { name: `tc-f-${paint}`, property: "fill", paint },
    { name: `tc-s-${paint}`, property: "stroke", paint },
  ]);
}

const SANS = `system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif`;
/** Faces by name, for programs that know no generic ones. */
const NAMED_SANS = `"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans","DejaVu Sans","Liberation Sans",sans-serif`;
const MONO = `ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace`;

/** Sizes and weights of the type scale; the numbers are those of {@link TYPE}. */
const TYPE_RULES = [
  `.tc-fig{font-family:${SANS};font-variant-numeric:tabular-nums}`,
  ".tc-fig text{unicode-bidi:isolate}",
  ".tc-title{font-size:13px;font-weight:600}",
  ".tc-sub{font-size:11px}",
  ".tc-lab{font-size:11px}",
  ".tc-tick{font-size:10px}",
  ".tc-small{font-size:9px}",
  ".tc-b{font-weight:600}",
  `.tc-mono{font-family:${MONO}}`,
  ".tc-line{fill:none}",
  ".tc-crisp{shape-rendering:crispEdges}",
  ".tc-pix{image-rendering:pixelated}",
  ".tc-halo{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}",
];

/** Font sizes in pixels, as the style sheet has them. */
export const TYPE = { title: 13, sub: 11, lab: 11, tick: 10, small: 9 } as const;

/** Marks by which pages say that what stands in them is dark or light: ours, those of notebooks and toolkits. */
const HOSTS = {
  dark: [
    '[data-theme="dark"]',
    '[data-jp-theme-light="false"]',
    '[data-bs-theme="dark"]',
    '[data-color-mode="dark"]',
    ".dark",
    ".vscode-dark",
    ".vscode-high-contrast",
  ],
  light: [
    '[data-theme="light"]',
    '[data-jp-theme-light="true"]',
    '[data-bs-theme="light"]',
    '[data-color-mode="light"]',
    ".light",
    ".vscode-light",
  ],
} as const;

/** An image cannot change its colours: on dark pages its lightness is turned over and its hues kept. */
export const DARK_IMAGE = "filter:invert(1) hue-rotate(180deg)";

/** The style sheet of one drawing in one scheme: plain rules, for programs that know no custom properties. */
export function plainStyles(drawing: string, scheme: "light" | "dark"): string {
  const colors = scheme === "light" ? LIGHT : DARK;
  const used = paintRules().filter(({ name }) => drawing.includes(name));
  const image = scheme === "dark" && drawing.includes("tc-pix") ? `.tc-pix{${DARK_IMAGE}}` : "";
  return [
    ...TYPE_RULES.map((rule) => rule.replace(SANS, NAMED_SANS)),
    used.map(({ name, property, paint }) => `.${name}{${property}:${colors[paint]}}`).join("") + image,
  ].join("\n");
}

/**
 * The style sheet of drawings; for one drawing alone, only the colours that occur in it. Colours are those of the
 * scheme that the figure's place in the page has: `color-scheme` is inherited, and the marks of {@link HOSTS} or what
 * `enliven` found set it. Viewers that do not know `light-dark()` show the light ones.
 */
export function svgStyles(drawing?: string): string {
  const rules = paintRules().filter(({ name }) => drawing === undefined || drawing.includes(name));
  const paints = [...new Set(rules.map(({ paint }) => paint))];
  const plain = rules.map(({ name, property, paint }) => `.${name}{${property}:${LIGHT[paint]}}`).join("");
  const themed = rules.map(({ name, property, paint }) => `.${name}{${property}:var(--tc-${paint})}`).join("");
  const hasImage = drawing?.includes("tc-pix") ?? true;
  const scheme = (name: "dark" | "light"): string[] => {
    const image = name === "dark" ? DARK_IMAGE : "filter:none";
    const around = `:where(${HOSTS[name].join()}) .tc-fig`;
    const found = `.tc-fig[data-tc-scheme="${name}"]`;
    return [
      `${around},${found}{color-scheme:${name}}`,
      ...(hasImage ? [`${around} .tc-pix,${found} .tc-pix{${image}}`] : []),
    ];
  };
  return [
    ...TYPE_RULES,
    plain,
    "@supports (color:light-dark(#000,#fff)){",
    `.tc-fig{${paints.map((paint) => `--tc-${paint}:light-dark(${LIGHT[paint]},${DARK[paint]});`).join("")}}`,
    themed,
    ...scheme("dark"),
    ...scheme("light"),
    "}",
  ].join("\n");
}
