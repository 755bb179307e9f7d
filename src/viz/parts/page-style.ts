/** Styles of figures that are HTML: tables, controls and the attention explorer. */

const MONO = `ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace`;

/** The style sheet of HTML figures; it uses the custom properties of the drawings' one. */
export function pageStyles(): string {
  return [...COMMON, ...FIT, ...ROWS, ...TABLE, ...COMPOSITION, ...EXPLORER, ...CLOUD, ...FLIP].join("\n");
}

const FIT = [
  ".tc-fit{container-type:inline-size;width:100%;min-width:min(100%,16rem)}",
  ".tc-fit svg{max-width:100%;height:auto}",
  // What a row of a table is of stays in sight where the table scrolls.
  "@container (max-width:479.9px){.tc-wide{display:none}.tc-ax-row{flex-wrap:wrap}.tc-table tr>:first-child{position:sticky;left:0;background:var(--tc-bg)}}",
  "@container (min-width:480px){.tc-narrow{display:none}}",
];

const ROWS = [
  ".tc-head{margin-bottom:8px}",
  ".tc-head strong{display:block;font-size:13px;font-weight:600}",
  ".tc-head span{display:block;color:var(--tc-muted);font-size:11px;max-width:80em}",
  ".tc-row{display:flex;gap:10px;align-items:flex-start;margin-bottom:10px}",
  ".tc-row>svg{flex:0 1 auto;min-width:0}",
  ".tc-row-name{font-size:11px;font-weight:600;color:var(--tc-muted);flex:none;align-self:center}",
  "@container (max-width:699.9px){.tc-row{flex-wrap:wrap}.tc-row>svg{flex:none}}",
];

const COMMON = [
  "svg.tc-fig,.tc-fig svg{max-width:100%;height:auto}",
  "div.tc-fig{color:var(--tc-ink);font-size:13px;line-height:1.4}",
  ".tc-fig *{box-sizing:border-box}",
  `.tc-token{font-family:${MONO};font-size:12px;background:var(--tc-panel);border-radius:3px;padding:0 3px;white-space:pre;unicode-bidi:isolate}`,
  ".tc-controls{display:flex;flex-wrap:wrap;gap:4px 18px;align-items:center;font-size:12px;margin:4px 0 8px}",
  ".tc-controls label{display:inline-flex;gap:5px;align-items:center;cursor:pointer}",
  ".tc-controls input{margin:0;accent-color:var(--tc-c0)}",
];

const TABLE = [
  // Shadows at the sides tell that there is more to scroll to: a number cut off by the edge would read as another
  // number.
  ".tc-table{overflow-x:auto;container-type:inline-size;background:linear-gradient(to right,var(--tc-bg) 30%,transparent) 0 0/36px 100% no-repeat local,linear-gradient(to left,var(--tc-bg) 30%,transparent) 100% 0/36px 100% no-repeat local,linear-gradient(to right,var(--tc-axis),transparent) 0 0/12px 100% no-repeat scroll,linear-gradient(to left,var(--tc-axis),transparent) 100% 0/12px 100% no-repeat scroll}",
  ".tc-table table{border-collapse:collapse;font-size:12px}",
  ".tc-table caption{text-align:left;padding:0 0 6px}",
  ".tc-table strong{display:block;font-size:13px;font-weight:600}",
  ".tc-table caption span{color:var(--tc-muted);font-size:11px}",
  ".tc-table tr>*{padding:3px 14px 3px 0}",
  ".tc-table th{font-weight:600;text-align:left;border-bottom:1px solid var(--tc-axis);vertical-align:bottom}",
  ".tc-table td{border-bottom:1px solid var(--tc-grid);vertical-align:top}",
  ".tc-table tr>:last-child{padding-right:0}",
  ".tc-table .tc-num{text-align:right;white-space:nowrap}",
  // At the cell's edge, so that the zero lines of a column stand one below the other.
  "td.tc-bar{position:relative;padding-left:69px}",
  ".tc-bar svg{position:absolute;left:0;top:7px}",
  ".tc-table button{all:unset;cursor:pointer}",
  ".tc-table button:focus-visible{outline:2px solid var(--tc-c0);outline-offset:2px}",
  '.tc-table [aria-sort=ascending] button::after{content:" ↑"}',
  '.tc-table [aria-sort=descending] button::after{content:" ↓"}',
  // A table of many columns has room for its numbers or for its bars.
  "@container (width<56rem){.tc-table tr>*{padding-right:7px}td.tc-bar{padding-left:62px}}",
  "@container (width<46rem){td.tc-bar{padding-left:0}.tc-bar svg{display:none}}",
  "@container (width<50rem){.tc-many svg{display:none}}",
  "@container (width<30rem){.tc-some svg{display:none}}",
];

const COMPOSITION = ["Q", "K", "V"].map(
  (kind) => `.tc-composition:has(.tc-show-${kind}:not(:checked)) .tc-edges-${kind}{display:none}`,
);

const BUTTON =
  "all:unset;cursor:pointer;padding:0 6px;border:1px solid var(--tc-grid);border-radius:3px;color:var(--tc-ink)";

