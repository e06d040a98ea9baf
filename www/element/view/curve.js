/** A chart in a view: fetched when there is something to draw, since it is a third of the page's bytes. */

/** @typedef {import("../chart.js").Points} Points */

/** Milliseconds between attempts to fetch it. */
const PATIENCE = 2000;

/**
 * @param {HTMLElement} canvas
 * @param {() => import("../chart.js").Look} look
 * @param {import("../chart.js").Line[]} [lines]
 */
export function curveOn(canvas, look, lines) {
  /** @type {Awaited<ReturnType<typeof import("../chart.js").lossChart>> | undefined} */
  let chart;
  /** @type {[Points, number]} */
  let latest;
  /** When the module may next be fetched: after a failure, as when offline, not at once. */
  let from = 0;
  let ended = false;
  const ask = async () => {
    from = Infinity;
    const { lossChart } = await import("../chart.js");
    const made = await lossChart(canvas, look, lines);
    if (ended) return made.end();
    chart = made;
    chart.draw(...latest);
  };
  return {
    /** @param {boolean} wanted whether there is something to draw @param {Points} points @param {number} steps in all */
    render(wanted, points, steps) {
      latest = [points, steps];
      if (wanted && performance.now() >= from) ask().catch(() => (from = performance.now() + PATIENCE));
      chart?.draw(points, steps);
    },
    restyle: () => chart?.redraw(),
    end() {
      ended = true;
      chart?.end();
    },
  };
}
