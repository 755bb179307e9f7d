/**
 * The attention explorer at work. A function without anything from outside but what it is given, since its text is a part
 * of the script that figures carry.
 *
 * @param page - the window, and what `enliven` lends of it.
 */
export function setUpExplorer(root, { view, channels, colorIn, undo }) {
  const { document } = view;
  const find = function (selector) {
    return root.querySelector(selector);
  };
  const all = function (selector) {
    return Array.from(root.querySelectorAll(selector));
  };
  const data = JSON.parse(find('script[type="application/json"]').textContent);
  const n = data.tokens.length;
  const size = (n * (n + 1)) / 2;
  const measures = readMeasures();
  const buttons = all("[data-head]");
  const tokens = all("[data-position]");
  const [map, line, box, read] = [".tc-ax-map", ".tc-ax-line", ".tc-ax-cell", ".tc-ax-read"].map(find);
  const state = {
    measure: data.measure || 0,
    source: true,
    heads: new Set(data.selected),
    pinned: data.focus,
    at: data.focus,
    cell: null,
    skipFirst: data.skipFirst === true && n > 1,
    zoom: 1,
  };
  let shown = null;
  let limit = 1;
  let cell = 1;

  function readMeasures() {
    const list = [];
    for (const measure of data.measures) {
      const text = measure.bytes ? view.atob(measure.bytes) : "";
      const values = new Float64Array(measure.bytes ? text.length : list[0].length);
      if (measure.bytes) {
        for (let i = 0; i < values.length; i++) values[i] = measure.largest * (text.charCodeAt(i) / 255) ** 2;
      } else {
        // a number for each head and key, which attention is multiplied by
        for (let start = 0, head = 0; start < values.length; start += size, head++)
          for (let q = 0, i = start; q < n; q++)
            for (let k = 0; k <= q; k++, i++) values[i] = list[0][i] * measure.weights[head * n + k];
      }
      list.push(values);
    }
    return list;
  }

  function label(head) {
    return "L" + Math.floor(head / data.heads) + "H" + (head % data.heads);
  }
  function number(value) {
    return value >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
  }
  function place(query, key) {
    return (query * (query + 1)) / 2 + key;
  }
  /** Whether attention from a query to a key is shown: to the first token it may be left out. */
  function isShown(query, key) {
    return key <= query && !(state.skipFirst && key === 0);
  }

  function largestOf(values, offset) {
    let most = 0;
    for (let q = 0; q < n; q++)
      for (let k = 0; k <= q; k++) if (isShown(q, k)) most = Math.max(most, values[offset + place(q, k)]);
    return most === 0 ? 1 : most;
  }

  function average() {
    shown = new Float64Array(size);
    for (const head of state.heads)
      for (let i = 0; i < size; i++) shown[i] += measures[state.measure][head * size + i] / state.heads.size;
    limit = largestOf(shown, 0);
  }

  function color(name) {
    return channels(colorIn(root, name));
  }

  /** Pixels that stand for a block show its largest value: no stripe is lost. */
  function paint(canvas, values, offset, scale, inks, most) {
    const block = Math.ceil(n / most);
    const side = (canvas.width = canvas.height = Math.ceil(n / block));
    const largest = new Float64Array(side * side).fill(-1);
    for (let q = 0; q < n; q++)
      for (let k = 0; k <= q; k++) {
        if (!isShown(q, k)) continue;
        const at = Math.floor(q / block) * side + Math.floor(k / block);
        largest[at] = Math.max(largest[at], values[offset + place(q, k)]);
      }
    const image = new view.ImageData(side, side);
    largest.forEach(function (value, at) {
      image.data.set(inks[value < 0 ? 1 : 0], 4 * at);
      image.data[4 * at + 3] = value < 0 ? 18 : (255 * value) / scale;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function paintAll() {
    const inks = [color("seq"), color("muted")];
    const values = measures[state.measure];
    const scale = state.skipFirst || state.measure > 0 ? 0 : data.measures[state.measure].largest;
    buttons.forEach(function (button, head) {
      paint(button.querySelector("canvas"), values, head * size, scale || largestOf(values, head * size), inks, 54);
    });
    paintMap(inks);
  }

  function paintMap(inks) {
    average();
    buttons.forEach(function (button, head) {
      button.setAttribute("aria-pressed", String(state.heads.has(head)));
    });
    const canvas = map.querySelector("canvas");
    paint(canvas, shown, 0, limit, inks || [color("seq"), color("muted")], n);
    find(".tc-ax-scale").textContent = headNames() + ", colour 0 to " + number(limit);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", data.measures[state.measure].name + " of " + headNames());
    layOut();
  }

  /** The map as large as there is room for, times the zoom; it scrolls where it is larger. */
  function layOut() {
    const side = map.parentElement;
    const room = Math.min(400, (root.getBoundingClientRect().width || 400) - 2);
    cell = Math.max(1, Math.floor((room / n) * state.zoom));
    map.style.width = map.style.height = n * cell + "px";
    update();
    if (state.zoom > 1) {
      const [q, k] = state.cell || (state.source ? [state.at, strongest()] : [strongest(), state.at]);
      side.scrollLeft = (k + 0.5) * cell - side.clientWidth / 2;
      side.scrollTop = (q + 0.5) * cell - side.clientHeight / 2;
    }
  }

  function strongest() {
    return links().reduce(function (a, b) {
      return b.value > a.value ? b : a;
    }).other;
  }

  function headNames() {
    const names = Array.from(state.heads)
      .sort(function (a, b) {
        return a - b;
      })
      .map(label);
    return names.length === 1 ? names[0] : "mean of " + (names.length > 6 ? names.length + " heads" : names.join(", "));
  }

  function links() {
    const list = [];
    for (let other = 0; other < n; other++) {
      const [query, key] = state.source ? [state.at, other] : [other, state.at];
      if (key <= query) list.push({ other: other, value: isShown(query, key) ? shown[place(query, key)] : 0 });
    }
    return list;
  }

  function update() {
    const list = links();
    const values = new Map(
      list.map(function (link) {
        return [link.other, link.value];
      }),
    );
    tokens.forEach(function (token, i) {
      const share = Math.min(1, (values.get(i) || 0) / limit);
      token.style.backgroundColor =
        share === 0 ? "" : "color-mix(in srgb, var(--tc-seq) " + (100 * share).toFixed(1) + "%, transparent)";
      token.classList.toggle("tc-ax-on", share > 0.6);
      token.classList.toggle("tc-ax-at", i === state.at);
      token.classList.toggle("tc-ax-out", !values.has(i));
      token.setAttribute("aria-pressed", String(i === state.pinned));
      token.tabIndex = i === state.pinned ? 0 : -1;
      token.title = values.has(i) ? i + ": " + number(values.get(i)) : String(i);
    });
    const [start, along] = [state.at * cell + "px", n * cell + "px"];
    Object.assign(
      line.style,
      state.source
        ? { left: "0", top: start, width: along, height: cell + "px" }
        : { left: start, top: "0", width: cell + "px", height: along },
    );
    box.hidden = state.cell === null;
    if (state.cell)
      Object.assign(box.style, {
        left: state.cell[1] * cell + "px",
        top: state.cell[0] * cell + "px",
        width: cell + "px",
        height: cell + "px",
      });
    report(list);
  }

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /** The strongest links, those that would read as nothing left out but for the first. */
  function report(list) {
    const first = element("div", "tc-ax-at-line");
    const name = data.measures[state.measure].name;
    first.append(
      state.source ? "from " : "to ",
      element("b", "", String(state.at)),
      " ",
      element("span", "tc-token", data.tokens[state.at]),
      " " + name + (state.source ? " to" : " from"),
    );
    const rows = [first];
    list.sort(function (a, b) {
      return b.value - a.value || a.other - b.other;
    });
    list
      .filter(function (link, i) {
        return i === 0 || (i < 7 && link.value >= 0.0005);
      })
      .forEach(function (link) {
        const row = element("div", "tc-ax-link");
        const bar = element("i");
        bar.style.width = (60 * Math.min(1, link.value / limit)).toFixed(1) + "px";
        const track = element("span", "tc-ax-bar");
        track.append(bar);
        row.append(
          element("b", "", number(link.value)),
          track,
          element("small", "", String(link.other)),
          element("span", "tc-token", data.tokens[link.other]),
        );
        rows.push(row);
      });
    if (state.cell) {
      const [q, k] = state.cell;
      const said =
        k > q
          ? "key " + k + " comes after query " + q
          : "query " + q + ", key " + k + ": " + number(shown[place(q, k)]);
      rows.push(element("div", "tc-ax-note", said));
    }
    const known = data.logProbs && data.logProbs[state.at];
    if (typeof known === "number") {
      const nats = known.toFixed(2).replace("-", "−");
      rows.push(element("div", "tc-ax-note", "log-probability of this token: " + nats + " nats"));
    }
    read.replaceChildren(...rows);
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

  buttons.forEach(function (button, head) {
    button.addEventListener("click", function (event) {
      pick(head, event.shiftKey || event.ctrlKey || event.metaKey || find("[data-several]").checked);
    });
  });
  tokens.forEach(function (token, i) {
    token.addEventListener("pointerenter", function () {
      look(i, false);
    });
    token.addEventListener("click", function () {
      look(i, true);
      token.focus();
    });
    token.addEventListener("focus", function () {
      look(i, true);
    });
    token.addEventListener("keydown", function (event) {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const target = step ? i + step : event.key === "Home" ? 0 : event.key === "End" ? n - 1 : -1;
      if (target < 0 || target >= n) return;
      event.preventDefault();
      tokens[target].focus();
    });
  });
  find(".tc-ax-text").addEventListener("pointerleave", function () {
    look(state.pinned, false);
  });
  map.addEventListener("pointermove", function (event) {
    const rect = map.getBoundingClientRect();
    const index = function (offset, length) {
      return Math.max(0, Math.min(n - 1, Math.floor((offset / length) * n)));
    };
    const q = index(event.clientY - rect.top, rect.height);
    const k = index(event.clientX - rect.left, rect.width);
    state.at = state.source ? q : k;
    state.cell = [q, k];
    update();
  });
  map.addEventListener("click", function () {
    look(state.at, true);
  });
  map.addEventListener("pointerleave", function () {
    look(state.pinned, false);
  });
  const groups = { measure: all("[data-measure]"), direction: all("[data-direction]") };
  const serial = "tc-ax-" + Math.random().toString(36).slice(2);
  for (const key in groups)
    groups[key].forEach(function (input) {
      input.name = serial + "-" + key;
      input.addEventListener("change", function () {
        if (key === "measure") state.measure = Number(input.dataset.measure);
        else state.source = input.dataset.direction === "source";
        if (key === "measure") paintAll();
        else update();
      });
    });
  for (const key in groups)
    if (groups[key].length > 0) groups[key][key === "measure" ? state.measure : 0].checked = true;
  find("[data-several]").checked = state.heads.size > 1;
  const skip = find("[data-skip-first]");
  skip.checked = state.skipFirst;
  skip.disabled = n < 2;
  skip.addEventListener("change", function () {
    state.skipFirst = skip.checked;
    paintAll();
  });
  all("[data-zoom]").forEach(function (button) {
    button.addEventListener("click", function () {
      state.zoom = Math.max(1, Math.min(8, state.zoom * Number(button.dataset.zoom)));
      layOut();
    });
  });
  if (view.ResizeObserver) {
    let width = root.getBoundingClientRect().width;
    const sizes = new view.ResizeObserver(function () {
      const now = root.getBoundingClientRect().width;
      if (now === width) return;
      width = now;
      layOut();
    });
    sizes.observe(root);
    undo.push(function () {
      sizes.disconnect();
    });
  }
  paintAll();
  return paintAll;
}
