/** A chart in a view: fetched when there is something to draw, since it is a third of what the page weighs. */

/** @typedef {import("../chart.js").Points} Points */

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
  let asked = false;
  let ended = false;
  const ask = async () => {
    asked = true;
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
      if (wanted && !asked) ask();
      chart?.draw(points, steps);
    },
    restyle: () => chart?.redraw(),
    end() {
      ended = true;
      chart?.end();
    },
  };
}
