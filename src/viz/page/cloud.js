/**
 * A cloud of points that turns. A function without anything from outside but what it is given, since its text is a part
 * of the script that figures carry.
 *
 * @param page - the window, and what `enliven` lends of it.
 * @returns what paints it anew.
 */
export function setUpCloud(root, { view, colorIn, undo }) {
  const document = view.document;
  const find = function (selector) {
    return root.querySelector(selector);
  };
  const data = JSON.parse(find('script[type="application/json"]').textContent);
  const [stage, read, search] = [".tc-cloud-stage", ".tc-cloud-read", "[data-find]"].map(find);
  const canvas = stage.querySelector("canvas");
  const context = canvas.getContext("2d");
  const points = unpack(data.points, Int16Array);
  const groups = data.groups ? unpack(data.groups, Uint8Array) : null;
  const n = points.length / 3;
  const still = view.matchMedia("(prefers-reduced-motion: reduce)");
  /** Points drawn while it moves, and labels at rest. */
  const [MOVING, LABELS] = [6000, 60];
  const state = { azimuth: data.view[0], elevation: data.view[1], zoom: 1, x: 0, y: 0 };
  const places = new Float32Array(3 * n);
  const outward = outermost();
  let named = [];
  let size = [640, 480];
  let inks = {};
  let moving = false;
  let frame = 0;
  let rest = 0;
  let turning = false;
  let held = -1;
  let ground = [];

  function unpack(text, type) {
    const raw = view.atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new type(bytes.buffer);
  }

  /** Points by how far out they lie: those that are named first. */
  function outermost() {
    const far = new Float32Array(n);
    for (let i = 0; i < n; i++) far[i] = Math.hypot(points[3 * i], points[3 * i + 1], points[3 * i + 2]);
    return Array.from(far.keys()).sort(function (a, b) {
      return far[b] - far[a] || a - b;
    });
  }

  /** The camera of `cameraOf`: from `distance` away, at the middle of the points. */
  function camera() {
    const [sa, ca] = [Math.sin(state.azimuth), Math.cos(state.azimuth)];
    const [se, ce] = [Math.sin(state.elevation), Math.cos(state.elevation)];
    const side = (Math.min(size[0], size[1]) / 2) * state.zoom * data.lens;
    return function (x, y, z, out, at) {
      const depth = data.distance - (ce * sa * x + se * y + ce * ca * z);
      out[at] = size[0] / 2 + state.x + (side * (ca * x - sa * z)) / depth;
      out[at + 1] = size[1] / 2 + state.y - (side * (-se * sa * x + ce * y - se * ca * z)) / depth;
      out[at + 2] = depth;
    };
  }

  function project() {
    const to = camera();
    const unit = 1 / 32767;
    for (let i = 0; i < n; i++)
      to(points[3 * i] * unit, points[3 * i + 1] * unit, points[3 * i + 2] * unit, places, 3 * i);
    return to;
  }

  function isIn(i) {
    const [x, y] = [places[3 * i], places[3 * i + 1]];
    return x > -4 && x < size[0] + 4 && y > -4 && y < size[1] + 4;
  }

  function paint() {
    frame = 0;
    if (turning) turn(0.006, 0);
    const to = project();
    const ratio = view.devicePixelRatio || 1;
    if (canvas.width !== Math.round(size[0] * ratio)) canvas.width = Math.round(size[0] * ratio);
    if (canvas.height !== Math.round(size[1] * ratio)) canvas.height = Math.round(size[1] * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size[0], size[1]);
    paintAxes(to);
    if (data.path) paintPath();
    paintPoints(moving || turning ? Math.ceil(n / MOVING) : 1);
    paintLabels();
    if (moving) settle();
  }

  /** What has moved rests when nothing moves it for a while after it was painted: painting all may take as long. */
  function settle() {
    view.clearTimeout(rest);
    rest = view.setTimeout(function () {
      moving = false;
      soon();
    }, 160);
  }

  function paintAxes(to) {
    const ends = [];
    ground = [];
    context.lineWidth = 1;
    context.strokeStyle = inks.axis;
    context.fillStyle = inks.muted;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    data.axes.forEach(function (name, axis) {
      const at = [0, 1, 2].map(function (k) {
        return k === axis ? 1.12 : 0;
      });
      to(-at[0], -at[1], -at[2], ends, 0);
      to(at[0], at[1], at[2], ends, 3);
      context.beginPath();
      context.moveTo(ends[0], ends[1]);
      context.lineTo(ends[3], ends[4]);
      context.stroke();
      const half = context.measureText(name).width / 2 + 4;
      const x = Math.max(half, Math.min(size[0] - half, ends[3]));
      const y = Math.max(8, Math.min(size[1] - 8, ends[4] - 8));
      context.clearRect(x - half, y - 7, 2 * half, 14);
      context.fillText(name, x, y);
      ground.push([x - half, y, 2 * half]);
    });
  }

  function paintPath() {
    context.strokeStyle = inks.axis;
    context.beginPath();
    for (let i = 0; i < n; i++) context.lineTo(places[3 * i], places[3 * i + 1]);
    context.stroke();
  }

  /** Every so manieth point, far ones first and paler. */
  function paintPoints(step) {
    const wide = n > 4000 ? 2 : n > 400 ? 3 : 5;
    const count = groups ? data.groupNames.length : 1;
    for (let layer = 2; layer >= 0; layer--) {
      const [near, far] = [data.distance - 1.2 + 0.8 * layer, data.distance - 0.4 + 0.8 * layer];
      context.globalAlpha = (n > 4000 ? 0.55 : 0.85) - 0.18 * layer;
      for (let group = 0; group < count; group++) {
        context.fillStyle = groups ? inks["c" + (group % 8)] : inks.c0;
        for (let i = 0; i < n; i += step) {
          const depth = places[3 * i + 2];
          if ((layer > 0 && depth < near) || (layer < 2 && depth >= far) || (groups && groups[i] !== group)) continue;
          if (!isIn(i) || depth < 0.05) continue;
          const side = wide * Math.min(3, data.distance / depth);
          context.fillRect(places[3 * i] - side / 2, places[3 * i + 1] - side / 2, side, side);
        }
      }
    }
    context.globalAlpha = 1;
  }

  function paintLabels() {
    if (!moving && !turning) named = chosen();
    const boxes = ground.slice();
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = inks.bg;
    if (held >= 0) paintLabel(held, boxes, true);
    for (const i of named) if (boxes.length < LABELS + 3 && i !== held && isIn(i)) paintLabel(i, boxes, false);
  }

  function paintLabel(i, boxes, isHeld) {
    const text = data.labels[i];
    const width = context.measureText(text).width;
    const [x, y] = [places[3 * i] + 6, places[3 * i + 1]];
    const left = x + width > size[0] ? x - width - 12 : x;
    const meets = boxes.some(function (box) {
      return left < box[0] + box[2] && box[0] < left + width && Math.abs(y - box[1]) < 13;
    });
    if (meets && !isHeld) return;
    boxes.push([left, y, width]);
    context.strokeText(text, left, y);
    context.fillStyle = isHeld ? inks.pos : inks.ink;
    context.fillText(text, left, y);
    if (!isHeld) return;
    context.strokeStyle = inks.pos;
    context.lineWidth = 1.5;
    context.strokeRect(places[3 * i] - 4, places[3 * i + 1] - 4, 8, 8);
    context.strokeStyle = inks.bg;
    context.lineWidth = 3;
  }

  /** The points that may be named: what is looked for, or the outermost of those in sight. */
  function chosen() {
    const wanted = search ? search.value.trim() : "";
    const fits = function (i) {
      return wanted === "" || data.labels[i].includes(wanted);
    };
    const list = [];
    for (const i of outward) {
      if (list.length >= 8 * LABELS) break;
      if (isIn(i) && fits(i)) list.push(i);
    }
    if (wanted !== "")
      list.sort(function (a, b) {
        return data.labels[a].length - data.labels[b].length || a - b;
      });
    return list;
  }

  function soon() {
    if (frame === 0) frame = view.requestAnimationFrame(paint);
  }

  /** Paints as long as it moves, and everything once it rests. */
  function move() {
    moving = true;
    view.clearTimeout(rest);
    soon();
  }

  function turn(right, up) {
    state.azimuth += right;
    state.elevation = Math.max(-1.55, Math.min(1.55, state.elevation + up));
    if (turning) soon();
    else move();
  }

  function zoom(factor) {
    const to = Math.max(0.5, Math.min(60, state.zoom * factor));
    state.x *= to / state.zoom;
    state.y *= to / state.zoom;
    state.zoom = to;
    move();
  }

  function reset() {
    Object.assign(state, { azimuth: data.view[0], elevation: data.view[1], zoom: 1, x: 0, y: 0 });
    move();
  }

  function number(value) {
    return Number(value.toPrecision(3)).toString().replace("-", "−");
  }

  function hold(i) {
    if (i === held) return;
    held = i;
    read.textContent =
      i < 0
        ? ""
        : data.labels[i] +
          ": " +
          [0, 1, 2]
            .map(function (k) {
              return number(data.middle[k] + (points[3 * i + k] / 32767) * data.radius);
            })
            .join(", ") +
          (groups ? " (" + data.groupNames[groups[i]] + ")" : "");
    soon();
  }

  function nearest(x, y) {
    let best = -1;
    let least = 100;
    for (let i = 0; i < n; i++) {
      const far = (places[3 * i] - x) ** 2 + (places[3 * i + 1] - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  }

  let from = null;
  stage.addEventListener("pointerdown", function (event) {
    from = [event.clientX, event.clientY];
    if (stage.setPointerCapture) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", function (event) {
    const rect = stage.getBoundingClientRect();
    if (from === null) {
      hold(nearest(event.clientX - rect.left, event.clientY - rect.top));
      return;
    }
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    from = [event.clientX, event.clientY];
    if (event.shiftKey) {
      state.x += dx;
      state.y += dy;
      move();
    } else turn(-dx * 0.008, dy * 0.008);
  });
  for (const end of ["pointerup", "pointercancel"])
    stage.addEventListener(end, function () {
      from = null;
    });
  stage.addEventListener("pointerleave", function () {
    if (from === null) hold(-1);
  });
  stage.addEventListener(
    "wheel",
    function (event) {
      // a page is scrolled over the figure, until one has clicked into it
      if (document.activeElement !== stage && stage.getRootNode().activeElement !== stage && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.002));
    },
    { passive: false },
  );
  stage.addEventListener("keydown", function (event) {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && event.shiftKey) {
      state.x += 20 * arrow[0];
      state.y += 20 * arrow[1];
      move();
    } else if (arrow) turn(-0.1 * arrow[0], 0.1 * arrow[1]);
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "Home" || event.key === "0") reset();
    else return;
    event.preventDefault();
  });
  root.querySelectorAll("[data-do]").forEach(function (button) {
    button.addEventListener("click", function () {
      const what = button.dataset.do;
      if (what === "in") zoom(1.5);
      else if (what === "out") zoom(1 / 1.5);
      else if (what === "reset") reset();
      else if (still.matches) turn(0.4, 0);
      else {
        turning = !turning;
        button.setAttribute("aria-pressed", String(turning));
        soon();
      }
    });
  });
  if (search) search.addEventListener("input", soon);

  function layOut() {
    const width = stage.getBoundingClientRect().width || 640;
    size = [width, Math.round(Math.max(260, Math.min(520, width * 0.75)))];
    stage.style.height = size[1] + "px";
    soon();
  }
  if (view.ResizeObserver) {
    const sizes = new view.ResizeObserver(layOut);
    sizes.observe(root);
    undo.push(function () {
      sizes.disconnect();
    });
  }
  undo.push(function () {
    turning = false;
    view.cancelAnimationFrame(frame);
    view.clearTimeout(rest);
  });

  function repaint() {
    for (const name of ["axis", "muted", "ink", "bg", "pos", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"])
      inks[name] = colorIn(root, name);
    layOut();
  }
  repaint();
  return repaint;
}
