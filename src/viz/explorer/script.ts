/**
 * The explorer's page script. It sets up every explorer on the page that is not ready yet, so that it may be there many
 * times; it has no globals and builds no code or markup from text.
 */
export const EXPLORER_SCRIPT = String.raw`(function(){
function setUp(root) {
  root.setAttribute("data-tc-ready", "");
  const find = function(selector) { return root.querySelector(selector); };
  const all = function(selector) { return Array.from(root.querySelectorAll(selector)); };
  const data = JSON.parse(find('script[type="application/json"]').textContent);
  const n = data.tokens.length, size = n * (n + 1) / 2, cell = Math.max(1, Math.floor(480 / n));
  const measures = [];
  data.measures.forEach(function(measure) {
    const text = measure.bytes ? atob(measure.bytes) : "", values = new Float64Array(text.length || measures[0].length);
    if (measure.bytes) for (let i = 0; i < values.length; i++) values[i] = measure.largest * Math.pow(text.charCodeAt(i) / 255, 2);
    else for (let start = 0, head = 0; start < values.length; start += size, head++)
      for (let q = 0, i = start; q < n; q++) for (let k = 0; k <= q; k++, i++) values[i] = measures[0][i] * measure.weights[head * n + k];
    measures.push(values);
  });
  const buttons = all("[data-head]"), tokens = all("[data-position]");
  const map = find(".tc-ax-map"), line = find(".tc-ax-line"), box = find(".tc-ax-cell"), read = find(".tc-ax-read");
  const state = { measure: data.measure || 0, source: true, heads: new Set(data.selected), pinned: data.focus, at: data.focus, cell: null };
  let shown = null, limit = 1;

  function label(head) { return "L" + Math.floor(head / data.heads) + "H" + head % data.heads; }
  function number(value) { return value >= 0.0995 ? value.toFixed(2) : value.toFixed(3); }
  function valueAt(query, key) { return shown[query * (query + 1) / 2 + key]; }

  function average() {
    shown = new Float64Array(size);
    state.heads.forEach(function(head) {
      for (let i = 0; i < size; i++) shown[i] += measures[state.measure][head * size + i] / state.heads.size;
    });
    limit = 0;
    for (let i = 0; i < size; i++) if (shown[i] > limit) limit = shown[i];
    if (limit === 0) limit = 1;
  }

  function color(name) {
    const hex = getComputedStyle(root).getPropertyValue("--tc-" + name).trim();
    return [1, 3, 5].map(function(i) { return parseInt(hex.slice(i, i + 2), 16); });
  }

  function paint(canvas, values, offset, scale) {
    canvas.width = canvas.height = n;
    const context = canvas.getContext("2d"), image = context.createImageData(n, n);
    const ink = color("seq"), grey = color("muted");
    for (let q = 0; q < n; q++) for (let k = 0; k < n; k++) {
      const at = 4 * (q * n + k), hue = k > q ? grey : ink;
      image.data[at] = hue[0]; image.data[at + 1] = hue[1]; image.data[at + 2] = hue[2];
      image.data[at + 3] = k > q ? 18 : Math.round(255 * Math.min(1, values[offset + q * (q + 1) / 2 + k] / scale));
    }
    context.putImageData(image, 0, 0);
  }

  function paintAll() {
    const largest = data.measures[state.measure].largest;
    buttons.forEach(function(button, head) {
      paint(button.querySelector("canvas"), measures[state.measure], head * size, largest);
    });
    paintMap();
  }

  function paintMap() {
    average();
    buttons.forEach(function(button, head) { button.setAttribute("aria-pressed", String(state.heads.has(head))); });
    const canvas = map.querySelector("canvas");
    paint(canvas, shown, 0, limit);
    map.style.width = map.style.height = n * cell + "px";
    find(".tc-ax-scale").textContent = headNames() + ", colour 0 to " + number(limit);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", data.measures[state.measure].name + " of " + headNames());
    update();
  }

  function headNames() {
    const names = Array.from(state.heads).sort(function(a, b) { return a - b; }).map(label);
    return names.length === 1 ? names[0] : "mean of " + (names.length > 6 ? names.length + " heads" : names.join(", "));
  }

  function links() {
    const list = [];
    for (let other = 0; other < n; other++) {
      if (state.source ? other <= state.at : other >= state.at) {
        list.push({ other: other, value: state.source ? valueAt(state.at, other) : valueAt(other, state.at) });
      }
    }
    return list;
  }

  function update() {
    const list = links(), values = new Map(list.map(function(link) { return [link.other, link.value]; }));
    tokens.forEach(function(token, i) {
      const share = Math.min(1, (values.get(i) || 0) / limit);
      token.style.backgroundColor = share === 0 ? "" : "color-mix(in srgb, var(--tc-seq) " + (100 * share).toFixed(1) + "%, transparent)";
      token.classList.toggle("tc-ax-on", share > 0.6);
      token.classList.toggle("tc-ax-at", i === state.at);
      token.classList.toggle("tc-ax-out", !values.has(i));
      token.setAttribute("aria-pressed", String(i === state.pinned));
      token.tabIndex = i === state.pinned ? 0 : -1;
      token.title = values.has(i) ? i + ": " + number(values.get(i)) : String(i);
    });
    const start = state.at * cell, along = n * cell;
    Object.assign(line.style, state.source
      ? { left: "0", top: start + "px", width: along + "px", height: cell + "px" }
      : { left: start + "px", top: "0", width: cell + "px", height: along + "px" });
    box.hidden = state.cell === null;
    if (state.cell) Object.assign(box.style, { left: state.cell[1] * cell + "px", top: state.cell[0] * cell + "px", width: cell + "px", height: cell + "px" });
    report(list);
  }

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function report(list) {
    const first = element("div", "tc-ax-at-line");
    const name = data.measures[state.measure].name;
    first.append(state.source ? "from " : "to ", element("b", "", String(state.at)), " ", element("span", "tc-token", data.tokens[state.at]),
      " " + name + (state.source ? " to" : " from"));
    const rows = [first];
    list.sort(function(a, b) { return b.value - a.value || a.other - b.other; }).slice(0, 7).forEach(function(link) {
      const row = element("div", "tc-ax-link"), bar = element("i");
      bar.style.width = (60 * Math.min(1, link.value / limit)).toFixed(1) + "px";
      const track = element("span", "tc-ax-bar");
      track.append(bar);
      row.append(element("b", "", number(link.value)), track, element("small", "", String(link.other)), element("span", "tc-token", data.tokens[link.other]));
      rows.push(row);
    });
    if (state.cell) {
      const q = state.cell[0], k = state.cell[1];
      rows.push(element("div", "tc-ax-note", k > q ? "key " + k + " comes after query " + q : "query " + q + ", key " + k + ": " + number(valueAt(q, k))));
    }
    const known = data.logProbs && data.logProbs[state.at];
    if (typeof known === "number") rows.push(element("div", "tc-ax-note", "log-probability of this token: " + known.toFixed(2).replace("-", "−") + " nats"));
    read.replaceChildren.apply(read, rows);
  }

  function look(position, pin) {
    state.at = position;
    if (pin) state.pinned = position;
    state.cell = null;
    update();
  }

  function pick(head, add) {
    if (!add) state.heads = new Set([head]);
    else if (!state.heads.has(head)) state.heads.add(head);
    else if (state.heads.size > 1) state.heads.delete(head);
    paintMap();
  }

  buttons.forEach(function(button, head) {
    button.addEventListener("click", function(event) {
      pick(head, event.shiftKey || event.ctrlKey || event.metaKey || find("[data-several]").checked);
    });
  });
  tokens.forEach(function(token, i) {
    token.addEventListener("pointerenter", function() { look(i, false); });
    token.addEventListener("click", function() { look(i, true); token.focus(); });
    token.addEventListener("focus", function() { look(i, true); });
    token.addEventListener("keydown", function(event) {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const target = step ? i + step : event.key === "Home" ? 0 : event.key === "End" ? n - 1 : -1;
      if (target < 0 || target >= n) return;
      event.preventDefault();
      tokens[target].focus();
    });
  });
  find(".tc-ax-text").addEventListener("pointerleave", function() { look(state.pinned, false); });
  map.addEventListener("pointermove", function(event) {
    const rect = map.getBoundingClientRect();
    const index = function(offset, length) { return Math.max(0, Math.min(n - 1, Math.floor(offset / length * n))); };
    const q = index(event.clientY - rect.top, rect.height), k = index(event.clientX - rect.left, rect.width);
    state.at = state.source ? q : k;
    state.cell = [q, k];
    update();
  });
  map.addEventListener("click", function() { look(state.at, true); });
  map.addEventListener("pointerleave", function() { look(state.pinned, false); });
  const groups = { measure: all("[data-measure]"), direction: all("[data-direction]") };
  const serial = document.querySelectorAll("[data-tc-explorer][data-tc-ready]").length;
  for (const key in groups) groups[key].forEach(function(input) {
    input.name = "tc-ax-" + serial + "-" + key;
    input.addEventListener("change", function() {
      if (key === "measure") { state.measure = Number(input.dataset.measure); paintAll(); }
      else { state.source = input.dataset.direction === "source"; update(); }
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintAll);
  new MutationObserver(paintAll).observe(document, { attributes: true, attributeFilter: ["data-theme"], subtree: true });
  for (const key in groups) if (groups[key].length > 0) groups[key][key === "measure" ? state.measure : 0].checked = true;
  find("[data-several]").checked = state.heads.size > 1;
  paintAll();
}
for (const root of document.querySelectorAll("[data-tc-explorer]:not([data-tc-ready])")) setUp(root);
})();`;
