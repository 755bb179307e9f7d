/**
 * What figures do on a page: colours that follow it, and what each kind does. A function without anything from outside,
 * since its text is a part of the script that figures carry; it has no globals and builds no code or markup from text.
 *
 * It sets up every figure inside `scope` that is not ready yet, and returns a function that lets go of the page.
 *
 * @param kinds - `setUpTable`, `setUpExplorer`, `setUpCloud`, `setUpFlip`, or some of them.
 */
export function enlivenAll(scope, kinds) {
  const view = (scope.ownerDocument || scope).defaultView;
  const document = view.document;
  const undo = [];

  /** The red, green, blue and opacity of a computed colour, 0 to 255 and 0 to 1. */
  function channels(color) {
    const numbers = (color.match(/[\d.]+/g) || []).map(Number);
    return [numbers[0] || 0, numbers[1] || 0, numbers[2] || 0, numbers.length > 3 ? numbers[3] : 1];
  }

  function isDark(color) {
    const c = channels(color);
    return (0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]) / 255 < 0.5;
  }

  function parentOf(node) {
    return node.parentElement || (node.getRootNode && node.getRootNode().host) || null;
  }

  /** The scheme of the nearest ground that is painted; none on the page's own, whose scheme figures inherit. */
  function schemeAround(root) {
    for (let node = parentOf(root); node; node = parentOf(node)) {
      const ground = view.getComputedStyle(node).backgroundColor;
      if (/^rgba?\(/.test(ground) && channels(ground)[3] > 0.5) return isDark(ground) ? "dark" : "light";
    }
    return null;
  }

  /** What a colour of the figures is where one stands. */
  function colorIn(root, name) {
    const probe = document.createElement("span");
    probe.style.color = "var(--tc-" + name + ")";
    root.append(probe);
    const found = view.getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  /** Colours as the page around has them, now and whenever that changes. */
  function followPage(root, changed) {
    let last;
    const look = function () {
      const scheme = schemeAround(root);
      if (scheme === null) root.removeAttribute("data-tc-scheme");
      else if (root.getAttribute("data-tc-scheme") !== scheme) root.setAttribute("data-tc-scheme", scheme);
      const ink = colorIn(root, "seq");
      if (last !== undefined && ink !== last) changed();
      last = ink;
    };
    // Style sheets of a theme may come after the attribute that names it, and colours may fade.
    const soon = function () {
      look();
      view.setTimeout(look, 400);
    };
    const observer = new view.MutationObserver(soon);
    for (let node = parentOf(root); node; node = parentOf(node)) observer.observe(node, { attributes: true });
    const system = view.matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", soon);
    undo.push(function () {
      observer.disconnect();
      system.removeEventListener("change", soon);
    });
    look();
  }

  function each(selector, run) {
    const found = Array.from(scope.querySelectorAll(selector));
    if (scope.matches && scope.matches(selector)) found.push(scope);
    found.forEach(run);
  }

  each(".tc-fig:not([data-tc-live])", function (root) {
    // a figure within a figure is the outer one's
    if (root.parentElement && root.parentElement.closest(".tc-fig")) return;
    const kind = ["Table", "Explorer", "Cloud", "Flip"].find(function (name) {
      return root.hasAttribute("data-tc-" + name.toLowerCase());
    });
    // a script may have some kinds alone
    if (kind && !kinds["setUp" + kind]) return;
    root.setAttribute("data-tc-live", "");
    let repaint = function () {};
    followPage(root, function () {
      repaint();
    });
    if (!kind) return;
    root.setAttribute("data-tc-ready", "");
    // a table and a flipbook have nothing to paint anew
    repaint = kinds["setUp" + kind](root, { view, channels, colorIn, undo }) || repaint;
  });
  return function () {
    for (const one of undo) one();
  };
}