const CLOUD = [
  ".tc-cloud:not([data-tc-ready]) .tc-cloud-live,.tc-cloud[data-tc-ready] .tc-cloud-still{display:none}",
  ".tc-cloud-live{max-width:720px}",
  ".tc-cloud-stage{border:1px solid var(--tc-grid);border-radius:4px;cursor:grab;touch-action:pan-y;user-select:none;overflow:hidden}",
  ".tc-cloud-stage:active{cursor:grabbing}",
  ".tc-cloud-stage:focus-visible{outline:2px solid var(--tc-c0);outline-offset:1px}",
  ".tc-cloud-stage canvas{display:block;width:100%;height:100%}",
  ".tc-cloud .tc-controls>span{display:inline-flex;gap:5px;align-items:center}",
  `.tc-cloud button{${BUTTON}}`,
  ".tc-cloud button:hover{border-color:var(--tc-axis)}",
  ".tc-cloud button:focus-visible{outline:2px solid var(--tc-c0);outline-offset:1px}",
  '.tc-cloud button[aria-pressed="true"]{border-color:var(--tc-ink)}',
  ".tc-cloud input{font:inherit;width:9em;color:inherit;background:transparent;border:1px solid var(--tc-grid);border-radius:3px;padding:0 4px}",
  ".tc-cloud-read{min-height:1.4em;font-variant-numeric:tabular-nums}",
];

const FLIP = [
  ".tc-flip:not([data-tc-ready]) .tc-flip-live,.tc-flip[data-tc-ready] .tc-flip-still{display:none}",
  ".tc-flip-still{color:var(--tc-muted);font-size:12px;margin:4px 0 8px}",
  ".tc-flip .tc-flip-live{flex-wrap:nowrap;gap:10px;max-width:720px;position:sticky;top:0;z-index:1;padding:4px 0;background:var(--tc-bg)}",
  ".tc-flip-live input{flex:1 1 auto;min-width:0}",
  `.tc-flip-live button{${BUTTON};width:1.6em;text-align:center;flex:none}`,
  ".tc-flip-live button:hover{border-color:var(--tc-axis)}",
  ".tc-flip-live button:focus-visible{outline:2px solid var(--tc-c0);outline-offset:1px}",
  ".tc-flip-live output{flex:none;min-width:8em;font-variant-numeric:tabular-nums}",
];

const EXPLORER = [
  ".tc-ax{max-width:980px;container-type:inline-size}",
  ".tc-ax-title strong{display:block;font-size:13px;font-weight:600}",
  ".tc-ax-title span{color:var(--tc-muted);font-size:11px}",
  ".tc-ax-heads{margin:8px 0 10px;overflow-x:auto}",
  ".tc-ax-row{display:flex;gap:6px;margin-bottom:6px}",
  ".tc-ax-row button{all:unset;box-sizing:border-box;cursor:pointer;padding:3px 3px 1px;border:1px solid var(--tc-grid);border-radius:4px;text-align:center;flex:none}",
  ".tc-ax-row button:hover{border-color:var(--tc-axis)}",
  '.tc-ax-row button[aria-pressed="true"]{border-color:var(--tc-ink);box-shadow:0 0 0 1px var(--tc-ink)}',
  ".tc-ax-row button:focus-visible,.tc-ax-text span:focus-visible{outline:2px solid var(--tc-c0);outline-offset:1px}",
  ".tc-ax-row canvas{display:block;width:54px;height:54px}",
  ".tc-ax-row span{font-size:10px;color:var(--tc-muted)}",
  '.tc-ax-row [aria-pressed="true"] span{color:var(--tc-ink);font-weight:600}',
  ".tc-ax .tc-controls>span{display:inline-flex;flex-wrap:wrap;gap:4px 12px}",
  ".tc-ax-body{display:flex;flex-wrap:wrap;gap:16px 28px;align-items:flex-start}",
  ".tc-ax-side:first-child{flex:1 1 380px;min-width:0}",
  ".tc-ax-side:last-child{flex:none;max-width:100%}",
  ".tc-ax-window{max-width:100%;max-height:500px;overflow:auto}",
  `.tc-ax-end button{${BUTTON}}`,
  ".tc-ax-end button:hover{border-color:var(--tc-axis)}",
  ".tc-ax-end button:focus-visible{outline:2px solid var(--tc-c0);outline-offset:1px}",
  "[data-tc-ready]>.tc-ax-asleep{display:none}",
  `.tc-ax-text{font-family:${MONO};font-size:12.5px;line-height:1.75;max-height:300px;overflow:auto;border:1px solid var(--tc-grid);border-radius:4px;padding:6px 8px}`,
  ".tc-ax-text span{display:inline-block;line-height:1.4;padding:0 1px;border-radius:2px;cursor:pointer;white-space:pre;unicode-bidi:isolate;box-shadow:0 0 0 1px transparent}",
  ".tc-ax-text .tc-ax-out{color:var(--tc-muted)}",
  ".tc-ax-text .tc-ax-on{color:var(--tc-on)}",
  ".tc-ax-text .tc-ax-at{box-shadow:0 0 0 1.5px var(--tc-pos)}",
  ".tc-ax-read{margin-top:10px;font-size:12px;min-height:15em}",
  ".tc-ax-at-line{margin-bottom:4px}",
  ".tc-ax-link{display:flex;align-items:center;gap:8px;line-height:1.6}",
  ".tc-ax-link b{font-weight:400;width:3.2em;text-align:right}",
  ".tc-ax-link small{color:var(--tc-muted);width:2.4em;text-align:right}",
  ".tc-ax-bar{width:60px;height:9px;background:var(--tc-panel)}",
  ".tc-ax-bar i{display:block;height:100%;background:var(--tc-seq)}",
  ".tc-ax-note,.tc-ax-axis{color:var(--tc-muted);font-size:11px}",
  ".tc-ax-axis{display:flex;justify-content:space-between;gap:12px;margin-bottom:3px}",
  ".tc-ax-end{margin:3px 0 0}",
  ".tc-ax-map{position:relative;outline:1px solid var(--tc-grid);cursor:crosshair}",
  ".tc-ax-map canvas{display:block;width:100%;height:100%}",
  ".tc-ax canvas{image-rendering:pixelated}",
  ".tc-ax-line,.tc-ax-cell{position:absolute;pointer-events:none;outline:1px solid var(--tc-pos)}",
  ".tc-ax-cell{outline-width:2px}",
];
