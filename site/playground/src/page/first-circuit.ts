/** How long the first circuit took, for who measures. */
let isMarked = false;

/** Notes, once, that the first circuit stands: milliseconds since navigation began, after the frame that shows it. */
export function markFirstCircuit(): void {
  if (isMarked) return;
  isMarked = true;
  requestAnimationFrame(() =>
    setTimeout(() => {
      const { startTime } = performance.mark("first-circuit");
      document.documentElement.dataset["firstCircuit"] = startTime.toFixed(0);
    }),
  );
}
