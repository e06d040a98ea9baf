// The growth of a step's cost as a drawing: a small one for each axis, both directions logarithmic, so that a power is a straight line.

const WIDTH = 210, HEIGHT = 170, MARGIN = { left: 44, right: 10, top: 24, bottom: 34 };
const INK = "#1f2937", FAINT = "#d1d5db", LINE = "#0f766e", LINEAR = "#9ca3af";

/** @param {{ axes: { axis: string, batch?: number, points: { value: number, milliseconds: number }[] }[] }} growth @returns {string} an SVG file */
export function plot({ axes }) {
  const panels = axes.map((axis, i) => `<g transform="translate(${i * WIDTH} 0)">${panel(axis)}</g>`);
  const width = axes.length * WIDTH;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="10">`,
    `<title>Milliseconds of one training step by ${axes.map(({ axis }) => axis).join(", ")}</title>`,
    `<rect width="${width}" height="${HEIGHT}" fill="#ffffff"/>`, ...panels, "</svg>", "",
  ].join("\n");
}

/** @param {{ axis: string, batch?: number, points: { value: number, milliseconds: number }[] }} axis */
function panel({ axis, batch, points }) {
  const xs = points.map(({ value }) => value), ys = points.map(({ milliseconds }) => milliseconds);
  const x = scale(xs[0], xs[xs.length - 1], MARGIN.left, WIDTH - MARGIN.right);
  const [low, high] = [Math.min(...ys) / 1.3, Math.max(...ys) * 1.3];
  const y = scale(low, high, HEIGHT - MARGIN.bottom, MARGIN.top);
  const at = (/** @type {number} */ value, /** @type {number} */ time) => `${x(value).toFixed(1)},${y(time).toFixed(1)}`;
  const grid = ticks(low, high).map((time) =>
    `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(time).toFixed(1)}" y2="${y(time).toFixed(1)}" stroke="${FAINT}"/>`
    + `<text x="${MARGIN.left - 5}" y="${(y(time) + 3).toFixed(1)}" text-anchor="end" fill="${INK}">${time}</text>`);
  const labels = xs.map((value) => `<text x="${x(value).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 14}" text-anchor="middle" fill="${INK}">${value}</text>`);
  // From the first point on, what proportional growth would be; cut off where it would leave the panel.
  const end = Math.min(xs[xs.length - 1], (high / ys[0]) * xs[0]);
  return [
    ...grid, ...labels,
    `<text x="${MARGIN.left}" y="14" fill="${INK}" font-weight="600">${axis}${batch ? ` (batch ${batch})` : ""}</text>`,
    `<text x="${WIDTH - MARGIN.right}" y="14" text-anchor="end" fill="${INK}">ms a step</text>`,
    `<line x1="${x(xs[0]).toFixed(1)}" y1="${y(ys[0]).toFixed(1)}" x2="${x(end).toFixed(1)}" y2="${y((ys[0] * end) / xs[0]).toFixed(1)}" stroke="${LINEAR}" stroke-dasharray="3 3"/>`,
    `<polyline points="${points.map(({ value, milliseconds }) => at(value, milliseconds)).join(" ")}" fill="none" stroke="${LINE}" stroke-width="2"/>`,
    ...points.map(({ value, milliseconds }) => `<circle cx="${x(value).toFixed(1)}" cy="${y(milliseconds).toFixed(1)}" r="2.5" fill="${LINE}"/>`),
  ].join("\n");
}

/** Logarithmic. @param {number} low @param {number} high @param {number} from @param {number} to */
const scale = (low, high, from, to) => (/** @type {number} */ value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low);

/** 1, 2 and 5 times powers of ten, inside the panel; more of them where there would be one or two, fewer where there would be many. @param {number} low @param {number} high */
export function ticks(low, high) {
  const inside = (/** @type {number[]} */ ...factors) => {
    const all = [];
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
      for (const factor of factors) if (factor * power >= low && factor * power <= high) all.push(Number((factor * power).toPrecision(3)));
    }
    return all;
  };
  const usual = inside(1, 2, 5);
  if (usual.length < 3) return inside(1, 1.5, 2, 3, 4, 5, 7);
  return usual.length > 6 ? inside(1) : usual;
}
