/** The page's style sheet; the figures bring their own, in the same colours. */

const LIGHT =
  "--bg:#ffffff;--ink:#1b1f24;--muted:#5a626e;--rule:#d9dde3;--panel:#f5f6f8;--link:#0059a8;color-scheme:light";
const DARK =
  "--bg:#14171c;--ink:#e8eaed;--muted:#a2abb7;--rule:#343b45;--panel:#1c2026;--link:#74bdf5;color-scheme:dark";
const SERIF = `Charter,"Bitstream Charter","Charis SIL","Sitka Text",Cambria,Georgia,serif`;
const SANS = `system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif`;
const MONO = `ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace`;

const THEME = [
  `:root{${LIGHT}}`,
  `@media (prefers-color-scheme:dark){:root{${DARK}}}`,
  `:root[data-theme="light"]{${LIGHT}}`,
  `:root[data-theme="dark"]{${DARK}}`,
];

const GROUND = [
  "*{box-sizing:border-box}",
  "html{scroll-behavior:smooth;scroll-padding-top:1.5rem;-webkit-text-size-adjust:100%}",
  "@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}",
  `body{margin:0;background:var(--bg);color:var(--ink);font:17px/1.6 ${SERIF};font-variant-numeric:oldstyle-nums;overflow-wrap:break-word}`,
  "a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:2px}",
  ":focus-visible{outline:2px solid var(--link);outline-offset:3px;border-radius:2px}",
  ".skip{position:absolute;left:-999px;top:0;background:var(--bg);padding:.5rem 1rem;z-index:3}",
  ".skip:focus{left:0}",
  `code,.mono{font-family:${MONO};font-size:.84em;font-variant-numeric:normal}`,
  "math{font-size:1.04em}",
];

const LAYOUT = [
  ".page{display:grid;grid-template-columns:13.5rem minmax(0,60rem);column-gap:3.5rem;max-width:80rem;margin:0 auto;padding:0 2rem}",
  `nav{font:13px/1.45 ${SANS};position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;padding:3.4rem 0 2rem}`,
  "nav h2{font-size:11px;letter-spacing:.09em;text-transform:uppercase;color:var(--muted);margin:0 0 .7rem;font-weight:600}",
  "nav ol{list-style:none;margin:0;padding:0;counter-reset:toc}",
  "nav li{counter-increment:toc}",
  "nav a{display:grid;grid-template-columns:1.6rem 1fr;color:var(--muted);text-decoration:none;padding:.24rem 0 .24rem .7rem;border-left:2px solid var(--rule)}",
  "nav a::before{content:counter(toc)}",
  "nav a:hover{color:var(--ink)}",
  'nav a[aria-current="true"]{color:var(--ink);border-left-color:var(--link);font-weight:600}',
  `button.theme{font:12px/1 ${SANS};margin:1.4rem 0 0;padding:.5rem .75rem;border:1px solid var(--rule);border-radius:999px;background:none;color:var(--ink);cursor:pointer}`,
  "button.theme:hover{background:var(--panel)}",
  "main{min-width:0;padding:3rem 0 5rem}",
  ".text{max-width:41rem}",
];

const TYPE = [
  "header h1{font-size:2.15rem;line-height:1.18;letter-spacing:-.012em;font-weight:600;margin:0 0 .6rem;text-wrap:balance}",
  `.byline{font:14px/1.5 ${SANS};color:var(--muted);margin:0 0 1.6rem}`,
  ".lead{font-size:1.12rem;line-height:1.62}",
  "section{margin-top:3.6rem;padding-top:1.1rem;border-top:1px solid var(--rule)}",
  "section>h2{font-size:1.5rem;line-height:1.25;margin:0 0 .8rem;font-weight:600;text-wrap:balance}",
  `section>h2 .n{font:600 1rem/1 ${SANS};color:var(--muted);margin-right:.7rem;font-variant-numeric:tabular-nums}`,
  "h3{font-size:1.12rem;margin:2rem 0 .5rem;font-weight:600}",
  "p{margin:0 0 1rem;hyphens:auto;text-wrap:pretty}",
  ".formula{margin:1rem 0 1.2rem;text-align:center}",
  "details{margin:1rem 0}",
  `summary{font:14px/1.5 ${SANS};cursor:pointer;color:var(--link)}`,
  ".formula math{font-size:1.12em}",
  ".note{color:var(--muted);font-size:.94rem}",
];

const FIGURES = [
  "figure{margin:1.6rem 0 2rem}",
  ".plot{overflow-x:auto;padding:.2rem 0}",
  ".plot.tall{max-height:34rem;overflow-y:auto;border-bottom:1px solid var(--rule)}",
  `figcaption{font:13.5px/1.5 ${SANS};color:var(--muted);max-width:46rem;margin-top:.7rem}`,
  "figcaption b{color:var(--ink);font-weight:600}",
  "figcaption cite{font-style:normal}",
  `.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1px;margin:1.8rem 0 0;padding:0;background:var(--rule);border:1px solid var(--rule);font-family:${SANS}}`,
  ".facts div{background:var(--bg);padding:.75rem .9rem .7rem}",
  ".facts dt{font-size:12px;line-height:1.35;color:var(--muted)}",
  ".facts dd{margin:0 0 .1rem;font-size:1.32rem;line-height:1.25;font-weight:600;font-variant-numeric:lining-nums tabular-nums;letter-spacing:-.01em}",
  `dl.spec{font:14px/1.5 ${SANS};display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.4rem;margin:1rem 0;font-variant-numeric:tabular-nums}`,
  "dl.spec dt{color:var(--muted)}",
  "dl.spec dd{margin:0}",
  `.tok{font:12.5px/1.5 ${MONO};background:var(--panel);border-radius:3px;padding:.05rem .28rem;white-space:pre;unicode-bidi:isolate}`,
];

const NARROW = [
  "@media (max-width:62rem){.page{display:block;padding:0 1.2rem}nav{position:static;max-height:none;padding:1.4rem 0 0}nav ol{columns:2;column-gap:1.5rem}nav li{break-inside:avoid}main{padding-top:1.6rem}}",
  "@media (max-width:34rem){body{font-size:16px}header h1{font-size:1.7rem}nav{padding:.7rem 0 0;font-size:12px}nav h2{display:none}nav a{padding:.1rem 0 .1rem .5rem}.formula math{font-size:.92em}}",
];

const PRINT = [
  "@media print{nav,.skip{display:none}.page{display:block;max-width:none;padding:0}body{font-size:10.5pt}section{break-inside:auto;margin-top:1.6rem}h2,h3{break-after:avoid}figure{break-inside:avoid}.plot,.plot.tall{overflow:visible;max-height:none}a{color:inherit}}",
];

/** CSS text, without a `<style>` element. */
export function reportStyles(): string {
  return [...THEME, ...GROUND, ...LAYOUT, ...TYPE, ...FIGURES, ...NARROW, ...PRINT].join("\n");
}
