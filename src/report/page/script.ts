/**
 * The page's script: the light and dark switch, which lives as long as the page, the place in the table of contents,
 * and light colours on paper. Without it the page is whole.
 */
export const PAGE_SCRIPT = String.raw`(function(){
const root = document.documentElement;
const button = document.querySelector("button.theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const theme = function() { return root.dataset.theme || (system.matches ? "dark" : "light"); };
const name = function() { button.textContent = theme() === "dark" ? "Light colours" : "Dark colours"; };
button.hidden = false;
button.addEventListener("click", function() {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  name();
});
system.addEventListener("change", name);
name();
let chosen;
addEventListener("beforeprint", function() { chosen = root.dataset.theme; root.dataset.theme = "light"; });
addEventListener("afterprint", function() {
  if (chosen === undefined) delete root.dataset.theme; else root.dataset.theme = chosen;
});
const links = Array.from(document.querySelectorAll("nav a"));
const sections = links.map(function(link) { return document.getElementById(link.hash.slice(1)); });
let waiting = false;
const place = function() {
  waiting = false;
  let at = -1;
  sections.forEach(function(section, i) { if (section.getBoundingClientRect().top < innerHeight * 0.3) at = i; });
  links.forEach(function(link, i) {
    if (i === at) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  });
};
addEventListener("scroll", function() {
  if (!waiting) { waiting = true; requestAnimationFrame(place); }
}, { passive: true });
place();
})();`;
