/**
 * A flipbook at work. A function without anything from outside but what it is given, since its text is a part of the
 * script that figures carry.
 *
 * @param page - the window, and what undoes it all.
 */
export function setUpFlip(root, { view, undo }) {
  const find = function (selector) {
    return root.querySelector(selector);
  };
  const scripts = root.querySelectorAll('script[type="application/json"]');
  const data = JSON.parse(scripts[scripts.length - 1].textContent);
  const [slider, button, said] = [".tc-flip-live input", ".tc-flip-live button", ".tc-flip-live output"].map(find);
  const pages = Array.from(root.querySelectorAll(".tc-flip-page"));
  const elements = Array.from(pages[0].querySelectorAll("*"));
  const last = data.labels.length - 1;
  let timer = 0;

  function show(index) {
    if (data.changes === null)
      pages.forEach(function (page, i) {
        page.hidden = i !== index;
      });
    else
      for (const [element, name, begin, ends, which] of data.changes) {
        const value = begin + ends[which.length === 0 ? index : which[index]];
        if (name === "") elements[element].textContent = value;
        else elements[element].setAttribute(name, value);
      }
    slider.value = index;
    slider.setAttribute("aria-valuetext", data.labels[index]);
    said.textContent = data.labels[index];
  }

  function pause() {
    view.clearInterval(timer);
    timer = 0;
    button.textContent = "▶";
    button.setAttribute("aria-label", "play");
  }

  function play() {
    if (Number(slider.value) >= last) show(0);
    button.textContent = "❚❚";
    button.setAttribute("aria-label", "pause");
    timer = view.setInterval(
      function () {
        const next = Number(slider.value) + 1;
        if (next > last) pause();
        else show(next);
      },
      Math.max(60, Math.min(600, 8000 / (last + 1))),
    );
  }

  button.addEventListener("click", function () {
    if (timer === 0) play();
    else pause();
  });
  slider.addEventListener("input", function () {
    if (timer !== 0) pause();
    show(Number(slider.value));
  });
  undo.push(pause);
  // a page that is come back to may keep the place of a slider
  slider.value = last;
  said.textContent = data.labels[last];
}
