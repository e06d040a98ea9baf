/** The loss curve, over uPlot. Knows nothing but points and colours. */

/** Columns of equal length; null where nothing was measured. @typedef {Record<string, (number | null)[]> & { step: number[] }} Points */
/** @typedef {{ text: string, grid: string, quiet: string, accent: string, font: string }} Look */
/** @typedef {{ of: string, stroke: "text" | "quiet" | "accent", width: number, dots?: boolean, dash?: number[] }} Line of: its column; dots: measured only at some steps, and so joined over gaps */

/** @type {Line[]} */
const TRAINING = [{ of: "loss", stroke: "quiet", width: 1.25 }, { of: "heldOut", stroke: "accent", width: 2.5, dots: true }];

/** Each URL is written out: bundlers, which move files, find only literal ones. */
const VENDORED = {
  "uPlot.esm.js": new URL("../vendor/uPlot.esm.js", import.meta.url),
  "uPlot.min.css": new URL("../vendor/uPlot.min.css", import.meta.url),
};

/**
 * @param {HTMLElement} host
 * @param {() => Look} look called at first and by redraw(), since light and dark may change
 * @param {Line[]} [lines]
 */
export async function lossChart(host, look, lines = TRAINING) {
  const script = VENDORED["uPlot.esm.js"].href;
  const { default: uPlot } = /** @type {{ default: typeof import("uplot") }} */ (await import(/* @vite-ignore */ script));
  // Build the chart in a task of its own, after the one that parsed uPlot's script, so that neither is long.
  await new Promise((resolve) => setTimeout(resolve));
  // Kept, since look() makes the browser compute all styles, and every line and label needs a colour.
  let now = look();
  /** @type {import("uplot").Axis} */
  const axis = {
    stroke: () => now.text,
    font: `12px ${now.font}`,
    grid: { stroke: () => now.grid, width: 1 },
    ticks: { show: false },
  };
  let steps = 1;
  /** @type {Points | undefined} */
  let shown;
  const chart = new uPlot(
    {
      width: host.clientWidth || 300,
      height: host.clientHeight || 168,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: () => [0, steps] }, y: { range: padded } },
      axes: [
        { ...axis, size: 24, gap: 4, grid: { show: false }, space: 56 },
        { ...axis, size: 38, gap: 4, space: 34 },
      ],
      series: [
        {},
        ...lines.map(({ stroke, width, dash, dots = false }) => ({
          stroke: () => now[stroke],
          width,
          dash,
          spanGaps: dots,
          points: { show: dots, size: 6, width: 0, fill: () => now[stroke] },
        })),
      ],
    },
    [[], ...lines.map(() => [])],
    host,
  );
  // Added where the chart is drawn and not to the document, since that may be in a shadow root.
  // With CORS, as modules are fetched: a cross-origin isolated page refuses a sheet of another origin without it.
  host.prepend(Object.assign(document.createElement("link"), { rel: "stylesheet", crossOrigin: "anonymous", href: VENDORED["uPlot.min.css"].href }));
  const resized = new ResizeObserver(([entry]) => {
    const [width, height] = [entry.contentRect.width, entry.contentRect.height].map(Math.floor);
    if (width > 0 && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
  });
  resized.observe(host);
  return {
    /** @param {Points} points @param {number} of steps in all */
    draw(points, of) {
      if (points === shown && of === steps) return;
      shown = points;
      steps = of;
      chart.setData([points.step, ...lines.map((line) => points[line.of])]);
    },
    redraw() {
      now = look();
      chart.redraw(false, true);
    },
    end() {
      resized.disconnect();
      chart.destroy();
    },
  };
}

/** A margin above and below; a flat curve gets a scale too. @param {unknown} _chart @param {number | null} min @param {number | null} max @returns {[number, number]} */
function padded(_chart, min, max) {
  if (min === null || max === null) return [0, 1];
  const air = Math.max((max - min) * 0.12, 0.05);
  return [min - air, max + air];
}
